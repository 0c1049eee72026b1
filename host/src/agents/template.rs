//! From a request and a runtime to the specification of a process.
//!
//! Pure. Only the pool enters.
//!
//! An argument may contain placeholders `{name}`; `{{` and `}}` are braces. A placeholder nobody knows, one without a
//! value and a brace without its partner are errors: half-filled arguments are never run. There is no shell, so a value
//! cannot become more than its argument. It can still begin with `-`: a command that takes free text should be told
//! where its options end.

use std::collections::BTreeMap;
use std::path::Path;

use super::{AgentRequest, AgentRuntime};
use crate::error::{ErrorClass, Problem};
use crate::spec::ProcessSpec;

/// Longest id of an agent: with its prefix it must fit the name of a process.
const LONGEST_ID: usize = 58;
/// Placeholders besides `{context.KEY}`.
const KNOWN: [&str; 5] = ["instructions", "task_id", "agent_id", "agent_type", "directory"];

/// The runtime for this agent type.
///
/// # Errors
/// When there is none, naming the nearest.
pub(super) fn runtime_for<'a>(
    runtimes: &'a BTreeMap<String, AgentRuntime>,
    agent_type: &str,
) -> Result<&'a AgentRuntime, Problem> {
    runtimes.get(agent_type).ok_or_else(|| {
        let advice = match nearest(agent_type, runtimes.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if runtimes.is_empty() => format!("none is configured; add [agent.{agent_type}]"),
            None => format!("there are {}", runtimes.keys().cloned().collect::<Vec<_>>().join(", ")),
        };
        refuse("agent-type", format!("no runtime for agent type `{agent_type}`: {advice}"))
    })
}

/// What to run for a request whose ids are filled in.
///
/// # Errors
/// When an id cannot be one, a placeholder cannot be filled, or two keys of the context give one variable.
pub(super) fn spec_for(runtime: &AgentRuntime, request: &AgentRequest) -> Result<ProcessSpec, Problem> {
    check_id(&request.agent_id)?;
    let directory = request.directory.clone().or_else(|| runtime.directory.clone());
    let command: Result<Vec<_>, _> =
        runtime.command.iter().map(|argument| fill(argument, request, directory.as_deref())).collect();
    let mut spec = ProcessSpec::new(format!("agent-{}", request.agent_id), command?);
    spec.directory = directory;
    spec.task_id = request.task_id.clone();
    spec.agent_type = request.agent_type.clone();
    spec.priority = request.priority;
    spec.env = environment(runtime, request)?;
    spec.limits = runtime.limits.clone();
    spec.sandbox = runtime.sandbox.clone();
    // The request's own takes the place of the runtime's; a specification must not have both.
    spec.limits.timeout = request.timeout.or(spec.limits.timeout);
    spec.restart = runtime.restart;
    spec.max_restarts = runtime.max_restarts;
    spec.metadata.insert("agent_id".to_owned(), request.agent_id.clone());
    Ok(spec)
}

fn check_id(id: &str) -> Result<(), Problem> {
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(named) {
        return Ok(());
    }
    Err(refuse("agent-id", format!("agent id `{id}` is not 1 to {LONGEST_ID} of A-Z a-z 0-9 . _ -")))
}

fn environment(runtime: &AgentRuntime, request: &AgentRequest) -> Result<BTreeMap<String, String>, Problem> {
    let mut env = runtime.env.clone();
    let mut given = BTreeMap::new();
    for (key, value) in &request.context {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let variable = format!("WASMVISOR_CONTEXT_{}", key.chars().map(plain).collect::<String>());
        if let Some(other) = given.insert(variable.clone(), key) {
            let message = format!("context keys `{other}` and `{key}` both become {variable}; rename one");
            return Err(refuse("agent-context", message));
        }
        env.insert(variable, value.clone());
    }
    Ok(env)
}

