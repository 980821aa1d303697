//! `INTERVAL`, for which tokio-postgres has no type.

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::bindings::postgres::Interval;

/// An interval as the server sends it: microseconds, days and months, none of them carried into another.
#[derive(Debug)]
pub struct PgInterval(pub Interval);

impl ToSql for PgInterval {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64(self.0.micros);
        out.put_i32(self.0.days);
        out.put_i32(self.0.months);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INTERVAL
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for PgInterval {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let raw: [u8; 16] = raw.try_into().map_err(|_| "an interval has 16 bytes")?;
        let number = u128::from_be_bytes(raw);
        // Truncation takes the parts out of the whole.
        Ok(Self(Interval {
            micros: (number >> 64) as i64,
            days: (number >> 32) as i32,
            months: number as i32,
        }))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INTERVAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let written = PgInterval(Interval { micros: -1, days: i32::MIN, months: 13 });
        let mut bytes = BytesMut::new();
        written.to_sql(&Type::INTERVAL, &mut bytes).expect("written");
        let read = PgInterval::from_sql(&Type::INTERVAL, &bytes).expect("read").0;
        assert_eq!((read.micros, read.days, read.months), (-1, i32::MIN, 13));
        assert!(PgInterval::from_sql(&Type::INTERVAL, b"short").is_err());
    }
}
