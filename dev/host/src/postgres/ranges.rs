//! Range types, for which tokio-postgres has no type.

use std::error::Error;
use std::fmt::Debug;

use anyhow::Result;
use bytes::BytesMut;
use postgres_protocol::types::{Range, RangeBound, range_from_sql, range_to_sql};
use rust_decimal::Decimal;
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};

use super::params::decimal;
use crate::bindings::postgres::RangeBoundKind;

type AnyError = Box<dyn Error + Sync + Send>;

/// Where a range ends, if it ends.
pub type Bound<T> = Option<(T, RangeBoundKind)>;

/// A range by its lower and upper bound.
#[derive(Debug)]
pub struct PgRange<T>(pub (Bound<T>, Bound<T>));

impl PgRange<Decimal> {
    /// A range of decimals from their texts.
    pub fn from_texts((lower, upper): &(Bound<String>, Bound<String>)) -> Result<Self> {
        let parse = |bound: &Bound<String>| -> Result<Bound<Decimal>> {
            bound.as_ref().map(|(text, kind)| Ok((decimal(text)?, *kind))).transpose()
        };
        Ok(Self((parse(lower)?, parse(upper)?)))
    }

    /// The range with its decimals as texts.
    pub fn into_texts(self) -> (Bound<String>, Bound<String>) {
        let text = |bound: Bound<Decimal>| bound.map(|(number, kind)| (number.to_string(), kind));
        let (lower, upper) = self.0;
        (text(lower), text(upper))
    }
}

fn element(ty: &Type) -> Option<&Type> {
    match ty.kind() {
        Kind::Range(element) => Some(element),
        _ => None,
    }
}

impl<T: ToSql> ToSql for PgRange<T> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        let element = element(ty).ok_or("not a range")?;
        let write = |bound: &Bound<T>, out: &mut BytesMut| -> Result<RangeBound<_>, AnyError> {
            let Some((value, kind)) = bound else {
                return Ok(RangeBound::Unbounded);
            };
            let null = match value.to_sql(element, out)? {
                IsNull::Yes => postgres_protocol::IsNull::Yes,
                IsNull::No => postgres_protocol::IsNull::No,
            };
            Ok(match kind {
                RangeBoundKind::Inclusive => RangeBound::Inclusive(null),
                RangeBoundKind::Exclusive => RangeBound::Exclusive(null),
            })
        };
        let (lower, upper) = &self.0;
        range_to_sql(|out| write(lower, out), |out| write(upper, out), out)?;
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        element(ty).is_some_and(T::accepts)
    }

    to_sql_checked!();
}

impl<'a, T: FromSql<'a>> FromSql<'a> for PgRange<T> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, AnyError> {
        let element = element(ty).ok_or("not a range")?;
        let read = |bound: RangeBound<Option<&'a [u8]>>| -> Result<Bound<T>, AnyError> {
            let value = |raw: Option<&'a [u8]>| T::from_sql_nullable(element, raw);
            Ok(match bound {
                RangeBound::Unbounded => None,
                RangeBound::Inclusive(raw) => Some((value(raw)?, RangeBoundKind::Inclusive)),
                RangeBound::Exclusive(raw) => Some((value(raw)?, RangeBoundKind::Exclusive)),
            })
        };
        match range_from_sql(raw)? {
            Range::Nonempty(lower, upper) => Ok(Self((read(lower)?, read(upper)?))),
            // The interface cannot say "empty", and a range without bounds is the opposite.
            Range::Empty => Err("an empty range cannot be read".into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        element(ty).is_some_and(T::accepts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        for range in [
            (None, None),
            (Some((1, RangeBoundKind::Inclusive)), None),
            (Some((-5, RangeBoundKind::Exclusive)), Some((7, RangeBoundKind::Inclusive))),
        ] {
            let mut bytes = BytesMut::new();
            PgRange(range).to_sql(&Type::INT4_RANGE, &mut bytes).expect("written");
            let read = PgRange::<i32>::from_sql(&Type::INT4_RANGE, &bytes).expect("read").0;
            assert_eq!(format!("{read:?}"), format!("{range:?}"));
        }
    }

    #[test]
    fn decimals_keep_their_scale() {
        let texts = (Some(("1.50".to_owned(), RangeBoundKind::Inclusive)), None);
        let range = PgRange::from_texts(&texts).expect("valid");
        assert_eq!(range.into_texts().0.map(|(text, _)| text).as_deref(), Some("1.50"));
    }
}
