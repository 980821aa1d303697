//! The component: `POST /v1/orders` makes the calls of placing an order, `GET /v1/orders/{id}` those of reading one.
//!
//! No limits, no timers, no logs, no second attempts: a call that cannot be made is answered with 500 and the reason.
//! What a peer answers does not matter.

use crate::calls::{Answer, Call, HEADERS, Parameter, Peer, Sequence, Statement, Step, Work};
use crate::runtime::body;
use crate::runtime::task::Task;
use crate::runtime::yielding::IdleTask;
use crate::templates;
use spin_sdk::pg::{Connection, ParameterValue};
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Method, Request, Response, Scheme};
use spin_sdk::wasip3::http::{client, service};
use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;

mod setup;

use setup::Setup;

thread_local! {
    static SETUP: RefCell<Option<Rc<Setup>>> = const { RefCell::new(None) };
    static CONNECTION: RefCell<Option<Rc<Connection>>> = const { RefCell::new(None) };
    static SEQUENCE: RefCell<Sequence> = RefCell::new(Sequence::start());
}

struct Floor;

// Without the SDK's macro, which reads every header of the request.
service::export!(Floor);

impl Guest for Floor {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let idle = IdleTask::spawn();
        let response = Task::new(serve(request)).await;
        idle.end();
        Ok(response)
    }
}

async fn serve(request: Request) -> Response {
    let _ = request.get_method();
    let path = request.get_path_with_query().unwrap_or_default();
    let work = templates::work(&path, || SEQUENCE.with_borrow_mut(Sequence::next_order));
    let answer = perform(request, work).await.unwrap_or_else(Answer::failure);
    send_back(answer).await
}

async fn perform(request: Request, work: Work) -> Result<Answer, String> {
    let headers = request.get_headers();
    for name in work.reads {
        headers.get(name);
    }
    drop(headers);
    if work.has_body {
        let consume = |result| Request::consume_body(request, result);
        body::receive(consume, usize::MAX, 0).await.map_err(failed("the request's body"))?;
    }
    run(work.steps).await?;
    Ok(work.answer)
}

async fn run(steps: Vec<Step>) -> Result<(), String> {
    let setup = setup().await?;
    for step in steps {
        match step {
            Step::Statement(statement) => query(&setup, statement).await?,
            Step::Call(call) => send(&setup, call).await?,
        }
    }
    Ok(())
}

async fn setup() -> Result<Rc<Setup>, String> {
    if let Some(setup) = SETUP.with_borrow(Clone::clone) {
        return Ok(setup);
    }
    let setup = Rc::new(Setup::read().await?);
    SETUP.set(Some(setup.clone()));
    Ok(setup)
}

async fn query(setup: &Setup, statement: Statement) -> Result<(), String> {
    let connection = connection(setup).await?;
    let result = drain(setup, &connection, statement).await;
    if result.is_err() {
        CONNECTION.with_borrow_mut(|kept| kept.take_if(|kept| Rc::ptr_eq(kept, &connection)));
    }
    result
}

/// The instance's connection. Those that find none at the same time open one each, and the first is kept.
async fn connection(setup: &Setup) -> Result<Rc<Connection>, String> {
    if let Some(connection) = CONNECTION.with_borrow(Clone::clone) {
        return Ok(connection);
    }
    let opened = Rc::new(Connection::open(setup.database.clone()).await.map_err(failed("opening"))?);
    Ok(CONNECTION.with_borrow_mut(|kept| kept.get_or_insert(opened).clone()))
}

async fn drain(setup: &Setup, connection: &Connection, statement: Statement) -> Result<(), String> {
    let result = match setup.real {
        true => connection.query(statement.sql, parameters(statement.parameters)).await,
        false => connection.query("SELECT 1", Vec::new()).await,
    };
    let (_, mut rows, end) = result.map_err(failed(statement.sql))?.into_inner();
    end.await.map_err(failed(statement.sql))?;
    rows.next().await;
    Ok(())
}

fn parameters(parameters: Vec<Parameter>) -> Vec<ParameterValue> {
    let convert = |parameter| match parameter {
        Parameter::Bool(value) => ParameterValue::Boolean(value),
        Parameter::Int(value) => ParameterValue::Int32(value),
        Parameter::Ints(values) => ParameterValue::ArrayInt32(values.into_iter().map(Some).collect()),
        Parameter::Long(value) => ParameterValue::Int64(value),
        Parameter::Null => ParameterValue::DbNull,
        Parameter::Json(text) => ParameterValue::Jsonb(text.into_bytes()),
        Parameter::Text(text) => ParameterValue::Str(text),
        Parameter::Texts(texts) => ParameterValue::ArrayStr(texts.into_iter().map(Some).collect()),
        Parameter::Uuid(text) => ParameterValue::Uuid(text),
    };
    parameters.into_iter().map(convert).collect()
}

async fn send(setup: &Setup, call: Call) -> Result<(), String> {
    let base = match call.peer {
        Peer::Seating => &setup.seating,
        Peer::Payment => &setup.payment,
    };
    let length = call.body.len().to_string();
    let mut headers = HEADERS.to_vec();
    headers.push(("content-length", &length));
    if let Some(key) = &call.key {
        headers.push(("idempotency-key", key));
    }
    let ((contents, trailers), write) = body::outgoing(call.body.into_bytes());
    let (request, _sent) = Request::new(body::fields(&headers), contents, trailers, None);
    let path = format!("{}{}", base.path, call.path);
    let head_is_set = request
        .set_method(&Method::Post)
        .and_then(|()| request.set_scheme(Some(&Scheme::Http)))
        .and_then(|()| request.set_authority(Some(&base.authority)))
        .and_then(|()| request.set_path_with_query(Some(&path)));
    head_is_set.map_err(failed(call.path))?;
    write.start().await;
    let response = client::send(request).await.map_err(failed(call.path))?;

    // To its end, so that the host can use the connection again.
    let consume = |result| Response::consume_body(response, result);
    body::receive(consume, usize::MAX, 0).await.map(drop).map_err(failed(call.path))
}

fn failed<E: Debug>(what: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error:?}")
}

async fn send_back(answer: Answer) -> Response {
    let length = answer.body.len().to_string();
    let mut headers = vec![("content-length", &*length)];
    headers.extend(answer.headers.iter().map(|(name, value)| (*name, &**value)));
    let ((contents, trailers), write) = body::outgoing(answer.body.into_bytes());
    let (response, _sent) = Response::new(body::fields(&headers), contents, trailers);
    if answer.status != 200 {
        let _ = response.set_status_code(answer.status);
    }
    write.start().await;
    response
}
