//! The process dies at one step, right before or right after the peer has done what it was asked for. It starts again,
//! and the order comes to rest as if nothing had been.
//!
//! Each step is a scenario, and each scenario two tests: `…::right_before_the_effect`, `…::right_after_the_effect`.

mod callback;
mod cancel;
mod found_out;
mod late_payment;
mod place;
mod refund;
mod undo;

use tokio::task::JoinHandle;

use crate::support::*;

/// Makes two tests of each scenario.
macro_rules! dies_in {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            use crate::crashes::Death;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn right_before_the_effect() {
                super::$scenario(Death::BeforeTheEffect).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn right_after_the_effect() {
                super::$scenario(Death::AfterTheEffect).await;
            }
        }
    )+};
}
use dies_in;

/// When the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// The peer never does what it was asked for.
    BeforeTheEffect,
    /// The peer has done it, and nobody hears its answer.
    AfterTheEffect,
}

/// Longer than any test: the peer does not come to it, or not to its answer.
const NEVER_MS: u64 = 3_600_000;

/// A process that is about to die.
struct Doomed {
    client: JoinHandle<()>,
}

impl Death {
    /// Has `cause` done until `call` is under way; nobody is to wait for what comes of it.
    async fn awaits<T>(
        self,
        app: &App,
        call: CallName,
        cause: impl Future<Output = T> + Send + 'static,
    ) -> Doomed {
        self.awaits_nth(app, 0, call, cause).await
    }

    /// The same, but lets `after` such calls pass first.
    async fn awaits_nth<T>(
        self,
        app: &App,
        after: u64,
        call: CallName,
        cause: impl Future<Output = T> + Send + 'static,
    ) -> Doomed {
        let effect = match self {
            Death::BeforeTheEffect => Moment::After,
            Death::AfterTheEffect => Moment::Before,
        };
        let fault = app.fault(stall(call, NEVER_MS, effect).after(after)).await;
        let client = tokio::spawn(async move { drop(cause.await) });
        app.until_fault_hit(fault).await;
        Doomed { client }
    }
}

impl Doomed {
    /// The process dies, starts again, and everything comes to rest.
    async fn dies(self, app: &mut App) {
        app.hosts[0].kill();
        // Nobody waits for the calls of the dead.
        app.peers.clear_calls().await.expect("the sandbox answers");
        app.hosts[0].start_again().await.expect("the host starts again");
        self.client.await.expect("the client does not mind");
        app.quiesce().await;
    }
}

/// The order that a client is about to place.
struct Wanted(OrderRequest);

impl Wanted {
    /// Seat 1.
    fn new() -> Wanted {
        Wanted(order(&[1]))
    }

    /// A client that places it.
    fn placed(&self, app: &App) -> impl Future<Output = ()> + Send + use<> {
        let (detached_client, order_request) = (app.detached_client(0), self.0.clone());
        async move { drop(detached_client.place(&order_request).await) }
    }

    /// It has come to this, and the client that asks again is told so.
    async fn came_to(&self, app: App, outcome: Outcome) {
        let id = app.id_of(&self.0).await;
        assert_eq!(app.outcome(&id).await, outcome);
        let again = app.place(&self.0).await;
        assert!(again.is_replayed());
        app.finish().await;
    }
}

/// An order of seat 1 that awaits its payment.
async fn awaiting(app: &App) -> Document {
    crate::callback::pending(app, &[1]).await
}

/// Payment decides, and calls back.
fn decides(app: &App, order: &Document, status: PaymentStatus) -> impl Future<Output = ()> + Send + use<> {
    let (peers, id) = (app.peers.clone(), order.id().to_owned());
    async move { drop(peers.settle(&id, status).await) }
}

/// A client asks for something without a body.
fn asks(app: &App, path: String) -> impl Future<Output = ()> + Send + use<> {
    let detached_client = app.detached_client(0);
    async move { drop(detached_client.post(&path).await) }
}

/// It has come to this.
async fn came_to(app: App, order: &Document, outcome: Outcome) {
    assert_eq!(app.outcome(order.id()).await, outcome);
    app.finish().await;
}
