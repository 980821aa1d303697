//! The running service with all that it needs, and how a test talks to it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use futures::future::join_all;

use order_dev::host::Host;
use order_dev::peers::{Control, Peers};
use order_dev::postgres::Server;
use serde_json::{Value, json};

use super::answer::Answer;
use super::black_hole::BlackHole;
use super::database::Store;
use super::document::Document;
use super::placing::Placing;
use super::poll::eventually;
use super::request::Request;
use super::shared;
use reqwest::Method;

/// One test's service. Ends with [`App::finish`], which a test must not forget.
pub struct App {
    /// The host processes; most tests have one.
    pub hosts: Vec<Host>,
    /// Tells the sandbox peers what to do, and asks them what happened.
    pub peers: Control,
    /// The database.
    pub store: Store,
    pub(super) client: reqwest::Client,
    pub(super) token: Option<String>,
    pub(super) sandbox: Option<Peers>,
    pub(super) server: Option<Server>,
    pub(super) black_hole: Option<BlackHole>,
    pub(super) log_dir: PathBuf,
    pub(super) dead_letters: i64,
    pub(super) may_log_errors: bool,
    pub(super) finished: bool,
}

impl App {
    /// A request to the first copy.
    pub fn request(&self, method: Method, path: &str) -> Request {
        self.request_to(0, method, path)
    }

    /// A request to one of the copies.
    pub fn request_to(&self, copy: usize, method: Method, path: &str) -> Request {
        Request::new(&self.client, &self.hosts[copy].base_url, method, path)
    }

    /// `GET`, answered in whatever way.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    /// Places an order with the first copy.
    pub async fn place(&self, placing: &Placing) -> Answer {
        self.place_at(0, placing).await
    }

    /// Places an order with one of the copies.
    pub async fn place_at(&self, copy: usize, placing: &Placing) -> Answer {
        placing.request(self, copy).send().await
    }

    /// A client of one of the copies that goes its own way, in a task of its own, whatever becomes of the host.
    pub fn caller(&self, copy: usize) -> Caller {
        Caller { client: self.client.clone(), base_url: self.hosts[copy].base_url.clone() }
    }

    /// Waits until reads of this order are answered by every instance again, after the database was away: for a second at most
    /// an instance refuses them because it did not answer a moment ago.
    pub async fn until_reads_succeed(&self, order_id: &str) {
        let path = format!("/v1/orders/{order_id}");
        eventually("every read succeeds", async || {
            let reads = join_all((0..40).map(|_| self.get(&path))).await;
            let statuses: BTreeSet<u16> = reads.iter().map(|read| read.status).collect();
            assert!(statuses.is_subset(&BTreeSet::from([200, 503])), "{statuses:?}");
            (statuses == BTreeSet::from([200])).then_some(())
        })
        .await;
    }

    /// Reads an order that exists.
    pub async fn read(&self, order_id: &str) -> Document {
        self.get(&format!("/v1/orders/{order_id}")).await.document(200)
    }

    /// An order's document with its entity tag: equal as long as nothing at all has happened to it.
    pub async fn state_of(&self, order_id: &str) -> (Document, String) {
        let read = self.get(&format!("/v1/orders/{order_id}")).await;
        let etag = read.header("etag").expect("an ETag").to_owned();
        (read.document(200), etag)
    }

    /// The id of the order that this request placed, whatever became of its answer.
    pub async fn id_of(&self, placing: &Placing) -> String {
        let sql = format!("SELECT id FROM orders WHERE idempotency_key = '{}'", placing.key);
        let id = self.store.value(&sql).await;
        id.as_str().expect("the order is stored").to_owned()
    }

    /// Sends a callback as Payment does today: unsigned.
    pub async fn call_back(&self, order_id: &str, payment_id: &str, status: &str) -> Answer {
        let body = json!({ "order_id": order_id, "payment_id": payment_id, "status": status });
        self.request(Method::POST, "/v1/payments/callback").json(&body).send().await
    }

    /// Gives an order up.
    pub async fn cancel(&self, order_id: &str) -> Answer {
        self.cancel_at(0, order_id).await
    }

    /// The same with one of the copies.
    pub async fn cancel_at(&self, copy: usize, order_id: &str) -> Answer {
        self.request_to(copy, Method::POST, &format!("/v1/orders/{order_id}/cancel")).send().await
    }

