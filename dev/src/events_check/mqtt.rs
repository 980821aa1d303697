//! By an MQTT broker that is restarted, together with the feed.
//!
//! A consumer with a persistent session (QoS 1) subscribes. The broker is restarted four times while orders are placed: while the consumer
//! receives, while it is away, and twice in a row in full flow. In the end the broker is told to forget the consumer, so that something
//! is lost for certain: then the feed must heal it, and so must the replay.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use futures::future::try_join;

use super::arrivals::{self, Event, Expected};
use super::broker::Broker;
use super::consumer::{self, Source};
use super::feed::Operator;
use super::figures::Figures;
use super::inbox::Inbox;
use super::subscriber::Subscriber;
use super::testbed;
use super::workload::Workload;
use crate::api_check::service::Service;
use crate::manifests::report::Report;

/// How long a broker is down.
const DOWN: Duration = Duration::from_secs(2);
/// How long it may take until messages flow: the service may be leaving the broker alone for a minute.
const FLOW_LIMIT: Duration = Duration::from_secs(90);
/// A message that did not arrive for so long is lost: NATS sends again after 30 seconds what was not acknowledged.
const QUIET: Duration = Duration::from_secs(40);
/// The same after it has forgotten its subscriber, and with it what was not acknowledged.
const FORGOTTEN_QUIET: Duration = Duration::from_secs(3);
/// Between two looks at the feed.
const FEED_INTERVAL: Duration = Duration::from_secs(1);
const RESTARTS: usize = 4;
/// The orders are placed in so many parts.
const PARTS: usize = 6;

/// A run.
struct Run<'a> {
    name: &'a str,
    broker: Broker,
    service: &'a Service,
    operator: Operator,
    workload: Workload<'a>,
    inbox: Inbox,
    subscriber: Subscriber,
    /// Where the feed was read to.
    cursor: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When something does not start or takes too long; that an event is missing is told by the report.
pub async fn run(
    name: &str,
    broker: Broker,
    orders: usize,
    logs: &Path,
    report: &mut Report,
) -> Result<Figures> {
    let begin = Instant::now();
    let inbox = Inbox::default();
    let subscriber = Subscriber::start(broker.port(), inbox.clone()).await?;
    let url = format!("mqtt://127.0.0.1:{}", broker.port());
    let service = testbed::start(logs, async |_| Ok(vec![("events_mqtt_url", url)])).await?;
    let (operator, workload) = (Operator::of(&service), Workload::at(&service));
    let mut run =
        Run { name, broker, service: &service, operator, workload, inbox, subscriber, cursor: None };

    run.restart_while_orders_are_placed(orders / PARTS).await?;
    let expected = testbed::journal(name, &service, &run.workload, report).await?;
    let lost_in_restarts = run.inbox.wait_for_all(Source::Broker, &expected, QUIET).await;
    let forgotten = run.subscriber.forgotten();
    run.read_feed_until(&expected).await?;

    let before = run.cursor.clone().unwrap_or_default();
    run.lose(orders - run.workload.count()).await?;
    let expected = testbed::journal(name, &service, &run.workload, report).await?;
    let lost = run.inbox.wait_for_all(Source::Broker, &expected, FORGOTTEN_QUIET).await;
    run.read_feed_until(&expected).await?;
    let arrived = run.inbox.of(Source::Broker);
    let mut figures = Figures {
        sink: name.to_owned(),
        orders: run.workload.count(),
        events: expected.len(),
        failures: RESTARTS,
        arrived: arrived.len(),
        repeats: arrivals::repeats(&arrived),
        lost_in_restarts: lost_in_restarts.len(),
        lost_forgotten: lost.len() - lost_in_restarts.len(),
        ..Figures::default()
    };
    let problem = (forgotten > 0).then(|| format!("it had forgotten it {forgotten} times"));
    report.check(
        &format!("{name}: it knew the subscriber's session after each restart"),
        problem.into_iter().collect(),
    );
    let problem = (figures.lost_forgotten == 0).then(|| "nothing was lost".to_owned());
    report.check(
        &format!("{name}: it lost what came while it had forgotten the subscriber"),
        problem.into_iter().collect(),
    );
    // A broker that sends again what a connection took with it may do so when later ones have come.
    let sent_again = run.inbox.sent_again();
    figures.overtaken = arrivals::overtaking(&arrived, &lost).len();
    let what = format!(
        "{name}: by the broker alone, those of an order in their order, but for what it has lost, or sent again ({})",
        figures.overtaken
    );
    report.check(&what, testbed::few(arrivals::overtaking(&arrived, &(&lost | &sent_again))));
    figures.healed_by_feed = lost.len() - run.check_feed(&expected, report).intersection(&lost).count();
    run.check_consumer(&expected, report);

    run.operator.replay_orders(&arrivals::orders(&lost_in_restarts)).await?;
    run.operator.replay_from(&before).await?;
    testbed::while_sweeping(&run.operator, testbed::settle(&service)).await?;
    let left = run.inbox.wait_for_all(Source::Broker, &expected, QUIET).await;
    figures.healed_by_replay = lost.len() - left.len();
    let all = run.inbox.of(Source::Broker);
    let what = format!("{name}: the replay has brought what the broker lost");
    report.check(&what, testbed::few(left.iter().map(arrivals::shown).collect()));
    let replayed = &all[arrived.len()..];
    let not_replayed = arrivals::missing(&expected, replayed);
    let what = format!("{name}: {} events of the replay, those of an order in their order", replayed.len());
    report.check(&what, testbed::few(arrivals::overtaking(replayed, &not_replayed)));
    let both = [all, run.inbox.of(Source::Feed)].concat();
    let problems = arrivals::differing(&both).into_iter().chain(arrivals::invented(&expected, &both));
    let what = format!("{name}: an event is the same from the broker, from the replay and from the feed");
    report.check(&what, testbed::few(problems.collect()));
    figures.time = begin.elapsed();
    Ok(figures)
}

