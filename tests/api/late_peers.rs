//! Peers that take a request and do not answer it: the host hangs up at the deadline, so that nothing reaches them later.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::support::*;

/// A peer that reads and never answers.
struct SilentPeer {
    url: String,
    open: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
}

impl SilentPeer {
    async fn start() -> SilentPeer {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (open, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, seen) = (open.clone(), taken.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let counted = counted.clone();
                counted.fetch_add(1, Ordering::SeqCst);
                seen.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while let Ok(1..) = stream.read(&mut buffer).await {}
                    counted.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        SilentPeer { url, open, taken }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_hangs_up_on_a_peer_before_the_client_hears_that_there_was_no_answer() {
    let peer = SilentPeer::start().await;
    let mut app = Spawn::new().variable("seating_url", &peer.url).start().await;
    let placed = app.place(&order(&[1])).await.accepted();
    // Not dropped by us: a call that is late is left for a second at least. So it was the limit that the host was given.
    tokio::time::timeout(Duration::from_millis(700), async {
        let deadline = PollDeadline::until("the host has hung up");
        while peer.open.load(Ordering::SeqCst) > 0 {
            deadline.wait().await;
        }
    })
    .await
    .expect("the host hung up at the deadline");
    assert_eq!(peer.taken.load(Ordering::SeqCst), 1, "one call, and nothing after it");

    // With the sandbox's Seating the order comes to an end.
    let seating = app.peers_url();
    app.hosts[0].set_variable("seating_url", &format!("{seating}/seating"));
    app.hosts[0].start_again().await.unwrap();
    app.quiesce().await;
    app.read(placed.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}
