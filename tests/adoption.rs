//! Life after the supervisor's death: what the next one goes on with, what it ends, and what it starts.
//!
//! Every death is a real `kill -9` of the built program.

mod leaving;

use serde_json::Value;

use crate::fleet::with;
use crate::support::{Fleet, eventually, lives};

const PAIR: &str = r#"
[process.one]
command = ["sleep", "1011"]

[process.two]
command = ["sh", "-c", "sleep 1012 & wait"]
"#;

fn pid(record: &Value) -> u64 {
    record["run"]["pid"].as_u64().expect("a run has a pid")
}

/// `HEAD` with these keys in `[supervisor]` and these tables after it.
fn with_keys(keys: &str, tables: &str) -> String {
    with(tables).replace("[supervisor]\n", &format!("[supervisor]\n{keys}\n"))
}

fn rewrite(fleet: &Fleet, configuration: &str) {
    let text = configuration.replace("{dir}", &fleet.path().display().to_string());
    std::fs::write(fleet.path().join("fleet.toml"), text).expect("the configuration can be written");
}

/// Live processes of this fleet with this word among their arguments.
fn copies(fleet: &Fleet, word: &str) -> usize {
    let has = |pid: &u64| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    };
    fleet.survivors().iter().filter(|pid| has(pid)).count()
}

#[test]
fn processes_of_a_killed_supervisor_are_the_same_under_the_next() {
    let mut fleet = Fleet::start(&with(PAIR));
    let before = ["one", "two"].map(|name| fleet.await_status(name, "running"));
    fleet.kill();
    assert!(before.iter().all(|record| lives(pid(record))), "they outlive it");
    fleet.launch();
    for record in before {
        let now = fleet.await_status(record["name"].as_str().unwrap(), "running");
        for field in ["process_id", "run", "run_number", "restarts", "started_at_ms", "registered_at_ms"] {
            assert_eq!(now[field], record[field], "{field} of {}", record["name"]);
        }
    }
    let stats = fleet.json(&["stats"]);
    assert_eq!((stats["adopted"].as_u64(), stats["orphans"].as_u64()), (Some(2), Some(0)));
    assert_eq!((copies(&fleet, "1011"), copies(&fleet, "1012")), (1, 1), "nothing was started twice");
    fleet.await_event("it is told of each", |event| event["type"] == "process.adopted" && event["name"] == "two");
    fleet.await_event("and of all", |event| event["type"] == "supervisor.adopted" && event["adopted"] == 2);
}

#[test]
fn an_adopted_process_is_measured_stopped_and_restarted_like_any_other() {
    let mut fleet = Fleet::start(&with(PAIR));
    let old = pid(&fleet.await_status("two", "running"));
    fleet.kill();
    fleet.launch();
    eventually("it is measured", || {
        fleet.process("two")["usage"]["memory_bytes"].as_u64().filter(|memory| *memory > 0)
    });
    fleet.text(&["restart", "two"]);
    let fresh = fleet.await_status("two", "running");
    assert_ne!(pid(&fresh), old);
    assert_eq!((fresh["run_number"].as_u64(), fresh["restarts"].as_u64()), (Some(2), Some(1)));
    assert!(!lives(old));
    fleet.text(&["stop", "two"]);
    assert_eq!(copies(&fleet, "1012"), 0, "its tree is gone");
}

#[test]
fn one_that_ended_meanwhile_has_its_true_exit_code_and_time_and_comes_back_as_its_policy_says() {
    let tables = "[process.brief]\ncommand = [\"sh\", \"-c\", \"while [ ! -e {dir}/go ]; do sleep 0.02; done; rm {dir}/go; exit 7\"]";
    let mut fleet = Fleet::start(&with(tables));
    let record = fleet.await_status("brief", "running");
    fleet.kill();
    std::fs::write(fleet.path().join("go"), "").unwrap();
    eventually("it ends while nobody looks", || (!lives(pid(&record))).then_some(()));
    let ended_by = wall_ms();
    std::thread::sleep(std::time::Duration::from_millis(300));
    fleet.launch();
    let now = eventually("it runs again", || {
        let now = fleet.process("brief");
        (now["status"] == "running" && now["run_number"] == 2).then_some(now)
    });
    assert_eq!((&now["process_id"], &now["restarts"]), (&record["process_id"], &Value::from(1)));
    let run = &now["runs"][0];
    assert_eq!(
        (&run["ending"], &run["started_at_ms"]),
        (&serde_json::json!({"ended": {"code": 7}}), &record["started_at_ms"])
    );
    let end = run["started_at_ms"].as_u64().unwrap() + run["lasted_ms"].as_u64().unwrap();
    assert!(end <= ended_by + 50, "the end is that of the run ({end}), not that of its discovery ({ended_by})");
}

