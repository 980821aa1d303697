//! The state of one component instance (the store's data).

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::app::Component;
use crate::mqtt::MqttConnections;
use crate::outbound_http::OutboundHttp;
use crate::postgres::Connections;

/// The data of an instance's store.
pub struct InstanceState {
    /// What all instances of the component share.
    pub component: Arc<Component>,
    /// The PostgreSQL connections that the guest holds.
    pub connections: Connections,
    /// The MQTT connections that the guest holds.
    pub mqtt_connections: MqttConnections,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound_http: OutboundHttp,
}

impl InstanceState {
    /// The state of a new instance: no files, no sockets, nothing open.
    pub fn new(component: Arc<Component>) -> Self {
        let mut wasi = WasiCtx::builder();
        let output = &component.output;
        wasi.envs(&component.environment).stdout(output.stdout.clone()).stderr(output.stderr.clone());
        Self {
            connections: Connections::default(),
            mqtt_connections: MqttConnections::default(),
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outbound_http: component.outbound_http.clone(),
            component,
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
