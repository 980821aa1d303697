//! The interface's functions.

use std::sync::Arc;

use deadpool_postgres::Object;
use tokio_postgres::Config;
use tokio_postgres::config::Host as Target;
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, ResourceTable, StreamReader};

use super::errors::{query_failed, unreadable};
use super::pool::{Checkout, Pools};
use super::rows::{self, RowProducer};
use super::{MAX_BUFFERED_BYTES, params};
use crate::allowed_hosts::AllowedHosts;
use crate::bindings::postgres::{
    self, Column, Error, HostConnection, HostConnectionBuilder, HostConnectionBuilderWithStore,
    HostConnectionWithStore, ParameterValue, Row, RowSet,
};
use crate::state::InstanceState;

/// The most connections that an instance may hold.
const MAX_CONNECTIONS: usize = 1024;

/// A connection that the guest holds.
pub struct Connection(Checkout);

/// A connection that the guest is about to open.
pub struct ConnectionBuilder {
    address: String,
}

/// The connections and builders of an instance.
pub struct Connections(ResourceTable);

impl Default for Connections {
    fn default() -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_CONNECTIONS);
        Self(table)
    }
}

impl Connections {
    fn add(&mut self, checkout: Checkout) -> Result<Resource<Connection>, Error> {
        self.0
            .push(Connection(checkout))
            .map_err(|_| Error::ConnectionFailed("too many connections".to_owned()))
    }

    /// A reference of its own, so that nothing of the instance is borrowed while the statement runs.
    fn client(&self, connection: &Resource<Connection>) -> wasmtime::Result<Arc<Object>> {
        Ok(Arc::clone(&self.0.get(connection)?.0.client))
    }
}

/// What it takes to open a connection, apart from the instance.
#[derive(Clone)]
struct Opener {
    pools: Pools,
    allowed_hosts: Arc<AllowedHosts>,
}

impl Opener {
    async fn open(&self, address: &str) -> Result<Checkout, Error> {
        check_address(&self.allowed_hosts, address)?;
        self.pools.open(address).await.map_err(|error| Error::ConnectionFailed(format!("{error:#}")))
    }
}

fn check_address(allowed: &AllowedHosts, address: &str) -> Result<(), Error> {
    let config: Config = address.parse().map_err(|error| {
        let error: tokio_postgres::Error = error;
        Error::ConnectionFailed(error.to_string())
    })?;
    let ports = config.get_ports();
    for (index, host) in config.get_hosts().iter().enumerate() {
        let Target::Tcp(host) = host else {
            return Err(Error::ConnectionFailed("Unix sockets are not supported on WebAssembly".to_owned()));
        };
        // One port counts for all hosts.
        let port = if ports.len() == 1 { ports.first() } else { ports.get(index) }.copied();
        if !allowed.allows("postgres", host, port).map_err(Error::Other)? {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            return Err(Error::ConnectionFailed(format!("address postgres://{host}{port} is not permitted")));
        }
    }
    Ok(())
}

async fn execute(client: &Object, statement: &str, parameters: &[ParameterValue]) -> Result<u64, Error> {
    let parameters =
        params::convert(parameters).map_err(|error| Error::ValueConversionFailed(format!("{error:#}")))?;
    client.execute(statement, &params::references(&parameters)).await.map_err(|error| query_failed(&error))
}

async fn query(client: &Object, statement: &str, parameters: &[ParameterValue]) -> Result<RowSet, Error> {
    let parameters =
        params::convert(parameters).map_err(|error| Error::BadParameter(format!("{error:#}")))?;
    let found = client.query(statement, &params::references(&parameters)).await;
    let found = found.map_err(|error| query_failed(&error))?;
    if found.iter().map(|row| row.raw_size_bytes()).sum::<usize>() > MAX_BUFFERED_BYTES {
        return Err(unreadable(format!("the result is larger than {MAX_BUFFERED_BYTES} bytes")));
    }
    let columns = found.first().map(rows::columns).unwrap_or_default();
    let rows = found.iter().map(rows::convert).collect::<Result<_, Error>>()?;
    Ok(RowSet { columns, rows })
}

impl InstanceState {
    fn opener(&self) -> Opener {
        let component = &self.component;
        Opener { pools: component.postgres.clone(), allowed_hosts: Arc::clone(&component.allowed_hosts) }
    }

    fn address(&self, builder: &Resource<ConnectionBuilder>) -> wasmtime::Result<String> {
        Ok(self.connections.0.get(builder)?.address.clone())
    }