    /// Asks for the money back.
    pub async fn refund(&self, order_id: &str) -> Answer {
        self.request(Method::POST, &format!("/v1/orders/{order_id}/refund")).send().await
    }

    /// An order's history: types with actors and data, in order.
    pub async fn journal(&self, order_id: &str) -> Vec<Value> {
        let answer = self.get(&format!("/v1/orders/{order_id}/events")).await.json(200);
        answer["events"].as_array().expect("a list of events").clone()
    }

    /// Asks a copy that runs for a sweep, with the token when there is one.
    pub async fn sweep(&self) -> Value {
        let runs = self.hosts.iter().position(|host| host.pid().is_some());
        self.sweep_at(runs.expect("a host runs")).await
    }

    /// The same of one of the copies.
    pub async fn sweep_at(&self, copy: usize) -> Value {
        let mut request = self.request_to(copy, Method::POST, "/internal/sweep");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.send().await.json(200)
    }

    /// Where the sandbox peers are.
    pub fn peers_url(&self) -> String {
        self.sandbox.as_ref().expect("the sandbox runs until the end").url()
    }

    /// A charge that this service did not ask for, as the one before it did.
    pub async fn charge_past_the_service(&self, key: &str, body: &Value) {
        let request = self.client.post(format!("{}/payment/v1/charge", self.peers_url()));
        let request = request.header("idempotency-key", key).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.expect("the sandbox answers");
        assert_eq!(answer.status().as_u16(), 200, "{:?}", answer.text().await);
    }

    /// This test's own PostgreSQL server.
    pub fn postgres(&mut self) -> &mut Server {
        self.server.as_mut().expect("the test asked for a server of its own")
    }

    /// What stands between the hosts and the database.
    pub fn black_hole(&self) -> &BlackHole {
        self.black_hole.as_ref().expect("the test asked for a database behind a black hole")
    }

    /// Dead letters that [`App::finish`] must find.
    pub fn expect_dead_letters(&mut self, count: i64) {
        self.dead_letters = count;
    }

    /// This test brings about what a person should look at.
    pub fn expect_errors_in_the_log(&mut self) {
        self.may_log_errors = true;
    }

    /// The end of every test: drives the service until nothing is left to do, and checks what must be true then.
    pub async fn finish(mut self) {
        self.come_to_rest().await;
        self.check_invariants().await;
        self.check_output();
        self.take_down().await;
    }

    /// The end of a test whose service cannot work, such as one that is set up wrongly.
    pub async fn abandon(mut self) {
        self.check_output();
        self.take_down().await;
    }

    async fn take_down(&mut self) {
        for host in &mut self.hosts {
            host.kill();
        }
        if self.server.is_none() {
            let name = &self.store.database().name;
            shared::server().drop_database(name).await.expect("the database can be dropped");
        }
        self.sandbox = None;
        let _ = std::fs::remove_dir_all(&self.log_dir);
        self.finished = true;
    }
}

/// See [`App::caller`].
#[derive(Clone)]
pub struct Caller {
    client: reqwest::Client,
    base_url: String,
}

impl Caller {
    /// Places an order with a service that may be gone.
    pub async fn place(&self, placing: &Placing) -> Result<Answer, reqwest::Error> {
        let request = Request::new(&self.client, &self.base_url, Method::POST, "/v1/orders");
        request.header("idempotency-key", &placing.key).json(&placing.body).try_send().await
    }

    /// Asks a service that may be gone for something without a body.
    pub async fn post(&self, path: &str) -> Result<Answer, reqwest::Error> {
        Request::new(&self.client, &self.base_url, Method::POST, path).try_send().await
    }

    /// Any request to a service that may be gone.
    pub async fn get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        Request::new(&self.client, &self.base_url, Method::GET, path).try_send().await
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for host in &self.hosts {
                self::show_end("the component's lines", &render(&host.log_lines()));
                self::show_end("the component's errors", &host.error_output());
                let said = std::fs::read_to_string(host.log_dir().join("host.log")).unwrap_or_default();
                self::show_end("the host's own lines", &said);
            }
            eprintln!("The logs are in {}.", self.log_dir.display());
        } else {
            assert!(self.finished, "the test must end with app.finish().await");
        }
    }
}

fn render(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn show_end(what: &str, text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(40);
    if !lines.is_empty() {
        eprintln!("--- the last of {what}:\n{}", lines[from..].join("\n"));
    }
}
