//! Publishing a batch.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use spin_sdk::mqtt::{Connection, Error, Qos};
use spin_sdk::wasip3::clocks::monotonic_clock;

use crate::answer::Answer;
use crate::batch::Message;
use crate::broker::{self, Broker};

/// How long a batch may take, from its first message to its answer.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// A broker that says nothing is given up after twice this. Zero would mean never.
const KEEP_ALIVE_SECONDS: u64 = 2;

/// Publishes the messages one after the other over one connection, each after the broker has acknowledged the one before
/// it, and stops at the first error. Concurrent publishes on one connection would take each other's acknowledgements.
///
/// The connection serves this batch alone: Spin answers pings only while something is being published.
pub async fn publish(broker: &Broker, messages: Vec<Message>) -> Answer {
    let all = messages.len();
    if all == 0 {
        return Answer::published(0);
    }
    let mut published = 0;
    let result = {
        let batch = pin!(publish_all(broker, messages, &mut published));
        let limit = u64::try_from(TIME_LIMIT.as_nanos()).unwrap_or(u64::MAX);
        match select(batch, pin!(monotonic_clock::wait_for(limit))).await {
            Either::Left((result, _)) => Some(result),
            // The message under way is dropped, because it may never end: a broker may answer pings and acknowledge nothing.
            Either::Right(_) => None,
        }
    };
    match result {
        // A slow broker is no failure: the next batch begins with that message.
        None if published > 0 => Answer::published(published),
        None => Answer::stopped(0, format!("message 1: no answer within {} seconds", TIME_LIMIT.as_secs())),
        Some(Ok(())) => Answer::published(all),
        Some(Err(reason)) => Answer::stopped(published, format!("message {}: {reason}", published + 1)),
    }
}

async fn publish_all(broker: &Broker, messages: Vec<Message>, published: &mut usize) -> Result<(), String> {
    let id = getrandom::u64().map_err(|_| "no random client id".to_owned())?;
    let address = broker.address(&broker::client_id(id));
    let connection = Connection::open(address, &broker.username, &broker.password, KEEP_ALIVE_SECONDS).await;
    let connection = connection.map_err(reason)?;
    for message in messages {
        message.check()?;
        let payload = message.payload.into_bytes();
        connection.publish(message.topic, payload, Qos::AtLeastOnce).await.map_err(reason)?;
        *published += 1;
    }
    Ok(())
}

/// Why the broker did not get it. The account is in none of these: it is no part of the address.
fn reason(error: Error) -> String {
    match error {
        Error::InvalidAddress => "the host takes no such address".to_owned(),
        Error::TooManyConnections => "the host has no MQTT connection left".to_owned(),
        Error::ConnectionFailed(why) => format!("the connection failed: {why}"),
        Error::Other(why) => why,
    }
}
