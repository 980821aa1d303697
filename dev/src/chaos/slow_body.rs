//! A request body that is sent in pieces.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};

use super::plan::SlowBody;

/// Into how many pieces a body is cut that comes slowly.
const PIECES: usize = 12;

/// Gives the request a JSON body that is sent like this.
pub fn attach(
    request: reqwest::RequestBuilder,
    body: &serde_json::Value,
    slow: SlowBody,
) -> reqwest::RequestBuilder {
    let body = body.to_string().into_bytes();
    let request = request.header(CONTENT_TYPE, "application/json").header(CONTENT_LENGTH, body.len());
    let (pieces, pause) = match slow {
        SlowBody::Trickle(time) => (cut(&body, PIECES), time / PIECES as u32),
        SlowBody::Half => (cut(&body, 2), Duration::MAX),
    };
    let frames = stream::unfold(pieces.into_iter().enumerate(), move |mut pieces| async move {
        let (number, piece) = pieces.next()?;
        if number > 0 {
            tokio::time::sleep(pause).await;
        }
        Some((Ok::<_, Infallible>(Frame::data(piece)), pieces))
    });
    request.body(reqwest::Body::wrap(StreamBody::new(Box::pin(frames))))
}

/// Pieces of about the same length.
fn cut(body: &[u8], pieces: usize) -> Vec<Bytes> {
    body.chunks(body.len().div_ceil(pieces).max(1)).map(Bytes::copy_from_slice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_cut_into_pieces_and_nothing_is_lost() {
        let pieces = cut(b"{\"seats\":[1,2,3]}", 2);
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces.concat(), b"{\"seats\":[1,2,3]}");
        assert_eq!(cut(b"{}", 12).len(), 2);
    }
}
