//! Negative controls (mutation tests of the model): without one rule, the exploration finds the violation that it prevents.

use super::explore::Violation;
use super::properties::{self, liveness};
use super::rules::{Guard, Model};
use super::state::{Budget, ModelState};
use super::steps;
use super::{QUIET, one_order, run, two_orders};

/// Without the rule, the exploration finds that the property does not hold.
fn breaks(property: &str, guard: Guard, model: Model) {
    let model = Model { without: Some(guard), ..model };
    let violation = run(&format!("without {guard:?}"), &model).violation.expect("a violation");
    let Some(steps) = steps_until(property, &model, &violation) else {
        panic!("not {property}, but {violation}");
    };
    println!("  {property}, after {steps} steps");
    assert!(
        is_listed(guard, property),
        "docs/MODEL.md has no row for {guard:?} and what it keeps: {property}"
    );
}

/// After how many steps the property does not hold: at the violation, or on the way from there to rest.
fn steps_until(property: &str, model: &Model, violation: &Violation) -> Option<usize> {
    let Violation { path, then, .. } = violation;
    if violation.property == property {
        return Some(path.len() + then.len());
    }
    let mut state = ModelState { left: Budget::default(), ..violation.state };
    then.iter().zip(path.len() + 1..).find_map(|(step, steps)| {
        state = steps::all(model, &state).into_iter().find(|(one, _)| one == step)?.1;
        (properties::broken(model, &state) == Some(property)).then_some(steps)
    })
}

/// Whether the model's page has a row for a rule with the property that it keeps.
fn is_listed(guard: Guard, property: &str) -> bool {
    let (begins, has) = (format!("| `{guard:?}` |"), format!("| {property} |"));
    include_str!("../../docs/MODEL.md").lines().any(|line| line.starts_with(&begins) && line.contains(&has))
}

#[test]
fn every_rule_has_a_negative_control() {
    let controls = include_str!("negative_controls.rs");
    for guard in Guard::ALL {
        assert!(controls.contains(&format!("Guard::{guard:?},")), "{guard:?} has none");
    }
}

#[test]
fn without_the_version_a_late_answer_overwrites_the_callbacks() {
    breaks(liveness::MONEY, Guard::Version, one_order(Budget { callbacks: 1, ..QUIET }));
}

#[test]
fn without_asking_again_a_lost_charge_keeps_money() {
    breaks(liveness::MONEY, Guard::SilenceSaysNothing, one_order(Budget { faults: 1, ..QUIET }));
}

#[test]
fn without_waiting_a_late_request_is_forgotten() {
    breaks(properties::HELD, Guard::InFlight, one_order(Budget { faults: 1, cancels: 1, ..QUIET }));
}

#[test]
fn without_asking_a_refund_is_paid_twice() {
    let careless = one_order(Budget { faults: 1, refunds: 1, ..QUIET });
    let careless = Model { careless_refunds: true, ..careless };
    breaks(properties::REFUNDED_ONCE, Guard::AskBeforeRefund, careless);
}

#[test]
fn without_remembering_it_a_cancelled_order_is_confirmed() {
    breaks(properties::CANCELLED, Guard::GivenUp, one_order(Budget { callbacks: 1, cancels: 1, ..QUIET }));
}

#[test]
fn without_counting_it_a_lost_holders_request_lands_for_a_dead_order() {
    breaks(properties::HELD, Guard::LeaseCountsAsFlight, one_order(Budget { crashes: 1, ..QUIET }));
}

#[test]
fn without_the_lease_an_overtaken_holder_goes_on_beside_the_next() {
    let overtaken = Budget { overtakes: 1, callbacks: 1, cancels: 1, ..QUIET };
    let three = Model { holders: 3, next_buyer: false, ..one_order(overtaken) };
    breaks(properties::HELD, Guard::Lease, three);
}

#[test]
fn without_the_lease_a_cancelled_order_frees_the_same_buyers_next_one() {
    let overtaken = Budget { overtakes: 1, cancels: 1, ..QUIET };
    breaks(properties::ALLOCATED, Guard::Lease, two_orders(true, overtaken));
}

#[test]
fn without_waiting_for_its_holder_an_overtaken_allocation_lands_for_a_dead_order() {
    let overtaken = one_order(Budget { faults: 1, cancels: 1, ..QUIET });
    breaks(liveness::SEATS, Guard::OvertakenForTheLease, overtaken);
}

#[test]
fn without_sparing_its_holder_a_redrive_lets_a_late_request_land_for_a_dead_order() {
    let redriven = one_order(Budget { faults: 2, redrives: 1, ..QUIET });
    breaks(properties::HELD, Guard::RedriveSparesHolders, redriven);
}

#[test]
fn without_looking_again_a_seat_is_left_to_a_dead_order() {
    breaks(
        properties::HELD,
        Guard::LookAfterFlight,
        one_order(Budget { faults: 1, callbacks: 1, cancels: 1, ..QUIET }),
    );
}

fn older_hold(budget: Budget) -> Model {
    Model { older_hold: true, stranger: true, ..one_order(budget) }
}

