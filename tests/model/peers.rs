//! Models of Seating and Payment by their contracts: the effect of a request, and the answer. Catalog is asked for one thing, which
//! is in [`ModelState::event_cancelled`].

use super::order::{OrderIndex, Which};
use super::rules::{Guard, Model};
use super::state::{ModelState, PaymentState, PeerRequest, Seat, SeatOwner};
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
pub fn look(model: &Model, state: &ModelState, order: OrderIndex) -> Owner {
    match state.seat {
        Seat::Free => Owner::Free,
        Seat::Reserved { owner: SeatOwner::Order(other), .. } if other == order || model.same_user => {
            Owner::Held
        }
        Seat::Reserved { owner: SeatOwner::Elsewhere, .. } if order == 0 || model.same_user => Owner::Held,
        Seat::Allocated(owner) if owner == SeatOwner::Order(order) => Owner::Allocated,
        Seat::Reserved { .. } | Seat::Allocated(_) => Owner::Other,
    }
}

/// What an answer says, where several are possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reply {
    /// What a new payment becomes.
    pub charged: Option<PaymentStatus>,
    /// The prices are too high.
    pub dear: bool,
    /// Another seat of the order is somebody else's.
    pub in_part: bool,
    /// Payment shows the payment's status as one that is not known.
    pub unfamiliar: bool,
}

/// What a new payment may become at once.
pub fn charges(pay: &PaymentState) -> &'static [Option<PaymentStatus>] {
    match (pay.status, pay.refuses) {
        (None, false) => &[Some(Success), Some(Pending), Some(Failed)],
        _ => &[None],
    }
}

/// Lets a payment come to a state.
pub fn becomes(pay: &mut PaymentState, status: PaymentStatus) {
    (pay.status, pay.acknowledged) = (Some(status), false);
    pay.succeeded |= status == Success;
    pay.failed |= status == Failed;
}

/// A request takes effect; whether the peer agrees to it. `charged`: what a new payment becomes.
pub fn perform(
    model: &Model,
    state: &mut ModelState,
    order: OrderIndex,
    request: PeerRequest,
    charged: Option<PaymentStatus>,
) -> bool {
    let which = match request {
        PeerRequest::Refund(which) => which,
        _ => Which::Charged,
    };
    let seat = state.seat;
    let pay = state.payment_mut(order, which);
    match (request, seat) {
        (PeerRequest::Reserve, Seat::Free) => {
            state.seat = Seat::Reserved { owner: SeatOwner::Order(order), aged: false };
            true
        }
        (PeerRequest::Reserve, _) => false,
        // It asks nobody whose the hold is.
        (PeerRequest::Allocate, Seat::Reserved { .. }) => {
            state.seat = Seat::Allocated(SeatOwner::Order(order));
            true
        }
        (PeerRequest::Allocate, _) => false,
        // Nor here.
        (PeerRequest::Release, _) => {
            state.seat = Seat::Free;
            true
        }
        (PeerRequest::Charge, _) if pay.refuses => false,
        (PeerRequest::Charge, _) => {
            if let (None, Some(status)) = (pay.status, charged) {
                becomes(pay, status);
            }
            pay.status.is_some()
        }
        // Under one key it is accepted once.
        (PeerRequest::Refund(_), _) if model.async_refunds => {
            let agrees = pay.status == Some(Success);
            if agrees {
                let adds = model.careless_refunds || model.lacks(Guard::RefundUnderOneKey);
                pay.accepted = if adds { pay.accepted + 1 } else { 1 };
            }
            agrees
        }
        (PeerRequest::Refund(_), _) => {
            let agrees = pay.status == Some(Success) && !pay.forgotten
                || model.careless_refunds && pay.status == Some(Refunded);
            if agrees {
                becomes(pay, Refunded);
                pay.refunds += 1;
            }
            agrees
        }
    }
}