fn wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis() as u64
}

#[test]
fn one_that_did_its_work_meanwhile_is_not_started_again() {
    let tables = "[process.job]\ncommand = [\"sh\", \"-c\", \"echo ran >> {dir}/ran; while [ ! -e {dir}/go ]; do sleep 0.02; done\"]";
    let mut fleet = Fleet::start(&with(tables));
    let record = fleet.await_status("job", "running");
    fleet.kill();
    std::fs::write(fleet.path().join("go"), "").unwrap();
    eventually("it ends", || (!lives(pid(&record))).then_some(()));
    fleet.launch();
    let now = fleet.await_status("job", "stopped");
    assert_eq!((&now["process_id"], &now["exit"]), (&record["process_id"], &serde_json::json!({"code": 0})));
    assert_eq!(std::fs::read_to_string(fleet.path().join("ran")).unwrap(), "ran\n");
}

#[test]
fn one_that_somebody_started_stays_wanted_with_its_environment() {
    let mut fleet = Fleet::start(&with(""));
    fleet.text(&["start", "--name", "extra", "--env", "SECRET=hush", "--", "sh", "-c", "echo $SECRET; sleep 1013"]);
    let record = fleet.await_status("extra", "running");
    fleet.kill();
    fleet.launch();
    let now = fleet.await_status("extra", "running");
    assert_eq!((&now["run"], &now["process_id"]), (&record["run"], &record["process_id"]));
    assert!(!now.to_string().contains("hush"), "a secret is in no answer");
    fleet.text(&["restart", "extra"]);
    let said = eventually("its next run has said its word", || {
        Some(fleet.text(&["logs", "extra"])).filter(|said| said.matches("hush").count() == 2)
    });
    assert!(said.contains("hush"));
}

#[test]
fn the_configuration_of_the_next_life_decides_who_is_wanted() {
    let mut fleet = Fleet::start(&with(&format!("{PAIR}[process.three]\ncommand = [\"sleep\", \"1014\"]")));
    let [one, two, three] = ["one", "two", "three"].map(|name| fleet.await_status(name, "running"));
    fleet.kill();
    rewrite(
        &fleet,
        &with("[process.one]\ncommand = [\"sleep\", \"1011\"]\n[process.three]\ncommand = [\"sleep\", \"2014\"]"),
    );
    fleet.launch();
    assert_eq!(fleet.await_status("one", "running")["run"], one["run"], "unchanged");
    assert_eq!(fleet.await_status("two", "stopped")["process_id"], two["process_id"]);
    let changed = fleet.await_status("three", "running");
    assert_ne!(changed["process_id"], three["process_id"]);
    assert_eq!([pid(&two), pid(&three)].map(lives), [false, false]);
    assert_eq!((copies(&fleet, "1014"), copies(&fleet, "2014")), (0, 1));
}

#[test]
fn a_deadline_counts_from_the_true_beginning_of_a_run() {
    let tables =
        "[process.long]\ncommand = [\"sleep\", \"1015\"]\nrestart = \"no\"\nlimits = { execution_time = \"4s\" }";
    let mut fleet = Fleet::start(&with(tables));
    let record = fleet.await_status("long", "running");
    fleet.kill();
    std::thread::sleep(std::time::Duration::from_secs(2));
    fleet.launch();
    fleet.await_status("long", "crashed");
    let events = fleet.events();
    let exited = events.iter().find(|event| event["type"] == "process.exited").expect("its end is told");
    assert_eq!(exited["pid"], record["run"]["pid"]);
    let lasted = exited["lasted_ms"].as_u64().unwrap();
    // Not a measure of speed: counted anew it would be two seconds more, whatever the machine does.
    assert!((4000..6000).contains(&lasted), "{lasted}");
}

#[test]
fn a_wait_for_a_restart_goes_on_and_attempts_stay_counted() {
    let slow = r#"settings = { base_delay = "3s", max_delay = "10s", max_attempts = 3, jitter = "none" }"#;
    let tables = "[process.failing]\ncommand = [\"sh\", \"-c\", \"echo ran >> {dir}/ran; exit 3\"]";
    let text = with(tables);
    let quick = text.lines().find(|line| line.contains("base_delay")).unwrap().to_owned();
    let mut fleet = Fleet::start(&text.replace(&quick, slow));
    let waiting = fleet.await_status("failing", "backoff");
    fleet.kill();
    fleet.launch();
    let now = fleet.process("failing");
    assert_eq!((&now["status"], &now["next_restart_at_ms"]), (&Value::from("backoff"), &waiting["next_restart_at_ms"]));
    let again = fleet.await_event("the next attempt", |event| event["type"] == "process.backoff");
    assert_eq!(again["attempt"], 2, "the first was in the life before");
    assert_eq!(std::fs::read_to_string(fleet.path().join("ran")).unwrap(), "ran\nran\n");
}

