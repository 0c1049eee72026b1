//! What processes have written, seen from a second terminal.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::with;
use crate::support::{Fleet, eventually, wasmvisor};

const SPEAKER: &str = r#"
[process.speaker]
command = ["sh", "-c", "echo first; sleep 0.3; echo second >&2; sleep 0.3; echo third; exec sleep 1000"]
"#;

fn lines(fleet: &Fleet, arguments: &[&str]) -> Vec<serde_json::Value> {
    let text = fleet.text(&[&["logs", "speaker", "--json"], arguments].concat());
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn spoken(fleet: &Fleet) -> Vec<serde_json::Value> {
    eventually("it has said everything", || {
        let lines = lines(fleet, &[]);
        let exact = lines.iter().all(|line| line.get("approximate").is_none());
        (lines.len() == 3 && exact).then_some(lines)
    })
}

#[test]
fn both_outputs_are_told_in_the_order_in_which_they_were_written() {
    let fleet = Fleet::start(&with(SPEAKER));
    let lines = spoken(&fleet);
    let told: Vec<_> = lines.iter().map(|line| (line["text"].as_str(), line["stream"].as_str())).collect();
    let wanted = [("first", "stdout"), ("second", "stderr"), ("third", "stdout")];
    assert_eq!(told, wanted.map(|(text, stream)| (Some(text), Some(stream))));
}

#[test]
fn output_can_be_asked_for_by_time() {
    let fleet = Fleet::start(&with(SPEAKER));
    let all = spoken(&fleet);
    let at = |place: usize| {
        let ms = all[place]["at_ms"].as_u64().expect("a time");
        let mut second = std::process::Command::new("date");
        second.args(["-u", "+%Y-%m-%dT%H:%M:%S", "-d"]).arg(format!("@{}", ms / 1000));
        let out = second.output().expect("date runs").stdout;
        format!("{}.{:03}Z", String::from_utf8_lossy(&out).trim(), ms % 1000)
    };
    let texts = |arguments: &[&str]| -> Vec<_> {
        lines(&fleet, arguments).iter().map(|line| line["text"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(texts(&["--since", &at(1)]), ["second", "third"]);
    assert_eq!(texts(&["--until", &at(1)]), ["first", "second"]);
    assert_eq!(texts(&["--since", &at(1), "--until", &at(1)]), ["second"]);
    let shown = fleet.text(&["logs", "-t", "--stream", "stderr", "speaker"]);
    assert_eq!(shown, format!("{} second\n", at(1)));
}

#[test]
fn a_range_of_time_that_holds_nothing_is_refused() {
    let fleet = Fleet::start(&with(SPEAKER));
    let said = fleet.refusal(3, &["logs", "speaker", "--since", "1m", "--until", "5m"]);
    assert!(said.contains("nothing is both since"), "{said}");
    let said = fleet.refusal(2, &["logs", "speaker", "--since", "yesterday"]);
    assert!(said.contains("yesterday"), "{said}");
}

#[test]
fn a_follower_hears_every_line_once_and_leaves_with_the_process() {
    let fleet = Fleet::start(&with(
        r#"
[process.speaker]
command = ["sh", "-c", "until test -e {dir}/go; do sleep 0.05; done; i=0; while test $i -lt 2000; do echo line $i; i=$((i+1)); done"]
restart = "no"
"#,
    ));
    let mut follower = wasmvisor()
        .arg("--state-dir")
        .arg(fleet.state_dir())
        .args(["logs", "-f", "speaker"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    let heard = BufReader::new(follower.stdout.take().expect("a pipe"));
    std::fs::write(fleet.path().join("go"), "").expect("the directory is there");
    let heard: Vec<_> = heard.lines().map_while(Result::ok).collect();
    assert_eq!(heard, (0..2000).map(|number| format!("line {number}")).collect::<Vec<_>>());
    assert!(follower.wait().is_ok_and(|status| status.success()));
}

#[test]
fn output_from_before_a_supervisor_was_there_has_a_rough_time() {
    let mut fleet =
        Fleet::start(&with("[process.speaker]\ncommand = [\"sh\", \"-c\", \"echo once\"]\nrestart = \"no\""));
    let id = fleet.await_status("speaker", "stopped")["process_id"].as_str().expect("an id").to_owned();
    eventually("its line was seen", || (!fleet.text(&["logs", "-t", &id]).contains('~')).then_some(()));
    fleet.signal("TERM");
    fleet.await_end();
    let file = fleet.state_dir().join(format!("logs/speaker-{id}/stdout.log"));
    let mut all = std::fs::read_to_string(&file).expect("the log is there");
    all.push_str("meanwhile\n");
    std::fs::write(&file, all).expect("the log can be written");
    fleet.launch();
    let text = fleet.text(&["logs", "-t", &id]);
    let marks: Vec<_> = text.lines().map(|line| line.contains("Z~ ")).collect();
    assert_eq!(marks, [false, true], "{text}");
}
