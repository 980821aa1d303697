//! A short failure campaign: `cargo dev chaos` is the long one.

use order_dev::chaos::injection::Injection;
use order_dev::chaos::{Options, run};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_order_comes_to_harm_whatever_fails() {
    build();
    let report =
        run(Options { orders: 80, seed: 1, progress: false, beside: None }).await.expect("the campaign ends");
    println!("{report}");
    assert_eq!(report.violations(), 0, "see the report above");
    let happened = |kind| report.injected.iter().any(|(one, _, count)| *one == kind && *count > 0);
    for kind in [
        Injection::HostKilled,
        Injection::DatabaseCrashed,
        Injection::DatabaseRestarted,
        Injection::FailedOver,
        Injection::AnswerLost,
        Injection::EventAnswerLost,
        Injection::EventFailed,
        Injection::EventsRestarted,
        Injection::EventsAway,
        Injection::EventsGone,
        Injection::EventsSwitchedOn,
        Injection::CollectorFailed,
        Injection::CallbackDropped,
        Injection::PaidAfterCancelledEvent,
        Injection::OrderFree,
        Injection::Cancelled,
        Injection::RefundAsked,
    ] {
        assert!(happened(kind), "the plan has {kind:?}, and it did not happen");
    }
    for check in report.checks.iter().filter(|check| !check.name.contains("gauges")) {
        assert!(check.checked > 0, "nothing was looked at: {}", check.name);
    }
}