#[test]
fn without_distrust_of_a_hold_that_was_observed_a_stranger_loses_the_seat() {
    breaks(properties::STRANGER, Guard::ObservedIsOver, older_hold(QUIET));
}

#[test]
fn without_a_look_before_it_an_allocation_takes_a_strangers_seat() {
    breaks(properties::STRANGER, Guard::LookBeforeAllocate, older_hold(QUIET));
}

#[test]
fn without_a_look_before_it_a_release_frees_a_strangers_seat() {
    breaks(properties::STRANGER, Guard::LookBeforeRelease, older_hold(QUIET));
}

#[test]
fn without_claims_until_a_look_a_seat_that_seating_keeps_is_forgotten() {
    breaks(properties::HELD, Guard::ClaimsUntilALook, one_order(Budget { faults: 1, ..QUIET }));
}

#[test]
fn without_releasing_it_a_seat_that_was_held_with_another_one_is_forgotten() {
    let in_part = Model { in_part: true, ..one_order(Budget { faults: 1, ..QUIET }) };
    breaks(properties::HELD, Guard::HeldInPart, in_part);
}

#[test]
fn without_distrust_of_a_gateway_a_seat_that_seating_keeps_allocated_is_forgotten() {
    breaks(liveness::SEATS, Guard::OwnAnswers, one_order(Budget { faults: 1, refunds: 1, ..QUIET }));
}

#[test]
fn without_the_list_an_order_loses_what_an_earlier_allocation_has_got() {
    breaks(properties::LOST, Guard::ListBeforeLost, one_order(Budget { faults: 1, ..QUIET }));
}

#[test]
fn without_seatings_own_refusal_an_order_loses_a_seat_that_is_held_for_it() {
    breaks(properties::LOST, Guard::RefusalBeforeLost, one_order(Budget { faults: 1, ..QUIET }));
}

#[test]
fn without_remembering_an_earlier_reserve_it_lands_for_a_dead_order() {
    breaks(properties::HELD, Guard::EarlierMayLand, one_order(Budget { faults: 1, ..QUIET }));
}

#[test]
fn without_repeating_it_a_charge_of_a_cancelled_order_keeps_money() {
    breaks(liveness::MONEY, Guard::ChargeGoesOn, one_order(Budget { faults: 1, cancels: 1, ..QUIET }));
}

#[test]
fn without_remembering_an_earlier_attempt_an_invalid_charge_keeps_money() {
    let forgetful = Model { forgets: true, ..one_order(Budget { faults: 1, flips: 1, ..QUIET }) };
    breaks(liveness::MONEY, Guard::EveryAttemptRefused, forgetful);
}

#[test]
fn without_a_row_of_its_own_a_second_payment_is_kept() {
    breaks(liveness::MONEY, Guard::SecondGoesBack, one_order(Budget { seconds: 1, callbacks: 1, ..QUIET }));
}

#[test]
fn without_repeating_it_a_charge_that_another_payment_overtook_keeps_money() {
    let twice = one_order(Budget { seconds: 1, faults: 1, callbacks: 1, ..QUIET });
    breaks(liveness::MONEY, Guard::OvertakenChargeGoesOn, twice);
}

#[test]
fn without_asking_later_a_second_payment_that_could_not_be_checked_is_kept() {
    let twice = one_order(Budget { seconds: 1, faults: 1, callbacks: 1, ..QUIET });
    breaks(liveness::MONEY, Guard::ToldIsAskedAbout, twice);
}

#[test]
fn without_asking_about_it_an_accepted_refund_is_paid_twice() {
    let later =
        Model { async_refunds: true, careless_refunds: true, ..one_order(Budget { refunds: 1, ..QUIET }) };
    breaks(properties::REFUNDED_ONCE, Guard::AcceptedIsAskedAbout, later);
}

#[test]
fn without_giving_it_up_late_money_overrules_an_operators_word() {
    let forgetful = Model { forgets: true, ..one_order(Budget { flips: 2, callbacks: 1, ..QUIET }) };
    breaks(properties::DENIED, Guard::DeniedIsGivenUp, forgetful);
}

#[test]
fn without_the_first_success_a_payment_is_kept_beside_one_that_failed() {
    let twice = one_order(Budget { seconds: 1, callbacks: 1, ..QUIET });
    breaks(liveness::MONEY, Guard::FirstSuccessIsTheOrders, twice);
}

#[test]
fn without_following_it_a_payment_that_was_replaced_is_kept() {
    let twice = one_order(Budget { seconds: 1, callbacks: 1, ..QUIET });
    breaks(liveness::MONEY, Guard::ReplacedGoesBack, twice);
}

#[test]
fn without_an_end_an_order_whose_charge_is_never_answered_keeps_its_seats() {
    let nobody = Model { no_operator: true, ..one_order(Budget { faults: 1, ..QUIET }) };
    breaks(liveness::ENDS, Guard::UnansweredEnds, nobody);
}

