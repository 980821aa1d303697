//! Tests of the saga: a table of every phase and event, and property-based tests over random sequences of events.

use super::*;
use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::order::OWN_CALLBACK_MS;
use proptest::prelude::*;
use std::time::Duration;
use uuid::Uuid;

const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(7));

/// No answer, and no request is in flight.
const SILENCE: Event = Event::NoAnswer { may_land: false };
/// No answer, and the request is in flight.
const TIMED_OUT: Event = Event::NoAnswer { may_land: true };

/// The seats are free, and no request is in flight.
const RELEASED: Event = Event::Released { settled: true };

fn tax() -> TaxRate {
    TaxRate::parse("5").unwrap()
}

fn payment(status: PaymentStatus) -> Payment {
    Payment { id: PAYMENT, status }
}

fn items() -> Vec<Item> {
    vec![Item { seat_id: 1, seat_code: Some("A1".into()), price_cents: 15000 }]
}

/// An order as it usually is in a phase, with an hour left to pay.
fn order_in(phase: Phase) -> Order {
    let amounts = Amounts::of([15000], tax());
    let mut order = Order {
        id: OrderId(Uuid::from_u128(1)),
        version: 1,
        user_id: 101,
        event_id: 101,
        seats: vec![1],
        status: Status::Pending,
        phase,
        hold: Hold::Reserved,
        failure: None,
        currency: "INR".into(),
        amounts,
        payment: None,
        attempts: 0,
        lease: 1,
        expires_in_ms: 3_600_000,
        hold_in_ms: 3_700_000,
        in_flight_ms: 0,
        given_up: false,
        payment_unsure: false,
        refund_again_in_ms: None,
        phase_ms: 0,
        parked: false,
        trace: None,
    };
    match phase {
        Phase::Reserving => (order.hold, order.amounts) = (Hold::Nothing, None),
        Phase::Charging => {}
        Phase::AwaitingPayment => order.payment = Some(payment(PaymentStatus::Pending)),
        Phase::Allocating | Phase::Refunding => {
            order.payment = Some(payment(PaymentStatus::Success));
            order.hold = Hold::Allocated;
        }
        Phase::Releasing => {
            order.status = Status::Failed;
            order.failure = Some(Failure::new(FailureCode::PaymentDeclined, "declined"));
            order.payment = Some(payment(PaymentStatus::Failed));
        }
        Phase::Done => {
            order.status = Status::Confirmed;
            order.payment = Some(payment(PaymentStatus::Success));
            order.hold = Hold::Allocated;
        }
    }
    order
}

fn cancelled(phase: Phase) -> Order {
    Order { status: Status::Cancelled, given_up: true, ..order_in(phase) }
}

fn expired_and_done() -> Order {
    Order {
        status: Status::Cancelled,
        failure: Some(Failure::new(FailureCode::Expired, "")),
        payment: Some(payment(PaymentStatus::Pending)),
        hold: Hold::Nothing,
        expires_in_ms: -1,
        hold_in_ms: -1,
        ..order_in(Phase::Done)
    }
}

/// The order when its time to pay is over, while Seating still holds its seats.
fn late(order: Order) -> Order {
    Order { expires_in_ms: -1, ..order }
}

/// The order when Seating may have freed its seats by itself as well.
fn lapsed(order: Order) -> Order {
    Order { expires_in_ms: -1, hold_in_ms: -1, ..order }
}

fn refused() -> Event {
    refused_while(false, false)
}

fn refused_while(held_in_part: bool, may_land: bool) -> Event {
    let failure = Failure::new(FailureCode::SeatsUnavailable, "taken");
    Event::ReserveRefused(Refusal { failure, held_in_part, may_land })
}

/// The answer to a reserve of the order.
fn reserved() -> Event {
    Event::Reserved(Reservation { items: items(), observed: false, may_land: false })
}

/// A hold that a look has shown.
fn observed() -> Event {
    Event::Reserved(Reservation { items: items(), observed: true, may_land: false })
}

fn every_event() -> Vec<Event> {
    let mut events = vec![
        reserved(),
        Event::ReservedBeyondRange,
        refused(),
        Event::EventCancelled,
        Event::PaidWithoutSeats(payment(PaymentStatus::Success)),
        Event::ChargeRefused,
        Event::PaymentUnsure,
        Event::PaymentUnknown,
        Event::PaymentUnfamiliar(PAYMENT),
        Event::RefundAccepted,
        Event::RefundPending,
        Event::Resolved(Verdict::NotTaken(None)),
        Event::Allocated,
        Event::SeatsLost,
        Event::HoldExpired,
        RELEASED,
        SILENCE,
        Event::CancelRequested,
        Event::RefundRequested,
    ];
    events.extend(PaymentStatus::ALL.iter().map(|status| Event::PaymentIs(payment(*status))));
    events.extend(PaymentStatus::ALL.iter().map(|status| Event::Charged(payment(*status))));
    events
}

/// The outcome of an event, in one line: status, phase and when the order is due, or why the event is rejected.
fn outcome(order: &Order, event: &Event) -> String {
    match next(order, event, tax()) {
        Ok(t) => format!("{} {} {:?}", t.order.status.as_str(), t.order.phase.as_str(), t.due),
        Err(rejected) => format!("{rejected:?}"),
    }
}

#[track_caller]
fn check(order: Order, expected: &[(&str, &str)]) {
    for event in every_event() {
        let listed = expected.iter().find(|(name, _)| *name == event.name());
        let rejected = if matches!(event, Event::Resolved(_)) { "NotResolvable" } else { "Stale" };
        // An unfamiliar status is a pending payment.
        let pending = || expected.iter().find(|(name, _)| *name == "payment_pending");
        let listed = listed.or_else(|| pending().filter(|_| event.name() == "payment_unfamiliar"));
        let expected = listed.map_or(rejected, |(_, outcome)| outcome);
        assert_eq!(
            outcome(&order, &event),
            expected,
            "{} in {} {}",
            event.name(),
            order.status.as_str(),
            order.phase.as_str()
        );
    }
    for (name, _) in expected {
        assert!(every_event().iter().any(|event| event.name() == *name), "no such event: {name}");
    }
}

#[test]
fn reserving_stores_prices_or_fails_and_asks_again_without_an_answer() {
    check(
        order_in(Phase::Reserving),
        &[
            ("seats_reserved", "PENDING charging Held"),
            ("amount_out_of_range", "FAILED releasing Held"),
            ("seats_refused", "FAILED done Never"),
            ("no_answer", "PENDING reserving Backoff"),
            ("cancel_requested", "CANCELLED reserving Unchanged"),
            ("refund_requested", "NotRefundable"),
        ],
    );
    check(
        late(order_in(Phase::Reserving)),
        &[
            ("seats_reserved", "CANCELLED releasing Held"),
            ("amount_out_of_range", "FAILED releasing Held"),
            ("seats_refused", "FAILED done Never"),
            ("no_answer", "CANCELLED releasing Held"),
            ("cancel_requested", "CANCELLED reserving Unchanged"),
            ("refund_requested", "NotRefundable"),
        ],
    );
    check(
        cancelled(Phase::Reserving),
        &[
            ("seats_reserved", "CANCELLED releasing Held"),
            ("amount_out_of_range", "CANCELLED releasing Held"),
            ("seats_refused", "CANCELLED done Never"),
            ("no_answer", "CANCELLED reserving Backoff"),
            ("refund_requested", "NotRefundable"),
        ],
    );
}

