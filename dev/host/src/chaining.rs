//! Service chaining: a component calls another one at `http://<its id>.spin.internal`, in this process. Routes play no part in
//! it, so that a component without one is reached, too; the caller's allowed hosts do.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use http::{Request, Response, Uri};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::dispatch::dispatch;
use crate::routes::Route;
use crate::worker::Workers;

/// The domain below which components have their names.
pub const DOMAIN: &str = "spin.internal";

/// Whom a chained request seems to come from.
const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The components of the application by their ids. Clones share them. Empty until all of them can serve.
#[derive(Clone, Default)]
pub struct Services(Arc<OnceLock<BTreeMap<String, Workers>>>);

impl Services {
    /// Opens for calls, once.
    pub fn open(&self, workers: BTreeMap<String, Workers>) {
        // Nothing opens it twice.
        let _ = self.0.set(workers);
    }

    /// What serves the requests for a component.
    pub fn get(&self, component: &str) -> Option<&Workers> {
        self.0.get()?.get(component)
    }

    /// Calls a component. As in Spin, the limits on a connection and on the time to the first byte do not apply.
    pub async fn call(
        &self,
        component: &str,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Error> {
        let Some(workers) = self.get(component) else {
            // Spin ends the caller's instance.
            return Err(Error::InternalError(Some(format!("unknown routing destination '{component}'"))));
        };
        let path = request.uri().path().to_owned();
        Ok(dispatch(workers, &Route::chained(component), &path, request, CLIENT).await)
    }
}

/// The id of the component that a URL names.
pub fn target(uri: &Uri) -> Option<&str> {
    named(uri.authority()?.host())
}

/// The id of the component that a host, with or without a port, names.
pub fn named(host: &str) -> Option<&str> {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let (component, domain) = host.split_once('.')?;
    (domain == DOMAIN).then_some(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_has_a_name_below_the_domain() {
        for (url, expected) in [
            ("http://till.spin.internal/a", Some("till")),
            ("http://till.spin.internal:80/a", Some("till")),
            ("http://till.spin.internal.example/a", None),
            ("http://a.till.spin.internal/a", None),
            ("http://spin.internal/a", None),
            ("/a", None),
        ] {
            assert_eq!(target(&url.parse().expect("a URL")), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn nobody_is_called_before_the_components_serve() {
        let services = Services::default();
        assert!(services.get("till").is_none());
        services.open(BTreeMap::new());
        assert!(services.get("till").is_none());
    }
}
