//! Query strings: `status=running&tag=a&tag=b&limit=5` as the types that JSON is read by. Pure.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Names whose values form a list: each may come several times, or once with commas.
const LISTS: [&str; 4] = ["status", "health", "priority", "tag"];
/// Names whose values are text even when they look like a number or a truth value.
const TEXTS: [&str; 8] = ["agent_type", "task_id", "name", "memory_above", "sort", "stream", "type", "plugin"];

/// Read pairs as a `T`.
///
/// # Errors
/// Names the parameter that is unknown, comes twice or has a value of the wrong kind.
pub(super) fn read<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, String> {
    let mut object = Map::new();
    for (name, value) in pairs {
        if LISTS.contains(&name.as_str()) {
            let items = value.split(',').map(|item| Value::from(item.trim()));
            let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.extend(items);
            }
            continue;
        }
        let parsed = if TEXTS.contains(&name.as_str()) { Value::from(value) } else { scalar(value) };
        if object.insert(name.clone(), parsed).is_some() {
            return Err(format!("query parameter `{name}` comes twice; write it once"));
        }
    }
    serde_json::from_value(Value::Object(object)).map_err(|error| format!("query parameters: {error}"))
}

fn scalar(text: String) -> Value {
    match serde_json::from_str::<Value>(&text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::from(text),
    }
}

/// Write a value that was serialized from such a type as a query string, empty or with its `?`.
pub(super) fn write(value: &Value) -> String {
    let Value::Object(object) = value else { return String::new() };
    let mut pairs = Vec::new();
    for (name, value) in object {
        match value {
            Value::Null => {}
            Value::Array(items) => pairs.extend(items.iter().map(|item| pair(name, item))),
            other => pairs.push(pair(name, other)),
        }
    }
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn pair(name: &str, value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("{name}={}", escape(&text))
}

/// Percent-encode everything but the unreserved characters (RFC 3986, 2.3).
pub(super) fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Query, Status};
    use crate::units::Bytes;

    fn pairs(text: &str) -> Vec<(String, String)> {
        text.split('&').filter_map(|pair| pair.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    #[test]
    fn lists_may_repeat_or_be_separated_by_commas() {
        let query: Query = read(pairs("status=running,idle&status=queued&tag=a&tag=b")).unwrap();
        assert_eq!(query.status, [Status::Running, Status::Idle, Status::Queued]);
        assert_eq!(query.tag, ["a", "b"]);
    }

    #[test]
    fn text_that_looks_like_a_number_stays_text() {
        let query: Query = read(pairs("task_id=42&name=true&limit=7&descending=true&memory_above=1MiB")).unwrap();
        assert_eq!((query.task_id.as_deref(), query.name.as_deref()), (Some("42"), Some("true")));
        assert_eq!((query.limit, query.descending, query.memory_above), (Some(7), true, Some(Bytes::mib(1))));
    }

    #[test]
    fn an_unknown_or_repeated_parameter_is_refused_by_name() {
        assert!(read::<Query>(pairs("stauts=running")).unwrap_err().contains("stauts"));
        assert!(read::<Query>(pairs("limit=1&limit=2")).unwrap_err().contains("limit"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let query =
            Query { tag: vec!["a b".into(), "ä&c".into()], name: Some("w*".into()), offset: 3, ..Query::default() };
        let text = write(&serde_json::to_value(&query).unwrap());
        assert!(text.starts_with('?') && text.contains("tag=a%20b&tag=%C3%A4%26c") && text.contains("name=w%2A"));
    }
}
