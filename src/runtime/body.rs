//! Bodies of HTTP messages over `wasi:http`, in both directions.
//!
//! Spin sets no `TCP_NODELAY`. A body that is not ready when the host first looks leaves in a packet of its own, which
//! then waits 40 ms for the other side's delayed acknowledgement. So every message carries `Content-Length`, and its
//! body is being written before it is handed over.

use super::deadline::timeout;
use super::yielding::yield_to_host;
use super::{host_call, task};
use futures::poll;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Trailers};
use spin_sdk::wasip3::{wit_future, wit_stream};
use std::pin::Pin;
use std::time::Duration;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

/// Write timeout: a large body is aborted when the other side has read nothing for so long.
const WRITE_STALL_LIMIT: Duration = Duration::from_secs(30);
/// A body of at most so many bytes has no write timeout: the host takes it in one piece, whether the other side reads or not. A
/// timeout would cost a tenth of a read request's CPU time.
const TAKEN_WHOLE: usize = 64 * 1024;

/// What the constructors of `wasi:http` messages take: a body's stream (none for an empty body) and its trailers.
type Parts = (Option<StreamReader<u8>>, FutureReader<Result<Option<Trailers>, ErrorCode>>);

/// The write of a body, not started yet.
pub struct BodyWrite(Option<Pin<Box<dyn Future<Output = ()>>>>);

/// Prepares an outgoing body. Build the message from the parts, then start the write, then hand the message to the host.
pub fn outgoing(body: Vec<u8>) -> (Parts, BodyWrite) {
    let (trailers_writer, trailers) = wit_future::new(|| Ok(None));
    if body.is_empty() {
        // Dropping the writer sends the default: no trailers.
        return ((None, trailers), BodyWrite(None));
    }
    let (mut writer, contents) = wit_stream::new();
    let is_large = body.len() > TAKEN_WHOLE;
    let write = async move {
        if is_large {
            if write_all(writer, body).await {
                let _ = unless_stalled(trailers_writer.write(Ok(None))).await;
            }
        } else {
            writer.write_all(body).await;
            let _ = trailers_writer.write(Ok(None)).await;
        }
    };
    ((Some(contents), trailers), BodyWrite(Some(Box::pin(write))))
}

/// Writes a body; `false` when it was aborted. The other side then sees fewer bytes than its `Content-Length`.
async fn write_all(mut writer: StreamWriter<u8>, body: Vec<u8>) -> bool {
    let mut written = unless_stalled(writer.write(body)).await;
    while let Some((StreamResult::Complete(_), rest)) = written {
        if rest.remaining() == 0 {
            return true;
        }
        written = unless_stalled(writer.write_buf(rest)).await;
    }
    false
}

/// Waits for a write; `None` when the other side has read nothing for [`WRITE_STALL_LIMIT`].
async fn unless_stalled<W: Future>(write: W) -> Option<W::Output> {
    let mut write = Box::pin(write);
    let result = timeout(WRITE_STALL_LIMIT, write.as_mut()).await;
    if result.is_none() {
        host_call::cancel(write).await;
    }
    result
}

impl BodyWrite {
    /// Starts the write, moves what cannot be written at once to a background task, and yields to the host, so that it has the
    /// body when it gets the message.
    pub async fn start(self) {
        let Some(mut write) = self.0 else { return };
        if poll!(&mut write).is_pending() {
            task::spawn(write);
        }
        yield_to_host().await;
    }
}

/// Builds header fields; a value that HTTP does not allow is left out (the service sends none).
pub fn fields(entries: &[(impl AsRef<str>, &str)]) -> Fields {
    // One host call instead of one per field.
    let list: Vec<_> =
        entries.iter().map(|(name, value)| (name.as_ref().to_owned(), value.as_bytes().to_vec())).collect();
    Fields::from_list(&list).unwrap_or_else(|_| {
        let fields = Fields::new();
        for (name, value) in &list {
            let _ = fields.append(name, value);
        }
        fields
    })
}

/// The result of reading a body.
pub enum Body {
    /// The whole body.
    Whole(Vec<u8>),
    /// More than the limit.
    TooLarge,
}

/// Why a request's body could not be read.
pub enum ReadError {
    /// The connection broke in the middle of the body.
    Broken,
    /// It did not arrive within the time limit.
    TimedOut,
}

/// Reports to the host whether the message was processed.
type Consumed = FutureReader<Result<(), ErrorCode>>;
/// A body that is being consumed: its stream and its trailers.
type Incoming = (StreamReader<u8>, FutureReader<Result<Option<Trailers>, ErrorCode>>);

/// Reads a message's body of at most `limit` bytes. A longer body is drained: up to `drain` bytes more are read and discarded, so
/// that a client that is still sending gets to read the answer. `consume` is the message's `consume_body`.
///
/// # Errors
/// The connection broke in the middle of the body, which shows only in its trailers.
pub async fn receive(
    consume: impl FnOnce(Consumed) -> Incoming,
    limit: usize,
    drain: usize,
) -> Result<Body, ErrorCode> {
    let (_done, result) = wit_future::new(|| Ok(()));
    let (stream, trailers) = consume(result);
    let body = read(stream, limit, drain).await;
    if matches!(body, Body::Whole(_)) {
        trailers.await?;
    }
    Ok(body)
}

/// Read timeout: as [`receive`], but the body must arrive within `time`. A client that stops sending would otherwise keep the
/// instance for ever.
///
/// # Errors
/// See [`ReadError`].
pub async fn receive_within(
    time: Duration,
    consume: impl FnOnce(Consumed) -> Incoming + 'static,
    limit: usize,
    drain: usize,
) -> Result<Body, ReadError> {
    let mut reading = Box::pin(receive(consume, limit, drain));
    match timeout(time, reading.as_mut()).await {
        Some(result) => result.map_err(|_| ReadError::Broken),
        None => {
            task::spawn(host_call::cancel(reading));
            Err(ReadError::TimedOut)
        }
    }
}

async fn read(mut stream: StreamReader<u8>, limit: usize, drain: usize) -> Body {
    let mut body = Vec::new();
    let mut total = 0;
    let mut chunk = Vec::with_capacity(4 * 1024);
    loop {
        let (result, read) = stream.read(chunk).await;
        chunk = read;
        total += chunk.len();
        if total <= limit {
            body.extend_from_slice(&chunk);
        }
        chunk.clear();
        if !matches!(result, StreamResult::Complete(_)) || total > limit + drain {
            break;
        }
        if total > 4 * 1024 && chunk.capacity() < 64 * 1024 {
            chunk.reserve(64 * 1024);
        }
    }
    if total <= limit { Body::Whole(body) } else { Body::TooLarge }
}
