//! Tasks of agents, from request to result.

use super::with;
use crate::support::Fleet;

const RUNTIMES: &str = r#"
[agent.echo]
command = ["sh", "-c", "echo \"got: $1\"; echo careful >&2", "echo", "{instructions}"]

[agent.fails]
command = ["sh", "-c", "echo broken >&2; exit 4"]
restart = "no"

[agent.dawdles]
command = ["sleep", "1000"]
"#;

#[test]
fn a_task_gives_its_output_and_what_it_used() {
    let fleet = Fleet::start(&with(RUNTIMES));
    let result = fleet.json(&["agent", "run", "--type", "echo", "--instructions", "say $HOME; rm -rf"]);
    assert_eq!((&result["status"], &result["output"]), (&"success".into(), &"got: say $HOME; rm -rf\n".into()));
    assert_eq!(result["error"], "careful\n");
    fleet.await_event("the end is told", |event| event["type"] == "agent.finished");
}

#[test]
fn a_task_that_fails_says_so_with_exit_code_1() {
    let fleet = Fleet::start(&with(RUNTIMES));
    let output = fleet.cli(&["agent", "run", "--type", "fails", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&result["status"], &result["exit"]["code"], &result["error"]),
        (&"failure".into(), &4.into(), &"broken\n".into())
    );
}

#[test]
fn a_task_that_takes_too_long_ends_as_timeout() {
    let fleet = Fleet::start(&with(RUNTIMES));
    let output = fleet.cli(&["agent", "run", "--type", "dawdles", "--timeout", "300ms", "--json"]);
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["status"], "timeout");
}

#[test]
fn an_unknown_agent_type_is_refused_and_the_nearest_named() {
    let fleet = Fleet::start(&with(RUNTIMES));
    let said = fleet.refusal(3, &["agent", "run", "--type", "ecko"]);
    assert!(said.contains("echo"), "{said}");
}
