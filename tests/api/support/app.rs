//! The running service with its dependencies, and the requests of a test.

use std::collections::BTreeSet;
use std::path::PathBuf;

use futures::future::join_all;

use order_dev::host::Host;
use order_dev::peers::{Control, Peers};
use order_dev::pgbouncer::PgBouncer;
use order_dev::postgres::Server;
use serde_json::{Value, json};

use super::answer::Answer;
use super::black_hole::BlackHole;
use super::database::Store;
use super::document::Document;
use super::order_request::OrderRequest;
use super::poll::eventually;
use super::request::Request;
use super::shared;
use reqwest::Method;

/// One test's service. Ends with [`App::finish`], which a test must not forget.
pub struct App {
    /// The host processes; most tests have one.
    pub hosts: Vec<Host>,
    /// Control API of the sandbox peers.
    pub peers: Control,
    /// The database.
    pub store: Store,
    pub(super) client: reqwest::Client,
    pub(super) token: Option<String>,
    pub(super) sandbox: Option<Peers>,
    pub(super) server: Option<Server>,
    pub(super) standby: Option<Server>,
    pub(super) black_hole: Option<BlackHole>,
    pub(super) pgbouncer: Option<PgBouncer>,
    pub(super) log_dir: PathBuf,
    pub(super) dead_letters: i64,
    pub(super) may_log_errors: bool,
    pub(super) finished: bool,
}

impl App {
    /// A request to the first replica.
    pub fn request(&self, method: Method, path: &str) -> Request {
        self.request_to(0, method, path)
    }

    /// A request to one of the replicas.
    pub fn request_to(&self, replica: usize, method: Method, path: &str) -> Request {
        Request::new(&self.client, &self.hosts[replica].base_url, method, path)
    }

    /// `GET`, answered in whatever way.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    /// Places an order with the first replica.
    pub async fn place(&self, order_request: &OrderRequest) -> Answer {
        self.place_at(0, order_request).await
    }

    /// Places an order with one of the replicas.
    pub async fn place_at(&self, replica: usize, order_request: &OrderRequest) -> Answer {
        order_request.request(self, replica).send().await
    }

