//! Bodies of HTTP messages over `wasi:http`, in both directions.
//!
//! Spin sets no `TCP_NODELAY`. A body that is not ready when the host first looks leaves in a packet of its own, which
//! then waits 40 ms for the other side's delayed acknowledgement. So every message carries `Content-Length`, and its
//! body is being written before it is handed over.

use futures::poll;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Trailers};
use spin_sdk::wasip3::{self, wit_bindgen, wit_future, wit_stream};
use std::task::Poll;
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

/// The contents and trailers of a message that is about to be built.
pub struct Outgoing {
    /// The body's stream; none for an empty body.
    pub contents: Option<StreamReader<u8>>,
    /// Resolves to no trailers.
    pub trailers: FutureReader<Result<Option<Trailers>, ErrorCode>>,
    writing: Option<std::pin::Pin<Box<dyn Future<Output = ()>>>>,
}

impl Outgoing {
    /// Prepares a body.
    pub fn new(body: Vec<u8>) -> Self {
        let (trailers_writer, trailers) = wit_future::new(|| Ok(None));
        if body.is_empty() {
            // Dropping the writer sends the default: no trailers.
            return Self {
                contents: None,
                trailers,
                writing: None,
            };
        }
        let (mut writer, contents) = wit_stream::new();
        let writing = async move {
            writer.write_all(body).await;
            drop(writer);
            let _ = trailers_writer.write(Ok(None)).await;
        };
        Self {
            contents: Some(contents),
            trailers,
            writing: Some(Box::pin(writing)),
        }
    }

    /// Starts the write. Call it after the message was built from `contents`, before it is handed over.
    pub async fn start(writing: Writing) {
        let Some(mut writing) = writing.0 else { return };
        if let Poll::Pending = poll!(&mut writing) {
            wasip3::spawn(writing);
        }
    }

    /// Takes the body apart: what the message is built from, and what [`Outgoing::start`] starts.
    #[allow(
        clippy::type_complexity,
        reason = "the two arguments of the message's constructor"
    )]
    pub fn split(
        self,
    ) -> (
        Option<StreamReader<u8>>,
        FutureReader<Result<Option<Trailers>, ErrorCode>>,
        Writing,
    ) {
        (self.contents, self.trailers, Writing(self.writing))
    }
}

/// A body's write that has not been started.
pub struct Writing(Option<std::pin::Pin<Box<dyn Future<Output = ()>>>>);

/// Builds header fields; a value that HTTP does not allow is left out (none of ours is).
pub fn fields(entries: &[(&str, &str)]) -> Fields {
    let fields = Fields::new();
    for (name, value) in entries {
        let _ = fields.append(name, value.as_bytes());
    }
    fields
}

/// What reading a body came to.
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// More than the limit.
    TooLarge,
}

/// Reads a body of at most `limit` bytes. What is beyond is read on and thrown away, up to `drain` bytes more, so that
/// a client that is still sending gets to read the answer.
pub async fn read(mut stream: StreamReader<u8>, limit: usize, drain: usize) -> Body {
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
    if total <= limit {
        Body::Whole(body)
    } else {
        Body::TooLarge
    }
}
