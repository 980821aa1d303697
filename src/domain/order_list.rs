//! What a list of orders shows: which orders, in which order.

use super::access::OrderScope;
use super::ids::PaymentId;
use super::key::IdempotencyKey;
use super::order::Status;
use std::fmt::Write;

/// Conditions that all listed orders meet; `None` is none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Filters {
    /// The buyer.
    pub user_id: Option<i32>,
    /// The event.
    pub event_id: Option<i32>,
    /// The status.
    pub status: Option<Status>,
}

/// By what orders are looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// The key under which it was placed.
    Key(IdempotencyKey),
    /// A payment of it: its own, or one beside it.
    Payment(PaymentId),
    /// The code of a ticket of it.
    Ticket(String),
    /// A seat that it holds or has held.
    Seat {
        /// The seat's event.
        event_id: i32,
        /// The seat.
        seat_id: i32,
    },
}

/// Which orders a list shows, and in which order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selection {
    /// Newest first.
    Newest(Filters),
    /// In the order in which they changed, since a time.
    ChangedSince {
        /// Microseconds since 1970.
        since: i64,
        /// Which of them.
        filters: Filters,
    },
    /// What a look-up finds, newest first.
    Found(Lookup),
}

impl Selection {
    /// The selection and for whom it is, as text that no other selection has: page tokens are bound to it.
    pub fn describe(&self, scope: OrderScope) -> String {
        let mut text = match scope {
            OrderScope::All => "all".to_owned(),
            OrderScope::OfUser(user) => format!("of user {user}"),
        };
        // Values without line ends: numbers, names, and what is visible ASCII.
        let _ = match self {
            Self::Newest(filters) => write!(text, "\nnewest{}", filters.describe()),
            Self::ChangedSince { since, filters } => {
                write!(text, "\nchanged since {since}{}", filters.describe())
            }
            Self::Found(Lookup::Key(key)) => write!(text, "\nkey {}", key.as_str()),
            Self::Found(Lookup::Payment(id)) => write!(text, "\npayment {id}"),
            Self::Found(Lookup::Ticket(code)) => write!(text, "\nticket {code}"),
            Self::Found(Lookup::Seat { event_id, seat_id }) => write!(text, "\nseat {event_id} {seat_id}"),
        };
        text
    }
}

impl Filters {
    /// What no order meets: ids of users begin with 1.
    pub const OF_NOBODY: Self = Self { user_id: Some(0), event_id: Some(0), status: None };

    fn describe(&self) -> String {
        let number = |number: Option<i32>| number.map(|number| number.to_string()).unwrap_or_default();
        let status = self.status.map_or("", Status::as_str);
        format!("\nuser {}\nevent {}\nstatus {status}", number(self.user_id), number(self.event_id))
    }

    /// The filters within a scope; `None` when no order meets both.
    pub fn within(self, scope: OrderScope) -> Option<Self> {
        match (scope, self.user_id) {
            (OrderScope::All, _) => Some(self),
            (OrderScope::OfUser(own), Some(user)) if user != own => None,
            (OrderScope::OfUser(own), _) => Some(Self { user_id: Some(own), ..self }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_selection_of_every_scope_has_a_text_of_its_own() {
        let filters = |user_id, event_id, status| Filters { user_id, event_id, status };
        let all_filters = [
            filters(None, None, None),
            filters(Some(1), None, None),
            filters(None, Some(1), None),
            filters(Some(11), None, None),
            filters(Some(1), Some(1), None),
            filters(None, None, Some(Status::Pending)),
            filters(None, None, Some(Status::Failed)),
        ];
        let mut selections: Vec<Selection> = all_filters.iter().map(|f| Selection::Newest(*f)).collect();
        selections.extend(all_filters.iter().map(|f| Selection::ChangedSince { since: 1, filters: *f }));
        selections.push(Selection::ChangedSince { since: 2, filters: Filters::default() });
        let key = |key: &str| Lookup::Key(IdempotencyKey::parse(key.as_bytes()).unwrap());
        let lookups =
            [key("1"), key("ticket"), Lookup::Ticket("1".into()), Lookup::Seat { event_id: 1, seat_id: 1 }];
        selections.extend(lookups.map(Selection::Found));
        let scopes = [OrderScope::All, OrderScope::OfUser(1), OrderScope::OfUser(2)];
        let texts: Vec<String> =
            selections.iter().flat_map(|selection| scopes.map(|scope| selection.describe(scope))).collect();
        let different: HashSet<&String> = texts.iter().collect();
        assert_eq!(different.len(), texts.len(), "{texts:#?}");
    }

    #[test]
    fn nobody_sees_more_than_their_scope() {
        let of = |user_id| Filters { user_id, event_id: Some(7), status: None };
        assert_eq!(of(None).within(OrderScope::OfUser(1)), Some(of(Some(1))));
        assert_eq!(of(Some(1)).within(OrderScope::OfUser(1)), Some(of(Some(1))));
        assert_eq!(of(Some(2)).within(OrderScope::OfUser(1)), None);
        assert_eq!(of(Some(2)).within(OrderScope::All), Some(of(Some(2))));
        assert_eq!(of(None).within(OrderScope::All), Some(of(None)));
    }
}
