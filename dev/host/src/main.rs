//! A stand-in for Spin, for machines that have only a Rust tool chain: `dev-host up` takes the arguments of `spin up`
//! that this project uses and behaves, as far as the service can tell, as Spin does, down to its limits and its slow
//! paths. For development and tests, never for deployment.
//!
//! Deliberately absent: TLS, triggers other than HTTP, files, stores, telemetry, providers of
//! variables. What Spin would honour and this host does not is refused, never ignored.

mod allowed_hosts;
mod app;
mod args;
mod bindings;
mod chaining;
mod connector;
mod dispatch;
mod engine;
mod logs;
mod manifest;
mod mqtt;
mod outbound_http;
mod postgres;
mod routes;
mod runtime_config;
mod server;
mod state;
mod template;
mod variables;
mod variables_host;
mod worker;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::args::{Cli, Command, UpArgs};
use crate::server::Server;
use crate::worker::{Factory, Workers};

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Up(args) = Cli::parse().command;
    let result = match end_at_signals() {
        Ok(()) => up(&args).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// SIGINT and SIGTERM end the process at once, requests and all, as they end Spin. Their default action would not do where this
/// is process 1 of a container.
fn end_at_signals() -> Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signal = signal(kind).context("cannot handle signals")?;
        tokio::spawn(async move {
            signal.recv().await;
            std::process::exit(0);
        });
    }
    Ok(())
}

async fn up(args: &UpArgs) -> Result<()> {
    let app = Arc::new(App::load(args)?);
    // Early, so that an address in use shows before the components are compiled.
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let engine = engine::engine()?;
    let mut workers = BTreeMap::new();
    for (component, source) in &app.components {
        let wasm = std::fs::read(source)
            .with_context(|| format!("cannot read the component {}", source.display()))?;
        let code = engine::prepare(&engine, &wasm).map_err(anyhow::Error::from);
        let code = code.with_context(|| format!("component {:?}", component.id))?;
        let factory = Factory { engine: engine.clone(), code, component: Arc::clone(component) };
        workers.insert(component.id.clone(), Workers::new(factory));
    }
    app.services.open(workers);
    announce(&app, &listener)?;
    Server { app }.run(listener).await
}

fn announce(app: &App, listener: &TcpListener) -> Result<()> {
    let url = format!("http://{}", listener.local_addr()?);
    let mut out = std::io::stdout().lock();
    writeln!(out, "Serving {url}\nAvailable Routes:")?;
    for route in &app.routes {
        let wildcard = if route.is_wildcard() { " (wildcard)" } else { "" };
        writeln!(out, "  {}: {url}{}{wildcard}", route.component(), route.prefix())?;
    }
    out.flush()?;
    Ok(())
}
