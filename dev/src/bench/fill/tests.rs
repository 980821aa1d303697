use super::*;
use crate::migrations;
use crate::postgres::{Options as ServerOptions, Server, remove};

/// Disagreements between tables, each with what is wrong.
const DISAGREEMENTS: &str = include_str!("disagreements.sql");
/// What the migrations made and the fill must leave.
const DEFINITIONS: &str = "
    SELECT coalesce(string_agg(d, E'\\n' ORDER BY d), '') FROM (
        SELECT pg_get_indexdef(indexrelid) || indisvalid || indisready AS d FROM pg_index
        WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
        UNION ALL SELECT conrelid::regclass || ' ' || conname || pg_get_constraintdef(oid) FROM pg_constraint
        UNION ALL SELECT nspname FROM pg_namespace) x";

async fn text(client: &Client, query: &str) -> Result<String> {
    Ok(client.query_one(query, &[]).await?.get(0))
}

#[tokio::test]
async fn a_filled_database_is_as_real_orders_would_leave_it() -> Result<()> {
    let server = Server::start(ServerOptions::for_tests()?).await?;
    let database = server.create_database("filled", None).await?;
    migrations::apply(&database).await?;
    let client = database.connect().await?;
    let before = text(&client, DEFINITIONS).await?;

    // More than the seats of fifty events, which are shuffled together.
    fill(&database, Options { orders: 60_000, unfinished: 3_000, progress: false }).await?;
    event(&database, 1_000_000, 50).await?;
    event(&database, 1_000_001, 5_000).await?;
    assert_eq!(text(&client, DEFINITIONS).await?, before);
    assert_eq!(text(&client, DISAGREEMENTS).await?, "");
    assert_eq!(text(&client, "SELECT count(*)::text FROM orders WHERE due_at < now()").await?, "0");
    let claims = "SELECT string_agg(n::text, ' ' ORDER BY event_id) FROM
                  (SELECT event_id, count(*) AS n FROM seat_claims WHERE event_id >= 1000000 GROUP BY event_id) x";
    assert_eq!(text(&client, claims).await?, "42 4992");

    make_due(&database, 100).await?;
    make_due(&database, 1_900).await?;
    let due = "SELECT concat(count(*), ' ', count(*) FILTER (WHERE due_at < now() - interval '10 minutes 5 seconds'))
               FROM orders WHERE due_at <= timezone('utc', now())";
    assert_eq!(text(&client, due).await?, "2000 0");
    assert_eq!(text(&client, DISAGREEMENTS).await?, "");
    assert!(make_due(&database, 1_001).await.is_err());
    assert!(fill(&database, Options { orders: 1, unfinished: 0, progress: false }).await.is_err());

    let data_dir = server.data_dir().to_path_buf();
    server.stop().await;
    remove(&data_dir)
}