#[test]
fn a_late_payment_holds_the_same_seats_again_or_is_refunded() {
    let held_again = Order {
        phase: Phase::Reserving,
        payment: Some(payment(PaymentStatus::Success)),
        expires_in_ms: 3_600_000,
        hold_in_ms: 3_700_000,
        ..expired_and_done()
    };
    check(
        held_again.clone(),
        &[
            ("seats_reserved", "CANCELLED allocating Held"),
            ("amount_out_of_range", "CANCELLED allocating Held"),
            ("seats_refused", "CANCELLED refunding Held"),
            ("event_cancelled", "CANCELLED releasing Held"),
            ("no_answer", "CANCELLED reserving Backoff"),
            ("payment_refunded", "CANCELLED reserving Unchanged"),
            ("payment_unsure", "CANCELLED reserving Unchanged"),
            ("cancel_requested", "CANCELLED reserving Unchanged"),
            ("refund_requested", "NotRefundable"),
        ],
    );
    assert_eq!(outcome(&late(held_again.clone()), &SILENCE), "CANCELLED reserving Backoff", "nobody said no");
    let given_up = next(&held_again, &Event::CancelRequested, tax()).unwrap().order;
    assert_eq!(outcome(&late(given_up.clone()), &SILENCE), "CANCELLED releasing Held");
    assert_eq!(outcome(&given_up, &reserved()), "CANCELLED releasing Held");
    let transition = next(&held_again, &reserved(), tax()).unwrap();
    assert_eq!(transition.items, None, "the price that was paid stays");
    let confirmed = next(&transition.order, &Event::Allocated, tax()).unwrap();
    assert_eq!((confirmed.order.status, confirmed.order.failure), (Status::Confirmed, None));
}

#[test]
fn a_pending_order_whose_money_goes_back_while_its_seats_are_held_again_is_refunded() {
    let held_again = next(&lapsed(order_in(Phase::Allocating)), &Event::HoldExpired, tax()).unwrap();
    assert!(held_again.renew_expiry && held_again.claims == Claims::Take);
    let held_again = held_again.order;
    assert_eq!((held_again.status, held_again.phase), (Status::Pending, Phase::Reserving));
    let refunded = next(&held_again, &Event::PaymentIs(payment(PaymentStatus::Refunded)), tax()).unwrap();
    assert_eq!(refunded.message, Some(MessageKind::OrderRefunded));
    let renewed = Order { hold_in_ms: 3_700_000, ..refunded.order };
    assert_eq!(outcome(&renewed, &reserved()), "REFUNDED releasing Held");
    assert_eq!(outcome(&renewed, &refused()), "REFUNDED done Never");
}

#[test]
fn charging_follows_the_payment_and_repeats_without_an_answer() {
    check(
        order_in(Phase::Charging),
        &[
            ("payment_pending", "PENDING awaiting_payment AtExpiry"),
            ("payment_succeeded", "PENDING allocating Held"),
            ("payment_failed", "FAILED releasing Held"),
            ("payment_refunded", "FAILED releasing Held"),
            ("paid_without_seats", "PENDING refunding Held"),
            ("charge_refused", "FAILED releasing Held"),
            ("resolved", "FAILED releasing Held"),
            ("no_answer", "PENDING charging Backoff"),
            ("cancel_requested", "CANCELLED charging Unchanged"),
            ("refund_requested", "NotRefundable"),
        ],
    );
    check(
        cancelled(Phase::Charging),
        &[
            ("payment_pending", "CANCELLED releasing Held"),
            ("payment_succeeded", "CANCELLED refunding Held"),
            ("payment_failed", "CANCELLED releasing Held"),
            ("payment_refunded", "CANCELLED releasing Held"),
            ("paid_without_seats", "CANCELLED refunding Held"),
            ("charge_refused", "CANCELLED releasing Held"),
            ("resolved", "CANCELLED releasing Held"),
            // Nobody waits for the seats any more.
            ("no_answer", "CANCELLED releasing Held"),
            ("refund_requested", "NotRefundable"),
        ],
    );
}

#[test]
fn a_charge_without_an_answer_ends_with_the_time_to_pay_and_is_repeated_without_a_hold() {
    let asked = next(&order_in(Phase::Charging), &SILENCE, tax()).unwrap().order;
    assert!(asked.charge_is_open());
    // Only a refusal of every attempt says that there is no payment.
    assert_eq!(outcome(&asked, &Event::ChargeRefused), "PENDING charging Backoff");
    let crashed = Order { attempts: 1, ..order_in(Phase::Charging) };
    assert_eq!(outcome(&crashed, &Event::ChargeRefused), "PENDING charging Backoff");

    for event in [SILENCE, Event::ChargeRefused] {
        let expired = next(&late(asked.clone()), &event, tax()).unwrap();
        assert_eq!(expired.message, Some(MessageKind::OrderCancelled));
        assert_eq!(
            (expired.order.phase, expired.order.failure.unwrap().code),
            (Phase::Releasing, FailureCode::Expired)
        );
    }
    let released = next(&late(asked.clone()), &SILENCE, tax()).unwrap().order;
    let open = next(&released, &RELEASED, tax()).unwrap();
    assert_eq!((open.order.phase, open.order.hold, open.due), (Phase::Charging, Hold::Nothing, Due::Backoff));
    assert_eq!((open.claims, action(&open.order)), (Claims::Drop, Some(Action::Charge)));
    check(
        open.order.clone(),
        &[
            ("payment_pending", "CANCELLED done Watch"),
            ("payment_succeeded", "CANCELLED reserving Held"),
            ("payment_failed", "CANCELLED done Never"),
            ("payment_refunded", "CANCELLED done Never"),
            ("paid_without_seats", "CANCELLED refunding Held"),
            ("charge_refused", "CANCELLED charging Backoff"),
            ("no_answer", "CANCELLED charging Backoff"),
            ("resolved", "CANCELLED done Never"),
            ("cancel_requested", "CANCELLED charging Unchanged"),
            ("refund_requested", "NotRefundable"),
        ],
    );
    // Also when Seating may have freed the seats by itself, a look tells.
    assert_eq!(outcome(&lapsed(asked), &SILENCE), "CANCELLED releasing Held");
    // A callback that comes while the seats are released ends the question.
    let told = next(&released, &Event::PaymentIs(payment(PaymentStatus::Failed)), tax()).unwrap().order;
    assert_eq!(outcome(&told, &RELEASED), "CANCELLED done Never");
}

#[test]
fn a_pending_payment_is_awaited_until_the_order_expires() {
    let rest = [
        ("paid_without_seats", "PENDING refunding Held"),
        ("payment_unsure", "PENDING awaiting_payment Now"),
        ("no_answer", "PENDING awaiting_payment Backoff"),
        ("resolved", "FAILED releasing Held"),
        ("cancel_requested", "CANCELLED awaiting_payment Held"),
        ("refund_requested", "NotRefundable"),
    ];
    let in_time = [
        ("payment_succeeded", "PENDING allocating Held"),
        ("payment_unknown", "PENDING awaiting_payment Backoff"),
        ("payment_pending", "PENDING awaiting_payment AtExpiry"),
        ("payment_failed", "FAILED releasing Held"),
        ("payment_refunded", "FAILED releasing Held"),
    ];
    check(order_in(Phase::AwaitingPayment), &[&rest[..], &in_time].concat());
    let too_late = [
        ("payment_succeeded", "PENDING allocating Held"),
        ("payment_unknown", "CANCELLED releasing Held"),
        ("payment_pending", "CANCELLED releasing Held"),
        ("payment_failed", "FAILED releasing Held"),
        ("payment_refunded", "FAILED releasing Held"),
    ];
    check(late(order_in(Phase::AwaitingPayment)), &[&rest[..], &too_late].concat());
    // When Seating may have freed the seats by itself, a look tells.
    let lapsed_order = lapsed(order_in(Phase::AwaitingPayment));
    let outcome = |status| outcome(&lapsed_order, &Event::PaymentIs(payment(status)));
    assert_eq!(outcome(PaymentStatus::Pending), "CANCELLED releasing Held");
    assert_eq!(outcome(PaymentStatus::Failed), "FAILED releasing Held");
    assert_eq!(outcome(PaymentStatus::Success), "PENDING allocating Held");
    let on_older_hold = Order { hold_in_ms: -1, ..order_in(Phase::AwaitingPayment) };
    assert_eq!(self::outcome(&on_older_hold, &SILENCE), "PENDING awaiting_payment Backoff");
    let unanswered = next(&lapsed_order, &SILENCE, tax()).unwrap();
    assert_eq!((unanswered.order.status, unanswered.order.phase), (Status::Cancelled, Phase::Releasing));
    assert!(unanswered.order.payment_unsure, "and Payment is asked with back-off");
    check(
        cancelled(Phase::AwaitingPayment),
        &[
            ("payment_pending", "CANCELLED releasing Held"),
            ("payment_succeeded", "CANCELLED refunding Held"),
            ("payment_failed", "CANCELLED releasing Held"),
            ("payment_refunded", "CANCELLED releasing Held"),
            ("paid_without_seats", "CANCELLED refunding Held"),
            ("payment_unsure", "CANCELLED awaiting_payment Now"),
            ("payment_unknown", "CANCELLED releasing Held"),
            ("resolved", "CANCELLED releasing Held"),
            ("no_answer", "CANCELLED awaiting_payment Backoff"),
            ("refund_requested", "NotRefundable"),
        ],
    );
}