#[test]
fn a_queued_process_is_still_queued_and_starts_when_there_is_room() {
    let tables = "[process.a]\ncommand = [\"sleep\", \"1016\"]\n[process.b]\ncommand = [\"sleep\", \"1017\"]";
    let mut fleet = Fleet::start(&with_keys("max_processes = 1", tables));
    let running = fleet.await_status("a", "running");
    let queued = fleet.await_status("b", "queued");
    fleet.kill();
    fleet.launch();
    assert_eq!(fleet.await_status("a", "running")["run"], running["run"]);
    assert_eq!(fleet.await_status("b", "queued")["process_id"], queued["process_id"]);
    fleet.text(&["stop", "a"]);
    fleet.await_status("b", "running");
}

#[test]
fn a_paused_process_stands_still_until_it_is_resumed() {
    let mut fleet = Fleet::start(&with(PAIR));
    let one = fleet.await_status("one", "running");
    fleet.text(&["pause", "one"]);
    fleet.kill();
    fleet.launch();
    assert_eq!((&fleet.process("one")["run"], &fleet.process("one")["reason"]), (&one["run"], &Value::from("paused")));
    fleet.text(&["resume", "one"]);
    assert_eq!(fleet.process("one")["reason"], "");
}

#[test]
fn a_stop_that_was_under_way_is_finished_by_the_next_life() {
    let tables = "[process.stubborn]\ncommand = [\"sh\", \"-c\", \"trap '' TERM; while :; do sleep 0.05; done\"]\ngraceful_shutdown_timeout = \"2s\"";
    let mut fleet = Fleet::start(&with(tables));
    let record = fleet.await_status("stubborn", "running");
    let mut asking = fleet.command(&["stop", "stubborn"]).spawn().unwrap();
    fleet.await_status("stubborn", "stopping");
    eventually("the wish is on disk", || fleet.is_on_disk("stopping").then_some(()));
    fleet.kill();
    asking.wait().unwrap();
    fleet.launch();
    let now = fleet.await_status("stubborn", "stopped");
    assert_eq!((&now["process_id"], &now["run_number"]), (&record["process_id"], &Value::from(1)));
    assert!(!lives(pid(&record)));
}

#[test]
fn a_bad_configuration_of_the_next_life_hurts_nobody() {
    let mut fleet = Fleet::start(&with(PAIR));
    let one = fleet.await_status("one", "running");
    fleet.kill();
    rewrite(&fleet, &with(&format!("{PAIR}[process.three]\ncommand = [\"not-allowed-and-not-there\"]")));
    assert!(!fleet.run_command().output().unwrap().status.success());
    assert!(lives(pid(&one)), "a refused start ends nothing");
    rewrite(&fleet, &with(PAIR));
    fleet.launch();
    assert_eq!(fleet.await_status("one", "running")["run"], one["run"]);
}

#[test]
fn orphans_of_both_dead_are_adopted_or_ended_as_configured() {
    for (setting, goes_on) in [("adopt", true), ("stop", false)] {
        let mut fleet = Fleet::start(&with_keys(&format!("orphans = \"{setting}\""), PAIR));
        let two = fleet.await_status("two", "running");
        fleet.kill_holder();
        fleet.kill();
        assert!(lives(pid(&two)));
        fleet.launch();
        let now = fleet.await_status("two", "running");
        assert_eq!(now["run"] == two["run"], goes_on, "{setting}: {now}");
        assert_eq!(copies(&fleet, "1012"), 1, "{setting}");
        let cleaned = fleet.json(&["stats"])["orphans"].as_u64().unwrap();
        assert_eq!(cleaned == 0, goes_on, "{setting}: {cleaned}");
        let told = fleet.events().iter().any(|event| event["type"] == "registry.orphans-cleaned");
        assert_eq!(told, !goes_on, "{setting}");
    }
}

#[test]
fn the_death_of_the_holder_is_told_and_everything_goes_on() {
    let fleet = Fleet::start(&with(PAIR));
    let one = fleet.await_status("one", "running");
    fleet.kill_holder();
    fleet.await_event("it is told", |event| event["type"] == "holder.lost");
    assert!(lives(pid(&one)));
    assert_eq!(fleet.json(&["stats"])["holder"]["losses"], 1);
    fleet.text(&["restart", "one"]);
    fleet.await_event("another serves", |event| event["type"] == "holder.started" && event["seq"].as_u64() > Some(3));
    let fresh = fleet.await_status("one", "running");
    assert_ne!(fresh["run"], one["run"]);
    assert!(!lives(pid(&one)));
    assert_eq!(fresh["runs"][0]["ending"], serde_json::json!({"ended": {"signal": 15}}), "how it ended is known");
}