#[test]
fn without_an_end_an_order_whose_payment_is_forgotten_keeps_its_seats() {
    let forgetful = Model { forgets: true, ..one_order(Budget { flips: 1, ..QUIET }) };
    breaks(liveness::RESTS, Guard::UnknownEnds, forgetful);
}

#[test]
fn without_waiting_for_the_time_an_order_with_an_older_hold_ends_at_once() {
    let doubted = Budget { faults: 2, callbacks: 1, ..QUIET };
    breaks(properties::IN_TIME, Guard::NotBeforeTheTime, older_hold(doubted));
}

#[test]
fn without_asking_catalog_late_money_confirms_an_order_of_a_cancelled_event() {
    let event = Model { event_cancels: true, ..one_order(QUIET) };
    breaks(properties::EVENT, Guard::EventIsAsked, event);
}

#[test]
fn without_an_answer_of_catalog_late_money_confirms_an_order_of_a_cancelled_event() {
    let event = Model { event_cancels: true, ..one_order(Budget { faults: 1, ..QUIET }) };
    breaks(properties::EVENT, Guard::EventSilenceIsNoYes, event);
}

#[test]
fn without_a_look_seats_of_a_cancelled_event_are_left_to_a_dead_order() {
    let event = Model { event_cancels: true, ..one_order(Budget { faults: 1, ..QUIET }) };
    breaks(properties::HELD, Guard::LookWhenEventCancelled, event);
}

fn unfamiliar() -> Model {
    Model { unfamiliar: true, ..one_order(QUIET) }
}

#[test]
fn without_taking_it_for_an_answer_an_unfamiliar_status_keeps_an_order_for_ever() {
    breaks(liveness::RESTS, Guard::UnfamiliarIsAnAnswer, unfamiliar());
}

#[test]
fn without_taking_it_for_undecided_an_unfamiliar_status_keeps_money() {
    breaks(liveness::MONEY, Guard::UnfamiliarIsUndecided, unfamiliar());
}

#[test]
fn without_a_limit_a_refund_that_is_repeated_is_asked_for_every_day() {
    breaks(properties::ONCE_MORE, Guard::RefundIsRepeatedOnce, lost_refunds());
}

#[test]
fn without_a_limit_the_same_goes_for_a_second_payment() {
    let budget = Budget { seconds: 1, callbacks: 1, ..QUIET };
    let twice = Model { async_refunds: true, lost_refunds: true, next_buyer: false, ..one_order(budget) };
    breaks(properties::ONCE_MORE, Guard::RefundIsRepeatedOnce, twice);
}

#[test]
fn without_parking_it_nobody_hears_of_an_unfamiliar_status() {
    breaks(properties::OPERATOR, Guard::OperatorHears, unfamiliar());
}

fn free(budget: Budget) -> Model {
    Model { free: true, refusals: false, ..one_order(budget) }
}

#[test]
fn without_a_word_on_free_seats_they_are_charged() {
    breaks(properties::FREE, Guard::FreeIsNotCharged, free(QUIET));
}

#[test]
fn without_a_word_on_free_seats_their_refund_never_ends() {
    breaks(liveness::RESTS, Guard::FreeIsNotRefunded, free(Budget { refunds: 1, ..QUIET }));
}

fn lost_refunds() -> Model {
    Model { async_refunds: true, lost_refunds: true, ..one_order(Budget { refunds: 1, ..QUIET }) }
}

#[test]
fn without_repeating_it_a_refund_that_payment_has_lost_is_never_made() {
    breaks(liveness::RESTS, Guard::RefundIsRepeated, lost_refunds());
}

#[test]
fn without_its_key_a_refund_that_is_repeated_after_a_day_is_made_twice() {
    breaks(properties::REFUNDED_ONCE, Guard::RefundUnderOneKey, lost_refunds());
}

#[test]
fn without_parking_it_nobody_hears_of_a_refund_that_is_repeated() {
    breaks(properties::OPERATOR, Guard::OperatorHears, lost_refunds());
}

fn forgets_paid() -> Model {
    Model { forgets_paid: true, ..one_order(Budget { flips: 1, refunds: 1, ..QUIET }) }
}

#[test]
fn without_doubt_the_money_of_a_payment_that_is_forgotten_counts_as_refunded() {
    breaks(liveness::MONEY, Guard::UnknownIsNoRefund, forgets_paid());
}

#[test]
fn without_an_operators_word_a_refund_whose_payment_is_forgotten_never_ends() {
    breaks(liveness::RESTS, Guard::RefundIsResolvable, forgets_paid());
}

#[test]
fn without_parking_it_nobody_hears_of_a_refund_whose_payment_is_forgotten() {
    breaks(properties::OPERATOR, Guard::OperatorHears, forgets_paid());
}

#[test]
fn without_one_order_for_a_payment_a_callback_for_the_wrong_one_gives_it_to_both() {
    let budget = Budget { callbacks: 1, cancels: 1, ..QUIET };
    let misdirected = Model { misdirected: true, ..two_orders(false, budget) };
    breaks(properties::ONE_ORDER, Guard::OnePaymentOneOrder, misdirected);
}
