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

/// The engine, with room for as many instances at a time as the environment variable `SPIN_MAX_INSTANCE_COUNT` says, and for as
/// many fiber stacks as `SPIN_WASMTIME_TOTAL_STACKS` says: 1,000 each, as in Spin.
pub fn engine() -> Result<Engine> {
    let instances = limit("SPIN_MAX_INSTANCE_COUNT")?;
    let stacks = limit("SPIN_WASMTIME_TOTAL_STACKS")?;
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    // Spin builds its code with epoch checks and then sets a deadline that never comes. The checks cost time, so that
    // leaving them out would flatter the guest.
    config.epoch_interruption(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pools(instances, stacks)));
    // Starting a host takes milliseconds when the component has been compiled before: every test starts one. Where
    // there is no place to keep what was compiled, it takes half a second, and works.
    config.cache(Cache::new(CacheConfig::new()).ok());
    Engine::new(&config)
}

fn limit(variable: &str) -> Result<u32> {
    match std::env::var(variable) {
        Ok(text) => text.parse::<u32>().with_context(|| format!("{variable} is not a number")),
        Err(_) => Ok(1000),
    }
}

/// A component has several core instances (its own and adapters), tables to match, and one memory. Stacks are counted by fibers
/// and not by instances: one for each instance at work, and one more for each call in it that blocks, such as a synchronous
/// cancel. All of it is reserved address space, not memory.
fn pools(instances: u32, stacks: u32) -> PoolingAllocationConfig {
    let mut pools = PoolingAllocationConfig::new();
    pools
        .total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(20))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(4))
        .total_stacks(stacks)
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
