//! Connections that are kept, and how they end.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// Sends a request on the connection, and reads what comes: empty when the connection was closed.
async fn ask(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).await.unwrap_or(0);
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[tokio::test]
async fn node_closes_a_connection_that_was_idle_for_five_seconds() {
    let s = sandbox().await;
    let idle = async |path: &str| {
        let mut stream = TcpStream::connect(s.peers.address).await.unwrap();
        assert!(!ask(&mut stream, path).await.is_empty());
        assert!(!ask(&mut stream, path).await.is_empty());
        let begun = Instant::now();
        let closed = tokio::time::timeout(Duration::from_secs(7), stream.read(&mut [0; 1])).await;
        (closed.is_ok(), begun.elapsed())
    };
    let (catalog, payment, seating) = tokio::join!(
        idle("/catalog/v1/events/101"),
        idle("/payment/v1/payments/nobody"),
        idle("/seating/v1/seats/1")
    );
    for (is_closed, after) in [catalog, payment] {
        assert!(is_closed && after > Duration::from_millis(4_900), "{after:?}");
    }
    assert!(!seating.0, "Seating is no Node server");
}

#[tokio::test]
async fn a_kept_connection_may_break_when_a_request_comes_on_it() {
    let s = sandbox().await;
    s.control.add_fault(FaultRule::on_any(Peer::Seating, Action::BreakKept)).await.unwrap();
    let path = "/seating/v1/seats/1";
    let mut kept = TcpStream::connect(s.peers.address).await.unwrap();
    assert!(ask(&mut kept, path).await.starts_with("HTTP/1.1 200"));
    assert_eq!(ask(&mut kept, path).await, "");
    let mut new = TcpStream::connect(s.peers.address).await.unwrap();
    assert!(ask(&mut new, path).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&mut new, path).await.starts_with("HTTP/1.1 200"), "the rule is used up");
}
