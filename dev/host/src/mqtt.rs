//! `spin:mqtt@3.0.0`, by the client that Spin uses, in the way in which Spin uses it: opening connects nothing, the first message
//! does; the client's loop runs only while something is being published; a message is not to be retained.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, Outgoing, QoS};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use url::Url;
use wasmtime::component::{Accessor, HasSelf, Resource, ResourceTable};

use crate::allowed_hosts::AllowedHosts;
use crate::bindings::mqtt::{Error, Host, HostConnection, HostConnectionWithStore, Payload, Qos};
use crate::runtime_config::RuntimeConfig;
use crate::state::InstanceState;

/// The most connections that an instance may hold.
const MAX_CONNECTIONS: usize = 1024;
/// How many messages may wait for the client's loop.
const QUEUE: usize = 1000;

/// What the runtime configuration says of MQTT. Clones share the connections that may be held.
#[derive(Clone)]
pub struct MqttLimits {
    permits: Option<Arc<Semaphore>>,
    max_payload_bytes: Option<usize>,
}

impl MqttLimits {
    /// The limits of an application.
    pub fn new(config: &RuntimeConfig) -> Self {
        let permits = config.mqtt_max_connections.map(|n| Arc::new(Semaphore::new(n)));
        Self { permits, max_payload_bytes: config.mqtt_max_payload_bytes }
    }
}

/// A connection that the guest holds. Dropping it closes the connection without a word to the broker.
pub struct Connection {
    client: Arc<Client>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// The connections of an instance.
pub struct MqttConnections(ResourceTable);

impl Default for MqttConnections {
    fn default() -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_CONNECTIONS);
        Self(table)
    }
}

struct Client {
    queue: AsyncClient,
    event_loop: Mutex<EventLoop>,
}

impl Client {
    fn new(address: String, username: String, password: String, keep_alive: Duration) -> Result<Self, Error> {
        if ["mqtts", "ssl"].iter().any(|scheme| address.starts_with(&format!("{scheme}://"))) {
            return Err(Error::Other("the dev host does not speak TLS".to_owned()));
        }
        let mut options = MqttOptions::parse_url(address).map_err(|error| {
            eprintln!("The component's MQTT address is invalid: {error}");
            Error::InvalidAddress
        })?;
        // Sent always, empty or not, in the place of what the address says.
        options.set_credentials(username, password);
        options.set_keep_alive(keep_alive);
        let (queue, event_loop) = AsyncClient::new(options, QUEUE);
        Ok(Self { queue, event_loop: Mutex::new(event_loop) })
    }

    /// Returns when the message is acknowledged, or sent where nobody acknowledges it. It takes the first acknowledgement that
    /// comes, whichever message that is for.
    async fn publish(&self, topic: String, qos: QoS, payload: Vec<u8>) -> Result<(), Error> {
        let queued = self.queue.publish_bytes(topic, qos, false, payload.into()).await;
        queued.map_err(|error| Error::Other(error.to_string()))?;
        let mut event_loop = self.event_loop.lock().await;
        loop {
            let event = event_loop.poll().await;
            let event = event.map_err(|error| Error::ConnectionFailed(error.to_string()))?;
            match (qos, event) {
                (QoS::AtMostOnce, Event::Outgoing(Outgoing::Publish(_)))
                | (QoS::AtLeastOnce, Event::Incoming(Incoming::PubAck(_)))
                | (QoS::ExactlyOnce, Event::Incoming(Incoming::PubComp(_))) => return Ok(()),
                _ => {}
            }
        }
    }
}

/// Whether the guest may connect to this address.
fn is_allowed(allowed: &AllowedHosts, address: &str) -> Result<bool, Error> {
    let with_host = |url: &Url| url.has_host();
    let parsed = Url::parse(address).ok().filter(with_host);
    let Some(url) = parsed.or_else(|| Url::parse(&format!("mqtt://{address}")).ok().filter(with_host)) else {
        return Ok(false);
    };
    let host = url.host_str().unwrap_or_default();
    let is_allowed = allowed.allows(url.scheme(), host, url.port()).map_err(Error::Other)?;
    if !is_allowed {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        eprintln!(
            "The component may not call {}://{host}{port}: not in allowed_outbound_hosts.",
            url.scheme()
        );
    }
    Ok(is_allowed)
}

impl Host for InstanceState {}

impl HostConnection for InstanceState {
    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.mqtt_connections.0.delete(connection)?;
        Ok(())
    }
}

