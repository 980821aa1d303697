//! A statement's parameters, for tokio-postgres.

use anyhow::{Context, Result};
use bytes::{BufMut, BytesMut};
use order_dev_floor::calls::Parameter;
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};
use uuid::Uuid;

use null::Null;

// The dev host's own: it cannot be a library, whose users would link its WebAssembly runtime.
#[path = "../../../host/src/postgres/null.rs"]
mod null;

/// Converts all parameters.
pub fn convert(parameters: Vec<Parameter>) -> Result<Vec<Box<dyn ToSql + Send + Sync>>> {
    let convert = |parameter| -> Result<Box<dyn ToSql + Send + Sync>> {
        Ok(match parameter {
            Parameter::Bool(value) => Box::new(value),
            Parameter::Int(value) => Box::new(value),
            Parameter::Ints(values) => Box::new(values),
            Parameter::Long(value) => Box::new(value),
            Parameter::Null => Box::new(Null),
            Parameter::Json(text) => Box::new(Json(text)),
            Parameter::Text(text) => Box::new(text),
            Parameter::Texts(texts) => Box::new(texts),
            Parameter::Uuid(text) => Box::new(Uuid::parse_str(&text).context("no UUID")?),
        })
    };
    parameters.into_iter().map(convert).collect()
}

/// JSON that is sent as the text that it is.
#[derive(Debug)]
struct Json(String);

impl ToSql for Json {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        // The version of jsonb's format.
        out.put_u8(1);
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    accepts!(JSONB);
    to_sql_checked!();
}