#[test]
fn allocating_confirms_or_refunds() {
    check(
        order_in(Phase::Allocating),
        &[
            ("seats_allocated", "CONFIRMED done Never"),
            ("seats_lost", "PENDING refunding Held"),
            ("hold_expired", "PENDING reserving Held"),
            ("payment_refunded", "REFUNDED releasing Held"),
            ("payment_unsure", "PENDING allocating Unchanged"),
            ("no_answer", "PENDING allocating Backoff"),
            ("cancel_requested", "CANCELLED refunding Held"),
            ("refund_requested", "NotRefundable"),
        ],
    );
}

#[test]
fn refunding_goes_on_until_payment_says_that_the_money_went_back() {
    check(
        order_in(Phase::Refunding),
        &[
            ("payment_refunded", "REFUNDED releasing Held"),
            ("payment_failed", "FAILED releasing Held"),
            ("payment_unsure", "PENDING refunding Unchanged"),
            ("no_answer", "PENDING refunding Backoff"),
            ("payment_unknown", "PENDING refunding Backoff"),
            ("refund_accepted", "PENDING refunding Backoff"),
            ("refund_pending", "PENDING refunding Backoff"),
            ("resolved", "FAILED releasing Held"),
            ("cancel_requested", "CANCELLED refunding Unchanged"),
            ("refund_requested", "NotRefundable"),
        ],
    );
    check(
        Order { status: Status::Confirmed, ..order_in(Phase::Refunding) },
        &[
            ("payment_refunded", "REFUNDED releasing Held"),
            ("payment_failed", "REFUNDED releasing Held"),
            ("payment_unsure", "CONFIRMED refunding Unchanged"),
            ("no_answer", "CONFIRMED refunding Backoff"),
            ("payment_unknown", "CONFIRMED refunding Backoff"),
            ("refund_accepted", "CONFIRMED refunding Backoff"),
            ("refund_pending", "CONFIRMED refunding Backoff"),
            ("resolved", "REFUNDED releasing Held"),
            ("cancel_requested", "NotCancellable"),
        ],
    );
    check(
        cancelled(Phase::Refunding),
        &[
            ("payment_refunded", "CANCELLED releasing Held"),
            ("payment_failed", "CANCELLED releasing Held"),
            ("payment_unsure", "CANCELLED refunding Unchanged"),
            ("no_answer", "CANCELLED refunding Backoff"),
            ("payment_unknown", "CANCELLED refunding Backoff"),
            ("refund_accepted", "CANCELLED refunding Backoff"),
            ("refund_pending", "CANCELLED refunding Backoff"),
            ("resolved", "CANCELLED releasing Held"),
            ("refund_requested", "NotRefundable"),
        ],
    );
}

#[test]
fn releasing_ends_and_then_deals_with_money_that_came_meanwhile() {
    check(
        order_in(Phase::Releasing),
        &[
            ("seats_released", "FAILED done Never"),
            ("no_answer", "FAILED releasing Backoff"),
            ("payment_succeeded", "FAILED releasing Unchanged"),
            ("payment_refunded", "FAILED releasing Unchanged"),
            ("payment_unsure", "FAILED releasing Unchanged"),
            ("cancel_requested", "NotCancellable"),
            ("refund_requested", "NotRefundable"),
        ],
    );
    let lapsed_order = lapsed(order_in(Phase::Releasing));
    assert_eq!(
        outcome(&lapsed_order, &SILENCE),
        "FAILED releasing Backoff",
        "no look has shown the seats free"
    );
    let paid = Order { payment: Some(payment(PaymentStatus::Success)), ..order_in(Phase::Releasing) };
    assert_eq!(outcome(&paid, &RELEASED), "FAILED refunding Held");
    let paid_late = Order { payment: paid.payment, phase: Phase::Releasing, ..expired_and_done() };
    assert_eq!(outcome(&paid_late, &RELEASED), "CANCELLED reserving Held");
}

#[test]
fn a_confirmed_order_stays_confirmed_until_its_money_goes_back() {
    check(
        order_in(Phase::Done),
        &[
            ("payment_refunded", "REFUNDED releasing Held"),
            ("payment_unsure", "CONFIRMED done Now"),
            ("cancel_requested", "NotCancellable"),
            ("refund_requested", "CONFIRMED refunding Held"),
        ],
    );
    for event in [Event::RefundRequested, Event::PaymentIs(payment(PaymentStatus::Refunded))] {
        assert_eq!(next(&order_in(Phase::Done), &event, tax()).unwrap().tickets, Tickets::Void);
    }
    let refunded = Order {
        status: Status::Refunded,
        payment: Some(payment(PaymentStatus::Refunded)),
        ..order_in(Phase::Done)
    };
    check(refunded, &[("cancel_requested", "NotCancellable")]);
}

#[test]
fn money_for_an_order_that_is_over_is_used_or_given_back() {
    check(
        expired_and_done(),
        &[
            ("payment_succeeded", "CANCELLED reserving Held"),
            ("payment_pending", "CANCELLED done Watch"),
            ("payment_failed", "CANCELLED done Never"),
            ("payment_refunded", "CANCELLED done Never"),
            ("paid_without_seats", "CANCELLED refunding Held"),
            ("payment_unsure", "CANCELLED done Now"),
            ("no_answer", "CANCELLED done Watch"),
            ("payment_unknown", "CANCELLED done Watch"),
            ("resolved", "CANCELLED done Never"),
            ("cancel_requested", "CANCELLED done Watch"),
            ("refund_requested", "NotRefundable"),
        ],
    );
    let transition =
        next(&expired_and_done(), &Event::PaymentIs(payment(PaymentStatus::Success)), tax()).unwrap();
    assert_eq!((transition.claims, transition.renew_expiry), (Claims::Take, true));
    let declined = Order { phase: Phase::Done, hold: Hold::Nothing, ..order_in(Phase::Releasing) };
    assert_eq!(
        outcome(&declined, &Event::PaymentIs(payment(PaymentStatus::Success))),
        "FAILED refunding Held"
    );
}

