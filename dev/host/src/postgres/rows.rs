//! Rows of a query, handed to the guest one by one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use deadpool_postgres::Object;
use futures::StreamExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Row as PgRow, RowStream};
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult};

use super::errors::{query_failed, unreadable};
use super::{MAX_BUFFERED_BYTES, params, values};
use crate::bindings::postgres::{Column, Error, ParameterValue, Row};

/// Rows that wait for the guest. Few, as in Spin: the server is held back by a guest that does not read.
const WAITING_ROWS: usize = 4;

/// A query that runs.
pub struct Rows {
    /// The columns, known from the first row. Without a row there are none, as in Spin.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: mpsc::Receiver<Row>,
    /// How it ended. This is where errors of the execution show, even when there was no row before.
    pub end: oneshot::Receiver<Result<(), Error>>,
}

/// Prepares and starts a query, and waits for its first row. The error is one of the preparation.
pub async fn start(
    client: Arc<Object>,
    statement: &str,
    parameters: &[ParameterValue],
) -> Result<Rows, Error> {
    let parameters =
        params::convert(parameters).map_err(|error| Error::BadParameter(format!("{error:#}")))?;
    let stream = client.query_raw(statement, params::references(&parameters)).await;
    let stream = stream.map_err(|error| query_failed(&error))?;
    let (columns_to, columns) = oneshot::channel();
    let (rows_to, rows) = mpsc::channel(WAITING_ROWS);
    let (end_to, end) = oneshot::channel();
    tokio::spawn(async move {
        let end = forward(stream, columns_to, rows_to).await;
        // The connection may go back to its pool from here on.
        drop(client);
        end_to.send(end).ok();
    });
    Ok(Rows { columns: columns.await.unwrap_or_default(), rows, end })
}

async fn forward(
    stream: RowStream,
    columns_to: oneshot::Sender<Vec<Column>>,
    rows_to: mpsc::Sender<Row>,
) -> Result<(), Error> {
    let mut stream = std::pin::pin!(stream);
    let mut columns_to = Some(columns_to);
    while let Some(row) = stream.next().await {
        let row = row.map_err(|error| query_failed(&error))?;
        if row.raw_size_bytes() > MAX_BUFFERED_BYTES {
            return Err(unreadable(format!("a row is larger than {MAX_BUFFERED_BYTES} bytes")));
        }
        if let Some(columns_to) = columns_to.take() {
            columns_to.send(columns(&row)).ok();
        }
        if rows_to.send(convert(&row)?).await.is_err() {
            // The guest is not interested in the rest.
            break;
        }
    }
    Ok(())
}

/// Names and types of a row's columns.
pub fn columns(row: &PgRow) -> Vec<Column> {
    let column = |column: &tokio_postgres::Column| Column {
        name: column.name().to_owned(),
        data_type: values::data_type(column.type_()),
    };
    row.columns().iter().map(column).collect()
}

/// A row's values.
pub fn convert(row: &PgRow) -> Result<Row, Error> {
    (0..row.len())
        .map(|index| values::value(row, index))
        .collect::<anyhow::Result<_>>()
        .map_err(|error| unreadable(format!("{error:#}")))
}

/// Gives the rows to the guest's stream.
pub struct RowProducer(pub mpsc::Receiver<Row>);

impl<D> StreamProducer<D> for RowProducer {
    type Item = Row;
    type Buffer = Option<Row>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Row, Option<Row>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let row = match self.0.poll_recv(cx) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            row => ready!(row),
        };
        Poll::Ready(Ok(match row {
            Some(row) => {
                destination.set_buffer(Some(row));
                StreamResult::Completed
            }
            None => StreamResult::Dropped,
        }))
    }
}
