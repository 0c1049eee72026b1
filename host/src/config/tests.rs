//! Tests of the configuration as a whole: text in, configuration or error out.

use super::*;
use crate::spec::{Limits, Priority};
use crate::units::{Bytes, OrOff};

fn load(text: &str) -> (tempfile::TempDir, Result<Config, ConfigError>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("w.toml");
    std::fs::write(&file, text).unwrap();
    let loaded = Config::load(&file);
    (directory, loaded)
}

/// The lines of the error without the directory.
fn mistakes(text: &str) -> Vec<String> {
    let (directory, loaded) = load(text);
    let prefix = format!("{}/", directory.path().display());
    loaded.unwrap_err().message.lines().map(|line| line.replace(&prefix, "")).collect()
}

#[test]
fn the_default_text_is_the_default_configuration() {
    let (_directory, loaded) = load(default_text());
    assert_eq!(loaded.unwrap(), Config::default());
}

#[test]
fn the_absent_keys_of_the_default_text_show_the_real_defaults() {
    let shown: String = default_text()
        .lines()
        .filter(|line| !line.starts_with("#state_dir") && !line.starts_with("#set"))
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' ')).unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    let (_directory, loaded) = load(&shown);
    let limits = loaded.unwrap().limits;
    assert!(limits.memory.is_some() && limits.timeout.is_some() && limits.pids.is_some());
    assert_eq!(Limits::default().overridden_by(&limits), Limits::default());
}

#[test]
fn an_unknown_key_is_told_with_file_line_column_and_the_nearest_right_key() {
    let told = mistakes("[supervisor]\nmax_proceses = 3\n");
    assert_eq!(told, ["w.toml:2:1: supervisor.max_proceses: unknown key; did you mean `max_processes`?"]);
}

#[test]
fn every_mistake_is_told_at_once_in_the_order_of_the_file() {
    let told = mistakes(
        "[supervisor]\nmax_processes = \"many\"\nqueue_lenght = 1\n[limits]\nmemory = \"2gib\"\n\
         [process.a]\ncommand = [\"a\"]\npriority = \"hgih\"\n[process.b]\ntags = [\"x\"]\n[monitr]\ninterval = \"1s\"\n",
    );
    assert_eq!(told.len(), 6, "{told:#?}");
    for (line, part) in told.iter().zip([
        "w.toml:2:17: supervisor.max_processes: invalid type",
        "w.toml:3:1: supervisor.queue_lenght: unknown key; did you mean `queue_length`?",
        "w.toml:5:10: limits.memory: `2gib` is not a size",
        "w.toml:8:12: process.a.priority: `hgih` is not known here; did you mean `high`?",
        "process.b.command: is missing",
        "monitr: unknown key; did you mean `monitor`?",
    ]) {
        assert!(line.contains(part), "{line}\nlacks {part}");
    }
}

#[test]
fn a_wrong_value_of_a_required_key_is_told_once() {
    assert_eq!(mistakes("[process.a]\ncommand = [\"a\", 3]\n").len(), 1);
}

#[test]
fn impossible_values_are_told_with_their_line() {
    for (text, part) in [
        ("[supervisor]\nmax_processes = 0", "w.toml:2:1: supervisor.max_processes: 0 processes"),
        ("[supervisor]\nqueue_length = 0", "w.toml:2:1: supervisor.queue_length"),
        ("[supervisor]\nmax_memory_in_use = \"120%\"", "w.toml:2:1: supervisor.max_memory_in_use"),
        ("[supervisor]\ngraceful_shutdown_timeout = \"0s\"", "w.toml:2:1: supervisor.graceful_shutdown_timeout"),
        ("[monitor]\ninterval = \"10ms\"", "w.toml:2:1: monitor.interval"),
        ("[monitor]\ntrend_history = 5", "w.toml:2:1: monitor.trend_history: must be 16 to 3600"),
        ("[limits]\ntimeout = \"0s\"", "w.toml:2:1: limits.timeout"),
        ("[limits]\nfile_handles = 0", "limits.file_handles: 0 is not a limit"),
        ("[process.a]\ncommand = []", "w.toml:2:1: process.a.command: is empty"),
        ("[process.\"a b\"]\ncommand = [\"a\"]", "is not 1 to 64 of"),
        ("[process.a]\nname = \"b\"\ncommand = [\"a\"]", "w.toml:2:1: process.a.name: a process is named by its table"),
        ("[process.a]\ncommand = [\"a\"]\nlimits = { execution_time = \"0s\" }", "w.toml:3:12: process.a.limits.exec"),
        ("[agent.x]\ncommand = []", "w.toml:2:1: agent.x.command"),
        ("[agent.x]\nlimits = {}", "agent.x.command: is missing"),
        ("[logs]\nmax_file = \"1KiB\"", "w.toml:2:1: logs.max_file: must be 64KiB or more"),
        ("[logs]\nkeep = 5000", "w.toml:2:1: logs.keep: must be 0 to 1000"),
        ("[process.a]\ncommand = [\"a\"]\nlogs = { keep = 5000 }", "w.toml:3:10: process.a.logs.keep: must be"),
        ("[sandbox]\nrestricted_paths = [\"etc\"]", "w.toml:2:1: sandbox.restricted_paths"),
        ("[policies]\nset = \"https://example.org/set.toml\"", "is not supported in this version"),
        ("[limits]\nmemory = 512", "limits.memory: invalid type: integer `512`, expected a string; write it in quotes"),
    ] {
        let told = mistakes(text);
        assert!(told.len() == 1 && told[0].contains(part), "{text}\n{told:#?}\nlacks {part}");
    }
}

