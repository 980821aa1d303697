//! Seating and Payment, as far as their contracts go: what a request does to them, and what they show.

use super::order::No;
use super::rules::Model;
use super::world::{Deed, Pay, Seat, Who, World};
use PaymentStatus::{Failed, Pending, Refunded, Success};
use order_service::domain::order::PaymentStatus;

/// Whose the seat is, seen from an order: as `peers::seating::Owner`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    Free,
    Held,
    Allocated,
    Other,
}

/// Looks at the seat. Seating tells for which user a seat is held, and not for which order.
pub fn look(model: &Model, world: &World, order: No) -> Owner {
    match world.seat {
        Seat::Free => Owner::Free,
        Seat::Reserved { who: Who::Order(other), .. } if other == order || model.same_user => Owner::Held,
        Seat::Allocated(who) if who == Who::Order(order) => Owner::Allocated,
        Seat::Reserved { .. } | Seat::Allocated(_) => Owner::Other,
    }
}

/// What a new payment may become at once.
pub fn charges(pay: &Pay) -> &'static [Option<PaymentStatus>] {
    match (pay.status, pay.refuses) {
        (None, false) => &[Some(Success), Some(Pending), Some(Failed)],
        _ => &[None],
    }
}

/// Lets a payment come to a state.
pub fn becomes(pay: &mut Pay, status: PaymentStatus) {
    (pay.status, pay.told) = (Some(status), false);
    pay.succeeded |= status == Success;
    pay.failed |= status == Failed;
}

/// A request takes effect; whether the peer agrees to it. `charged`: what a new payment becomes.
pub fn perform(
    model: &Model,
    world: &mut World,
    order: No,
    deed: Deed,
    charged: Option<PaymentStatus>,
) -> bool {
    let pay = &mut world.pays[order];
    match (deed, world.seat) {
        (Deed::Reserve, Seat::Free) => {
            world.seat = Seat::Reserved { who: Who::Order(order), aged: false };
            true
        }
        (Deed::Reserve, _) => false,
        // It asks nobody whose the hold is.
        (Deed::Allocate, Seat::Reserved { .. }) => {
            world.seat = Seat::Allocated(Who::Order(order));
            true
        }
        (Deed::Allocate, _) => false,
        // Nor here.
        (Deed::Release, _) => {
            world.seat = Seat::Free;
            true
        }
        (Deed::Charge, _) => {
            if let (None, Some(status)) = (pay.status, charged) {
                becomes(pay, status);
            }
            pay.status.is_some()
        }
        (Deed::Refund, _) => {
            let agrees =
                pay.status == Some(Success) || model.careless_refunds && pay.status == Some(Refunded);
            if agrees {
                becomes(pay, Refunded);
                pay.refunds += 1;
            }
            agrees
        }
    }
}
