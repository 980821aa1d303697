//! Audit triggers that record every state of an order and every insert into the outbox, for the checker: the service
//! overwrites states and deletes delivered messages.

use anyhow::Result;

use crate::postgres::Database;

const INSTALL: &str = "
    CREATE SCHEMA recorder;
    CREATE TABLE recorder.transitions (order_id UUID, version INT, status TEXT, phase TEXT, at TIMESTAMP);
    CREATE TABLE recorder.messages (id UUID, order_id UUID, kind TEXT, at TIMESTAMP);
    CREATE INDEX ON recorder.transitions (order_id);
    CREATE INDEX ON recorder.messages (order_id);

    CREATE FUNCTION recorder.record_transition() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' OR NEW.version <> OLD.version OR NEW.status <> OLD.status THEN
            INSERT INTO recorder.transitions
            VALUES (NEW.id, NEW.version, NEW.status, NEW.phase, timezone('utc', clock_timestamp()));
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER record_transition AFTER INSERT OR UPDATE ON public.orders
        FOR EACH ROW EXECUTE FUNCTION recorder.record_transition();

    CREATE FUNCTION recorder.record_message() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO recorder.messages VALUES (NEW.id, NEW.order_id, NEW.kind, timezone('utc', clock_timestamp()));
        RETURN NULL;
    END $$;
    CREATE TRIGGER record_message AFTER INSERT ON public.outbox
        FOR EACH ROW EXECUTE FUNCTION recorder.record_message();
";

/// Installs schema and triggers in a migrated database.
///
/// # Errors
/// When the database does not take it.
pub async fn install(database: &Database) -> Result<()> {
    Ok(database.connect().await?.batch_execute(INSTALL).await?)
}
