//! The server's values, for the guest.

use std::error::Error;

use anyhow::Result;
use chrono::{Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _};
use rust_decimal::Decimal;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use super::interval::PgInterval;
use super::ranges::PgRange;
use crate::bindings::postgres::{DbDataType, DbValue};

/// The guest's name for a type.
pub fn data_type(ty: &Type) -> DbDataType {
    match *ty {
        Type::BOOL => DbDataType::Boolean,
        Type::BYTEA => DbDataType::Binary,
        Type::FLOAT4 => DbDataType::Floating32,
        Type::FLOAT8 => DbDataType::Floating64,
        Type::INT2 => DbDataType::Int16,
        Type::INT4 => DbDataType::Int32,
        Type::INT8 => DbDataType::Int64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => DbDataType::Str,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => DbDataType::Datetime,
        Type::DATE => DbDataType::Date,
        Type::TIME => DbDataType::Time,
        Type::UUID => DbDataType::Uuid,
        Type::JSONB => DbDataType::Jsonb,
        Type::NUMERIC => DbDataType::Decimal,
        Type::INT4_RANGE => DbDataType::RangeInt32,
        Type::INT8_RANGE => DbDataType::RangeInt64,
        Type::NUM_RANGE => DbDataType::RangeDecimal,
        Type::INT4_ARRAY => DbDataType::ArrayInt32,
        Type::INT8_ARRAY => DbDataType::ArrayInt64,
        Type::NUMERIC_ARRAY => DbDataType::ArrayDecimal,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => DbDataType::ArrayStr,
        Type::INTERVAL => DbDataType::Interval,
        ref other => DbDataType::Other(other.name().to_owned()),
    }
}

/// The value of a row's column.
pub fn value(row: &Row, index: usize) -> Result<DbValue> {
    match *row.columns()[index].type_() {
        Type::BOOL => get(row, index, DbValue::Boolean),
        Type::BYTEA => get(row, index, DbValue::Binary),
        Type::FLOAT4 => get(row, index, DbValue::Floating32),
        Type::FLOAT8 => get(row, index, DbValue::Floating64),
        Type::INT2 => get(row, index, DbValue::Int16),
        Type::INT4 => get(row, index, DbValue::Int32),
        Type::INT8 => get(row, index, DbValue::Int64),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => get(row, index, DbValue::Str),
        // With a time zone this is an error: chrono's naive type does not take it. So it is in Spin, and a statement
        // that reads one must fail here as it fails there.
        Type::TIMESTAMP | Type::TIMESTAMPTZ => get(row, index, datetime),
        Type::DATE => get(row, index, date),
        Type::TIME => get(row, index, time),
        Type::UUID => get(row, index, |v: Uuid| DbValue::Uuid(v.to_string())),
        Type::JSONB => get(row, index, |v: serde_json::Value| DbValue::Jsonb(v.to_string().into_bytes())),
        Type::NUMERIC => get(row, index, |v: Decimal| DbValue::Decimal(v.to_string())),
        Type::INT4_RANGE => get(row, index, |v: PgRange<i32>| DbValue::RangeInt32(v.0)),
        Type::INT8_RANGE => get(row, index, |v: PgRange<i64>| DbValue::RangeInt64(v.0)),
        Type::NUM_RANGE => get(row, index, |v: PgRange<Decimal>| DbValue::RangeDecimal(v.into_texts())),
        Type::INT4_ARRAY => get(row, index, DbValue::ArrayInt32),
        Type::INT8_ARRAY => get(row, index, DbValue::ArrayInt64),
        Type::NUMERIC_ARRAY => get(row, index, |v: Vec<Option<Decimal>>| {
            DbValue::ArrayDecimal(v.into_iter().map(|v| v.map(|v| v.to_string())).collect())
        }),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => get(row, index, DbValue::ArrayStr),
        Type::INTERVAL => get(row, index, |v: PgInterval| DbValue::Interval(v.0)),
        _ => get(row, index, |v: Raw| DbValue::Unsupported(v.0.to_owned())),
    }
}

fn get<'a, T: FromSql<'a>>(
    row: &'a Row,
    index: usize,
    convert: impl FnOnce(T) -> DbValue,
) -> Result<DbValue> {
    let value: Option<T> = row.try_get(index)?;
    Ok(value.map_or(DbValue::DbNull, convert))
}

// The interface's parts of dates and times are narrower than chrono's; chrono's values always fit.

fn date(date: NaiveDate) -> DbValue {
    DbValue::Date((date.year(), date.month() as u8, date.day() as u8))
}

fn time(time: NaiveTime) -> DbValue {
    DbValue::Time((time.hour() as u8, time.minute() as u8, time.second() as u8, time.nanosecond()))
}

fn datetime(t: NaiveDateTime) -> DbValue {
    let (hour, minute, second) = (t.hour() as u8, t.minute() as u8, t.second() as u8);
    DbValue::Datetime((t.year(), t.month() as u8, t.day() as u8, hour, minute, second, t.nanosecond()))
}

/// A value of a type that the interface does not have, as it came.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_parts() {
        let day = NaiveDate::from_ymd_opt(2024, 2, 29).expect("a leap day");
        let moment = day.and_hms_micro_opt(23, 59, 58, 123_456).expect("valid");
        assert!(matches!(date(day), DbValue::Date((2024, 2, 29))));
        assert!(matches!(time(moment.time()), DbValue::Time((23, 59, 58, 123_456_000))));
        assert!(matches!(datetime(moment), DbValue::Datetime((2024, 2, 29, 23, 59, 58, 123_456_000))));
    }

    #[test]
    fn types_that_the_interface_lacks_keep_their_name() {
        assert!(matches!(data_type(&Type::UUID_ARRAY), DbDataType::Other(name) if name == "_uuid"));
        assert!(matches!(data_type(&Type::TIMESTAMPTZ), DbDataType::Datetime));
    }
}
