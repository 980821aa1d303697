//! While a payment is dealt with that came after the order's time was over.

use super::{Death, awaiting, came_to, decides, dies_in};
use crate::support::*;

dies_in!(
    payment_is_asked,
    the_same_seats_are_reserved_again,
    the_seats_are_allocated_after_all,
    the_buyer_is_told_after_all,
    the_money_goes_back_because_we_sold_the_seats,
    the_money_goes_back_because_seating_gave_the_seats_away,
);

/// An order whose time is over, and whose seats are free again.
async fn expired(app: &App) -> Document {
    let document = awaiting(app).await;
    app.store.expire(document.id()).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::cancelled(Some(PaymentStatus::Pending)));
    document
}

fn confirmed_after_all() -> Outcome {
    Outcome::confirmed().after_telling("ORDER_CANCELLED")
}

fn paid_back() -> Outcome {
    let cancelled = Outcome::cancelled(Some(PaymentStatus::Refunded));
    cancelled.after_telling("ORDER_REFUNDED").with_seats(Seats::Others)
}

/// Payment does not call twice, but a later callback, true or not, has it asked again.
async fn payment_is_asked(death: Death) {
    let mut app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = expired(&app).await;
    let paid = decides(&app, &document, PaymentStatus::Success);
    death.awaits(&app, CallName::Payment, paid).await.dies(&mut app).await;
    let again = app.call_back(document.id(), document.payment_id(), "SUCCESS").await;
    assert_eq!(again.status, 200, "{again:?}");
    app.quiesce().await;
    came_to(app, &document, confirmed_after_all()).await;
}

async fn the_same_seats_are_reserved_again(death: Death) {
    paid(death, CallName::Reserve).await;
}

async fn the_seats_are_allocated_after_all(death: Death) {
    paid(death, CallName::Allocate).await;
}

async fn the_buyer_is_told_after_all(death: Death) {
    paid(death, CallName::Notify).await;
}

async fn paid(death: Death, call: CallName) {
    let mut app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = expired(&app).await;
    let paid = decides(&app, &document, PaymentStatus::Success);
    death.awaits(&app, call, paid).await.dies(&mut app).await;
    came_to(app, &document, confirmed_after_all()).await;
}

async fn the_money_goes_back_because_we_sold_the_seats(death: Death) {
    let mut app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = expired(&app).await;
    app.set_payment_mode(Mode::Succeed).await;
    let buyer = app.place(&order(&[1]).user(7)).await.created();
    let paid = decides(&app, &document, PaymentStatus::Success);
    death.awaits(&app, CallName::Refund, paid).await.dies(&mut app).await;
    assert_eq!(app.outcome(buyer.id()).await, Outcome::confirmed());
    came_to(app, &document, paid_back()).await;
}

async fn the_money_goes_back_because_seating_gave_the_seats_away(death: Death) {
    let mut app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = expired(&app).await;
    app.put_seat(seat_of_somebody(1, SeatStatus::Reserved, 9)).await;
    let paid = decides(&app, &document, PaymentStatus::Success);
    death.awaits(&app, CallName::Refund, paid).await.dies(&mut app).await;
    assert_eq!(app.seat(1).await.reserved_by, Some(9));
    came_to(app, &document, paid_back()).await;
}
