//! Routes under `/v1/processes`. `{ref}` is an id, the beginning of one, or a name.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::control::api::Context;
use crate::control::extract::{Answer, Body, Params, Refusal};
use crate::control::logs;
use crate::control::types::{LogQuery, RestartRequest, SignalRequest};
use crate::error::{ErrorClass, Problem};
use crate::health::HealthReport;
use crate::record::{Page, ProcessRecord, Query};
use crate::spec::{ProcessId, ProcessSpec};

type Record = Arc<ProcessRecord>;

impl Context {
    async fn find(&self, text: &str) -> Result<ProcessId, Problem> {
        Ok(self.daemon.registry.find(text).await?.process_id.clone())
    }

    async fn record(&self, id: &ProcessId) -> Answer<Record> {
        match self.daemon.registry.get(id).await {
            Some(record) => Ok(Json(record)),
            None => Err(Problem::new(ErrorClass::NotFound, format!("process {id} is no longer known")).into()),
        }
    }
}

pub(crate) async fn list(State(context): State<Context>, Params(query): Params<Query>) -> Json<Page> {
    Json(context.daemon.registry.query(query).await)
}

pub(crate) async fn query(State(context): State<Context>, Body(query): Body<Query>) -> Json<Page> {
    Json(context.daemon.registry.query(query).await)
}

pub(crate) async fn create(State(context): State<Context>, Body(spec): Body<ProcessSpec>) -> Answer<Record> {
    let id = context.daemon.supervisor.start(spec).await?;
    context.record(&id).await
}

pub(crate) async fn describe(State(context): State<Context>, Path(name): Path<String>) -> Answer<Record> {
    Ok(Json(context.daemon.registry.find(&name).await?))
}

pub(crate) async fn start(State(context): State<Context>, Path(name): Path<String>) -> Answer<Record> {
    let id = context.find(&name).await?;
    context.daemon.supervisor.start_again(&id).await?;
    context.record(&id).await
}

pub(crate) async fn stop(State(context): State<Context>, Path(name): Path<String>) -> Answer<Record> {
    let id = context.find(&name).await?;
    context.daemon.supervisor.stop(&id, "asked to stop").await?;
    context.record(&id).await
}

pub(crate) async fn kill(State(context): State<Context>, Path(name): Path<String>) -> Answer<Record> {
    let id = context.find(&name).await?;
    context.daemon.supervisor.kill(&id, "asked to be killed").await?;
    context.record(&id).await
}

pub(crate) async fn restart(
    State(context): State<Context>,
    Path(name): Path<String>,
    Body(request): Body<RestartRequest>,
) -> Answer<Record> {
    let id = context.find(&name).await?;
    context.daemon.supervisor.restart(&id, request.wait).await?;
    context.record(&id).await
}

pub(crate) async fn signal(
    State(context): State<Context>,
    Path(name): Path<String>,
    Body(request): Body<SignalRequest>,
) -> Answer<Record> {
    let id = context.find(&name).await?;
    context.daemon.supervisor.signal(&id, request.signal).await?;
    context.record(&id).await
}

pub(crate) async fn pause(State(context): State<Context>, Path(name): Path<String>) -> Answer<Record> {
    let id = context.find(&name).await?;
    context.daemon.supervisor.pause(&id, true).await?;
    context.record(&id).await
}

pub(crate) async fn resume(State(context): State<Context>, Path(name): Path<String>) -> Answer<Record> {
    let id = context.find(&name).await?;
    context.daemon.supervisor.pause(&id, false).await?;
    context.record(&id).await
}

pub(crate) async fn health(State(context): State<Context>, Path(name): Path<String>) -> Answer<HealthReport> {
    let id = context.find(&name).await?;
    Ok(Json(context.daemon.monitor.explain(&id).await?))
}

pub(crate) async fn logs(
    State(context): State<Context>,
    Path(name): Path<String>,
    Params(query): Params<LogQuery>,
) -> Result<Response, Refusal> {
    let daemon = &context.daemon;
    let output = match daemon.registry.find(&name).await {
        Ok(record) => logs::Output::of(&record),
        Err(unknown) => logs::Output::of_forgotten(&daemon.state_dir.join("logs"), &name).ok_or(unknown)?,
    };
    let body = logs::stream(&daemon.logs, daemon.registry.clone(), output, query, context.ending.clone()).await?;
    let body = axum::body::Body::from_stream(body);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}