impl<T: Send> HostConnectionWithStore<T> for HasSelf<InstanceState> {
    async fn open(
        accessor: &Accessor<T, Self>,
        address: String,
        username: String,
        password: String,
        keep_alive_interval_in_secs: u64,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let component = accessor.with(|mut access| Arc::clone(&access.get().component));
        match is_allowed(&component.allowed_hosts, &address) {
            Ok(true) => {}
            Ok(false) => {
                return Ok(Err(Error::ConnectionFailed(format!("address {address} is not permitted"))));
            }
            Err(error) => return Ok(Err(error)),
        }
        let permit = match &component.mqtt.permits {
            Some(permits) => Arc::clone(permits).acquire_owned().await.ok(),
            None => None,
        };
        let keep_alive = Duration::from_secs(keep_alive_interval_in_secs);
        let client = match Client::new(address, username, password, keep_alive) {
            Ok(client) => Arc::new(client),
            Err(error) => return Ok(Err(error)),
        };
        let connection = Connection { client, _permit: permit };
        let added = accessor.with(|mut access| access.get().mqtt_connections.0.push(connection));
        Ok(added.map_err(|_| Error::TooManyConnections))
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        topic: String,
        payload: Payload,
        qos: Qos,
    ) -> wasmtime::Result<Result<(), Error>> {
        let (client, max_payload_bytes) = accessor.with(|mut access| {
            let state = access.get();
            let client = Arc::clone(&state.mqtt_connections.0.get(&connection)?.client);
            wasmtime::error::Ok((client, state.component.mqtt.max_payload_bytes))
        })?;
        if let Some(limit) = max_payload_bytes
            && payload.len() > limit
        {
            let size = payload.len();
            return Ok(Err(Error::Other(format!(
                "payload size {size} exceeds the maximum allowed size of {limit} bytes"
            ))));
        }
        let qos = match qos {
            Qos::AtMostOnce => QoS::AtMostOnce,
            Qos::AtLeastOnce => QoS::AtLeastOnce,
            Qos::ExactlyOnce => QoS::ExactlyOnce,
        };
        Ok(client.publish(topic, qos, payload).await)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn client(address: &str, keep_alive: u64) -> Result<Client, Error> {
        Client::new(
            address.to_owned(),
            "user".to_owned(),
            "secret".to_owned(),
            Duration::from_secs(keep_alive),
        )
    }

    #[test]
    fn an_address_must_be_allowed_by_scheme_host_and_port() {
        let entries = ["mqtt://broker.example", "mqtt://127.0.0.1:6000..6002", "mqtts://broker.example:8883"];
        let allowed = AllowedHosts::resolve(&entries.map(str::to_owned), |_| None);
        for (address, expected) in [
            ("mqtt://broker.example?client_id=a", true),
            ("mqtt://Broker.Example:1883?client_id=a", true),
            ("broker.example?client_id=a", true),
            ("mqtt://user:secret@127.0.0.1:6001?client_id=a", true),
            ("mqtts://broker.example:8883?client_id=a", true),
            ("mqtt://broker.example:1884?client_id=a", false),
            ("mqtts://broker.example?client_id=a", false),
            ("tcp://broker.example:1883?client_id=a", false),
            ("mqtt://127.0.0.1:6002?client_id=a", false),
            ("mqtt://", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(&allowed, address).expect("a good list"), expected, "{address}");
        }
    }

    #[test]
    fn the_address_has_a_client_id_and_no_unknown_keys() {
        for good in [
            "mqtt://127.0.0.1?client_id=a",
            "tcp://127.0.0.1:1?client_id=a&clean_session=true&keep_alive_secs=5&inflight_num=1",
        ] {
            assert!(client(good, 1).is_ok(), "{good}");
        }
        for bad in [
            "mqtt://127.0.0.1",
            "mqtt://127.0.0.1?client_id=a&colour=1",
            "mqtt://127.0.0.1?client_id=a&clean_session=perhaps",
            "http://127.0.0.1?client_id=a",
            "127.0.0.1?client_id=a",
        ] {
            assert!(matches!(client(bad, 1), Err(Error::InvalidAddress)), "{bad}");
        }
        assert!(matches!(client("mqtts://127.0.0.1?client_id=a", 1), Err(Error::Other(_))));
    }

    #[tokio::test]
    async fn opening_connects_nothing_and_the_first_message_shows_that_nobody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("mqtt://{}?client_id=a", listener.local_addr().expect("an address"));
        drop(listener);
        let client = client(&address, 1).expect("nothing is connected yet");
        let published = client.publish("a".to_owned(), QoS::AtLeastOnce, vec![]).await;
        assert!(matches!(published, Err(Error::ConnectionFailed(_))), "{published:?}");
    }

    #[tokio::test]
    async fn user_and_password_are_sent_and_a_silent_broker_is_given_up_after_twice_the_keep_alive() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address =
            format!("mqtt://other:account@{}?client_id=a", listener.local_addr().expect("an address"));
        let broker = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut read = Vec::new();
            while read.len() < 2 || read.len() < 2 + usize::from(read[1]) {
                assert_ne!(stream.read_buf(&mut read).await.expect("readable"), 0);
            }
            // It accepts the client and never says anything again.
            stream.write_all(&[0x20, 2, 0, 0]).await.expect("writable");
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            (read, rest)
        });
        let client = client(&address, 1).expect("valid");
        let start = Instant::now();
        let published = client.publish("a".to_owned(), QoS::AtLeastOnce, b"b".to_vec()).await;
        assert!(matches!(published, Err(Error::ConnectionFailed(_))), "{published:?}");
        assert!(start.elapsed() >= Duration::from_millis(1900), "{:?}", start.elapsed());
        drop(client);
        let (connect, rest) = broker.await.expect("the broker does not fail");
        assert!(connect.ends_with(b"\x00\x04user\x00\x06secret"), "{connect:?}");
        // PUBLISH with QoS 1 and without the flag for retained messages, then a ping.
        assert!(
            rest.starts_with(&[0x32, 6, 0, 1, b'a', 0, 1, b'b']) && rest.ends_with(&[0xc0, 0]),
            "{rest:?}"
        );
    }
}
