//! Lifecycle of component instances: instantiation, reuse, expiry, traps.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;
use wasmtime::component::GuestTaskId;
use wasmtime::{Engine, Store, StoreContextMut};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};

use crate::app::{Component, Reuse};
use crate::state::InstanceState;

/// Hands requests to instances, and makes a new one whenever none is free.
pub type Workers = ProxyHandler<Factory>;

/// Makes instances.
pub struct Factory {
    /// The engine that `component` was compiled for.
    pub engine: Engine,
    /// The component's code, linked.
    pub code: ProxyPre<InstanceState>,
    /// What the instances share.
    pub component: Arc<Component>,
}

impl HandlerState for Factory {
    type StoreData = InstanceState;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<InstanceState, Expiration, Worker>> {
        let mut store = Store::new(&self.engine, InstanceState::new(Arc::clone(&self.component)));
        // So far away that it never comes. As in Spin, nothing stops a guest that computes forever.
        store.set_epoch_deadline(u64::MAX / 2);
        let proxy = self.code.instantiate_async(&mut store).await?;
        let reuse = self.component.reuse;
        let expiration = Expiration { reuse, sleep: Box::pin(tokio::time::sleep(reuse.idle)) };
        Ok(Instance { store, proxy, view: InstanceState::http, expiration, state: Worker { reuse } })
    }
}

/// One instance's part in the decision which requests it gets.
pub struct Worker {
    reuse: Reuse,
}

impl WorkerState for Worker {
    type StoreData = InstanceState;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= self.reuse.requests {
            ShouldAccept::Never
        } else if concurrent >= self.reuse.concurrent_requests {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, InstanceState>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        match self.reuse.request_timeout {
            Some(limit) => Box::pin(tokio::time::sleep(limit)),
            None => Box::pin(std::future::pending()),
        }
    }

    fn drop(&self, store: Store<InstanceState>, result: wasmtime::Result<()>) {
        // The requests that this instance was serving have been answered with a bare error. Only here is its cause.
        if let Err(error) = result {
            eprintln!("The component failed, and with it every request in that instance: {error:?}");
        }
        drop(store);
    }
}

/// Ends an instance that has been idle for long, or busy for too long.
pub struct Expiration {
    reuse: Reuse,
    sleep: Pin<Box<Sleep>>,
}

impl Expiration {
    fn limit(&self, status: WorkerStatus) -> Option<Duration> {
        match status {
            WorkerStatus::Idle => Some(self.reuse.idle),
            WorkerStatus::Requests | WorkerStatus::PostReturn => self.reuse.request_timeout,
        }
    }
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        status: WorkerStatus,
        start: Instant,
    ) -> Poll<()> {
        let Some(limit) = self.limit(status) else {
            return Poll::Pending;
        };
        let deadline = tokio::time::Instant::from_std(start + limit);
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        self.sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_takes_so_many_requests_at_a_time_and_so_many_in_its_life() {
        let reuse = Reuse {
            requests: 128,
            concurrent_requests: 16,
            idle: Duration::from_secs(1),
            request_timeout: None,
        };
        let accepts = |concurrent, total| Worker { reuse }.should_accept_request(concurrent, total);
        assert!(matches!(accepts(0, 0), ShouldAccept::Yes));
        assert!(matches!(accepts(15, 127), ShouldAccept::Yes));
        assert!(matches!(accepts(16, 127), ShouldAccept::No));
        assert!(matches!(accepts(0, 128), ShouldAccept::Never));
    }
}
