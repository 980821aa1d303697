//! A subscriber of an MQTT broker.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, Publish, QoS};
use tokio::task::JoinHandle;

use super::poll::eventually;

/// Collects all messages. It stops when this is dropped.
pub struct Subscriber {
    received: Arc<Mutex<Vec<Publish>>>,
    receiving: JoinHandle<()>,
}

impl Subscriber {
    /// Subscribes to every topic of the broker at this port of 127.0.0.1, with QoS 1, and as this account where there is one. Back when the
    /// subscription counts.
    pub async fn start(port: u16, account: Option<(&str, &str)>) -> Subscriber {
        let mut options = MqttOptions::new("subscriber", "127.0.0.1", port);
        // It lives on in the broker, with what comes meanwhile, when the broker starts again.
        options.set_clean_session(false).set_keep_alive(Duration::from_secs(5));
        options.set_max_packet_size(4 << 20, 4 << 20);
        if let Some((user, password)) = account {
            options.set_credentials(user, password);
        }
        let (client, mut event_loop) = AsyncClient::new(options, 16);
        client.subscribe("#", QoS::AtLeastOnce).await.expect("queued");
        let received = Arc::new(Mutex::new(Vec::new()));
        let (subscribed, mut is_subscribed) = tokio::sync::mpsc::channel(1);
        let messages = received.clone();
        let receiving = tokio::spawn(async move {
            // Dropping it would end the loop.
            let _client = client;
            loop {
                match event_loop.poll().await {
                    Ok(Event::Incoming(Packet::Publish(message))) => {
                        messages.lock().expect("not poisoned").push(message);
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => _ = subscribed.send(()).await,
                    Ok(_) => {}
                    // The broker is away; polling again connects again.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        let limit = Duration::from_secs(30);
        let acknowledged = tokio::time::timeout(limit, is_subscribed.recv()).await;
        assert!(matches!(acknowledged, Ok(Some(()))), "the broker takes the subscription");
        Subscriber { received, receiving }
    }

    /// What has arrived so far.
    pub fn received(&self) -> Vec<Publish> {
        self.received.lock().expect("not poisoned").clone()
    }

    /// Waits for so many messages; there are as many and no more.
    pub async fn messages(&self, count: usize) -> Vec<Publish> {
        let messages = eventually("the messages arrive", async || {
            let received = self.received.lock().expect("not poisoned");
            (received.len() >= count).then(|| received.clone())
        })
        .await;
        assert_eq!(messages.len(), count, "{messages:?}");
        messages
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.receiving.abort();
    }
}
