//! Who may do what to which order: the table of the HTTP contract, as functions of the caller and the order's owner.

/// The roles that a token may carry. They add up.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Roles {
    /// `orders:read`: sees all orders.
    pub read: bool,
    /// `orders:admin`: may do all to all orders.
    pub admin: bool,
    /// `tickets:redeem`: scans tickets at the gate.
    pub redeem: bool,
}

impl Roles {
    /// The roles of these names; others are none of ours.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut roles = Self::default();
        for name in names {
            match name {
                "orders:read" => roles.read = true,
                "orders:admin" => roles.admin = true,
                "tickets:redeem" => roles.redeem = true,
                _ => {}
            }
        }
        roles
    }

    /// Whether the holder is a buyer and nothing else. Who has a role, has the rights of that role's column and no others: the
    /// token of a scanner or of a support desk opens no order of its holder's own.
    fn is_buyer(self) -> bool {
        self == Self::default()
    }
}

/// Who sends a request. Somebody without a token, while authentication is on, is refused before there is a caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    /// Authentication is off: everybody may do everything that does not need the internal token.
    Anyone,
    /// The holder of a valid token.
    Holder {
        /// The user whom the token names, if it names one.
        user: Option<i32>,
        /// The roles in it.
        roles: Roles,
    },
}

/// Which orders a list shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderScope {
    /// All.
    All,
    /// Those of one user.
    OfUser(i32),
}

/// Why somebody may not place an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlaceRefusal {
    /// The token names no user, and none but an administrator may place for another.
    NoUser,
    /// The order would be another user's.
    OtherUser,
    /// The request names no user, and the token tells of none.
    UserRequired,
}

impl Caller {
    /// Whether the caller may read an order of this owner: the order, its journal, its tickets. The answer to "no" is the one for an
    /// order that does not exist. An inherited order may have no owner.
    pub fn may_read(&self, owner: Option<i32>) -> bool {
        match *self {
            Self::Anyone => true,
            Self::Holder { roles, .. } if roles.admin || roles.read => true,
            Self::Holder { user, roles } => roles.is_buyer() && user.is_some() && user == owner,
        }
    }

    /// Whether the caller may cancel or refund an order of this owner. The answer to "no" is the one for an order that does not exist.
    pub fn may_change(&self, owner: Option<i32>) -> bool {
        match *self {
            Self::Anyone => true,
            Self::Holder { roles, .. } if roles.admin => true,
            Self::Holder { user, roles } => roles.is_buyer() && user.is_some() && user == owner,
        }
    }

    /// Whether the caller may read every order.
    pub fn may_read_all(&self) -> bool {
        self.list_scope() == Some(OrderScope::All)
    }

    /// Whether there can be an order that the caller may cancel or refund.
    pub fn may_change_some(&self) -> bool {
        match *self {
            Self::Anyone => true,
            Self::Holder { user, roles } => roles.admin || roles.is_buyer() && user.is_some(),
        }
    }

    /// Whether the caller may place an order for anybody; else it is refused before the request is read.
    pub fn may_place_some(&self) -> bool {
        match *self {
            Self::Anyone => true,
            Self::Holder { user, roles } => roles.admin || user.is_some(),
        }
    }

    /// Which orders the caller may list; `None`: no list is there for the caller.
    pub fn list_scope(&self) -> Option<OrderScope> {
        match *self {
            Self::Anyone => Some(OrderScope::All),
            Self::Holder { roles, .. } if roles.admin || roles.read => Some(OrderScope::All),
            Self::Holder { user, roles } => user.filter(|_| roles.is_buyer()).map(OrderScope::OfUser),
        }
    }

