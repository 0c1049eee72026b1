//! Routes under `/v1/agents`.

use axum::Json;
use axum::extract::{Path, State};

use crate::agents::{AgentRequest, AgentResult, AgentStatistics, AgentTask};
use crate::control::api::Context;
use crate::control::extract::{Answer, Body};
use crate::control::types::Done;
use crate::error::{ErrorClass, Problem};

pub(crate) async fn run(State(context): State<Context>, Body(request): Body<AgentRequest>) -> Answer<AgentResult> {
    let pool = context.daemon.agents.clone();
    // A task of its own: when the client goes away the work goes on and is counted.
    let result = tokio::spawn(async move { pool.run(request).await }).await;
    match result {
        Ok(result) => Ok(Json(result?)),
        Err(error) => Err(Problem::new(ErrorClass::Unavailable, format!("the task was lost: {error}")).into()),
    }
}

pub(crate) async fn list(State(context): State<Context>) -> Json<Vec<AgentTask>> {
    Json(context.daemon.agents.list().await)
}

pub(crate) async fn statistics(State(context): State<Context>) -> Json<AgentStatistics> {
    Json(context.daemon.agents.statistics().await)
}

pub(crate) async fn kill(State(context): State<Context>, Path(id): Path<String>) -> Answer<Done> {
    context.daemon.agents.kill(&id).await?;
    Ok(Json(Done::YES))
}

pub(crate) async fn restart(State(context): State<Context>, Path(id): Path<String>) -> Answer<Done> {
    context.daemon.agents.restart(&id).await?;
    Ok(Json(Done::YES))
}
