//! An answer was lost, and the process dies while it finds out what had become of the call.

use super::{Death, Wanted, asks, dies_in};
use crate::support::*;

dies_in!(
    the_seats_are_looked_at_after_a_reserve,
    the_money_is_charged_again,
    the_orders_seats_are_asked_for_after_an_allocation,
    payment_is_asked_after_a_refund,
    the_seats_are_looked_at_after_a_release,
);

async fn the_seats_are_looked_at_after_a_reserve(death: Death) {
    found_out(death, Mode::Silent, CallName::Reserve, CallName::Seat, Outcome::confirmed()).await;
}

async fn the_money_is_charged_again(death: Death) {
    found_out(death, Mode::Silent, CallName::Charge, CallName::Charge, Outcome::confirmed()).await;
}

async fn the_orders_seats_are_asked_for_after_an_allocation(death: Death) {
    found_out(death, Mode::Silent, CallName::Allocate, CallName::OrderSeats, Outcome::confirmed()).await;
}

async fn the_seats_are_looked_at_after_a_release(death: Death) {
    found_out(death, Mode::Decline, CallName::Release, CallName::Seat, Outcome::declined()).await;
}

/// The answer to `lost` is lost; a sweep asks by `asked`.
async fn found_out(death: Death, mode: Mode, lost: CallName, asked: CallName, outcome: Outcome) {
    let mut app = Spawn::new().payment_mode(mode).start().await;
    app.fault(FaultRule::on(lost, Action::LoseAnswer)).await;
    if lost == CallName::Reserve {
        // The request that places the order would look itself.
        app.fault(FaultRule::on(asked, fail(503))).await;
    }
    let wanted = Wanted::new();
    wanted.placed(&app).await;
    dies_when_it_asks(&mut app, death, asked).await;
    wanted.came_to(app, outcome).await;
}

async fn payment_is_asked_after_a_refund(death: Death) {
    let mut app = spawn().await;
    let wanted = Wanted::new();
    wanted.placed(&app).await;
    app.fault(FaultRule::on(CallName::Refund, Action::LoseAnswer)).await;
    app.refund(&app.id_of(&wanted.0).await).await.document(202);
    dies_when_it_asks(&mut app, death, CallName::Payment).await;
    wanted.came_to(app, Outcome::refunded()).await;
}

async fn dies_when_it_asks(app: &mut App, death: Death, asked: CallName) {
    assert_ne!(app.pending_work().await, "", "what became of the call is not known yet");
    app.expire_waits().await;
    let sweep = asks(app, "/internal/sweep".into());
    death.awaits(app, asked, sweep).await.dies(app).await;
}