#[test]
fn a_cancel_of_an_expired_order_is_remembered_until_its_late_payment() {
    let cancelled = next(&expired_and_done(), &Event::CancelRequested, tax()).unwrap();
    assert_eq!(cancelled.message, None, "the buyer knows already");
    assert_eq!(cancelled.order.failure, expired_and_done().failure, "it is shown as it was");
    let paid = Event::PaymentIs(payment(PaymentStatus::Success));
    assert_eq!(outcome(&cancelled.order, &paid), "CANCELLED refunding Held");
    assert_eq!(outcome(&cancelled.order, &Event::CancelRequested), "Stale");
}

#[test]
fn a_request_that_may_still_land_keeps_the_claims_until_it_cannot() {
    let releasing = order_in(Phase::Releasing);
    let in_flight = next(&releasing, &TIMED_OUT, tax()).unwrap();
    assert!(in_flight.in_flight && in_flight.order.in_flight());
    assert_eq!(outcome(&in_flight.order, &RELEASED), "FAILED releasing Settled");
    let lapsed_meanwhile = lapsed(in_flight.order.clone());
    assert_eq!(outcome(&lapsed_meanwhile, &SILENCE), "FAILED releasing Backoff");
    let settled = Order { in_flight_ms: 0, ..in_flight.order };
    assert_eq!(outcome(&settled, &RELEASED), "FAILED done Never");
    let seen_too_early = Event::Released { settled: false };
    assert_eq!(outcome(&settled, &seen_too_early), "FAILED releasing Settled");
    assert_eq!(action(&settled), Some(Action::LookThenRelease));

    // Whoever was allocating may be at it still.
    for event in [Event::CancelRequested, Event::PaymentIs(payment(PaymentStatus::Refunded))] {
        assert!(next(&order_in(Phase::Allocating), &event, tax()).unwrap().in_flight, "{event:?}");
    }
    // A reserve that nobody answered may take the seats after all: they are looked at before the claims are dropped.
    let asked_in_vain = Order { attempts: 1, in_flight_ms: 5_000, ..order_in(Phase::Reserving) };
    let refused = next(&asked_in_vain, &refused(), tax()).unwrap();
    assert_eq!((refused.order.phase, refused.order.hold), (Phase::Releasing, Hold::Reserved));
    assert_eq!(action(&refused.order), Some(Action::LookThenRelease));
    let expired = next(&late(order_in(Phase::Reserving)), &TIMED_OUT, tax()).unwrap();
    assert_eq!((expired.order.phase, expired.in_flight), (Phase::Releasing, true));
}

#[test]
fn an_earlier_reserve_of_the_same_attempt_keeps_the_claims_until_it_cannot_land() {
    let refused = next(&order_in(Phase::Reserving), &refused_while(false, true), tax()).unwrap();
    assert_eq!((refused.order.status, refused.order.phase), (Status::Failed, Phase::Releasing));
    assert!(refused.in_flight && refused.claims == Claims::Keep);
    let held = Event::Reserved(Reservation { items: items(), observed: false, may_land: true });
    let held = next(&order_in(Phase::Reserving), &held, tax()).unwrap();
    assert!(held.in_flight && held.order.phase == Phase::Charging);
    let declined = next(&held.order, &Event::PaymentIs(payment(PaymentStatus::Failed)), tax()).unwrap();
    assert_eq!(outcome(&declined.order, &RELEASED), "FAILED releasing Settled");
}

#[test]
fn a_refusal_keeps_the_claims_until_seats_that_a_look_has_shown_to_be_held_are_released() {
    let in_part = refused_while(true, false);
    let refused = next(&order_in(Phase::Reserving), &in_part, tax()).unwrap();
    assert_eq!((refused.order.status, refused.order.phase), (Status::Failed, Phase::Releasing));
    assert_eq!((refused.order.hold, refused.claims), (Hold::Reserved, Claims::Keep));
    assert!(refused.hold_observed && !refused.in_flight);
    assert_eq!(action(&refused.order), Some(Action::LookThenRelease));
    let released = next(&refused.order, &RELEASED, tax()).unwrap();
    assert_eq!((released.order.phase, released.claims), (Phase::Done, Claims::Drop));
    // Also of late money, which goes back when they are released.
    let paid = Order { payment: Some(payment(PaymentStatus::Success)), ..order_in(Phase::Reserving) };
    let refused = next(&paid, &in_part, tax()).unwrap();
    assert_eq!((refused.order.phase, refused.claims), (Phase::Releasing, Claims::Keep));
    let released = next(&refused.order, &RELEASED, tax()).unwrap();
    assert_eq!((released.order.phase, released.claims), (Phase::Refunding, Claims::Drop));
}

#[test]
fn a_hold_that_was_observed_counts_as_over_at_once() {
    let reserving = order_in(Phase::Reserving);
    assert!(!next(&reserving, &reserved(), tax()).unwrap().hold_observed);
    assert!(next(&reserving, &observed(), tax()).unwrap().hold_observed);
    // How a hold whose prices cannot be charged came to be is not told.
    assert!(next(&reserving, &Event::ReservedBeyondRange, tax()).unwrap().hold_observed);
    let paid = Order { payment: Some(payment(PaymentStatus::Success)), ..reserving };
    let held_again = next(&paid, &observed(), tax()).unwrap();
    assert!(held_again.hold_observed && held_again.order.phase == Phase::Allocating);
}

#[test]
fn only_a_hold_within_its_window_is_allocated_without_a_look() {
    let allocating = order_in(Phase::Allocating);
    for (hold_in_ms, attempts, expected) in [
        (1, 0, Action::Allocate),
        (1, 1, Action::AskThenAllocate),
        (0, 0, Action::LookThenAllocate),
        (-1, 1, Action::LookThenAllocate),
    ] {
        let order = Order { hold_in_ms, attempts, ..allocating.clone() };
        assert_eq!(action(&order), Some(expected), "{hold_in_ms} ms, {attempts} attempts");
    }
}

#[test]
fn seats_are_never_released_without_a_look() {
    for hold in [Hold::Reserved, Hold::Allocated] {
        for attempts in [0, 1] {
            let order = Order { hold, attempts, ..order_in(Phase::Releasing) };
            assert_eq!(action(&order), Some(Action::LookThenRelease));
        }
    }
}

#[test]
fn a_wait_that_a_peer_asks_for_ends_with_the_time_to_pay_and_then_with_the_hold() {
    let waits = |order: &Order, asked| {
        let both = [retry::asked_wait_ms(order, asked), retry::order_wait_ms(order, asked, 0)];
        assert_eq!(both[0], both[1]);
        both[0]
    };
    let asked = Some(300_000);
    for phase in [Phase::Reserving, Phase::Charging, Phase::AwaitingPayment, Phase::Allocating] {
        let in_time = Order { expires_in_ms: 60_000, hold_in_ms: 90_000, ..order_in(phase) };
        assert_eq!(waits(&in_time, asked), 60_000, "{phase:?}");
        assert_eq!(waits(&Order { expires_in_ms: 0, ..in_time.clone() }, asked), 90_000, "{phase:?}");
        assert_eq!(waits(&lapsed(in_time.clone()), asked), 300_000, "{phase:?}");
        let cancelled = Order { status: Status::Cancelled, ..in_time };
        assert_eq!(waits(&cancelled, asked), 60_000, "{phase:?}");
        // Nobody waits for its seats any more, unless it is late money that is to get them.
        let expected = if phase == Phase::Allocating { 90_000 } else { 300_000 };
        assert_eq!(waits(&Order { expires_in_ms: 0, ..cancelled }, asked), expected, "{phase:?}");
    }
    assert_eq!(waits(&order_in(Phase::Refunding), Some(u64::MAX)), retry::RETRY_AFTER_CAP_MS);
    assert_eq!(retry::asked_wait_ms(&order_in(Phase::AwaitingPayment), None), 0);
}

