//! The application: everything that is known before the first request, and shared by all instances.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::allowed_hosts::AllowedHosts;
use crate::args::UpArgs;
use crate::logs::GuestOutput;
use crate::manifest::Manifest;
use crate::outbound_http::OutboundHttp;
use crate::postgres::Pools;
use crate::routes::Route;
use crate::runtime_config::RuntimeConfig;
use crate::variables::{ComponentVariables, Sources, Variables};

/// What all instances of the component share.
pub struct App {
    /// The application's name.
    pub name: String,
    /// The application's version.
    pub version: Option<String>,
    /// The component's id.
    pub component_id: String,
    /// The routes to the component.
    pub routes: Vec<Route>,
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
    /// Puts the application together; every mistake in its configuration shows here. Also gives the component's bytes.
    pub fn load(args: &UpArgs) -> Result<(Self, Vec<u8>)> {
        let manifest = Manifest::read(&args.from)?;
        let config = RuntimeConfig::read(args.runtime_config_file.as_deref())?;
        let component = manifest.component;

        let default = |name: &str| manifest.variables.get(name)?.as_deref();
        AllowedHosts::check(&component.allowed_outbound_hosts, default)?;
        let variables = Variables::resolve(&manifest.variables, &Sources::read(&args.variables)?)?;
        let allowed_hosts =
            AllowedHosts::resolve(&component.allowed_outbound_hosts, |name| variables.get(name));
        let allowed_hosts = Arc::new(allowed_hosts);

        let log_folder = args.log_folder(&component.folder);
        let wasm = std::fs::read(&component.source)
            .with_context(|| format!("cannot read the component {}", component.source.display()))?;
        let app = Self {
            name: manifest.name,
            version: manifest.version,
            routes: manifest.routes,
            environment: component.environment.into_iter().chain(args.env.iter().cloned()).collect(),
            variables: ComponentVariables::resolve(&component.variables, &variables)?,
            output: GuestOutput::open(log_folder.as_deref(), &component.id, args.quiet)?,
            outbound_http: OutboundHttp::new(&config, Arc::clone(&allowed_hosts)),
            postgres: Pools::new(&config),
            component_id: component.id,
            allowed_hosts,
            reuse: Reuse {
                requests: args.max_instance_reuse_count,
                concurrent_requests: args.max_instance_concurrent_reuse_count,
                idle: args.idle_instance_timeout,
                request_timeout: args.request_timeout,
            },
        };
        Ok((app, wasm))
    }
}
