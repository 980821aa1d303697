//! While an order is placed.

use super::{Death, Wanted, dies_in};
use crate::support::*;

dies_in!(
    the_event_is_read,
    the_seats_are_reserved,
    the_money_is_charged,
    the_money_is_charged_and_no_callback_comes,
    a_charge_is_made_that_stays_pending,
    a_charge_is_made_that_is_declined,
    the_seats_are_allocated,
    the_buyer_is_told,
);

/// Nothing is stored yet, so the client has to ask again.
async fn the_event_is_read(death: Death) {
    let mut app = spawn().await;
    let wanted = Wanted::new();
    death.awaits(&app, CallName::Event, wanted.placed(&app)).await.dies(&mut app).await;
    assert_eq!(app.store.count("SELECT count(*) FROM orders").await, 0);
    let again = app.place(&wanted.0).await;
    assert!(!again.is_replayed());
    again.created();
    app.quiesce().await;
    wanted.came_to(app, Outcome::confirmed()).await;
}

async fn the_seats_are_reserved(death: Death) {
    let mut app = spawn().await;
    let wanted = Wanted::new();
    death.awaits(&app, CallName::Reserve, wanted.placed(&app)).await.dies(&mut app).await;
    wanted.came_to(app, Outcome::confirmed()).await;
}

/// The callback comes before the charge has answered: with it the order is confirmed already.
async fn the_money_is_charged(death: Death) {
    let mut app = spawn().await;
    let wanted = Wanted::new();
    let doomed = death.awaits(&app, CallName::Charge, wanted.placed(&app)).await;
    let id = app.id_of(&wanted.0).await;
    if death == Death::AfterTheEffect {
        eventually("the callback is answered", async || {
            (!app.peers.state().await.unwrap().callbacks.is_empty()).then_some(())
        })
        .await;
        app.read(&id).await.assert_is("CONFIRMED", "done");
    }
    doomed.dies(&mut app).await;
    wanted.came_to(app, Outcome::confirmed()).await;
}

async fn the_money_is_charged_and_no_callback_comes(death: Death) {
    charged(death, Mode::Silent, Outcome::confirmed()).await;
}

async fn a_charge_is_made_that_stays_pending(death: Death) {
    charged(death, Mode::Pending, Outcome::awaiting_payment()).await;
}

async fn a_charge_is_made_that_is_declined(death: Death) {
    charged(death, Mode::Decline, Outcome::declined()).await;
}

async fn charged(death: Death, mode: Mode, outcome: Outcome) {
    let mut app = Spawn::new().payment_mode(mode).start().await;
    let wanted = Wanted::new();
    death.awaits(&app, CallName::Charge, wanted.placed(&app)).await.dies(&mut app).await;
    wanted.came_to(app, outcome).await;
}

/// Without a callback it is the placing request that allocates.
async fn the_seats_are_allocated(death: Death) {
    let mut app = Spawn::new().payment_mode(Mode::Silent).start().await;
    let wanted = Wanted::new();
    death.awaits(&app, CallName::Allocate, wanted.placed(&app)).await.dies(&mut app).await;
    wanted.came_to(app, Outcome::confirmed()).await;
}

async fn the_buyer_is_told(death: Death) {
    let mut app = Spawn::new().payment_mode(Mode::Silent).start().await;
    let wanted = Wanted::new();
    death.awaits(&app, CallName::Notify, wanted.placed(&app)).await.dies(&mut app).await;
    let id = app.id_of(&wanted.0).await;
    let sent = app.notifications(&id).await.len();
    assert_eq!(sent, if death == Death::AfterTheEffect { 2 } else { 1 }, "under one id");
    wanted.came_to(app, Outcome::confirmed()).await;
}
