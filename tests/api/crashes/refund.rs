//! While a confirmed order's money goes back.

use super::{Death, asks, came_to, decides, dies_in};
use crate::support::*;

dies_in!(
    the_money_goes_back,
    the_seats_are_looked_for,
    the_seats_are_released,
    the_buyer_is_told,
    payment_is_asked_about_a_charge_back,
    the_seats_are_released_after_a_charge_back,
);

async fn the_money_goes_back(death: Death) {
    refunded(death, CallName::Refund).await;
}

async fn the_seats_are_looked_for(death: Death) {
    refunded(death, CallName::OrderSeats).await;
}

async fn the_seats_are_released(death: Death) {
    refunded(death, CallName::Release).await;
}

async fn the_buyer_is_told(death: Death) {
    refunded(death, CallName::Notify).await;
}

/// A confirmed order of seat 1 of which the buyer has been told.
async fn confirmed() -> (App, Document) {
    let app = spawn().await;
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::confirmed());
    (app, document)
}

async fn refunded(death: Death, call: CallName) {
    let (mut app, document) = confirmed().await;
    let refund = asks(&app, format!("/v1/orders/{}/refund", document.id()));
    death.awaits(&app, call, refund).await.dies(&mut app).await;
    assert_eq!(app.read(document.id()).await.tickets("status"), ["VOID"]);
    came_to(app, &document, Outcome::refunded()).await;
}

/// Payment does not call twice, but a later callback, true or not, has it asked again.
async fn payment_is_asked_about_a_charge_back(death: Death) {
    let (mut app, document) = confirmed().await;
    let charge_back = decides(&app, &document, PaymentStatus::Refunded);
    death.awaits(&app, CallName::Payment, charge_back).await.dies(&mut app).await;
    let again = app.call_back(document.id(), document.payment_id(), "REFUNDED").await;
    assert_eq!(again.status, 200, "{again:?}");
    app.quiesce().await;
    came_to(app, &document, Outcome::refunded()).await;
}

async fn the_seats_are_released_after_a_charge_back(death: Death) {
    let (mut app, document) = confirmed().await;
    let charge_back = decides(&app, &document, PaymentStatus::Refunded);
    death.awaits(&app, CallName::Release, charge_back).await.dies(&mut app).await;
    came_to(app, &document, Outcome::refunded()).await;
}
