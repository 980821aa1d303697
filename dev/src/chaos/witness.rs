//! A witness inside the database: triggers that write down every state an order goes through and every message that is
//! put into the outbox. The service deletes delivered messages and overwrites states; the checker wants to see them.

use anyhow::Result;

use crate::postgres::Database;

const INSTALL: &str = "
    CREATE SCHEMA witness;
    CREATE TABLE witness.steps (order_id UUID, version INT, status TEXT, phase TEXT, at TIMESTAMP);
    CREATE TABLE witness.messages (id UUID, order_id UUID, kind TEXT, at TIMESTAMP);
    CREATE INDEX ON witness.steps (order_id);
    CREATE INDEX ON witness.messages (order_id);

    CREATE FUNCTION witness.note_step() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' OR NEW.version <> OLD.version OR NEW.status <> OLD.status THEN
            INSERT INTO witness.steps
            VALUES (NEW.id, NEW.version, NEW.status, NEW.phase, timezone('utc', clock_timestamp()));
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER note_step AFTER INSERT OR UPDATE ON public.orders
        FOR EACH ROW EXECUTE FUNCTION witness.note_step();

    CREATE FUNCTION witness.note_message() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO witness.messages VALUES (NEW.id, NEW.order_id, NEW.kind, timezone('utc', clock_timestamp()));
        RETURN NULL;
    END $$;
    CREATE TRIGGER note_message AFTER INSERT ON public.outbox
        FOR EACH ROW EXECUTE FUNCTION witness.note_message();
";

/// Installs it in a database that has the migrations.
///
/// # Errors
/// When the database does not take it.
pub async fn install(database: &Database) -> Result<()> {
    Ok(database.connect().await?.batch_execute(INSTALL).await?)
}