/// What follows an event when a peer asks to be left alone: the phase, when it is due, and after how many seconds if not at once.
fn asked(order: &Order, event: &Event, waits: AskedWaits) -> (Order, String) {
    let after = next(order, event, tax()).unwrap().after_asked_waits(waits);
    let wait = asked_wait_ms(&after.order, waits);
    let seconds = match after.due {
        Due::Backoff => retry::order_wait_ms(&after.order, wait, 0) / 1_000,
        Due::Watch | Due::Now => retry::asked_wait_ms(&after.order, wait) / 1_000,
        Due::Never | Due::Held | Due::Unchanged | Due::AtExpiry | Due::Settled => 0,
    };
    let told = format!("{} {:?} {seconds}", after.order.phase.as_str(), after.due);
    (after.order, told)
}

#[test]
fn a_wait_that_a_peer_asks_for_outlasts_the_phase_in_which_it_asks() {
    let [payment_asks, seating_asks] =
        [Peer::Payment, Peer::Seating].map(|peer| AskedWaits::of(peer, Some(120_000)));
    // The charge has no answer, and the order ends: its seats are released at once, and the charge is repeated after the wait.
    let charging = order_in(Phase::Charging);
    let cancelled_meanwhile = cancelled(Phase::Charging);
    for (order, expected) in [
        (late(charging.clone()), "charging Backoff 120"),
        (lapsed(charging.clone()), "charging Backoff 120"),
        (cancelled_meanwhile.clone(), "charging Backoff 120"),
        // Never beyond the end of the time to pay, where that lies ahead.
        (Order { expires_in_ms: 50_000, ..cancelled_meanwhile }, "charging Backoff 50"),
    ] {
        let (releasing, told) = asked(&order, &SILENCE, payment_asks);
        assert_eq!(told, "releasing Held 0");
        assert_eq!(asked(&releasing, &RELEASED, payment_asks).1, expected);
        assert_eq!(asked(&releasing, &RELEASED, AskedWaits::default()).1, "charging Backoff 1");
        // Money that came meanwhile goes back after the wait.
        let paid = Order { payment: Some(payment(PaymentStatus::Success)), given_up: true, ..releasing };
        assert_eq!(asked(&paid, &RELEASED, payment_asks).1, "refunding Backoff 120");
        assert_eq!(asked(&paid, &RELEASED, seating_asks).1, "refunding Held 0");
    }
    // Payment cannot be asked until the hold is over: the payment is asked about at rest.
    let (releasing, told) = asked(&lapsed(order_in(Phase::AwaitingPayment)), &SILENCE, payment_asks);
    assert_eq!(told, "releasing Held 0");
    assert_eq!(asked(&releasing, &RELEASED, payment_asks).1, "done Backoff 120");
    // A reserve or a look has no answer when the time is over: the seats are released at the same peer.
    for event in [SILENCE, TIMED_OUT] {
        let reserving = late(order_in(Phase::Reserving));
        assert_eq!(asked(&reserving, &event, seating_asks).1, "releasing Backoff 120");
        assert_eq!(asked(&reserving, &event, payment_asks).1, "releasing Held 0");
    }
}

#[test]
fn a_wait_that_a_peer_asks_for_is_bounded_and_passes() {
    let mut waits = AskedWaits::of(Peer::Payment, Some(u64::MAX));
    assert_eq!(
        (waits.left(Peer::Payment), waits.left(Peer::Seating)),
        (Some(retry::RETRY_AFTER_CAP_MS), None)
    );
    waits.advance_clock(Duration::from_secs(595));
    waits.ask(Peer::Payment, None);
    assert_eq!(waits.left(Peer::Payment), Some(5_000));
    waits.ask(Peer::Payment, Some(7_000));
    waits.ask(Peer::Seating, Some(0));
    assert_eq!((waits.left(Peer::Payment), waits.left(Peer::Seating)), (Some(7_000), None));
    waits.advance_clock(Duration::from_secs(7));
    assert_eq!(waits.left(Peer::Payment), None);
}

#[test]
fn seats_lost_to_a_request_in_flight_are_not_tried_again() {
    let held_again = Order {
        phase: Phase::Reserving,
        payment: Some(payment(PaymentStatus::Success)),
        attempts: 1,
        given_up: true,
        ..lapsed(expired_and_done())
    };
    let lost = next(&held_again, &TIMED_OUT, tax()).unwrap().order;
    assert_eq!(lost.phase, Phase::Releasing);
    let settled = Order { in_flight_ms: 0, ..lost };
    assert_eq!(outcome(&settled, &RELEASED), "CANCELLED refunding Held");
}

#[test]
fn the_operator_is_told_after_many_attempts_and_progress_takes_it_back() {
    for phase in Phase::ALL.iter().filter(|phase| **phase != Phase::Done) {
        let order = Order { attempts: retry::PARK_AFTER_ATTEMPTS - 1, ..order_in(*phase) };
        assert!(!next(&order, &SILENCE, tax()).unwrap().order.parked, "{phase:?}");
        let order = Order { attempts: retry::PARK_AFTER_ATTEMPTS, ..order };
        let told = next(&order, &SILENCE, tax()).unwrap();
        assert!(told.order.parked && told.due == Due::Backoff, "{phase:?}");
    }
    let parked_at_rest = Order { parked: true, ..expired_and_done() };
    let answer = Event::PaymentIs(payment(PaymentStatus::Pending));
    assert!(!next(&parked_at_rest, &answer, tax()).unwrap().order.parked);
    let released = Event::Released { settled: false };
    let worn = Order { attempts: retry::PARK_AFTER_ATTEMPTS, ..order_in(Phase::Releasing) };
    assert!(!next(&worn, &released, tax()).unwrap().order.parked, "it was answered");
    let parked = Order { parked: true, ..order_in(Phase::Allocating) };
    assert!(!next(&parked, &Event::Allocated, tax()).unwrap().order.parked);
}

#[test]
fn the_payment_of_an_order_at_rest_is_asked_about_until_its_fate_is_known() {
    assert_eq!(action(&expired_and_done()), Some(Action::AskPayment));
    assert_eq!(action(&order_in(Phase::Done)), None);
    // A callback that could not be checked, of whatever order: a charge-back for example.
    for phase in [Phase::Allocating, Phase::Refunding, Phase::Releasing, Phase::Done] {
        let doubted = next(&order_in(phase), &Event::PaymentUnsure, tax()).unwrap().order;
        assert!(doubted.payment_unsure, "{phase:?}");
        let known = doubted.payment.unwrap();
        let status = if doubted.is_paid() { Status::Confirmed } else { doubted.status };
        let at_rest = Order { phase: Phase::Done, status, ..doubted };
        assert_eq!(action(&at_rest), Some(Action::AskPayment));
        if matches!(known.status, PaymentStatus::Success | PaymentStatus::Failed) {
            let sure = next(&at_rest, &Event::PaymentIs(known), tax()).unwrap();
            assert_eq!((sure.order.payment_unsure, sure.due), (false, Due::Never), "{phase:?}");
        }
    }
    let charged_back = Order { payment_unsure: true, ..order_in(Phase::Done) };
    let refunded = Event::PaymentIs(payment(PaymentStatus::Refunded));
    assert_eq!(outcome(&charged_back, &refunded), "REFUNDED releasing Held");
}

#[test]
fn an_inherited_pending_order_is_finished_by_its_payment() {
    let inherited =
        Order { status: Status::Pending, payment: None, hold: Hold::Nothing, ..order_in(Phase::Done) };
    check(
        inherited,
        &[
            ("payment_succeeded", "PENDING allocating Held"),
            ("paid_without_seats", "PENDING refunding Held"),
            ("payment_failed", "FAILED done Never"),
            ("cancel_requested", "CANCELLED done Never"),
            ("refund_requested", "NotRefundable"),
        ],
    );
}

const OTHER: PaymentId = PaymentId(Uuid::from_u128(8));

