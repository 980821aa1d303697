//! The application: everything that is known before the first request.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::Semaphore;

use crate::allowed_hosts::AllowedHosts;
use crate::args::UpArgs;
use crate::chaining::Services;
use crate::logs::GuestOutput;
use crate::manifest::{self, Manifest};
use crate::mqtt::MqttLimits;
use crate::outbound_http::{self, OutboundHttp};
use crate::postgres::Pools;
use crate::routes::Route;
use crate::runtime_config::RuntimeConfig;
use crate::variables::{ComponentVariables, Sources, Variables};

/// The application.
pub struct App {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// The routes to its components.
    pub routes: Vec<Route>,
    /// The components, each with its WebAssembly file.
    pub components: Vec<(Arc<Component>, PathBuf)>,
    /// The components as they call each other; empty until they serve.
    pub services: Services,
}

/// What all instances of a component share.
pub struct Component {
    /// Its id.
    pub id: String,
    /// The guest's environment.
    pub environment: Vec<(String, String)>,
    /// What the guest reads from `spin:variables`.
    pub variables: ComponentVariables,
    /// What the guest may call.
    pub allowed_hosts: Arc<AllowedHosts>,
    /// Where the guest's output goes.
    pub output: GuestOutput,
    /// The guest's way out to HTTP.
    pub outbound_http: OutboundHttp,
    /// The guest's way out to PostgreSQL.
    pub postgres: Pools,
    /// Limits of the guest's way out to MQTT.
    pub mqtt: MqttLimits,
    /// When instances are replaced.
    pub reuse: Reuse,
}

/// How long instances live.
#[derive(Debug, Clone, Copy)]
pub struct Reuse {
    /// Requests in an instance's life.
    pub requests: usize,
    /// Requests at the same time.
    pub concurrent_requests: usize,
    /// The longest time with nothing to do.
    pub idle: Duration,
    /// The longest time until a request is answered.
    pub request_timeout: Option<Duration>,
}

impl App {
    /// Puts the application together; every mistake in its configuration shows here.
    pub fn load(args: &UpArgs) -> Result<Self> {
        let manifest = Manifest::read(&args.from)?;
        let config = RuntimeConfig::read(args.runtime_config_file.as_deref())?;
        for component in &manifest.components {
            let default = |name: &str| manifest.variables.get(name)?.as_deref();
            AllowedHosts::check(&component.allowed_outbound_hosts, default)?;
        }
        let variables = Variables::resolve(&manifest.variables, &Sources::read(&args.variables)?)?;
        let services = Services::default();
        // The pool of HTTP connections and all limits are the application's, as in Spin.
        let client = outbound_http::client(&config);
        let pg_permits = config.pg_max_connections.map(|n| Arc::new(Semaphore::new(n)));
        let mqtt = MqttLimits::new(&config);
        let ids: Vec<String> = manifest.components.iter().map(|component| component.id.clone()).collect();
        let load = |component: manifest::Component| {
            let source = component.source.clone();
            let allowed_hosts =
                AllowedHosts::resolve(&component.allowed_outbound_hosts, |name| variables.get(name));
            let allowed_hosts = Arc::new(allowed_hosts.with_components(&ids));
            let log_folder = args.log_folder(&component.folder);
            let outbound_http =
                OutboundHttp::new(client.clone(), Arc::clone(&allowed_hosts), services.clone());
            let component = Component {
                environment: component.environment.into_iter().chain(args.env.iter().cloned()).collect(),
                variables: ComponentVariables::resolve(&component.variables, &variables)
                    .with_context(|| format!("component {:?}", component.id))?,
                output: GuestOutput::open(log_folder.as_deref(), &component.id, args.quiet)?,
                outbound_http,
                postgres: Pools::new(pg_permits.clone()),
                mqtt: mqtt.clone(),
                id: component.id,
                allowed_hosts,
                reuse: Reuse {
                    requests: args.max_instance_reuse_count,
                    concurrent_requests: args.max_instance_concurrent_reuse_count,
                    idle: args.idle_instance_timeout,
                    request_timeout: args.request_timeout,
                },
            };
            Ok((Arc::new(component), source))
        };
        let components = manifest.components.into_iter().map(load).collect::<Result<_>>()?;
        Ok(Self {
            name: manifest.name,
            version: manifest.version,
            routes: manifest.routes,
            components,
            services,
        })
    }
}
