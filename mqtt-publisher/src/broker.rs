//! The broker: what the variable `events_mqtt_url` says.

use std::fmt;

use http::Uri;
use percent_encoding::percent_decode_str;

/// The most bytes of a packet, in the client's default far fewer (10 KiB). A batch of at most 1 MiB has no larger message.
const MAX_PACKET_BYTES: u32 = 2 << 20;

/// A broker and the account there. `Debug` does not show the account.
#[derive(Clone, PartialEq, Eq)]
pub struct Broker {
    /// `scheme://host:port`.
    url: String,
    /// Empty where the broker asks for none: Spin always sends it.
    pub username: String,
    /// Empty where the broker asks for none: Spin always sends it.
    pub password: String,
}

impl Broker {
    /// Parses `mqtt://host`, or `mqtts://` for TLS, with an optional port (1883 or 8883) and an optional
    /// `user:password@` whose special characters are percent-encoded.
    ///
    /// # Errors
    /// A sentence that says what is wrong and shows nothing of the URL, because it has a password.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        if url.is_empty() {
            return Err("events_mqtt_url is not set");
        }
        let uri: Uri = url.parse().map_err(|_| "events_mqtt_url is not a URL")?;
        let scheme = uri.scheme_str().unwrap_or_default();
        let default_port = match scheme {
            "mqtt" => 1883,
            "mqtts" => 8883,
            _ => return Err("events_mqtt_url must begin with mqtt:// or mqtts://"),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || url.contains('#') {
            return Err("events_mqtt_url may have no path, query or fragment");
        }
        let authority = uri.authority().ok_or("events_mqtt_url has no host")?;
        if authority.host().is_empty() {
            return Err("events_mqtt_url has no host");
        }
        let address = authority.as_str().rsplit('@').next().unwrap_or_default();
        let has_port = address.len() > authority.host().len();
        if has_port && authority.port_u16().is_none_or(|port| port == 0) {
            return Err("the port of events_mqtt_url is not a port");
        }
        let port = authority.port_u16().unwrap_or(default_port);
        let account = authority.as_str().rsplit_once('@').map_or("", |(account, _)| account);
        let (username, password) = account.split_once(':').unwrap_or((account, ""));
        Ok(Self {
            url: format!("{scheme}://{}:{port}", authority.host()),
            username: decoded(username)?,
            password: decoded(password)?,
        })
    }

    /// The address as Spin wants it. `client_id` must be another one for each connection: the broker ends a connection
    /// when a second one comes with its id.
    pub fn address(&self, client_id: &str) -> String {
        format!(
            "{}?client_id={client_id}&clean_session=true&max_incoming_packet_size_bytes={MAX_PACKET_BYTES}\
             &max_outgoing_packet_size_bytes={MAX_PACKET_BYTES}",
            self.url
        )
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A client's id of 23 letters and digits at most, which is what every broker has to take (MQTT 3.1.1, 3.1.3.1).
pub fn client_id(random: u64) -> String {
    format!("orders{random:016x}")
}

fn decoded(text: &str) -> Result<String, &'static str> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded =
        decoded.map_err(|_| "user and password of events_mqtt_url must be percent-encoded UTF-8")?;
    // Each is sent as a string with its length in two bytes, without U+0000 (MQTT 3.1.1, 1.5.3).
    if decoded.len() > usize::from(u16::MAX) || decoded.contains('\0') {
        return Err("user or password of events_mqtt_url is not one that MQTT can send");
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_address_and_account() {
        for (url, address, username, password) in [
            ("mqtt://broker", "mqtt://broker:1883", "", ""),
            ("mqtt://broker/", "mqtt://broker:1883", "", ""),
            ("mqtts://broker.example", "mqtts://broker.example:8883", "", ""),
            ("mqtt://10.0.0.1:1884", "mqtt://10.0.0.1:1884", "", ""),
            ("mqtt://[::1]:1884", "mqtt://[::1]:1884", "", ""),
            ("mqtt://[::1]", "mqtt://[::1]:1883", "", ""),
            ("mqtt://orders@broker", "mqtt://broker:1883", "orders", ""),
            ("mqtt://orders:secret@broker:1884", "mqtt://broker:1884", "orders", "secret"),
            ("mqtt://or%40ders:s%3Ae%2Fc%20%C3%A9@broker", "mqtt://broker:1883", "or@ders", "s:e/c é"),
            ("mqtt://:secret@broker", "mqtt://broker:1883", "", "secret"),
        ] {
            let broker = Broker::parse(url).expect(url);
            assert_eq!(broker.url, address, "{url}");
            assert_eq!((broker.username.as_str(), broker.password.as_str()), (username, password), "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_named_without_showing_it() {
        for url in [
            "broker:1883",
            "mqtt://",
            "mqtt:///",
            "http://hunter2@broker",
            "tcp://broker",
            "mqtt://user:hunter2@broker:port",
            "mqtt://user:hunter2@broker:65536",
            "mqtt://user:hunter2@broker:0",
            "mqtt://user:hunter2@broker:",
            "mqtt://user:hunter2@broker/path",
            "mqtt://user:hunter2@broker?client_id=1",
            "mqtt://user:hunter2@broker#x",
            "mqtt://user:hun ter2@broker",
            "mqtt://user:hunter2%FF@broker",
            "mqtt://user:hunter2%00@broker",
        ] {
            let reason = Broker::parse(url).expect_err(url);
            assert!(reason.contains("events_mqtt_url") && !reason.contains("hunter2"), "{url}: {reason}");
        }
        assert_eq!(Broker::parse(""), Err("events_mqtt_url is not set"));
    }

    #[test]
    fn the_account_does_not_show_in_debug() {
        let broker = Broker::parse("mqtt://orders:hunter2@broker").expect("valid");
        assert_eq!(format!("{broker:?}"), "Broker { url: \"mqtt://broker:1883\", .. }");
    }

    #[test]
    fn the_address_names_the_client_and_never_the_account() {
        let broker = Broker::parse("mqtt://orders:hunter2@broker").expect("valid");
        let address = broker.address("one");
        assert!(address.starts_with("mqtt://broker:1883?client_id=one&clean_session=true&"), "{address}");
        assert!(!address.contains("orders") && !address.contains("hunter2"), "{address}");
    }

    #[test]
    fn a_client_id_is_short_enough_for_every_broker() {
        for random in [0, u64::MAX] {
            let id = client_id(random);
            assert!(id.len() <= 23 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        }
    }
}
