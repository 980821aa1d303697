//! An issuer of tokens, which shows its public keys.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Where the document is; some issuers have a query there.
const PATH: &str = "/keys/?p=shop";

/// Answers every request with the same document, and counts them.
pub struct Issuer {
    /// The URL of the document.
    pub url: String,
    shown: Arc<Mutex<Shown>>,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// What is shown.
#[derive(Clone, Default)]
struct Shown {
    status: u16,
    body: String,
    delay: Duration,
}

impl Issuer {
    /// Shows this document.
    pub async fn start(document: &serde_json::Value) -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}{PATH}", listener.local_addr().expect("an address"));
        let shown = Arc::new(Mutex::new(Shown::default()));
        let asked = Arc::new(AtomicUsize::new(0));
        let (of_task, count) = (shown.clone(), asked.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (shown, count) = (of_task.clone(), count.clone());
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        match stream.read_buf(&mut request).await {
                            Ok(0) | Err(_) => return,
                            Ok(_) => {}
                        }
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                    let Shown { mut status, body, delay } = shown.lock().expect("not poisoned").clone();
                    if !request.starts_with(format!("GET {PATH} ").as_bytes()) {
                        status = 404;
                    }
                    tokio::time::sleep(delay).await;
                    let head = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    );
                    // Who asked may have gone.
                    let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        let issuer = Issuer { url, shown, asked, task };
        issuer.show(200, &document.to_string());
        issuer
    }

    /// Shows this from now on.
    pub fn show(&self, status: u16, body: &str) {
        self.show_after(Duration::ZERO, status, body);
    }

    /// The same, and takes so long for it.
    pub fn show_after(&self, delay: Duration, status: u16, body: &str) {
        *self.shown.lock().expect("not poisoned") = Shown { status, body: body.to_owned(), delay };
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
