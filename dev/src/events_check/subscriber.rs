//! A subscriber of an MQTT broker with a persistent session, which may go away and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rumqttc::{AsyncClient, Event as MqttEvent, EventLoop, MqttOptions, Packet, Publish, QoS};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::arrivals::Event;
use super::consumer::Source;
use super::inbox::Inbox;

/// One level: what stands for an event's id.
const TOPICS: &str = "orders/+";
/// How long a connection or a subscription may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The subscriber. It goes away when this is dropped.
pub struct Subscriber {
    port: u16,
    inbox: Inbox,
    /// How often the broker did not know the session.
    forgotten: Arc<AtomicUsize>,
    /// Whether it is to stay.
    stays: watch::Sender<bool>,
    receiving: Option<JoinHandle<()>>,
}

impl Subscriber {
    /// Subscribes, with QoS 1, at the broker on this port of 127.0.0.1. Back when the subscription counts.
    ///
    /// # Errors
    /// When the broker does not take it.
    pub async fn start(port: u16, inbox: Inbox) -> Result<Subscriber> {
        let (forgotten, stays) = (Arc::default(), watch::channel(true).0);
        let mut subscriber = Subscriber { port, inbox, forgotten, stays, receiving: None };
        subscriber.come_back().await?;
        // The first time there was no session to know.
        subscriber.forgotten.store(0, Ordering::SeqCst);
        Ok(subscriber)
    }

    /// How often it came back and the broker did not know its session any more.
    pub fn forgotten(&self) -> usize {
        self.forgotten.load(Ordering::SeqCst)
    }

    /// Ends its connection. The broker keeps what comes meanwhile.
    pub async fn go_away(&mut self) {
        self.stays.send_replace(false);
        if let Some(receiving) = self.receiving.take() {
            let _ = receiving.await;
        }
    }

    /// Connects again, and subscribes where the broker does not know the session. Back when it receives.
    ///
    /// # Errors
    /// When the broker does not let it.
    pub async fn come_back(&mut self) -> Result<()> {
        self.stays.send_replace(true);
        let (client, event_loop) = self.connection(false);
        let (receives, mut is_receiving) = watch::channel(false);
        let receiver = Receiver {
            client,
            inbox: self.inbox.clone(),
            forgotten: self.forgotten.clone(),
            stays: self.stays.subscribe(),
            receives,
        };
        self.receiving = Some(tokio::spawn(receiver.receive(event_loop)));
        let wait = tokio::time::timeout(LIMIT, is_receiving.wait_for(|receives| *receives)).await;
        wait.context("the broker takes no subscription")?.context("the subscriber has ended")?;
        Ok(())
    }

    /// Has the broker forget its session, and goes away: what comes meanwhile is lost.
    ///
    /// # Errors
    /// When the broker does not let it.
    pub async fn be_forgotten(&mut self) -> Result<()> {
        self.go_away().await;
        let (client, mut event_loop) = self.connection(true);
        let ended = async {
            loop {
                match event_loop.poll().await {
                    Ok(MqttEvent::Incoming(Packet::ConnAck(_))) => client.try_disconnect()?,
                    Ok(MqttEvent::Outgoing(rumqttc::Outgoing::Disconnect)) => return Ok(()),
                    Ok(_) => {}
                    Err(error) => bail!("the broker did not end the session: {error}"),
                }
            }
        };
        tokio::time::timeout(LIMIT, ended).await.context("the broker does not end the session")?
    }

    fn connection(&self, clean: bool) -> (AsyncClient, EventLoop) {
        let mut options = MqttOptions::new("events-test", "127.0.0.1", self.port);
        options.set_clean_session(clean).set_keep_alive(Duration::from_secs(5));
        options.set_max_packet_size(4 << 20, 4 << 20);
        AsyncClient::new(options, 16)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if let Some(receiving) = &self.receiving {
            receiving.abort();
        }
    }
}

struct Receiver {
    client: AsyncClient,
    inbox: Inbox,
    forgotten: Arc<AtomicUsize>,
    stays: watch::Receiver<bool>,
    /// Set when the subscription counts.
    receives: watch::Sender<bool>,
}

impl Receiver {
    async fn receive(mut self, mut event_loop: EventLoop) {
        loop {
            let polled = tokio::select! {
                polled = event_loop.poll() => polled,
                _ = self.stays.wait_for(|stays| !stays) => break,
            };
            match polled {
                Ok(event) => self.take(event),
                // The broker is away; polling again connects again.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        // The client has acknowledged these already.
        for event in std::mem::take(&mut event_loop.state.events) {
            self.take(event);
        }
    }

    fn take(&self, event: MqttEvent) {
        match event {
            MqttEvent::Incoming(Packet::ConnAck(answer)) if answer.session_present => {
                self.receives.send_replace(true);
            }
            MqttEvent::Incoming(Packet::ConnAck(_)) => {
                self.forgotten.fetch_add(1, Ordering::SeqCst);
                // There is room for it: nothing else is asked for.
                let _ = self.client.try_subscribe(TOPICS, QoS::AtLeastOnce);
            }
            MqttEvent::Incoming(Packet::SubAck(_)) => _ = self.receives.send_replace(true),
            MqttEvent::Incoming(Packet::Publish(message)) => {
                let event = read(&message).unwrap_or_else(|error| Event::unreadable(&error));
                self.inbox.add(Source::Broker, event, message.dup);
            }
            _ => {}
        }
    }
}

fn read(message: &Publish) -> Result<Event> {
    Event::read(&serde_json::from_slice::<Value>(&message.payload)?)
}
