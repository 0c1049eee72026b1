//! From the record of an ended process to the result of a task.
//!
//! Only the pool enters. The judgement is pure; reading the captured output is the only I/O.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::AgentStatus;
use crate::decision::{Ending, LimitKind};
use crate::record::{ProcessRecord, Status};

/// How much of each output a result carries: the last of it, for there the error stands.
const OUTPUT_KEPT: u64 = 1 << 20;
/// What the supervisor gives as the reason when a process is down because its work is done.
const COMPLETED: &str = "completed";

/// How a task ended. `killed`: the pool was asked to end it.
pub(super) fn status_of(record: &ProcessRecord, killed: bool) -> AgentStatus {
    let ending = record.runs.first().map(|run| &run.ending);
    let succeeded = record.exit.is_some_and(|exit| exit.is_success());
    match (record.status, ending) {
        _ if killed => AgentStatus::Killed,
        (_, Some(Ending::Limit(LimitKind::Timeout | LimitKind::ExecutionTime))) => AgentStatus::Timeout,
        (Status::Stopped, _) if succeeded && record.reason == COMPLETED => AgentStatus::Success,
        // Down without having completed: somebody asked for it, whatever code it left with.
        (Status::Stopped, _) => AgentStatus::Killed,
        _ => AgentStatus::Failure,
    }
}

/// From the first start that is recorded to the end, milliseconds; 0 when it never started.
pub(super) fn execution_time_ms(record: &ProcessRecord) -> u64 {
    let starts = record.runs.iter().map(|run| run.started_at_ms).chain(record.started_at_ms);
    match (starts.min(), record.ended_at_ms) {
        (Some(start), Some(end)) => end.since(start).as_millis() as u64,
        _ => 0,
    }
}

/// The last part of a captured output; empty when there is no such file. Blocks.
pub(super) fn read_output(path: Option<&str>) -> String {
    let Some(path) = path else { return String::new() };
    match read_tail(Path::new(path)) {
        Ok(bytes) => text_of(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            tracing::warn!(path, %error, "cannot read the output of an agent");
            String::new()
        }
    }
}

fn read_tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(OUTPUT_KEPT)))?;
    let mut bytes = Vec::with_capacity(length.min(OUTPUT_KEPT) as usize);
    file.take(OUTPUT_KEPT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Output is whatever was written: what is not text is replaced, and a character cut in two at the beginning dropped.
fn text_of(bytes: &[u8]) -> String {
    let is_rest_of_character = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    let cut = bytes.iter().take(3).take_while(|byte| is_rest_of_character(byte)).count();
    String::from_utf8_lossy(&bytes[cut..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::PastRun;
    use crate::health::{Health, IssueSet};
    use crate::sample::{ExitStatus, Trend};
    use crate::spec::{Priority, ProcessId, RestartMode};
    use crate::units::Timestamp;
    use std::io::Write;

    fn record(status: Status, reason: &str, exit: Option<ExitStatus>, endings: &[Ending]) -> ProcessRecord {
        let run = |(place, ending): (usize, &Ending)| {
            // Newest first: each run lasted one second, ten seconds after the one before.
            let started_at_ms = Timestamp(100_000 - 10_000 * place as u64);
            PastRun { started_at_ms, lasted_ms: 1000, ending: ending.clone() }
        };
        let runs: Vec<_> = endings.iter().enumerate().map(run).collect();
        ProcessRecord {
            process_id: ProcessId::new("p1"),
            name: "agent-a1".to_owned(),
            task_id: String::new(),
            agent_type: String::new(),
            priority: Priority::Normal,
            command: String::new(),
            args: Vec::new(),
            directory: String::new(),
            tags: Vec::new(),
            metadata: Default::default(),
            restart: RestartMode::No,
            status,
            reason: reason.to_owned(),
            health: Health::Unknown,
            health_score: None,
            health_status: None,
            issues: IssueSet::default(),
            run: None,
            run_number: runs.len() as u32,
            parent_pid: 1,
            child_pids: Vec::new(),
            registered_at_ms: Timestamp(0),
            started_at_ms: runs.first().map(|run: &PastRun| run.started_at_ms),
            last_active_at_ms: None,
            ended_at_ms: Some(Timestamp(101_000)),
            last_restart_at_ms: None,
            next_restart_at_ms: None,
            restarts: 0,
            exit,
            usage: None,
            peak_memory_bytes: 0,
            cpu_time_ms: 0,
            memory_trend: Trend::default(),
            cpu_trend: Trend::default(),
            responsiveness: 100,
            stability: 100,
            limits: Vec::new(),
            sandbox: Default::default(),
            violations: Default::default(),
            runs,
            queue_position: None,
            stdout_path: None,
            stderr_path: None,
            care: None,
        }
    }

    #[test]
    fn the_status_of_a_task_follows_from_the_end_of_its_process() {
        let (zero, two, killed) = (ExitStatus::Code(0), ExitStatus::Code(2), ExitStatus::Signal(9));
        for (status, reason, exit, ending, wanted) in [
            (Status::Stopped, "completed", Some(zero), Some(Ending::Ended(zero)), AgentStatus::Success),
            (Status::Stopped, "asked to", Some(zero), Some(Ending::Ended(zero)), AgentStatus::Killed),
            (Status::Stopped, "asked to", Some(killed), Some(Ending::Ended(killed)), AgentStatus::Killed),
            (Status::Stopped, "asked to", None, None, AgentStatus::Killed),
            (Status::Crashed, "exit code 2", Some(two), Some(Ending::Ended(two)), AgentStatus::Failure),
            (Status::Error, "gave up", Some(two), Some(Ending::Ended(two)), AgentStatus::Failure),
            (Status::Error, "timeout", Some(killed), Some(Ending::Limit(LimitKind::Timeout)), AgentStatus::Timeout),
            (Status::Error, "memory", Some(killed), Some(Ending::Limit(LimitKind::Memory)), AgentStatus::Failure),
        ] {
            let record = record(status, reason, exit, ending.as_slice());
            assert_eq!(status_of(&record, false), wanted, "{status} {reason} {exit:?} {ending:?}");
            assert_eq!(status_of(&record, true), AgentStatus::Killed);
        }
    }

    #[test]
    fn execution_time_counts_from_the_first_run_to_the_end() {
        let endings = [Ending::Ended(ExitStatus::Code(0)), Ending::Ended(ExitStatus::Code(1))];
        assert_eq!(execution_time_ms(&record(Status::Stopped, "completed", None, &endings)), 11_000);
        assert_eq!(execution_time_ms(&record(Status::Stopped, "never ran", None, &[])), 0);
    }

    #[test]
    fn an_output_that_was_never_made_is_empty() {
        assert_eq!(read_output(None), "");
        assert_eq!(read_output(Some("/nonexistent/stdout.log")), "");
    }

    #[test]
    fn only_the_last_part_of_a_long_output_is_kept() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![b'a'; OUTPUT_KEPT as usize]).unwrap();
        file.write_all(b"the end").unwrap();
        let output = read_output(file.path().to_str());
        assert_eq!(output.len() as u64, OUTPUT_KEPT);
        assert!(output.ends_with("athe end"));
    }

    #[test]
    fn a_character_that_was_cut_is_dropped_and_bytes_that_are_no_text_replaced() {
        assert_eq!(text_of(&"€uro".as_bytes()[1..]), "uro");
        assert_eq!(text_of(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(text_of("ünï".as_bytes()), "ünï");
    }
}
