//! Deployments while the service is at work.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use order_dev::migrations::{self, FUNCTIONS, Options};
use order_dev::repo_root;

use crate::support::*;

/// Places and reads orders, one after the other, until the work is done; returns what the work does. Every order must be
/// placed.
async fn while_orders_are_placed<T>(app: &App, work: impl AsyncFnOnce(&AtomicUsize) -> T) -> T {
    let (done, placed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let seat = AtomicUsize::new(1);
    let client = async || {
        while !done.load(Ordering::Relaxed) {
            let seat = seat.fetch_add(1, Ordering::Relaxed) as i64;
            let document = app.place(&order(&[seat])).await.created_or_accepted();
            app.read(document.id()).await;
            placed.fetch_add(1, Ordering::Relaxed);
        }
    };
    let work = async {
        let result = work(&placed).await;
        done.store(true, Ordering::Relaxed);
        result
    };
    let (result, ..) = tokio::join!(work, client(), client(), client(), client());
    result
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_while_the_functions_are_replaced() {
    let app = Spawn::new().replicas(2).start().await;
    let replaced = while_orders_are_placed(&app, async |placed| {
        let mut replaced = 0;
        while replaced < 20 || placed.load(Ordering::Relaxed) < 60 {
            app.store.run("UPDATE schema_functions SET checksum = 'another'").await;
            assert_eq!(migrations::apply(app.store.database()).await.unwrap(), [FUNCTIONS]);
            replaced += 1;
        }
        replaced
    })
    .await;
    assert!(replaced >= 20);
    app.finish().await;
}

/// A copy of `migrations/` with one more table file.
struct Folder(PathBuf);

impl Folder {
    fn with(file: &str, sql: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("order-service-migrations-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("functions")).unwrap();
        let ours = repo_root().join("migrations");
        for part in ["", "functions"] {
            for entry in std::fs::read_dir(ours.join(part)).unwrap().flatten() {
                if entry.path().is_file() {
                    std::fs::copy(entry.path(), folder.join(part).join(entry.file_name())).unwrap();
                }
            }
        }
        std::fs::write(folder.join(file), sql).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_while_a_table_file_waits_for_its_lock_and_when_it_gets_it() {
    let app = spawn().await;
    let folder = Folder::with(
        "9999_more.sql",
        "SET LOCAL lock_timeout = '200ms';
         ALTER TABLE orders ADD COLUMN more INT NOT NULL DEFAULT 7;
         INSERT INTO schema_migrations (version) VALUES ('9999_more');",
    );
    while_orders_are_placed(&app, async |placed| {
        let database = app.store.database();
        let mut reader = database.connect().await.unwrap();
        let reading = reader.transaction().await.unwrap();
        reading.batch_execute("LOCK TABLE orders IN ACCESS SHARE MODE").await.unwrap();
        let patient =
            |attempts| Options { attempts, pause: Duration::from_millis(100), ..Options::default() };
        let error = migrations::apply_with(database, &folder.0, patient(3)).await.unwrap_err().to_string();
        assert!(error.starts_with("9999_more was not applied"), "{error}");
        let before = placed.load(Ordering::Relaxed);
        eventually("orders are placed", async || (placed.load(Ordering::Relaxed) > before + 8).then_some(()))
            .await;

        reading.commit().await.unwrap();
        let applied = migrations::apply_with(database, &folder.0, patient(10)).await.unwrap();
        assert_eq!(applied, ["9999_more"]);
        let before = placed.load(Ordering::Relaxed);
        eventually("orders are placed", async || {
            (placed.load(Ordering::Relaxed) > before + 20).then_some(())
        })
        .await;
    })
    .await;
    assert_eq!(app.store.value("SELECT bool_and(more = 7) FROM orders").await, true);
    app.finish().await;
}
