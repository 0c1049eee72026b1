//! Policies in words and tables. Pure.

use std::time::Duration;

use serde_json::Value;

use crate::cli::table::{Cell, Tint, facts, one_line, table};
use crate::policy::{BindingInfo, PluginInfo, Swapped};
use crate::units::{Bytes, human_duration};

/// The bindings in force.
pub(super) fn bindings(bindings: &[BindingInfo], colour: bool) -> String {
    let heads = ["KIND", "NO", "FOR", "MODE", "PLUGIN", "VERSION", "GENERATION", "CALLS", "MEAN", "FAULTS"];
    let rows: Vec<_> = bindings.iter().map(binding).collect();
    table(&heads, &rows, colour)
}

fn binding(info: &BindingInfo) -> Vec<Cell> {
    let mean = (info.calls > 0).then(|| human_duration(Duration::from_secs_f64(info.mean_call_us.max(0.0) / 1e6)));
    let faults = faults(info);
    let tint = if faults == "none" { Tint::Faint } else { Tint::Bad };
    vec![
        Cell::new(info.kind),
        Cell::figure(info.index + 1),
        Cell::new(&info.matches),
        Cell::new(&info.mode),
        Cell::new(&info.plugin),
        Cell::new(&info.version),
        Cell::figure(info.generation),
        Cell::figure(info.calls),
        Cell::maybe(mean),
        Cell::new(faults).tinted(tint),
    ]
}

fn faults(info: &BindingInfo) -> String {
    if info.faults.is_empty() {
        return "none".to_owned();
    }
    info.faults.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}

/// A plugin, with the settings it knows.
pub(super) fn plugin(info: &PluginInfo) -> String {
    let imports = if info.imports.is_empty() { "nothing".to_owned() } else { info.imports.join(", ") };
    let mut text = facts(&[
        ("plugin", info.plugin.clone()),
        ("name", format!("{} {}", info.name, info.version)),
        ("answers", format!("{} questions", info.kind)),
        ("summary", info.summary.clone()),
        ("sha256", info.digest.clone()),
        ("size", Bytes(info.size_bytes).to_string()),
        ("imports", imports),
    ]);
    let rows = settings(&info.settings_schema);
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&["SETTING", "TYPE", "DEFAULT", "MEANING"], &rows, false));
    }
    text
}

/// One row for each property of a JSON Schema; what a schema says in other ways is for `--json`.
fn settings(schema: &Value) -> Vec<Vec<Cell>> {
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let row = |(name, property): (&String, &Value)| {
        vec![
            Cell::new(name),
            Cell::new(type_of(property)),
            Cell::new(property.get("default").map_or_else(|| "-".to_owned(), Value::to_string)),
            Cell::new(property["description"].as_str().unwrap_or_default()),
        ]
    };
    properties.iter().map(row).collect()
}

fn type_of(property: &Value) -> String {
    let choices = ["anyOf", "oneOf"].iter().find_map(|key| property[*key].as_array());
    match (&property["type"], choices) {
        (Value::String(word), _) => word.clone(),
        (Value::Array(words), _) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        (_, Some(choices)) => choices.iter().map(type_of).collect::<Vec<_>>().join(" or "),
        _ => values_of(property),
    }
}

/// The values of a property that lists them.
fn values_of(property: &Value) -> String {
    match (property.get("const"), property["enum"].as_array()) {
        (Some(value), _) => value.to_string(),
        (None, Some(values)) => values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or "),
        (None, None) => "-".to_owned(),
    }
}

/// What a swap changed; a line for each kind.
pub(super) fn swapped(swapped: &[Swapped]) -> String {
    if swapped.is_empty() {
        return "nothing changed: these policies are in force already\n".to_owned();
    }
    let line = |swap: &Swapped| {
        let took = human_duration(Duration::from_micros(swap.took_us));
        let plugins = one_line(&swap.plugins.join(", "));
        format!("{}: {plugins} in force as generation {}, after {took}\n", swap.kind, swap.generation)
    };
    swapped.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decision::PolicyKind;

    fn info(settings_schema: Value) -> PluginInfo {
        PluginInfo {
            plugin: "builtin:x".into(),
            name: "x".into(),
            version: "0.1.0".into(),
            kind: PolicyKind::Health,
            summary: "scores".into(),
            digest: "ab".into(),
            size_bytes: 2048,
            imports: Vec::new(),
            settings_schema,
        }
    }

    #[test]
    fn settings_are_told_with_type_and_default() {
        let text = plugin(&info(
            json!({ "properties": { "step": { "type": "integer", "default": 2, "description": "how far" } } }),
        ));
        let line = text.lines().last().unwrap_or_default();
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["step", "integer", "2", "how", "far"]);
        assert!(text.contains("imports  nothing"), "{text}");
    }

    #[test]
    fn a_setting_of_several_types_names_them_all() {
        let schema = json!({ "anyOf": [{ "type": "integer" }, { "const": "off" }, { "enum": ["a", "b"] }] });
        assert_eq!(type_of(&schema), r#"integer or "off" or "a" or "b""#);
    }

    #[test]
    fn a_plugin_without_settings_has_no_table_of_them() {
        assert!(!plugin(&info(json!({}))).contains("SETTING"));
    }

    #[test]
    fn faults_of_a_binding_are_told_by_kind() {
        let binding = BindingInfo {
            kind: PolicyKind::Health,
            index: 0,
            matches: "*".into(),
            mode: "enforce".into(),
            plugin: "builtin:x".into(),
            version: "x 0.1.0".into(),
            digest: String::new(),
            circuit: "closed".into(),
            settings: json!({}),
            on_failure: "default".into(),
            generation: 3,
            calls: 10,
            faults: [("trap".to_owned(), 2)].into(),
            mean_call_us: 12.0,
        };
        let text = bindings(&[binding], false);
        assert!(text.contains("2 trap") && text.contains("12µs"), "{text}");
    }

    #[test]
    fn a_swap_of_nothing_says_so() {
        assert!(swapped(&[]).starts_with("nothing changed"));
    }
}