#[test]
fn a_syntax_error_is_told_with_its_place() {
    let told = mistakes("[supervisor]\nmax_processes = = 3\n");
    assert!(told[0].starts_with("w.toml:2:1"), "{told:?}");
}

#[test]
fn a_value_of_the_environment_is_never_told() {
    let told = mistakes("[process.a]\ncommand = [\"a\"]\nenv = { TOKEN = 424242 }\n");
    assert!(told[0].contains("process.a.env.TOKEN: must be text in quotes"), "{told:?}");
    assert!(!told.join("").contains("424242"));
}

#[test]
fn an_unknown_key_beside_inline_policies_is_told() {
    let told = mistakes("[policies]\nsett = \"a.toml\"\n");
    assert_eq!(told, ["w.toml:2:1: policies.sett: unknown key; did you mean `set`?"]);
}

#[test]
fn paths_are_taken_from_the_directory_of_the_file() {
    let (directory, loaded) = load(
        "[supervisor]\nstate_dir = \"state\"\n[process.a]\ncommand = [\"./run\", \"./x\"]\n\
         [process.b]\ncommand = [\"sleep\"]\ndirectory = \"sub\"\npriority = \"high\"\n",
    );
    let (config, base) = (loaded.unwrap(), directory.path());
    assert_eq!(config.supervisor.state_dir, Some(base.join("state")));
    let (a, b) = (&config.process["a"], &config.process["b"]);
    assert_eq!((a.name.as_str(), a.directory.as_deref()), ("a", Some(base)));
    assert_eq!(a.command, [base.join("./run").to_string_lossy().as_ref(), "./x"]);
    assert_eq!((b.command[0].as_str(), b.directory.clone()), ("sleep", Some(base.join("sub"))));
    assert_eq!(b.priority, Priority::High);
}

#[test]
fn the_fragments_of_a_directory_form_one_configuration() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("10-base.toml"), "[limits]\nmemory = \"1GiB\"\n").unwrap();
    std::fs::write(directory.path().join("20-more.toml"), "[limits]\npids = 7\n[process.a]\ncommand = [\"a\"]\n")
        .unwrap();
    std::fs::write(directory.path().join("notes.txt"), "not a fragment").unwrap();
    let config = Config::load(directory.path()).unwrap();
    assert_eq!(config.limits.memory, Some(OrOff::Of(Bytes(1 << 30))));
    assert_eq!(config.limits.pids.and_then(|pids| pids.0), Some(7));
    assert_eq!(config.process["a"].directory.as_deref(), Some(directory.path()));
}

#[test]
fn a_key_in_two_fragments_names_both_files() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.toml"), "[limits]\npids = 7\n").unwrap();
    std::fs::write(directory.path().join("b.toml"), "\n[limits]\npids = 8\n").unwrap();
    let error = Config::load(directory.path()).unwrap_err().message;
    assert!(error.contains("b.toml:3:1: limits.pids: written twice") && error.contains("a.toml:2:1"), "{error}");
}

#[test]
fn a_mistake_in_a_second_fragment_names_that_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.toml"), "[limits]\npids = 7\n").unwrap();
    std::fs::write(directory.path().join("b.toml"), "[monitor]\nintervall = \"1s\"\n").unwrap();
    let error = Config::load(directory.path()).unwrap_err().message;
    assert!(error.contains("b.toml:2:1: monitor.intervall: unknown key; did you mean `interval`?"), "{error}");
}

#[test]
fn a_missing_file_and_an_empty_directory_are_told_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("none.toml");
    assert!(Config::load(&missing).unwrap_err().message.contains("none.toml"));
    assert!(Config::load(directory.path()).unwrap_err().message.contains("holds no *.toml"));
}

#[test]
fn a_service_that_a_timeout_would_end_gets_a_note() {
    let (_d, loaded) =
        load("[process.a]\ncommand = [\"a\"]\nrestart = \"always\"\nlimits = { execution_time = \"off\" }\n");
    let notes = loaded.unwrap().notes();
    assert!(notes.len() == 1 && notes[0].contains("timeout = \"off\""), "{notes:?}");
    let (_d, loaded) = load(
        "[limits]\nexecution_time = \"off\"\n[process.a]\ncommand = [\"a\"]\nrestart = \"always\"\ntimeout = \"off\"\n",
    );
    assert_eq!(loaded.unwrap().notes(), Vec::<String>::new());
}

#[test]
fn log_settings_of_a_process_are_put_over_those_of_all() {
    let text = "[logs]\nmax_file = \"off\"\nkeep = 3\n[process.a]\ncommand = [\"a\"]\nlogs = { max_file = \"1MiB\" }";
    let (_directory, loaded) = load(text);
    let config = loaded.unwrap();
    let rotation = config.logs.rotation(&config.process["a"].logs);
    assert_eq!((rotation.max_bytes, rotation.keep), (1 << 20, 3));
    assert_eq!(config.logs.rotation(&Default::default()).max_bytes, 0);
    assert_eq!(LogsConfig::default().rotation(&Default::default()), crate::platform::Rotation::default());
}

#[test]
fn the_schema_knows_every_section() {
    let schema = schema();
    for section in ["supervisor", "policies", "limits", "sandbox", "monitor", "process", "agent"] {
        assert!(schema["properties"].get(section).is_some(), "{section}");
    }
}
