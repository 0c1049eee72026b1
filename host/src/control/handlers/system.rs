//! Routes about the supervisor as a whole.

use axum::Json;
use axum::extract::State;

use crate::control::api::Context;
use crate::control::extract::{Answer, Body};
use crate::control::openapi;
use crate::control::types::{About, Done, UpgradeRequest};
use crate::daemon::{Reloaded, Upgrading};
use crate::record::Statistics;

pub(crate) async fn statistics(State(context): State<Context>) -> Json<Statistics> {
    Json(context.daemon.registry.statistics().await)
}

pub(crate) async fn reload(State(context): State<Context>) -> Answer<Reloaded> {
    Ok(Json(context.daemon.reload().await?))
}

pub(crate) async fn upgrade(State(context): State<Context>, Body(request): Body<UpgradeRequest>) -> Answer<Upgrading> {
    Ok(Json(context.daemon.upgrade(request.program).await?))
}

pub(crate) async fn version(State(context): State<Context>) -> Json<About> {
    Json(About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: "v1".to_owned(),
        pid: std::process::id(),
        since_ms: context.daemon.since,
        state_dir: context.daemon.state_dir,
        config_file: context.daemon.config_file,
    })
}

pub(crate) async fn health() -> Json<Done> {
    Json(Done::YES)
}

pub(crate) async fn openapi() -> Json<serde_json::Value> {
    Json(openapi::document())
}
