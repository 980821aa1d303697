//! Bodies of the request and of the answer.

use std::pin::Pin;

use futures::poll;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, Response};
use spin_sdk::wasip3::{wit_future, wit_stream};
use wit_bindgen::StreamResult;

use crate::answer::Answer;

/// Reads the request's body; `None` when it has more than `limit` bytes.
///
/// # Errors
/// When the connection broke in the middle of it, which shows only in its trailers.
pub async fn receive(request: Request, limit: usize) -> Result<Option<Vec<u8>>, ErrorCode> {
    let (_done, result) = wit_future::new(|| Ok(()));
    let (mut stream, trailers) = Request::consume_body(request, result);
    let mut body = Vec::new();
    let mut chunk = Vec::with_capacity(64 * 1024);
    loop {
        let (result, read) = stream.read(chunk).await;
        chunk = read;
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.append(&mut chunk);
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    trailers.await?;
    Ok(Some(body))
}

/// The answer as a message, whose body is being written.
pub async fn response(answer: &Answer) -> Response {
    let body = answer.body();
    let entries = [("content-type", "application/json"), ("content-length", &body.len().to_string())]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let headers = Fields::from_list(&entries).unwrap_or_else(|_| Fields::new());
    let (trailers_writer, trailers) = wit_future::new(|| Ok(None));
    let (mut writer, contents) = wit_stream::new();
    let (response, _sent) = Response::new(headers, Some(contents), trailers);
    // A status of three digits is never refused.
    let _ = response.set_status_code(answer.status);
    let mut write: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
        writer.write_all(body).await;
        let _ = trailers_writer.write(Ok(None)).await;
    });
    if poll!(&mut write).is_pending() {
        wit_bindgen::spawn(write);
    }
    response
}
