//! The routes of the API, each written once: the router and the OpenAPI document are both made from this table.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use tokio::sync::watch;

use super::extract::Refusal;
use super::handlers::{agents, events, policies, processes, system};
use super::types::{
    About, CheckRequest, Done, EventQuery, InspectQuery, LogLine, LogQuery, RestartRequest, SignalRequest, SwapRequest,
    UpgradeRequest,
};
use crate::agents::{AgentRequest, AgentResult, AgentStatistics, AgentTask};
use crate::daemon::{Daemon, Reloaded, Upgrading};
use crate::event::Event;
use crate::health::HealthReport;
use crate::policy::{BindingInfo, PluginInfo, Swapped};
use crate::record::{Page, ProcessRecord, Query, Statistics};
use crate::spec::ProcessSpec;

/// Largest body of a request.
const BODY_LIMIT: usize = 1 << 20;

/// What every handler may use.
#[derive(Debug, Clone)]
pub(super) struct Context {
    /// The rooms that answer.
    pub(super) daemon: Daemon,
    /// Becomes true when the server ends; streams end then.
    pub(super) ending: watch::Receiver<bool>,
}

/// Gives the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One method of one path.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) params: Option<SchemaOf>,
    pub(super) request: Option<SchemaOf>,
    pub(super) response: SchemaOf,
    pub(super) media: &'static str,
    handler: MethodRouter<Context>,
}

impl Route {
    fn new<T: JsonSchema>(
        method: &'static str,
        path: &'static str,
        summary: &'static str,
        handler: MethodRouter<Context>,
    ) -> Self {
        let response = SchemaGenerator::subschema_for::<T>;
        Self { method, path, summary, params: None, request: None, response, media: "application/json", handler }
    }

    fn get<T: JsonSchema>(path: &'static str, summary: &'static str, handler: MethodRouter<Context>) -> Self {
        Self::new::<T>("get", path, summary, handler)
    }

    fn post<T: JsonSchema>(path: &'static str, summary: &'static str, handler: MethodRouter<Context>) -> Self {
        Self::new::<T>("post", path, summary, handler)
    }

    fn takes<T: JsonSchema>(mut self) -> Self {
        self.request = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    fn asks<T: JsonSchema>(mut self) -> Self {
        self.params = Some(T::json_schema);
        self
    }

    fn streams(mut self, media: &'static str) -> Self {
        self.media = media;
        self
    }
}

/// Every route.
pub(super) fn routes() -> Vec<Route> {
    let mut routes = process_routes();
    routes.extend(policy_routes());
    routes.extend(agent_routes());
    routes.extend(system_routes());
    routes
}

fn process_routes() -> Vec<Route> {
    type Record = ProcessRecord;
    vec![
        Route::get::<Page>("/v1/processes", "which processes, in what order", get(processes::list)).asks::<Query>(),
        Route::post::<Record>("/v1/processes", "register and start a process", post(processes::create))
            .takes::<ProcessSpec>(),
        Route::post::<Page>("/v1/query", "the same as GET /v1/processes, with a body", post(processes::query))
            .takes::<Query>(),
        Route::get::<Record>("/v1/processes/{ref}", "everything known of one process", get(processes::describe)),
        Route::post::<Record>("/v1/processes/{ref}/start", "start it again", post(processes::start)),
        Route::post::<Record>("/v1/processes/{ref}/stop", "stop it and wait until it is", post(processes::stop)),
        Route::post::<Record>("/v1/processes/{ref}/kill", "kill it at once", post(processes::kill)),
        Route::post::<Record>("/v1/processes/{ref}/restart", "stop it and start it again", post(processes::restart))
            .takes::<RestartRequest>(),
        Route::post::<Record>("/v1/processes/{ref}/signal", "send a signal", post(processes::signal))
            .takes::<SignalRequest>(),
        Route::post::<Record>("/v1/processes/{ref}/pause", "stop its clock", post(processes::pause)),
        Route::post::<Record>("/v1/processes/{ref}/resume", "let its clock go on", post(processes::resume)),
        Route::get::<LogLine>("/v1/processes/{ref}/logs", "its output, one JSON object a line", get(processes::logs))
            .asks::<LogQuery>()
            .streams("application/x-ndjson"),
        Route::get::<HealthReport>("/v1/processes/{ref}/health", "its health in words", get(processes::health)),
    ]
}

fn policy_routes() -> Vec<Route> {
    vec![
        Route::get::<Vec<BindingInfo>>("/v1/policies", "the bindings in force", get(policies::list)),
        Route::post::<Vec<Swapped>>("/v1/policies/swap", "let other policies take over", post(policies::swap))
            .takes::<SwapRequest>(),
        Route::post::<PluginInfo>("/v1/policies/check", "check a plugin and its settings", post(policies::check))
            .takes::<CheckRequest>(),
        Route::get::<PluginInfo>("/v1/policies/inspect", "look at a plugin", get(policies::inspect))
            .asks::<InspectQuery>(),
    ]
}

fn agent_routes() -> Vec<Route> {
    vec![
        Route::post::<AgentResult>("/v1/agents", "run a task to its end", post(agents::run)).takes::<AgentRequest>(),
        Route::get::<Vec<AgentTask>>("/v1/agents", "tasks in flight", get(agents::list)),
        Route::get::<AgentStatistics>("/v1/agents/statistics", "tasks in figures", get(agents::statistics)),
        Route::post::<Done>("/v1/agents/{id}/kill", "end a task", post(agents::kill)),
        Route::post::<Done>("/v1/agents/{id}/restart", "start a task again", post(agents::restart)),
    ]
}

fn system_routes() -> Vec<Route> {
    vec![
        Route::get::<Statistics>("/v1/statistics", "the whole in figures", get(system::statistics)),
        Route::get::<Event>("/v1/events", "what happened, as server-sent events", get(events::stream))
            .asks::<EventQuery>()
            .streams("text/event-stream"),
        Route::post::<Reloaded>("/v1/reload", "read the configuration again", post(system::reload)),
        Route::post::<Upgrading>("/v1/upgrade", "let another program take over", post(system::upgrade))
            .takes::<UpgradeRequest>(),
        Route::get::<About>("/v1/version", "who answers", get(system::version)),
        Route::get::<Done>("/v1/health", "whether anybody answers", get(system::health)),
        Route::get::<serde_json::Value>("/v1/openapi.json", "this description", get(system::openapi)),
    ]
}

/// The whole API.
pub(super) fn router(daemon: Daemon, ending: watch::Receiver<bool>) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, route| router.route(route.path, route.handler))
        .fallback(|uri: axum::http::Uri| async move {
            let message = format!("there is nothing at {}; GET /v1/openapi.json lists what there is", uri.path());
            Refusal::of_request(StatusCode::NOT_FOUND, message)
        })
        .method_not_allowed_fallback(|method: axum::http::Method, uri: axum::http::Uri| async move {
            let message = format!("{} does not know {method}", uri.path());
            Refusal::of_request(StatusCode::METHOD_NOT_ALLOWED, message)
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(Context { daemon, ending })
}
