//! Every type of event, as a consumer's library reads it.

use std::collections::BTreeSet;

use crate::refund::confirmed;
use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_is_read_by_the_sdk_in_both_modes_as_it_came() {
    let app = Spawn::new().event_endpoint().kafka_rest_proxy().start().await;
    let refunded = confirmed(&app, &[1]).await;
    app.refund(refunded.id()).await.document(200);
    app.set_payment_mode(Mode::Decline).await;
    app.place(&order(&[2])).await.problem_of_order(402, "payment_declined");
    app.set_payment_mode(Mode::Pending).await;
    let cancelled = app.place(&order(&[3])).await.created();
    app.cancel(cancelled.id()).await.document(200);
    app.settle(&cancelled, PaymentStatus::Failed).await;
    app.quiesce().await;
    let taken = app.peers.state().await.expect("the sandbox's state").events_taken;
    let read = event_schemas::read_in_python(&taken).await;
    assert_eq!(read.len(), taken.len());
    for sink in ["http", "kafka"] {
        let of_sink = || taken.iter().zip(&read).filter(|(taken, _)| taken.sink == sink);
        let types: BTreeSet<String> = of_sink()
            .filter_map(|(_, read)| read["attributes"]["type"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(types, event_schemas::types(), "{sink}");
        for (taken, read) in of_sink() {
            event_schemas::assert_valid(&taken.event);
            assert_eq!(read["data"], taken.event["data"], "{sink}");
            for name in ["id", "source", "subject", "partitionkey", "sequence"] {
                assert_eq!(read["attributes"][name], taken.event[name], "{sink}: {name}");
            }
        }
    }
    app.finish().await;
}