impl Run<'_> {
    /// The broker ends and starts four times: while the subscriber receives, while it is away, and twice in full flow.
    async fn restart_while_orders_are_placed(&mut self, part: usize) -> Result<()> {
        let Run { broker, workload, inbox, subscriber, .. } = self;
        // Messages that flow before it ends.
        let flow = part / 4;
        let work = async {
            workload.place(part).await?;
            try_join(workload.place(part), restart_in_flow(broker, inbox, flow)).await?;
            subscriber.go_away().await;
            workload.place(part / 2).await?;
            try_join(workload.place(part / 2), restart(broker)).await?;
            subscriber.come_back().await?;
            for _ in 0..2 {
                try_join(workload.place(part / 2), restart_in_flow(broker, inbox, flow)).await?;
            }
            workload.place(part).await?;
            testbed::settle(self.service).await
        };
        let work = while_following(&self.operator, &mut self.cursor, inbox, work);
        testbed::while_sweeping(&self.operator, work).await
    }

    /// Orders are placed while nobody is subscribed.
    async fn lose(&mut self, orders: usize) -> Result<()> {
        self.subscriber.be_forgotten().await?;
        let work = async {
            self.workload.place(orders).await?;
            testbed::settle(self.service).await
        };
        let work = while_following(&self.operator, &mut self.cursor, &self.inbox, work);
        testbed::while_sweeping(&self.operator, work).await?;
        self.subscriber.come_back().await
    }

    /// Reads the feed until it has so much; for a moment transactions that are open hold it back.
    async fn read_feed_until(&mut self, expected: &Expected) -> Result<()> {
        let deadline = Instant::now() + QUIET;
        while self.inbox.count(Source::Feed) < expected.len() && Instant::now() < deadline {
            read_feed(&self.operator, &mut self.cursor, &self.inbox).await?;
        }
        Ok(())
    }

    /// The feed by itself. Returns what it lacks.
    fn check_feed(
        &self,
        expected: &Expected,
        report: &mut Report,
    ) -> std::collections::BTreeSet<arrivals::Place> {
        let feed: Vec<Event> = self.inbox.of(Source::Feed);
        let missing = arrivals::missing(expected, &feed);
        let mut problems: Vec<String> = missing.iter().map(arrivals::shown).collect();
        problems.extend(arrivals::overtaking(&feed, &missing));
        if arrivals::repeats(&feed) > 0 {
            problems.push(format!("{} events came twice", arrivals::repeats(&feed)));
        }
        let what = format!("{}: the feed had every event, once, those of an order in their order", self.name);
        report.check(&what, testbed::few(problems));
        missing
    }

    /// The broker and the feed together.
    fn check_consumer(&self, expected: &Expected, report: &mut Report) {
        let consumer = self.inbox.consumed();
        let problems = consumer.gaps().into_iter().chain(consumer::unhandled(expected, consumer.handled()));
        let what = format!(
            "{}: together with the feed a consumer has handled every event, once and in order",
            self.name
        );
        report.check(&what, testbed::few(problems.collect()));
    }
}

/// Does the work while the feed is read now and then.
async fn while_following(
    operator: &Operator,
    cursor: &mut Option<String>,
    inbox: &Inbox,
    work: impl Future<Output = Result<()>>,
) -> Result<()> {
    let follow = async {
        loop {
            read_feed(operator, cursor, inbox).await?;
            tokio::time::sleep(FEED_INTERVAL).await;
        }
    };
    let followed: Result<()> = tokio::select! {
        done = work => return done,
        followed = follow => followed,
    };
    followed?;
    bail!("the feed has ended")
}

async fn read_feed(operator: &Operator, cursor: &mut Option<String>, inbox: &Inbox) -> Result<()> {
    operator.read_feed(cursor, |event| inbox.add(Source::Feed, event, false)).await
}

/// Restarts the broker once so many messages have come.
async fn restart_in_flow(broker: &mut Broker, inbox: &Inbox, flow: usize) -> Result<()> {
    let enough = inbox.count(Source::Broker) + flow;
    let flows = async || Ok(inbox.count(Source::Broker) >= enough);
    ensure!(testbed::wait_for(FLOW_LIMIT, flows).await?, "no messages come from the broker");
    restart(broker).await
}

async fn restart(broker: &mut Broker) -> Result<()> {
    broker.stop().await;
    tokio::time::sleep(DOWN).await;
    broker.start_again().await
}
