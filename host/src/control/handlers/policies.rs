//! Routes under `/v1/policies`. Paths are taken as they come: the client makes them absolute.

use axum::Json;
use axum::extract::State;

use crate::control::api::Context;
use crate::control::extract::{Answer, Body, Params, Refusal};
use crate::control::types::{CheckRequest, InspectQuery, SwapRequest};
use crate::error::{ErrorClass, Problem};
use crate::policy::{self, BindingInfo, PluginInfo, PolicyError, PolicySet, Swapped};

pub(crate) async fn list(State(context): State<Context>) -> Json<Vec<BindingInfo>> {
    Json(context.daemon.policies.list().await)
}

pub(crate) async fn swap(State(context): State<Context>, Body(request): Body<SwapRequest>) -> Answer<Vec<Swapped>> {
    let policies = &context.daemon.policies;
    let swapped = match request {
        SwapRequest::Set { set } => {
            let set = off_thread(move || PolicySet::load(&set)).await?;
            policies.swap(set).await
        }
        SwapRequest::Plugin { plugin, settings } => {
            policies.swap_plugin(&plugin, settings).await.map(|swapped| vec![swapped])
        }
    };
    Ok(Json(swapped.map_err(|error| refused(&error))?))
}

pub(crate) async fn check(Body(request): Body<CheckRequest>) -> Answer<PluginInfo> {
    let settings = serde_json::Value::Object(request.settings);
    Ok(Json(off_thread(move || policy::check(&request.plugin, &settings)).await?))
}

pub(crate) async fn inspect(Params(query): Params<InspectQuery>) -> Answer<PluginInfo> {
    Ok(Json(off_thread(move || policy::inspect(&query.plugin)).await?))
}

/// Compiling a plugin takes long: it must not hold up the thread that answers others.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PolicyError> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| Refusal::from(refused(&error))),
        Err(error) => Err(Problem::new(ErrorClass::Unavailable, format!("the check did not end: {error}")).into()),
    }
}

fn refused(error: &PolicyError) -> Problem {
    Problem::new(ErrorClass::Configuration, error.message.clone()).by_rule("policy")
}