fn other(status: PaymentStatus) -> Event {
    Event::PaymentIs(Payment { id: OTHER, status })
}

#[test]
fn the_first_successful_payment_is_the_orders() {
    use PaymentStatus::{Failed, Pending, Refunded, Success};
    // An undecided or failed one is replaced, and goes back if it succeeds after all.
    for (order, expected) in [
        (order_in(Phase::AwaitingPayment), "PENDING allocating Held"),
        (expired_and_done(), "CANCELLED reserving Held"),
        (order_in(Phase::Releasing), "FAILED releasing Unchanged"),
    ] {
        assert_eq!(outcome(&order, &other(Success)), expected);
        let transition = next(&order, &other(Success), tax()).unwrap();
        assert_eq!((transition.order.payment.unwrap().id, transition.replaced), (OTHER, order.payment));
    }
    // Every later one goes back by itself, also one that may yet succeed.
    for phase in [Phase::Allocating, Phase::Refunding, Phase::Done] {
        for status in [Success, Pending] {
            assert_eq!(outcome(&order_in(phase), &other(status)), "SecondPayment", "{phase:?}");
        }
    }
    let refunded =
        Order { payment: Some(payment(Refunded)), status: Status::Refunded, ..order_in(Phase::Done) };
    assert_eq!(outcome(&refunded, &other(Success)), "SecondPayment");
    // One that took no money is none of its business.
    for phase in [Phase::AwaitingPayment, Phase::Allocating, Phase::Refunding, Phase::Releasing, Phase::Done]
    {
        for status in [Failed, Refunded] {
            assert_eq!(outcome(&order_in(phase), &other(status)), "OtherPayment", "{phase:?}");
        }
    }
}

#[test]
fn a_charge_that_may_have_no_answer_stays_open_when_somebody_else_tells_of_a_payment() {
    use PaymentStatus::{Failed, Success};
    let first = order_in(Phase::Charging);
    let tried = Order { attempts: 1, ..first.clone() };
    let slow = Order { phase_ms: OWN_CALLBACK_MS, ..first.clone() };
    let released = Order {
        phase: Phase::Releasing,
        status: Status::Cancelled,
        payment_unsure: true,
        attempts: 0,
        ..first.clone()
    };
    let leaves_open = |order: &Order, event: Event| next(order, &event, tax()).unwrap().charge_open;
    for status in [Success, Failed] {
        for order in [&tried, &slow, &released] {
            assert!(leaves_open(order, other(status)), "{order:?}");
        }
        assert!(!leaves_open(&first, other(status)), "it is the charge's own");
        for order in [&first, &tried, &slow] {
            assert!(!leaves_open(order, Event::Charged(payment(status))), "{order:?}");
        }
    }
    assert!(leaves_open(&tried, Event::PaidWithoutSeats(payment(Success))));
    let answered = tried.with_answered_charge();
    assert!(!leaves_open(&answered, Event::PaidWithoutSeats(payment(Success))));
    assert!(!leaves_open(&slow, Event::Resolved(Verdict::Taken(PAYMENT))), "an operator's word");
    assert!(!leaves_open(&order_in(Phase::AwaitingPayment), other(Success)), "it had an answer");
}

#[test]
fn an_overtaken_charge_is_open_until_its_payment_is_known() {
    use PaymentStatus::{Pending, Success};
    let [open, closed] = [Some(ChargeCheck::Open), Some(ChargeCheck::Closed)];
    let charged = |status| Event::Charged(payment(status));
    for (attempts, outcome, rejected, expected) in [
        (0, SILENCE, Rejected::Stale, open),
        (0, charged(Success), Rejected::Stale, closed),
        (0, charged(Success), Rejected::SecondPayment, closed),
        (0, charged(Pending), Rejected::SecondPayment, closed),
        (0, charged(Pending), Rejected::OtherPayment, open),
        (0, Event::PaymentUnfamiliar(PAYMENT), Rejected::OtherPayment, open),
        (0, Event::PaymentUnfamiliar(PAYMENT), Rejected::SecondPayment, closed),
        (0, Event::ChargeRefused, Rejected::Stale, closed),
        (1, Event::ChargeRefused, Rejected::Stale, None),
    ] {
        assert_eq!(overtaken_charge(attempts, &outcome, rejected), expected, "{outcome:?} {rejected:?}");
    }
}

#[test]
fn a_callback_that_could_not_be_checked_is_a_flag() {
    for phase in [Phase::AwaitingPayment, Phase::Allocating, Phase::Refunding, Phase::Releasing, Phase::Done]
    {
        let flagged = next(&order_in(phase), &Event::PaymentUnsure, tax()).unwrap().order;
        assert_eq!(outcome(&flagged, &Event::PaymentUnsure), "Stale", "{phase:?}");
        let retried = next(&Order { attempts: 3, ..flagged }, &SILENCE, tax());
        let Ok(retried) = retried else { continue };
        assert_eq!(retried.due, Due::Backoff, "{phase:?}");
        assert_eq!(
            outcome(&retried.order, &Event::PaymentUnsure),
            "Stale",
            "the back-off goes on: {phase:?}"
        );
    }
}

#[test]
fn an_accepted_refund_is_asked_about_and_asked_for_once_more_after_a_day() {
    let accepted = next(&order_in(Phase::Refunding), &Event::RefundAccepted, tax()).unwrap().order;
    assert_eq!(action(&accepted), Some(Action::AskRefund));
    assert!(!accepted.parked);
    let asked = Order { attempts: 1_000, parked: true, ..accepted.clone() };
    let pending = next(&asked, &Event::RefundPending, tax()).unwrap().order;
    assert!(!pending.parked, "Payment has answered");
    assert_eq!(action(&pending), Some(Action::AskRefund));
    let a_day_later = Order { refund_again_in_ms: Some(-1), ..accepted };
    assert_eq!(action(&a_day_later), Some(Action::AskThenRefund));
    let again = next(&a_day_later, &Event::RefundAccepted, tax()).unwrap().order;
    assert!(again.parked, "an operator hears of it");
    let unheard = next(&a_day_later, &SILENCE, tax()).unwrap().order;
    assert_eq!(action(&unheard), Some(Action::AskThenRefund), "it has no answer yet");
    // Only once: from then on it is watched, and an operator goes on hearing of it, also after a redrive.
    let years = 10 * 365 * retry::REFUND_REPEAT_MS as i64;
    let left = again.refund_again_in_ms.map(|left| left - years);
    let redriven = Order { refund_again_in_ms: left, parked: false, attempts: 1, ..again.clone() };
    assert_eq!(action(&redriven), Some(Action::AskRefund));
    assert_eq!(retry::order_wait_ms(&redriven, None, 0), 600_000);
    assert!(next(&redriven, &Event::RefundPending, tax()).unwrap().order.parked);
    assert_eq!(action(&again), Some(Action::AskRefund));
    let refunded = next(&again, &Event::PaymentIs(payment(PaymentStatus::Refunded)), tax()).unwrap().order;
    assert_eq!(
        (refunded.phase, refunded.refund_again_in_ms, refunded.parked),
        (Phase::Releasing, None, false)
    );
}

#[test]
fn a_payment_that_payment_does_not_know_is_parked_until_an_operator_speaks() {
    let unknown = next(&order_in(Phase::Refunding), &Event::PaymentUnknown, tax()).unwrap();
    assert!(unknown.order.parked && unknown.due == Due::Backoff);
    let watched = next(&expired_and_done(), &Event::PaymentUnknown, tax()).unwrap();
    assert!(watched.order.parked && watched.due == Due::Watch);
    let confirmed = Order { status: Status::Confirmed, ..unknown.order };
    let went_back = Event::Resolved(Verdict::Refunded(PAYMENT));
    assert_eq!(outcome(&confirmed, &went_back), "REFUNDED releasing Held");
    // The refund is to be made all the same.
    assert_eq!(outcome(&confirmed, &Event::Resolved(Verdict::Taken(PAYMENT))), "NotResolvable");
}

