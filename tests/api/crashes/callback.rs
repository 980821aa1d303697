//! Crashes while a callback is processed.

use super::{Death, awaiting, came_to, decides, dies_in};
use crate::support::*;

dies_in!(
    payment_is_asked_about_a_success,
    payment_is_asked_about_a_failure,
    the_seats_are_allocated,
    the_seats_are_released,
    the_buyer_is_told,
);

/// Payment does not call twice. The order is found to be paid when its time is over.
async fn payment_is_asked_about_a_success(death: Death) {
    asked(death, PaymentStatus::Success, Outcome::confirmed()).await;
}

async fn payment_is_asked_about_a_failure(death: Death) {
    asked(death, PaymentStatus::Failed, Outcome::declined()).await;
}

async fn asked(death: Death, status: PaymentStatus, outcome: Outcome) {
    let mut app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = awaiting(&app).await;
    let told = decides(&app, &document, status);
    death.awaits(&app, CallName::Payment, told).await.dies(&mut app).await;
    app.read(document.id()).await.assert_is("PENDING", "awaiting_payment");
    app.store.expire(document.id()).await;
    app.quiesce().await;
    came_to(app, &document, outcome).await;
}

async fn the_seats_are_allocated(death: Death) {
    heard(death, PaymentStatus::Success, CallName::Allocate, Outcome::confirmed()).await;
}

async fn the_seats_are_released(death: Death) {
    heard(death, PaymentStatus::Failed, CallName::Release, Outcome::declined()).await;
}

async fn the_buyer_is_told(death: Death) {
    heard(death, PaymentStatus::Success, CallName::Notify, Outcome::confirmed()).await;
}

async fn heard(death: Death, status: PaymentStatus, call: CallName, outcome: Outcome) {
    let mut app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = awaiting(&app).await;
    let told = decides(&app, &document, status);
    death.awaits(&app, call, told).await.dies(&mut app).await;
    came_to(app, &document, outcome).await;
}
