//! The body of a charge, validated as Nest does it.

use serde_json::Value;
use uuid::Uuid;

use crate::peers::answer::Answer;
use crate::peers::call::Call;
use crate::peers::contract::errors::nest;
use crate::peers::contract::shapes::Charge;

/// `Err`: the answer to a body that is not accepted.
pub fn charge(call: &Call) -> Result<Charge, Answer> {
    let body: Value = match call.json() {
        Some(body) => body,
        None if call.says_json() => return Err(nest(400, "Unexpected token in JSON")),
        // A body of another type is not read.
        None => Value::Null,
    };
    let order = body["merchant_order_id"].as_str().and_then(|text| Uuid::try_parse(text).ok());
    let amount = integer(&body["amount_cents"]);
    let currency = body["currency"].as_str();
    if let (Some(merchant_order_id), Some(amount_cents @ 1..), Some(currency)) = (order, amount, currency) {
        return Ok(Charge { merchant_order_id, amount_cents, currency: currency.to_owned() });
    }
    let messages = [
        order.is_none().then_some("merchant_order_id must be a UUID"),
        amount.is_none_or(|amount| amount < 1).then_some("amount_cents must not be less than 1"),
        amount.is_none().then_some("amount_cents must be an integer number"),
        currency.is_none().then_some("currency must be a string"),
    ];
    Err(nest(400, messages.into_iter().flatten().collect::<Vec<_>>()))
}

/// An integer in the sense of JavaScript, where `1.0` is one; beyond 64 bits it is the largest.
fn integer(value: &Value) -> Option<i64> {
    let whole = |number: &f64| number.fract() == 0.0;
    value.as_i64().or_else(|| value.as_f64().filter(whole).map(|number| number as i64))
}