    async fn open_blocking(&mut self, address: &str) -> Result<Resource<Connection>, Error> {
        let checkout = self.opener().open(address).await?;
        self.connections.add(checkout)
    }
}

async fn open_async<T>(
    accessor: &Accessor<T, HasSelf<InstanceState>>,
    address: &str,
) -> Result<Resource<Connection>, Error> {
    let opener = accessor.with(|mut access| access.get().opener());
    let checkout = opener.open(address).await?;
    accessor.with(|mut access| access.get().connections.add(checkout))
}

impl postgres::Host for InstanceState {}

impl HostConnection for InstanceState {
    async fn open(&mut self, address: String) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        Ok(self.open_blocking(&address).await)
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<RowSet, Error>> {
        let client = self.connections.client(&connection)?;
        Ok(query(&client, &statement, &parameters).await)
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let client = self.connections.client(&connection)?;
        Ok(execute(&client, &statement, &parameters).await)
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.connections.0.delete(connection)?;
        Ok(())
    }
}

type Streamed = (Vec<Column>, StreamReader<Row>, FutureReader<Result<(), Error>>);

impl<T: Send + 'static> HostConnectionWithStore<T> for HasSelf<InstanceState> {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        Ok(open_async(accessor, &address).await)
    }

    async fn query_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<Streamed, Error>> {
        let client = accessor.with(|mut access| access.get().connections.client(&connection))?;
        let rows = match rows::start(client, &statement, &parameters).await {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(error)),
        };
        let end = async move {
            wasmtime::error::Ok(rows.end.await.unwrap_or_else(|_| Err(unreadable("the query was abandoned"))))
        };
        let (stream, end) = accessor.with(|mut access| {
            let stream = StreamReader::new(&mut access, RowProducer(rows.rows))?;
            let end = FutureReader::new(&mut access, end)?;
            wasmtime::error::Ok((stream, end))
        })?;
        Ok(Ok((rows.columns, stream, end)))
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let client = accessor.with(|mut access| access.get().connections.client(&connection))?;
        Ok(execute(&client, &statement, &parameters).await)
    }
}

impl HostConnectionBuilder for InstanceState {
    async fn new(&mut self, address: String) -> wasmtime::Result<Resource<ConnectionBuilder>> {
        Ok(self.connections.0.push(ConnectionBuilder { address })?)
    }

    async fn set_ca_root(
        &mut self,
        _: Resource<ConnectionBuilder>,
        _: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(Err(Error::Other("the dev host does not speak TLS and takes no certificates".to_owned())))
    }

    async fn build(
        &mut self,
        builder: Resource<ConnectionBuilder>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let address = self.address(&builder)?;
        Ok(self.open_blocking(&address).await)
    }

    async fn drop(&mut self, builder: Resource<ConnectionBuilder>) -> wasmtime::Result<()> {
        self.connections.0.delete(builder)?;
        Ok(())
    }
}

impl<T: Send + 'static> HostConnectionBuilderWithStore<T> for HasSelf<InstanceState> {
    async fn build_async(
        accessor: &Accessor<T, Self>,
        builder: Resource<ConnectionBuilder>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let address = accessor.with(|mut access| access.get().address(&builder))?;
        Ok(open_async(accessor, &address).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str) -> Result<(), String> {
        let entries = ["postgres://db.example:5432".to_owned(), "postgres://127.0.0.1:6000..6002".to_owned()];
        let allowed = AllowedHosts::resolve(&entries, |_| None);
        check_address(&allowed, address).map_err(|error| match error {
            Error::ConnectionFailed(reason) => reason,
            other => panic!("unexpected {other:?}"),
        })
    }

    #[test]
    fn every_host_of_an_address_must_be_allowed() {
        for good in [
            "host=db.example",
            "postgres://user:secret@db.example/name?sslmode=disable",
            "host=127.0.0.1 port=6001",
            "host=db.example,127.0.0.1 port=5432,6000",
            "host=127.0.0.1,127.0.0.1 port=6000",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, reason) in [
            ("host=other", "address postgres://other is not permitted"),
            ("host=db.example port=5433", "address postgres://db.example:5433 is not permitted"),
            ("host=db.example,other", "address postgres://other is not permitted"),
            ("host=/var/run", "Unix sockets are not supported on WebAssembly"),
            ("nonsense", "invalid connection string"),
        ] {
            assert_eq!(check(bad), Err(reason.to_owned()), "{bad}");
        }
    }
}