#[test]
fn an_unfamiliar_status_is_undecided_and_an_operator_hears_of_it_when_it_lasts() {
    let unfamiliar = Event::PaymentUnfamiliar(PAYMENT);
    let awaiting = next(&order_in(Phase::AwaitingPayment), &unfamiliar, tax()).unwrap();
    assert_eq!((awaiting.due, awaiting.order.parked), (Due::AtExpiry, false));
    let watched = next(&expired_and_done(), &unfamiliar, tax()).unwrap();
    assert_eq!((watched.due, watched.order.parked), (Due::Watch, true));
}

#[test]
fn an_operator_hears_soon_of_what_payment_shows_when_the_order_ends() {
    for shown in [Event::PaymentUnfamiliar(PAYMENT), Event::PaymentUnknown] {
        let releasing = next(&late(order_in(Phase::AwaitingPayment)), &shown, tax()).unwrap();
        assert_eq!((releasing.order.phase, releasing.order.payment_unsure), (Phase::Releasing, true));
        let at_rest = next(&releasing.order, &RELEASED, tax()).unwrap();
        assert_eq!((at_rest.order.phase, at_rest.due), (Phase::Done, Due::Backoff));
        assert!(next(&at_rest.order, &shown, tax()).unwrap().order.parked);
    }
}

#[test]
fn a_callback_about_an_unfamiliar_status_is_a_flag_that_makes_nothing_due_earlier() {
    let told = Event::CallbackUnfamiliar;
    for (order, due) in [
        (order_in(Phase::AwaitingPayment), Due::Unchanged),
        (order_in(Phase::Allocating), Due::Unchanged),
        (order_in(Phase::Refunding), Due::Unchanged),
        (order_in(Phase::Releasing), Due::Unchanged),
        (order_in(Phase::Done), Due::Now),
        (expired_and_done(), Due::Watch),
    ] {
        let was_watched = order.is_watched();
        let flagged = next(&order, &told, tax()).unwrap();
        assert_eq!((flagged.due, flagged.order.payment_unsure), (due, true), "{:?}", order.phase);
        assert_eq!(flagged.order.parked, was_watched, "{:?}", order.phase);
        for again in [&told, &Event::PaymentUnsure] {
            assert_eq!(outcome(&flagged.order, again), "Stale", "{:?}", order.phase);
        }
    }
    assert_eq!(outcome(&order_in(Phase::Charging), &told), "Stale");
    let heard_of = next(&expired_and_done(), &Event::PaymentUnfamiliar(PAYMENT), tax()).unwrap().order;
    assert_eq!(outcome(&heard_of, &told), "Stale", "Payment was asked by a sweep");
    let parked = Order { parked: true, ..order_in(Phase::Allocating) };
    assert!(next(&parked, &told, tax()).unwrap().order.payment_unsure, "it is parked for its seats");
}

#[test]
fn money_that_comes_after_an_operator_said_that_none_was_taken_goes_back() {
    let not_taken = Event::Resolved(Verdict::NotTaken(None));
    let expired = Order { payment: None, payment_unsure: true, phase: Phase::Charging, ..expired_and_done() };
    let resolved = next(&expired, &not_taken, tax()).unwrap().order;
    assert_eq!((resolved.phase, resolved.charge_is_open()), (Phase::Done, false));
    assert_eq!(
        outcome(&resolved, &Event::PaymentIs(payment(PaymentStatus::Success))),
        "CANCELLED refunding Held"
    );
    // It was under way then, and what it has made may take money yet.
    let made = next(&resolved, &Event::Charged(payment(PaymentStatus::Pending)), tax()).unwrap();
    assert_eq!((made.due, made.order.is_watched()), (Due::Watch, true));
    let success = Event::PaymentIs(payment(PaymentStatus::Success));
    assert_eq!(outcome(&made.order, &success), "CANCELLED refunding Held");
    let watched = next(&expired_and_done(), &not_taken, tax()).unwrap().order;
    assert_eq!(watched.payment_status(), Some(PaymentStatus::Failed));
    assert_eq!(
        outcome(&watched, &Event::PaymentIs(payment(PaymentStatus::Success))),
        "CANCELLED refunding Held"
    );
    let taken = Event::Resolved(Verdict::Taken(PAYMENT));
    assert_eq!(outcome(&order_in(Phase::Charging), &taken), "PENDING allocating Held");
    assert_eq!(outcome(&expired_and_done(), &taken), "CANCELLED reserving Held");
}

#[test]
fn an_order_that_costs_nothing_is_confirmed_and_given_back_without_payment() {
    let for_nothing = vec![Item { price_cents: 0, ..items().remove(0) }];
    let reservation = Reservation { items: for_nothing, observed: false, may_land: false };
    let reserved = next(&order_in(Phase::Reserving), &Event::Reserved(reservation), tax()).unwrap();
    assert_eq!((reserved.order.phase, reserved.order.hold), (Phase::Allocating, Hold::Allocated));
    let free = reserved.order;
    check(
        free.clone(),
        &[
            ("seats_allocated", "CONFIRMED done Never"),
            ("seats_lost", "FAILED releasing Held"),
            ("hold_expired", "PENDING reserving Held"),
            ("no_answer", "PENDING allocating Backoff"),
            ("cancel_requested", "CANCELLED releasing Held"),
            ("refund_requested", "NotRefundable"),
            // There is no payment of it.
            ("payment_succeeded", "OtherPayment"),
            ("payment_pending", "OtherPayment"),
            ("payment_failed", "OtherPayment"),
            ("payment_refunded", "OtherPayment"),
            ("paid_without_seats", "OtherPayment"),
        ],
    );
    let confirmed = next(&free, &Event::Allocated, tax()).unwrap();
    assert_eq!((confirmed.tickets, confirmed.message), (Tickets::Issue, Some(MessageKind::OrderConfirmed)));
    let refunded = next(&confirmed.order, &Event::RefundRequested, tax()).unwrap();
    assert_eq!((refunded.order.status, refunded.order.phase), (Status::Refunded, Phase::Releasing));
    assert_eq!((refunded.tickets, refunded.message), (Tickets::Void, Some(MessageKind::OrderRefunded)));
    assert_eq!(outcome(&refunded.order, &RELEASED), "REFUNDED done Never");
    assert_eq!(outcome(&refunded.order, &Event::RefundRequested), "Stale");
}

#[test]
fn a_late_payment_of_a_cancelled_event_goes_back_after_its_seats_were_looked_at() {
    let held_again = Order {
        phase: Phase::Reserving,
        payment: Some(payment(PaymentStatus::Success)),
        attempts: 1,
        expires_in_ms: 3_600_000,
        hold_in_ms: 3_700_000,
        ..expired_and_done()
    };
    let lapsed = next(&lapsed(order_in(Phase::Allocating)), &Event::HoldExpired, tax()).unwrap().order;
    for (paid, status) in [(held_again, "CANCELLED"), (lapsed, "FAILED")] {
        let cancelled = next(&paid, &Event::EventCancelled, tax()).unwrap().order;
        assert_eq!(action(&cancelled), Some(Action::LookThenRelease));
        assert_eq!(outcome(&cancelled, &RELEASED), format!("{status} refunding Held"));
    }
}

