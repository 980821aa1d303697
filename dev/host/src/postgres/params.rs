//! The guest's parameters, for the server.
//!
//! The type of each is what the guest made it. tokio-postgres refuses it when the server expects another one, and
//! nothing is converted on the way: an `i32` is no parameter for a `bigint`.

use anyhow::{Context as _, Result};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use rust_decimal::Decimal;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::interval::PgInterval;
use super::null::Null;
use super::ranges::PgRange;
use crate::bindings::postgres::ParameterValue;

/// A parameter that can be sent.
pub type Parameter = Box<dyn ToSql + Send + Sync>;

/// Converts all parameters. An error is one of a value's text or range, found before anything is sent.
pub fn convert(values: &[ParameterValue]) -> Result<Vec<Parameter>> {
    values.iter().map(parameter).collect()
}

/// The parameters in the form that tokio-postgres takes.
pub fn references(parameters: &[Parameter]) -> Vec<&(dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| parameter.as_ref() as &(dyn ToSql + Sync)).collect()
}

fn parameter(value: &ParameterValue) -> Result<Parameter> {
    Ok(match value {
        ParameterValue::Boolean(v) => Box::new(*v),
        ParameterValue::Int8(v) => Box::new(*v),
        ParameterValue::Int16(v) => Box::new(*v),
        ParameterValue::Int32(v) => Box::new(*v),
        ParameterValue::Int64(v) => Box::new(*v),
        ParameterValue::Floating32(v) => Box::new(*v),
        ParameterValue::Floating64(v) => Box::new(*v),
        ParameterValue::Str(v) => Box::new(v.clone()),
        ParameterValue::Binary(v) => Box::new(v.clone()),
        ParameterValue::Date((year, month, day)) => Box::new(date(*year, *month, *day)?),
        ParameterValue::Time((hour, minute, second, nano)) => Box::new(time(*hour, *minute, *second, *nano)?),
        ParameterValue::Datetime((year, month, day, hour, minute, second, nano)) => {
            Box::new(NaiveDateTime::new(date(*year, *month, *day)?, time(*hour, *minute, *second, *nano)?))
        }
        ParameterValue::Timestamp(seconds) => {
            let time = DateTime::from_timestamp(*seconds, 0);
            Box::new(time.with_context(|| format!("timestamp {seconds} is out of range"))?)
        }
        ParameterValue::Uuid(v) => Box::new(Uuid::parse_str(v).with_context(|| format!("invalid UUID {v}"))?),
        ParameterValue::Jsonb(v) => {
            Box::new(serde_json::from_slice::<serde_json::Value>(v).context("invalid JSON")?)
        }
        ParameterValue::Decimal(v) => Box::new(decimal(v)?),
        ParameterValue::RangeInt32(v) => Box::new(PgRange(*v)),
        ParameterValue::RangeInt64(v) => Box::new(PgRange(*v)),
        ParameterValue::RangeDecimal(v) => Box::new(PgRange::from_texts(v)?),
        ParameterValue::ArrayInt32(v) => Box::new(v.clone()),
        ParameterValue::ArrayInt64(v) => Box::new(v.clone()),
        ParameterValue::ArrayDecimal(v) => {
            let decimals = v.iter().map(|v| v.as_deref().map(decimal).transpose());
            Box::new(decimals.collect::<Result<Vec<_>>>()?)
        }
        ParameterValue::ArrayStr(v) => Box::new(v.clone()),
        ParameterValue::Interval(v) => Box::new(PgInterval(*v)),
        ParameterValue::DbNull => Box::new(Null),
    })
}

fn date(year: i32, month: u8, day: u8) -> Result<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month.into(), day.into())
        .with_context(|| format!("invalid date y={year}, m={month}, d={day}"))
}

fn time(hour: u8, minute: u8, second: u8, nano: u32) -> Result<NaiveTime> {
    NaiveTime::from_hms_nano_opt(hour.into(), minute.into(), second.into(), nano)
        .with_context(|| format!("invalid time {hour}:{minute}:{second}:{nano}"))
}

/// Parses a decimal number.
pub fn decimal(text: &str) -> Result<Decimal> {
    Decimal::from_str_exact(text).with_context(|| format!("invalid decimal {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use tokio_postgres::types::{IsNull, Type};

    fn sent(value: &ParameterValue, ty: &Type) -> Result<Option<BytesMut>, String> {
        let parameter = parameter(value).map_err(|error| format!("{error:#}"))?;
        let mut bytes = BytesMut::new();
        match parameter.to_sql_checked(ty, &mut bytes) {
            Ok(IsNull::Yes) => Ok(None),
            Ok(IsNull::No) => Ok(Some(bytes)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn types_must_match_exactly() {
        for (value, good, bad) in [
            (
                ParameterValue::Int32(1),
                vec![Type::INT4],
                vec![Type::INT8, Type::INT2, Type::TEXT, Type::NUMERIC],
            ),
            (ParameterValue::Int64(1), vec![Type::INT8], vec![Type::INT4, Type::NUMERIC]),
            (ParameterValue::Int8(1), vec![Type::CHAR], vec![Type::INT2]),
            (ParameterValue::Str("x".into()), vec![Type::TEXT, Type::VARCHAR, Type::NAME], vec![Type::UUID]),
            (ParameterValue::Timestamp(1), vec![Type::TIMESTAMPTZ], vec![Type::TIMESTAMP]),
            (
                ParameterValue::Datetime((2024, 1, 2, 3, 4, 5, 6)),
                vec![Type::TIMESTAMP],
                vec![Type::TIMESTAMPTZ],
            ),
            (ParameterValue::Jsonb(b"{}".into()), vec![Type::JSONB, Type::JSON], vec![Type::TEXT]),
            (ParameterValue::Uuid(Uuid::nil().to_string()), vec![Type::UUID], vec![Type::TEXT]),
            (ParameterValue::ArrayStr(vec![None]), vec![Type::TEXT_ARRAY], vec![Type::UUID_ARRAY]),
            (ParameterValue::RangeInt32((None, None)), vec![Type::INT4_RANGE], vec![Type::INT8_RANGE]),
        ] {
            for ty in good {
                assert!(sent(&value, &ty).is_ok(), "{value:?} as {ty}");
            }
            for ty in bad {
                assert!(sent(&value, &ty).is_err(), "{value:?} as {ty}");
            }
        }
    }

    #[test]
    fn null_fits_every_type() {
        for ty in [Type::INT4, Type::TEXT, Type::TIMESTAMPTZ, Type::UUID_ARRAY] {
            assert_eq!(sent(&ParameterValue::DbNull, &ty), Ok(None));
        }
    }

    #[test]
    fn bad_values_are_found_before_they_are_sent() {
        for bad in [
            ParameterValue::Uuid("x".into()),
            ParameterValue::Jsonb(b"{".into()),
            ParameterValue::Decimal("1,5".into()),
            ParameterValue::Date((2023, 2, 29)),
            ParameterValue::Time((24, 0, 0, 0)),
            ParameterValue::Timestamp(i64::MAX),
            ParameterValue::ArrayDecimal(vec![Some("x".into())]),
        ] {
            assert!(parameter(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_interval_is_sent_in_three_parts() {
        let interval = crate::bindings::postgres::Interval { micros: 1, days: 2, months: 3 };
        let bytes =
            sent(&ParameterValue::Interval(interval), &Type::INTERVAL).expect("sent").expect("not null");
        assert_eq!(bytes[..], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
    }
}
