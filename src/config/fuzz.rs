//! Entry points for fuzzing: what reads the values of variables. Each takes any bytes, and panics when what must hold does not.

use super::allowed_host;
use super::base_url::BaseUrl;
use super::events::broker::Broker;
use super::origin;

/// A list of origins, a base URL, an allowed host, an MQTT broker: none has a user or a query, and each is read the same again.
pub fn values(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(origins) = origin::parse_list(&text) {
        let is_origin = |origin: &String| {
            origin.contains("://")
                && origin.matches('/').count() == 2
                && !origin.contains(['*', '@', '?', '#'])
        };
        assert!(origins.iter().all(is_origin));
        assert_eq!(origin::parse_list(&origins.join(" ")).as_ref(), Some(&origins));
    }
    if let Some(base) = BaseUrl::parse(&text) {
        assert!(!base.authority.is_empty() && !base.authority.contains(['/', '@', '?', '#']));
        assert!(base.path.is_empty() || base.path.starts_with('/') && !base.path.ends_with('/'));
        assert_eq!(BaseUrl::parse(&base.to_string()), Some(base));
    }
    if let Ok(broker) = Broker::parse(&text) {
        let address = broker.address("me");
        let (url, options) = address.split_once('?').expect("options");
        let host = url.strip_prefix("mqtt://").or_else(|| url.strip_prefix("mqtts://")).expect("a scheme");
        assert!(
            !host.contains(['/', '@', '#'])
                && host.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok())
        );
        assert!(options.starts_with("client_id=me&"));
        // Without its account it is the same broker.
        assert_eq!(Broker::parse(url).map(|same| same.address("me")), Ok(address));
    }
    if allowed_host::is_entry(&text) {
        assert!(text.is_empty() || text.contains("://"));
        assert!(!text.contains([',', '@', '?', '#']) && !text.contains(char::is_whitespace));
    }
}