#[test]
fn every_failure_and_every_success_is_notified_once_it_is_decided() {
    let message = |order: &Order, event: &Event| next(order, event, tax()).unwrap().message;
    assert_eq!(message(&order_in(Phase::Reserving), &refused()), Some(MessageKind::OrderFailed));
    assert_eq!(message(&order_in(Phase::Allocating), &Event::Allocated), Some(MessageKind::OrderConfirmed));
    assert_eq!(
        message(&order_in(Phase::Charging), &Event::CancelRequested),
        Some(MessageKind::OrderCancelled)
    );
    let refunded = Event::PaymentIs(payment(PaymentStatus::Refunded));
    assert_eq!(message(&order_in(Phase::Refunding), &refunded), Some(MessageKind::OrderRefunded));
    let still_pending = Event::PaymentIs(payment(PaymentStatus::Pending));
    assert_eq!(
        message(&late(order_in(Phase::AwaitingPayment)), &still_pending),
        Some(MessageKind::OrderCancelled)
    );
}

/// An order and its peers.
#[derive(Debug)]
struct World {
    order: Order,
    /// The payment's status at Payment.
    paid: Option<PaymentStatus>,
    /// Who has the seats at Seating.
    seats: Seats,
    tickets: Tickets,
    refunds: u32,
    /// The buyer has cancelled.
    given_up: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Seats {
    Free,
    Ours(Hold),
    Theirs,
}

/// One step of a random sequence, generated by proptest.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The action is performed. `decline`, `hang`: Payment declines a charge, or leaves it pending. `lost`: no answer came.
    Act {
        decline: bool,
        hang: bool,
        lost: bool,
    },
    /// The lease's holder crashes before it sends anything: the next one counts an attempt.
    Crash,
    /// Payment's decision on a pending payment, with a callback or not.
    Settle {
        success: bool,
        callback: bool,
    },
    Cancel,
    Refund,
    /// A repeated callback.
    Callback,
    /// The time to pay passes.
    Expire,
    /// The hold window passes as well; Seating frees what was not allocated, and another buyer may get it.
    Lapse {
        stolen: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(decline, hang, lost)| Step::Act { decline, hang, lost }),
        1 => Just(Step::Crash),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(success, callback)| Step::Settle { success, callback }),
        1 => Just(Step::Cancel),
        1 => Just(Step::Refund),
        1 => Just(Step::Callback),
        1 => Just(Step::Expire),
        1 => any::<bool>().prop_map(|stolen| Step::Lapse { stolen }),
    ]
}

impl World {
    fn new() -> Self {
        Self {
            order: order_in(Phase::Reserving),
            paid: None,
            seats: Seats::Free,
            tickets: Tickets::Keep,
            refunds: 0,
            given_up: false,
        }
    }

    fn apply(&mut self, event: &Event) {
        let Ok(transition) = next(&self.order, event, tax()) else {
            return;
        };
        self.order = transition.order;
        self.order.version += 1;
        self.given_up |= *event == Event::CancelRequested;
        assert!(
            !self.given_up || self.order.status == Status::Cancelled,
            "given up, and then {event:?}: {:?}",
            self.order
        );
        if transition.renew_expiry {
            self.order.expires_in_ms = 3_600_000;
            self.order.hold_in_ms = 3_700_000;
        }
        if transition.hold_observed {
            self.order.hold_in_ms = 0;
        }
        if transition.tickets != Tickets::Keep {
            self.tickets = transition.tickets;
        }
        let at_rest = self.order.phase == Phase::Done && !self.order.is_watched();
        assert_eq!(at_rest, transition.due == Due::Never, "{event:?} {:?}", self.order);
    }

    fn payment_report(&self) -> Event {
        self.paid.map_or(SILENCE, |status| Event::PaymentIs(payment(status)))
    }

    /// Performs the order's action at the peers, and returns the outcome.
    fn perform(&mut self, decline: bool, hang: bool) -> Option<Event> {
        Some(match action(&self.order)? {
            Action::Reserve | Action::LookThenReserve => match self.seats {
                Seats::Free => {
                    self.seats = Seats::Ours(Hold::Reserved);
                    reserved()
                }
                Seats::Ours(_) => observed(),
                Seats::Theirs => refused(),
            },
            Action::Charge => {
                let decided = match (decline, hang) {
                    (_, true) => PaymentStatus::Pending,
                    (true, _) => PaymentStatus::Failed,
                    (false, _) => PaymentStatus::Success,
                };
                self.paid.get_or_insert(decided);
                self.payment_report()
            }
            Action::AskPayment | Action::AskRefund => self.payment_report(),
            Action::Allocate | Action::AskThenAllocate => match self.seats {
                Seats::Ours(_) => {
                    self.seats = Seats::Ours(Hold::Allocated);
                    Event::Allocated
                }
                Seats::Free | Seats::Theirs => Event::SeatsLost,
            },
            Action::LookThenAllocate => match self.seats {
                Seats::Ours(_) => {
                    self.seats = Seats::Ours(Hold::Allocated);
                    Event::Allocated
                }
                Seats::Free => Event::HoldExpired,
                Seats::Theirs => Event::SeatsLost,
            },
            Action::Refund | Action::AskThenRefund => {
                if self.paid == Some(PaymentStatus::Success) {
                    self.paid = Some(PaymentStatus::Refunded);
                    self.refunds += 1;
                }
                self.payment_report()
            }
            Action::LookThenRelease => {
                if matches!(self.seats, Seats::Ours(_)) {
                    self.seats = Seats::Free;
                }
                RELEASED
            }
        })
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Act { decline, hang, lost } => {
                let Some(answer) = self.perform(decline, hang) else {
                    return;
                };
                self.apply(if lost { &TIMED_OUT } else { &answer });
            }
            Step::Crash => self.order.attempts += 1,
            Step::Settle { success, callback } => {
                if self.paid == Some(PaymentStatus::Pending) {
                    self.paid = Some(if success { PaymentStatus::Success } else { PaymentStatus::Failed });
                    if callback {
                        self.apply(&self.payment_report());
                    }
                }
            }
            Step::Cancel => self.apply(&Event::CancelRequested),
            Step::Refund => self.apply(&Event::RefundRequested),
            Step::Callback => {
                if self.paid.is_some() {
                    self.apply(&self.payment_report());
                }
            }
            Step::Expire => self.order.expires_in_ms = -1,
            Step::Lapse { stolen } => {
                self.order = lapsed(self.order.clone());
                if self.seats == Seats::Ours(Hold::Reserved) {
                    self.seats = if stolen { Seats::Theirs } else { Seats::Free };
                }
            }
        }
    }

    /// No more faults: every action is answered, and a payment that is still pending gets its callback.
    fn settle(&mut self) -> bool {
        for _ in 0..40 {
            self.order.in_flight_ms = 0;
            if let Some(answer) = self.perform(false, false) {
                self.apply(&answer);
                if matches!(self.order.phase, Phase::AwaitingPayment | Phase::Done) {
                    self.run(Step::Settle { success: true, callback: true });
                }
            } else if self.paid == Some(PaymentStatus::Pending) {
                self.run(Step::Settle { success: true, callback: true });
            } else {
                let known = self.order.payment_status();
                self.run(Step::Callback);
                if self.order.phase == Phase::Done && self.order.payment_status() == known {
                    return true;
                }
            }
        }
        false
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn every_life_comes_to_rest_and_money_is_kept_exactly_for_valid_tickets(steps in prop::collection::vec(step(), 0..40)) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        prop_assert!(world.settle(), "never at rest: {world:?}");
        let confirmed = world.order.status == Status::Confirmed;
        prop_assert_eq!(world.paid == Some(PaymentStatus::Success), confirmed, "{:?}", world);
        prop_assert_eq!(world.tickets == Tickets::Issue, confirmed, "{:?}", world);
        prop_assert_eq!(world.seats == Seats::Ours(Hold::Allocated), confirmed, "{:?}", world);
        prop_assert!(world.refunds <= 1);
        prop_assert!(world.order.status != Status::Pending, "{:?}", world);
    }
}
