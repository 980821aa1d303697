//! `spin:variables`, as the guest calls it.

use wasmtime::component::{Accessor, HasSelf};

use crate::bindings::variables::{Error, Host, HostWithStore};
use crate::state::InstanceState;

impl Host for InstanceState {}

impl<T: Send> HostWithStore<T> for HasSelf<InstanceState> {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> wasmtime::Result<Result<String, Error>> {
        Ok(accessor.with(|mut access| access.get().component.variables.get(&name)))
    }
}
