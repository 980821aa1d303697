//! Which call a request is.

use hyper::Method;

/// The calls, as they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Call {
    Event,
    Reserve,
    Allocate,
    Release,
    Seat,
    OrderSeats,
    Availability,
    Charge,
    Payment,
    Refund,
    Notify,
    Callback,
    Unknown,
}

impl Call {
    /// All of them, in the order of their declaration.
    pub const ALL: [Call; 13] = [
        Call::Event,
        Call::Reserve,
        Call::Allocate,
        Call::Release,
        Call::Seat,
        Call::OrderSeats,
        Call::Availability,
        Call::Charge,
        Call::Payment,
        Call::Refund,
        Call::Notify,
        Call::Callback,
        Call::Unknown,
    ];

    /// Its name in the counts.
    pub fn name(self) -> &'static str {
        match self {
            Call::Event => "catalog.event",
            Call::Reserve => "seating.reserve",
            Call::Allocate => "seating.allocate",
            Call::Release => "seating.release",
            Call::Seat => "seating.seat",
            Call::OrderSeats => "seating.of_order",
            Call::Availability => "seating.availability",
            Call::Charge => "payment.charge",
            Call::Payment => "payment.ask",
            Call::Refund => "payment.refund",
            Call::Notify => "notification.notify",
            Call::Callback => "callbacks",
            Call::Unknown => "unknown",
        }
    }
}

/// The call, and the id that its path ends with, if it has one.
pub(super) fn route<'a>(method: &Method, path: &'a str) -> (Call, &'a str) {
    let is = |wanted: &Method, call: Call, id: &'a str| {
        if method == wanted { call } else { Call::Unknown }.with(id)
    };
    match path {
        "/seating/v1/seats/reserve" => is(&Method::POST, Call::Reserve, ""),
        "/seating/v1/seats/allocate" => is(&Method::POST, Call::Allocate, ""),
        "/seating/v1/seats/release" => is(&Method::POST, Call::Release, ""),
        "/seating/v1/seats/availability" => is(&Method::GET, Call::Availability, ""),
        "/payment/v1/charge" => is(&Method::POST, Call::Charge, ""),
        "/payment/v1/refund" => is(&Method::POST, Call::Refund, ""),
        "/notification/v1/notify" => is(&Method::POST, Call::Notify, ""),
        _ => {
            let below = [
                ("/catalog/v1/events/", Call::Event),
                ("/seating/v1/seats/order/", Call::OrderSeats),
                ("/seating/v1/seats/", Call::Seat),
                ("/payment/v1/payments/", Call::Payment),
            ];
            let found = below.iter().find_map(|(prefix, call)| Some((*call, path.strip_prefix(prefix)?)));
            found.map_or((Call::Unknown, path), |(call, id)| is(&Method::GET, call, id))
        }
    }
}

impl Call {
    fn with(self, id: &str) -> (Call, &str) {
        (self, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_at_their_own_place() {
        for (place, call) in Call::ALL.iter().enumerate() {
            assert_eq!(*call as usize, place, "{call:?}");
        }
    }

    #[test]
    fn paths_and_methods_are_told_apart() {
        let get = |path| route(&Method::GET, path);
        let post = |path| route(&Method::POST, path);
        assert_eq!(get("/catalog/v1/events/101"), (Call::Event, "101"));
        assert_eq!(get("/seating/v1/seats/order/abc"), (Call::OrderSeats, "abc"));
        assert_eq!(get("/seating/v1/seats/7"), (Call::Seat, "7"));
        assert_eq!(get("/payment/v1/payments/x"), (Call::Payment, "x"));
        assert_eq!(post("/seating/v1/seats/reserve").0, Call::Reserve);
        assert_eq!(get("/seating/v1/seats/reserve").0, Call::Unknown);
        assert_eq!(post("/catalog/v1/events/101").0, Call::Unknown);
        assert_eq!(get("/elsewhere").0, Call::Unknown);
    }
}
