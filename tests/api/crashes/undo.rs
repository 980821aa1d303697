//! While an order that came to nothing is undone.

use super::{Death, Wanted, asks, awaiting, came_to, dies_in};
use crate::support::*;

dies_in!(
    seats_are_released_after_a_decline,
    the_buyer_is_told_of_a_decline,
    the_money_goes_back_after_the_seats_were_lost,
    seats_are_looked_for_after_that,
    seats_are_released_after_that,
    payment_is_asked_about_an_expired_order,
    seats_are_released_of_an_expired_order,
    a_payment_is_found_when_the_time_is_over_and_its_seats_are_allocated,
);

async fn seats_are_released_after_a_decline(death: Death) {
    declined(death, CallName::Release).await;
}

async fn the_buyer_is_told_of_a_decline(death: Death) {
    declined(death, CallName::Notify).await;
}

async fn declined(death: Death, call: CallName) {
    let mut app = Spawn::new().payment_mode(Mode::Decline).start().await;
    let wanted = Wanted::new();
    death.awaits(&app, call, wanted.placed(&app)).await.dies(&mut app).await;
    wanted.came_to(app, Outcome::declined()).await;
}

async fn the_money_goes_back_after_the_seats_were_lost(death: Death) {
    seats_lost(death, CallName::Refund).await;
}

/// Seating is asked first what it has allocated to the order; the first question is whether the allocation that was
/// refused happened all the same.
async fn seats_are_looked_for_after_that(death: Death) {
    let mut app = Spawn::new().payment_mode(Mode::Silent).start().await;
    app.fault(FaultRule::on(CallName::Allocate, Action::Refuse).always()).await;
    let wanted = Wanted::new();
    death.awaits_nth(&app, 1, CallName::OrderSeats, wanted.placed(&app)).await.dies(&mut app).await;
    wanted.came_to(app, Outcome::paid_back()).await;
}

async fn seats_are_released_after_that(death: Death) {
    seats_lost(death, CallName::Release).await;
}

async fn seats_lost(death: Death, call: CallName) {
    let mut app = Spawn::new().payment_mode(Mode::Silent).start().await;
    app.fault(FaultRule::on(CallName::Allocate, Action::Refuse).always()).await;
    let wanted = Wanted::new();
    death.awaits(&app, call, wanted.placed(&app)).await.dies(&mut app).await;
    wanted.came_to(app, Outcome::paid_back()).await;
}

async fn payment_is_asked_about_an_expired_order(death: Death) {
    let outcome = Outcome::cancelled(Some(PaymentStatus::Pending));
    expired(death, CallName::Payment, PaymentStatus::Pending, outcome).await;
}

async fn seats_are_released_of_an_expired_order(death: Death) {
    let outcome = Outcome::cancelled(Some(PaymentStatus::Pending));
    expired(death, CallName::Release, PaymentStatus::Pending, outcome).await;
}

async fn a_payment_is_found_when_the_time_is_over_and_its_seats_are_allocated(death: Death) {
    expired(death, CallName::Allocate, PaymentStatus::Success, Outcome::confirmed()).await;
}

/// It is a sweep that ends an order whose time is over.
async fn expired(death: Death, call: CallName, payment: PaymentStatus, outcome: Outcome) {
    let mut app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = awaiting(&app).await;
    app.settle_silently(&document, payment).await;
    app.store.expire(document.id()).await;
    let sweep = asks(&app, "/internal/sweep".into());
    death.awaits(&app, call, sweep).await.dies(&mut app).await;
    came_to(app, &document, outcome).await;
}
