//! Negative controls (mutation tests of the model): without one rule, the exploration finds the violation that it prevents.

use super::properties::{self, liveness};
use super::rules::{Guard, Model};
use super::state::Budget;
use super::{QUIET, one_order, run, two_orders};

/// Without the rule, the exploration finds that the property does not hold.
fn breaks(property: &str, guard: Guard, model: Model) {
    let explored = run(&format!("without {guard:?}"), &Model { without: Some(guard), ..model });
    let violation = explored.violation.expect("a violation");
    println!("  {}, after {} steps", violation.property, violation.path.len() + violation.then.len());
    assert_eq!(violation.property, property, "{violation}");
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
    breaks(properties::HELD, Guard::Lease, Model { holders: 3, ..one_order(overtaken) });
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
fn without_distrust_of_a_gateway_a_seat_that_seating_keeps_allocated_is_forgotten() {
    breaks(liveness::SEATS, Guard::OwnAnswers, one_order(Budget { faults: 1, refunds: 1, ..QUIET }));
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
