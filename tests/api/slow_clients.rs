//! Clients that send no more, or read no more. Each would keep an instance, of which the host has so many and no more.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

/// The beginning of a request whose body has 100 bytes, of which one comes.
const HALF: &str = "POST /v1/orders HTTP/1.1\r\nHost: order-service\r\nIdempotency-Key: half\r\n\
                    Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{";

const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: order-service\r\nConnection: close\r\n\r\n";

/// A request of which only the beginning was sent.
pub struct HalfSent(TcpStream);

impl HalfSent {
    /// Sends the beginning.
    pub async fn to(app: &App) -> HalfSent {
        let mut stream = connect(app).await;
        stream.write_all(HALF.as_bytes()).await.expect("the host reads");
        HalfSent(stream)
    }

    /// What comes until the answer is complete or the connection is closed.
    pub async fn answer(mut self) -> String {
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let reading = tokio::time::timeout(Duration::from_secs(60), self.0.read(&mut buffer));
            let Ok(n @ 1..) = reading.await.expect("an answer in time") else { break };
            received.extend_from_slice(&buffer[..n]);
            if received.ends_with(b"}") {
                break;
            }
        }
        String::from_utf8_lossy(&received).into_owned()
    }

    /// Whether an answer has begun to come.
    fn is_answered(&self) -> bool {
        !matches!(self.0.try_read(&mut [0; 1]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_arrive_is_a_request_timeout() {
    let app = spawn().await;
    let answer = HalfSent::to(&app).await.answer().await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#""code":"request_timeout""#), "{answer}");
    app.finish().await;
}

/// With one instance, which serves sixteen requests at a time, there is no room for others as long as sixteen are under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_free_again_when_bodies_were_given_up() {
    let app = Spawn::new().environment("SPIN_MAX_INSTANCE_COUNT", "1").start().await;
    let mut half_sent = Vec::new();
    let poll_deadline = PollDeadline::until("sixteen requests are under way");
    while half_sent.len() < 16 {
        let request = HalfSent::to(&app).await;
        // The host answers at once when the instance is busy just then.
        poll_deadline.wait().await;
        if !request.is_answered() {
            half_sent.push(request);
        }
    }
    let live = async || raw_http::exchange(&app.hosts[0], LIVE).await.status;
    assert_eq!(live().await, 500, "there is no room for others");
    // Their connections stay open: the clients have not gone away.
    eventually("the instance serves others", async || (live().await == 200).then_some(())).await;
    for request in half_sent {
        assert!(request.answer().await.starts_with("HTTP/1.1 408 "));
    }
    app.finish().await;
}

async fn connect(app: &App) -> TcpStream {
    let address = app.hosts[0].base_url.trim_start_matches("http://").to_owned();
    TcpStream::connect(address).await.expect("the host accepts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_is_not_read_is_given_up() {
    let app = Spawn::new().environment("SPIN_MAX_INSTANCE_COUNT", "1").start().await;
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    // More than the sockets' buffers take.
    let id = document.id();
    let sql = format!(
        "INSERT INTO order_events (order_id, seq, type, actor, data)
         SELECT '{id}', n, 'padding', 'operator', jsonb_build_object('text', repeat('x', 1000000))
         FROM generate_series(1001, 1024) n"
    );
    app.store.run(&sql).await;

    let before = eventually("the heap is known", async || heap(&app).await).await;
    let mut unread = connect(&app).await;
    let request = format!("GET /v1/orders/{id}/events HTTP/1.1\r\nHost: order-service\r\n\r\n");
    unread.write_all(request.as_bytes()).await.unwrap();
    let held = 8e6;
    let holds = async || heap(&app).await.filter(|heap| *heap > before + held);
    eventually("the response waits in the instance", holds).await;
    let is_free = async || heap(&app).await.filter(|heap| *heap < before + held);
    eventually("it is given up, though the client has not gone away", is_free).await;

    let mut received = Vec::new();
    let _ = unread.read_to_end(&mut received).await;
    assert!(received.len() < 24_000_000, "the connection ends in the middle of the body");
    app.store.run(&format!("DELETE FROM order_events WHERE order_id = '{id}' AND seq > 1000")).await;
    app.finish().await;
}

/// Bytes in use on the heap of the only instance; none when it is too busy to answer.
async fn heap(app: &App) -> Option<f64> {
    let request = "GET /metrics HTTP/1.1\r\nHost: order-service\r\nConnection: close\r\n\r\n";
    let page = raw_http::exchange(&app.hosts[0], request).await.body;
    let line = page.lines().find(|line| line.starts_with("order_service_instance_heap_in_use_bytes"));
    line.and_then(|line| line.rsplit(' ').next()).and_then(|n| n.parse().ok())
}