    /// An HTTP client for a spawned task, which may outlive the host of its replica.
    pub fn detached_client(&self, replica: usize) -> DetachedClient {
        DetachedClient { client: self.client.clone(), base_url: self.hosts[replica].base_url.clone() }
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
    pub async fn id_of(&self, order_request: &OrderRequest) -> String {
        let sql = format!("SELECT id FROM orders WHERE idempotency_key = '{}'", order_request.key);
        let id = self.store.value(&sql).await;
        id.as_str().expect("the order is stored").to_owned()
    }

    /// Sends a callback as Payment does today: unsigned.
    pub async fn call_back(&self, order_id: &str, payment_id: &str, status: &str) -> Answer {
        let body = json!({ "order_id": order_id, "payment_id": payment_id, "status": status });
        self.request(Method::POST, "/v1/payments/callback").json(&body).send().await
    }

    /// Cancels an order.
    pub async fn cancel(&self, order_id: &str) -> Answer {
        self.cancel_at(0, order_id).await
    }

    /// The same with one of the replicas.
    pub async fn cancel_at(&self, replica: usize, order_id: &str) -> Answer {
        self.request_to(replica, Method::POST, &format!("/v1/orders/{order_id}/cancel")).send().await
    }

    /// Requests a refund.
    pub async fn refund(&self, order_id: &str) -> Answer {
        self.request(Method::POST, &format!("/v1/orders/{order_id}/refund")).send().await
    }

    /// An order's history: types with actors and data, in order.
    pub async fn journal(&self, order_id: &str) -> Vec<Value> {
        let answer = self.get(&format!("/v1/orders/{order_id}/events")).await.json(200);
        answer["events"].as_array().expect("a list of events").clone()
    }

    /// Asks a replica that runs for a sweep, with the token when there is one.
    pub async fn sweep(&self) -> Value {
        let runs = self.hosts.iter().position(|host| host.pid().is_some());
        self.sweep_at(runs.expect("a host runs")).await
    }

    /// The same of one of the replicas.
    pub async fn sweep_at(&self, replica: usize) -> Value {
        let mut request = self.request_to(replica, Method::POST, "/internal/sweep");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.send().await.json(200)
    }

    /// Where the sandbox peers are.
    pub fn peers_url(&self) -> String {
        self.sandbox.as_ref().expect("the sandbox runs until the end").url()
    }

    /// Charges at Payment directly, without the service.
    pub async fn charge_directly(&self, key: &str, body: &Value) {
        let request = self.client.post(format!("{}/payment/v1/charge", self.peers_url()));
        let request = request.header("idempotency-key", key).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.expect("the sandbox answers");
        assert_eq!(answer.status().as_u16(), 201, "{:?}", answer.text().await);
    }

    /// Logs in at User, with a name that it knows: a token.
    pub async fn log_in(&self, username: &str) -> String {
        let request = self.client.post(format!("{}/user/v1/users/login", self.peers_url()));
        let body = json!({ "username": username, "password": "whatever" }).to_string();
        let answer = request.header("content-type", "application/json").body(body).send().await;
        let text = answer.expect("the sandbox answers").text().await.expect("a body");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        answer["token"].as_str().expect("a token").to_owned()
    }

    /// Refunds at Payment directly, as its operators do.
    pub async fn refund_directly(&self, payment_id: &str) {
        self.post_directly("payment/v1/refund", &json!({ "payment_id": payment_id })).await;
    }

    /// Releases seats at Seating directly, as its operators do.
    pub async fn release_directly(&self, seats: &[i64]) {
        self.post_directly("seating/v1/seats/release", &json!(seats)).await;
    }

    async fn post_directly(&self, path: &str, body: &Value) {
        let request = self.client.post(format!("{}/{path}", self.peers_url()));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await.expect("the sandbox answers");
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
    }

    /// This test's own PostgreSQL server.
    pub fn postgres(&mut self) -> &mut Server {
        self.server.as_mut().expect("the test asked for a server of its own")
    }

    /// The PgBouncer between the hosts and the database.
    pub fn pgbouncer(&mut self) -> &mut PgBouncer {
        self.pgbouncer.as_mut().expect("the test asked for a PgBouncer")
    }

    /// Fences the primary, promotes the standby, and moves the address. The old primary goes on, read-only.
    pub async fn fail_over(&mut self) {
        let old = self.server.as_ref().expect("the test asked for a standby");
        let new = self.standby.as_ref().expect("the test asked for a standby");
        old.fence().await.expect("the primary is fenced");
        old.fail_over_to(new).await.expect("the standby is promoted");
        self.black_hole().redirect(new.port());
        self.store = Store::new(new.database(&self.store.database().name));
    }

    /// The fault-injecting proxy between the hosts and the database.
    pub fn black_hole(&self) -> &BlackHole {
        self.black_hole.as_ref().expect("the test asked for a database behind a black hole")
    }

    /// Dead letters that [`App::finish`] must find.
    pub fn expect_dead_letters(&mut self, count: i64) {
        self.dead_letters = count;
    }

    /// Allows log lines at level error, which alert an operator.
    pub fn expect_errors_in_the_log(&mut self) {
        self.may_log_errors = true;
    }

    /// The end of every test: quiesces the service and checks all invariants.
    pub async fn finish(mut self) {
        self.quiesce().await;
        self.check_invariants().await;
        self.check_output();
        self.shut_down().await;
    }

    /// The end of a test whose service cannot work, such as one that is set up wrongly.
    pub async fn abandon(mut self) {
        self.check_output();
        self.shut_down().await;
    }

    async fn shut_down(&mut self) {
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

/// See [`App::detached_client`].
#[derive(Clone)]
pub struct DetachedClient {
    client: reqwest::Client,
    base_url: String,
}

impl DetachedClient {
    /// Places an order with a service that may be gone.
    pub async fn place(&self, order_request: &OrderRequest) -> Result<Answer, reqwest::Error> {
        let request = Request::new(&self.client, &self.base_url, Method::POST, "/v1/orders");
        request.header("idempotency-key", &order_request.key).json(&order_request.body).try_send().await
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