    /// For which user the caller places an order, when the request asks for this one.
    ///
    /// # Errors
    /// [`PlaceRefusal`].
    pub fn places_for(&self, asked: Option<i32>) -> Result<i32, PlaceRefusal> {
        match *self {
            Self::Anyone => asked.ok_or(PlaceRefusal::UserRequired),
            Self::Holder { user, roles } if roles.admin => asked.or(user).ok_or(PlaceRefusal::UserRequired),
            Self::Holder { user: None, .. } => Err(PlaceRefusal::NoUser),
            Self::Holder { user: Some(user), .. } => match asked {
                Some(other) if other != user => Err(PlaceRefusal::OtherUser),
                _ => Ok(user),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: i32 = 7;
    const OTHER: i32 = 8;

    fn holder(names: &str) -> Caller {
        Caller::Holder { user: Some(OWN), roles: Roles::of(names.split(' ')) }
    }

    /// Columns: reads own, reads another's, changes own, changes another's, places for another.
    #[test]
    fn the_table_of_rights_is_that_of_the_contract() {
        for (caller, expected) in [
            (Caller::Anyone, [true, true, true, true, true]),
            (holder(""), [true, false, true, false, false]),
            (holder("orders:read"), [true, true, false, false, false]),
            (holder("orders:admin"), [true, true, true, true, true]),
            (holder("tickets:redeem"), [false, false, false, false, false]),
            (holder("tickets:redeem orders:read"), [true, true, false, false, false]),
            (holder("tickets:redeem orders:admin"), [true, true, true, true, true]),
            (holder("ORDERS:ADMIN orders:administrator"), [true, false, true, false, false]),
        ] {
            let rights = [
                caller.may_read(Some(OWN)),
                caller.may_read(Some(OTHER)),
                caller.may_change(Some(OWN)),
                caller.may_change(Some(OTHER)),
                caller.places_for(Some(OTHER)) == Ok(OTHER),
            ];
            assert_eq!(rights, expected, "{caller:?}");
            assert_eq!(caller.may_read(None), caller.may_read(Some(OTHER)), "{caller:?}");
            assert_eq!(caller.may_read_all(), caller.may_read(Some(OTHER)), "{caller:?}");
            assert_eq!(caller.may_change_some(), caller.may_change(Some(OWN)), "{caller:?}");
            assert!(caller.may_place_some(), "{caller:?}");
            assert_eq!(caller.places_for(Some(OWN)), Ok(OWN), "{caller:?}");
        }
    }

    #[test]
    fn a_list_shows_what_its_caller_may_read() {
        for (caller, expected) in [
            (Caller::Anyone, Some(OrderScope::All)),
            (holder(""), Some(OrderScope::OfUser(OWN))),
            (holder("orders:read"), Some(OrderScope::All)),
            (holder("orders:admin"), Some(OrderScope::All)),
            (holder("tickets:redeem"), None),
        ] {
            assert_eq!(caller.list_scope(), expected, "{caller:?}");
        }
    }

    #[test]
    fn a_token_without_a_user_opens_nobodys_orders() {
        let nameless = |names: &str| Caller::Holder { user: None, roles: Roles::of(names.split(' ')) };
        let buyer = nameless("");
        assert!(!buyer.may_read(None) && !buyer.may_read(Some(OWN)) && !buyer.may_change(None));
        assert_eq!(buyer.list_scope(), None);
        assert_eq!(buyer.places_for(Some(OWN)), Err(PlaceRefusal::NoUser));
        assert!(
            !buyer.may_place_some() && !buyer.may_change_some() && nameless("orders:admin").may_place_some()
        );
        assert_eq!(nameless("orders:admin").places_for(None), Err(PlaceRefusal::UserRequired));
        assert_eq!(nameless("orders:admin").places_for(Some(OWN)), Ok(OWN));
        assert_eq!(holder("").places_for(Some(OTHER)), Err(PlaceRefusal::OtherUser));
        assert_eq!(holder("").places_for(None), Ok(OWN));
        assert_eq!(Caller::Anyone.places_for(None), Err(PlaceRefusal::UserRequired));
    }
}
