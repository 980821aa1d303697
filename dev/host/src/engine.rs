//! Wasmtime, set up as in Spin, and the component, compiled.

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::error::Context as _;
use wasmtime::{
    Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result,
};
use wasmtime_wasi_http::handler::ProxyPre;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::bindings::SpinImports;
use crate::state::InstanceState;

/// The engine, with room for as many instances at a time as the environment variable `SPIN_MAX_INSTANCE_COUNT` says.
pub fn engine() -> Result<Engine> {
    let instances = match std::env::var("SPIN_MAX_INSTANCE_COUNT") {
        Ok(text) => text.parse::<u32>().context("SPIN_MAX_INSTANCE_COUNT is not a number")?,
        Err(_) => 1000,
    };
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    // Spin builds its code with epoch checks and then sets a deadline that never comes. The checks cost time, so that
    // leaving them out would flatter the guest.
    config.epoch_interruption(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pools(instances)));
    // Starting a host takes milliseconds when the component has been compiled before: every test starts one. Where
    // there is no place to keep what was compiled, it takes half a second, and works.
    config.cache(Cache::new(CacheConfig::new()).ok());
    Engine::new(&config)
}

/// A component has several core instances (its own and adapters), tables to match, and one memory. Stacks are counted
/// by tasks and not by instances, and an instance may have many tasks. All of it is reserved address space, not memory.
fn pools(instances: u32) -> PoolingAllocationConfig {
    let mut pools = PoolingAllocationConfig::new();
    pools
        .total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(20))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(4))
        .total_stacks(instances.saturating_mul(4))
        .max_core_instances_per_component(200)
        .max_component_instance_size(10 << 20)
        .max_core_instance_size(10 << 20)
        .max_tables_per_component(20)
        .table_elements(100_000)
        // Cheaper to clear than to give back to the system when the next instance needs it again at once.
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(1 << 20);
    pools
}

/// Compiles `wasm` and links it with all that this host offers.
pub fn prepare(engine: &Engine, wasm: &[u8]) -> Result<ProxyPre<InstanceState>> {
    let component = Component::new(engine, wasm).context("not a WebAssembly component")?;
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    SpinImports::add_to_linker::<_, HasSelf<InstanceState>>(&mut linker, |state| state)?;
    let instance =
        linker.instantiate_pre(&component).context("the component imports what this host does not have")?;
    let service = ServicePre::new(instance).context("the component does not export wasi:http/handler@0.3")?;
    Ok(ProxyPre::P3(service))
}
