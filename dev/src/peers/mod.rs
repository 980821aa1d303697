//! The sandbox: Catalog, Seating, Payment, Notification and User in one HTTP server on one port, under `/catalog`,
//! `/seating`, `/payment`, `/notification` and `/user`, with the behaviour of the real ones down to their peculiarities.
//!
//! One room a peer (`catalog`, `seating`, `payment`, `notification`, `user`) says what a call does; `contract` has the shapes and
//! paths of all of them, `call` recognises the call, `faults` decides whether a fault is injected, `record` records it, `state` is all that there is to know.
//! `/control` (see [`control`], and `GET /control` for its text) sets all of it; [`Control`] is its typed client.

pub(crate) mod answer;
mod call;
mod callbacks;
mod catalog;
mod client;
mod events;
pub(crate) mod contract;
pub mod control;
mod faults;
mod notification;
mod order_page;
pub(crate) mod payment;
mod record;
mod seating;
mod server;
mod spans;
pub(crate) mod state;
mod trace;
mod user;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use call::Matching;
pub use callbacks::{CallbackFault, CallbackRecord, CallbackRule};
pub use client::{Calls, Control, EventView, NewPayment, RuleHits, SandboxState, SeatView, Settled};
pub use contract::{CallName, Peer};
pub use control::{EventSpec, SeatSpec};
pub use events::TakenEvent;
pub use faults::{Action, FaultRule, Moment, Page, RetryAfter};
pub use payment::{Mode, Payment, PaymentStatus, RefundMode};
pub use record::RecordedCall;
pub use state::SeatStatus;
pub use trace::CallTrace;
pub use user::{Account, JWT_SECRET, token};

use crate::serve::serve;
use state::State;

/// How to start the sandbox.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0: a free one.
    pub listen: SocketAddr,
    /// The order service's callback endpoint; `None`: payments call nobody back until one is set.
    pub callback_url: Option<String>,
    /// How long Seating holds reserved seats.
    pub hold: Duration,
    /// How often Seating frees the seats whose hold is over; until then they stay reserved.
    pub expiry_interval: Duration,
    /// Where events, seats and payments are kept between runs; `None`: nowhere.
    pub state_file: Option<PathBuf>,
    /// How many calls, callbacks and notifications are remembered, of each; the oldest are forgotten first.
    pub remember: usize,
}

impl Default for Options {
    fn default() -> Options {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Options {
            listen,
            callback_url: None,
            hold: Duration::from_secs(15 * 60),
            expiry_interval: Duration::from_secs(60),
            state_file: None,
            remember: 200_000,
        }
    }
}

/// The running sandbox. Dropping it closes every connection.
pub struct Peers {
    address: SocketAddr,
    sandbox: Arc<Sandbox>,
    tasks: Vec<JoinHandle<()>>,
}

impl Peers {
    /// Starts the sandbox on the current runtime.
    pub async fn start(options: Options) -> Result<Peers> {
        let place = || format!("the sandbox peers cannot listen on {}", options.listen);
        let listener = TcpListener::bind(options.listen).await.with_context(place)?;
        let address = listener.local_addr()?;
        let mut state = match &options.state_file {
            Some(file) => State::load(file)?.unwrap_or_else(State::seed),
            None => State::seed(),
        };
        state.hold_ms = options.hold.as_millis() as i64;
        state.remember = options.remember.max(1);
        state.callback_rules.set_urls(options.callback_url.into_iter().collect());
        let sandbox = Arc::new_cyclic(|itself| Sandbox {
            itself: itself.clone(),
            state: Mutex::new(state),
            client: reqwest::Client::new(),
            state_file: options.state_file,
        });
        let mut tasks = vec![
            tokio::spawn(serve(listener, sandbox.clone(), server::answer)),
            tokio::spawn(seating::free_expired_now_and_then(sandbox.clone(), options.expiry_interval)),
        ];
        if sandbox.state_file.is_some() {
            tasks.push(tokio::spawn(save_now_and_then(sandbox.clone())));
        }
        Ok(Peers { address, sandbox, tasks })
    }

    /// `http://<address>`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The Spin variables that lead the component to these peers and allow it nobody else.
    pub fn spin_variables(&self) -> Vec<(String, String)> {
        contract::spin_variables(self.address)
    }

    /// Where it takes events, each by POST.
    pub fn events_url(&self) -> String {
        format!("{}/events/hook", self.url())
    }

    /// A client of the control endpoints.
    pub fn control(&self) -> Control {
        Control::new(&self.url())
    }

    /// Stops the sandbox and, when it has a state file, saves the state.
    pub fn stop(self) -> Result<()> {
        for task in &self.tasks {
            task.abort();
        }
        self.sandbox.save()
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// All that the sandbox has and knows.
struct Sandbox {
    /// For work that goes on after the call that began it.
    itself: Weak<Sandbox>,
    state: Mutex<State>,
    /// For calling the order service back.
    client: reqwest::Client,
    state_file: Option<PathBuf>,
}

impl Sandbox {
    /// The state, for a moment: never across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in a handler does not make the sandbox worth less to the next test.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn itself(&self) -> Weak<Sandbox> {
        self.itself.clone()
    }

    fn save(&self) -> Result<()> {
        let Some(file) = &self.state_file else {
            return Ok(());
        };
        let text = self.state().to_json()?;
        state::write_in_one_step(file, &text)
    }
}

/// So that not even a killed sandbox forgets much.
async fn save_now_and_then(sandbox: Arc<Sandbox>) {
    let mut saved = None;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let changes = sandbox.state().changes;
        if saved != Some(changes) && sandbox.save().is_ok() {
            saved = Some(changes);
        }
    }
}

#[cfg(test)]
mod tests;
