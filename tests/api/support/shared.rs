//! Fixtures that all tests of the process share: the built component and host, and one PostgreSQL server.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use order_dev::postgres::{Database, Options, Server};
use order_dev::{component, migrations};

/// An empty database with the migrations, of which each test gets a copy.
const TEMPLATE: &str = "order_template";

/// Builds the component and the host, unless they are up to date.
pub fn build() {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        outside_of_the_test(async || {
            component::build().await?;
            component::host_program_for_tests().await.map(drop)
        })
    });
    assert_eq!(*built, Ok(()), "the component and its host must be built");
}

/// The server. It ends with this process.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        outside_of_the_test(async || {
            let server = Server::start(Options::for_tests()?).await?;
            let template = server.create_database(TEMPLATE, None).await?;
            migrations::apply(&template).await?;
            Ok(server)
        })
    });
    server.as_ref().expect("PostgreSQL must start and take the migrations")
}

/// A new database with the migrations.
pub async fn migrated_database() -> Database {
    let server = server();
    server.create_database(&fresh_name(), Some(TEMPLATE)).await.expect("a copy of the template")
}

/// A new database without anything.
pub async fn empty_database() -> Database {
    let server = server();
    server.create_database(&fresh_name(), None).await.expect("an empty database")
}

/// A new database without anything, in an encoding such as `LATIN1`.
pub async fn empty_database_in(encoding: &str) -> Database {
    let database = server().database(&fresh_name());
    let client = server().database("postgres").connect().await.expect("the server answers");
    let sql = format!("CREATE DATABASE {} ENCODING '{encoding}' TEMPLATE template0", database.name);
    client.batch_execute(&sql).await.expect("an empty database");
    database
}

fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Runs it on a runtime of its own: what it leaves behind must outlive the runtime of the test that comes first.
fn outside_of_the_test<T: Send>(work: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T, String> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work())
    };
    let result = std::thread::scope(|scope| scope.spawn(run).join());
    result.expect("the thread does not panic").map_err(|error| format!("{error:#}"))
}