/// One argument with its placeholders filled.
fn fill(argument: &str, request: &AgentRequest, directory: Option<&Path>) -> Result<String, Problem> {
    let fail = |message: String| refuse("agent-template", format!("argument `{argument}`: {message}"));
    let (mut filled, mut rest) = (String::with_capacity(argument.len()), argument);
    while let Some(brace) = rest.find(['{', '}']) {
        filled.push_str(&rest[..brace]);
        let tail = &rest[brace..];
        if tail.starts_with("{{") || tail.starts_with("}}") {
            filled.push_str(&tail[..1]);
            rest = &tail[2..];
            continue;
        }
        let end = tail.find('}').filter(|end| *end > 0);
        let Some(end) = end else {
            return Err(fail("a brace without its partner; write `{{` or `}}` for a brace itself".to_owned()));
        };
        filled.push_str(&value(&tail[1..end], request, directory).map_err(fail)?);
        rest = &tail[end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

fn value(name: &str, request: &AgentRequest, directory: Option<&Path>) -> Result<String, String> {
    if let Some(key) = name.strip_prefix("context.") {
        let missing = || format!("`{{{name}}}` has no value: the request's context has no `{key}`");
        return request.context.get(key).cloned().ok_or_else(missing);
    }
    match name {
        "instructions" => Ok(request.instructions.clone()),
        "task_id" => Ok(request.task_id.clone()),
        "agent_id" => Ok(request.agent_id.clone()),
        "agent_type" => Ok(request.agent_type.clone()),
        "directory" => directory
            .map(|path| path.display().to_string())
            .ok_or_else(|| "`{directory}` has no value: neither the request nor the runtime names one".to_owned()),
        _ => Err(match nearest(name, KNOWN) {
            Some(near) => format!("nobody knows `{{{name}}}`; did you mean `{{{near}}}`?"),
            None => format!("nobody knows `{{{name}}}`; there are {} and context.KEY", KNOWN.join(", ")),
        }),
    }
}

fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|word| (strsim::jaro_winkler(text, word), word));
    scored.filter(|(score, _)| *score > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}

fn refuse(rule: &str, message: String) -> Problem {
    Problem::new(ErrorClass::Configuration, message).by_rule(rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::LimitSettings;
    use crate::units::{OrOff, Span};

    fn request() -> AgentRequest {
        AgentRequest {
            agent_id: "a1".to_owned(),
            agent_type: "coder".to_owned(),
            task_id: "t1".to_owned(),
            instructions: "fix; rm -rf $HOME".to_owned(),
            priority: Default::default(),
            timeout: None,
            directory: Some("/srv/repo".into()),
            context: [("branch".to_owned(), "main".to_owned())].into(),
        }
    }

    fn runtime(command: &[&str]) -> AgentRuntime {
        AgentRuntime {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            sandbox: Default::default(),
            limits: LimitSettings::default(),
            restart: Default::default(),
            max_restarts: None,
            env: BTreeMap::new(),
            directory: None,
        }
    }

    #[test]
    fn placeholders_are_filled_within_their_argument() {
        for (argument, filled) in [
            ("{instructions}", "fix; rm -rf $HOME"),
            ("--task={task_id}/{agent_id}", "--task=t1/a1"),
            ("{agent_type} in {directory}", "coder in /srv/repo"),
            ("{context.branch}", "main"),
            ("{{\"id\": \"{task_id}\"}}", "{\"id\": \"t1\"}"),
            ("plain", "plain"),
            ("", ""),
            ("ünï{task_id}çode", "ünït1çode"),
        ] {
            let spec = spec_for(&runtime(&["run", argument]), &request()).unwrap();
            assert_eq!(spec.command, ["run", filled], "{argument}");
        }
    }

    #[test]
    fn a_value_is_never_filled_twice() {
        let request = AgentRequest { instructions: "{task_id}".to_owned(), ..request() };
        let spec = spec_for(&runtime(&["{instructions}"]), &request).unwrap();
        assert_eq!(spec.command, ["{task_id}"]);
    }

    #[test]
    fn a_placeholder_that_cannot_be_filled_is_refused_and_says_why() {
        for (argument, hint) in [
            ("{instruction}", "did you mean `{instructions}`"),
            ("{zzz}", "context.KEY"),
            ("{context.tag}", "no `tag`"),
            ("{task_id", "without its partner"),
            ("task_id}", "without its partner"),
            ("{}", "nobody knows"),
        ] {
            let problem = spec_for(&runtime(&["run", argument]), &request()).unwrap_err();
            assert_eq!(problem.class, ErrorClass::Configuration);
            assert!(problem.message.contains(hint), "{argument}: {problem}");
        }
    }

    #[test]
    fn a_directory_nobody_named_has_no_value() {
        let nowhere = AgentRequest { directory: None, ..request() };
        assert!(spec_for(&runtime(&["{directory}"]), &nowhere).unwrap_err().message.contains("neither"));
        let home = AgentRuntime { directory: Some("/home/agent".into()), ..runtime(&["{directory}"]) };
        assert_eq!(spec_for(&home, &nowhere).unwrap().command, ["/home/agent"]);
    }

    #[test]
    fn an_unknown_agent_type_names_the_nearest() {
        let runtimes = [("coder".to_owned(), runtime(&["x"])), ("tester".to_owned(), runtime(&["x"]))].into();
        let message = |agent_type| runtime_for(&runtimes, agent_type).unwrap_err().message;
        assert!(message("codr").contains("did you mean `coder`"));
        assert!(message("zzz").contains("coder, tester"));
        assert!(runtime_for(&BTreeMap::new(), "coder").unwrap_err().message.contains("[agent.coder]"));
    }

    #[test]
    fn context_becomes_variables_and_two_keys_for_one_are_refused() {
        let mut request = request();
        let spec = spec_for(&runtime(&["x"]), &request).unwrap();
        assert_eq!(spec.env["WASMVISOR_CONTEXT_BRANCH"], "main");
        request.context.insert("Branch".to_owned(), "dev".to_owned());
        assert!(spec_for(&runtime(&["x"]), &request).unwrap_err().message.contains("rename one"));
    }

    #[test]
    fn the_timeout_of_a_request_takes_the_place_of_the_runtimes() {
        let minute = Some(OrOff::Of(Span::seconds(60)));
        let mut slow = runtime(&["x"]);
        slow.limits.timeout = Some(OrOff::Of(Span::seconds(600)));
        let spec = spec_for(&slow, &AgentRequest { timeout: minute, ..request() }).unwrap();
        assert_eq!((spec.limits.timeout, spec.timeout), (minute, None));
        spec.validate().unwrap();
    }

    #[test]
    fn an_id_that_cannot_name_a_process_is_refused() {
        for id in ["", "a b", "ä", &"x".repeat(59)] {
            let request = AgentRequest { agent_id: id.to_owned(), ..request() };
            assert_eq!(spec_for(&runtime(&["x"]), &request).unwrap_err().rule.as_deref(), Some("agent-id"), "{id}");
        }
        let longest = AgentRequest { agent_id: "x".repeat(58), ..request() };
        spec_for(&runtime(&["x"]), &longest).unwrap().validate().unwrap();
    }
}
