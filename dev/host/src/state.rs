//! The state of one component instance (the store's data).

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::app::App;
use crate::outbound_http::OutboundHttp;
use crate::postgres::Connections;

/// The data of an instance's store.
pub struct InstanceState {
    /// What all instances share.
    pub app: Arc<App>,
    /// The PostgreSQL connections that the guest holds.
    pub connections: Connections,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound_http: OutboundHttp,
}

impl InstanceState {
    /// The state of a new instance: no files, no sockets, nothing open.
    pub fn new(app: Arc<App>) -> Self {
        let mut wasi = WasiCtx::builder();
        wasi.envs(&app.environment).stdout(app.output.stdout.clone()).stderr(app.output.stderr.clone());
        Self {
            connections: Connections::default(),
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outbound_http: app.outbound_http.clone(),
            app,
        }
    }
}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for InstanceState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound_http, table: &mut self.table, ctx: &mut self.http }
    }
}
