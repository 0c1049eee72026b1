//! Between HTTP and the vocabulary: bodies and query strings in, JSON and problems out.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Query as UrlQuery, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::params;
use super::types::ProblemDocument;
use crate::error::{ErrorClass, Problem};

/// A handler's answer.
pub(super) type Answer<T> = Result<Json<T>, Refusal>;

/// A problem as an HTTP answer.
#[derive(Debug)]
pub(super) struct Refusal(ProblemDocument);

impl<P: Into<Problem>> From<P> for Refusal {
    fn from(problem: P) -> Self {
        Self(ProblemDocument::from(problem.into()))
    }
}

impl Refusal {
    /// A refusal that HTTP has a status of its own for.
    pub(super) fn of_request(status: StatusCode, message: impl Into<String>) -> Self {
        let problem = Problem::new(ErrorClass::Configuration, message);
        Self(ProblemDocument { status: status.as_u16(), ..ProblemDocument::from(problem) })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self.0)).into_response()
    }
}

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(refuse_body(&rejection)),
        }
    }
}

fn refuse_body(rejection: &JsonRejection) -> Refusal {
    let status = match rejection {
        JsonRejection::BytesRejection(_) | JsonRejection::MissingJsonContentType(_) => rejection.status(),
        _ => StatusCode::BAD_REQUEST,
    };
    Refusal::of_request(status, format!("the body cannot be used: {}", rejection.body_text()))
}

/// A query string, read by the same types that read JSON; an unknown name is refused.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let bad = |message: String| Refusal::of_request(StatusCode::BAD_REQUEST, message);
        let UrlQuery(pairs) = UrlQuery::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| bad(rejection.body_text()))?;
        params::read(pairs).map(Self).map_err(bad)
    }
}
