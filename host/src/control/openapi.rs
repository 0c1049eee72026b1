//! The OpenAPI 3.1 document, made from the table of routes and the schemas of the vocabulary.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::api::{Route, SchemaOf, routes};
use super::types::ProblemDocument;

/// The description of the API.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in routes() {
        let operation = operation(&route, &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "wasmvisor control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "HTTP over the control socket of a running supervisor.",
        },
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let problem = generator.subschema_for::<ProblemDocument>();
    let mut operation = json!({
        "summary": route.summary,
        "operationId": operation_id(route),
        "parameters": parameters(route, generator),
        "responses": {
            "200": {
                "description": route.summary,
                "content": { route.media: { "schema": (route.response)(generator) } },
            },
            "default": {
                "description": "what was wrong",
                "content": { "application/problem+json": { "schema": problem } },
            },
        },
    });
    if let Some(request) = route.request {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": request(generator) } },
        });
    }
    operation
}

/// `GET /v1/processes/{ref}/logs` is `get_processes_ref_logs`.
fn operation_id(route: &Route) -> String {
    let path = route.path.trim_start_matches("/v1/").replace(['{', '}'], "").replace(['/', '.'], "_");
    format!("{}_{path}", route.method)
}

fn parameters(route: &Route, generator: &mut SchemaGenerator) -> Vec<Value> {
    let in_path = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    in_path.chain(route.params.into_iter().flat_map(|schema| in_query(schema, generator))).collect()
}

fn in_query(schema: SchemaOf, generator: &mut SchemaGenerator) -> Vec<Value> {
    let schema: Schema = schema(generator);
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    properties
        .into_iter()
        .map(|(name, schema)| {
            json!({ "name": name, "in": "query", "required": required.contains(&json!(name)), "schema": schema })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = document();
        let described: usize =
            document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(described, routes().len());
        for route in routes() {
            let operation = &document["paths"][route.path][route.method];
            assert_eq!(operation["summary"], route.summary, "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        let document = document();
        let text = document.to_string();
        let references = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next());
        let mut count = 0;
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
            count += 1;
        }
        assert!(count > 20, "{count}");
    }

    #[test]
    fn operation_ids_are_unique() {
        let ids: std::collections::BTreeSet<_> = routes().iter().map(operation_id).collect();
        assert_eq!(ids.len(), routes().len());
    }
}
