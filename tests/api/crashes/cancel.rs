//! While a buyer's order is given up.

use super::{Death, asks, awaiting, came_to, dies_in};
use crate::support::*;

dies_in!(
    payment_is_asked,
    payment_is_asked_and_says_that_it_was_paid,
    the_seats_are_released,
    the_buyer_is_told,
    the_money_goes_back,
    the_seats_are_released_after_that,
);

async fn payment_is_asked(death: Death) {
    cancelled(death, CallName::Payment, PaymentStatus::Pending).await;
}

async fn payment_is_asked_and_says_that_it_was_paid(death: Death) {
    cancelled(death, CallName::Payment, PaymentStatus::Success).await;
}

async fn the_seats_are_released(death: Death) {
    cancelled(death, CallName::Release, PaymentStatus::Pending).await;
}

async fn the_buyer_is_told(death: Death) {
    cancelled(death, CallName::Notify, PaymentStatus::Pending).await;
}

async fn the_money_goes_back(death: Death) {
    cancelled(death, CallName::Refund, PaymentStatus::Success).await;
}

async fn the_seats_are_released_after_that(death: Death) {
    cancelled(death, CallName::Release, PaymentStatus::Success).await;
}

async fn cancelled(death: Death, call: CallName, payment: PaymentStatus) {
    let mut app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = awaiting(&app).await;
    app.settle_silently(&document, payment).await;
    let cancel = asks(&app, format!("/v1/orders/{}/cancel", document.id()));
    death.awaits(&app, call, cancel).await.dies(&mut app).await;
    let outcome = match payment {
        PaymentStatus::Success => {
            Outcome::cancelled(Some(PaymentStatus::Refunded)).after_telling("ORDER_REFUNDED")
        }
        other => Outcome::cancelled(Some(other)),
    };
    came_to(app, &document, outcome).await;
}
