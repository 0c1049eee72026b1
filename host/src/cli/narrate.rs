//! An event in words: one line for people. Used by `events` and `demo`.

use std::time::Duration;

use crate::alert::{Alert, Severity};
use crate::decision::RestartDecision;
use crate::event::{Event, EventBody};
use crate::health::HealthStatus;
use crate::units::{Bytes, human_duration};

/// One line: the event's name, whom it is about, and what happened.
pub(crate) fn line(event: &Event, colour: bool) -> String {
    let (about, text) = words(&event.body);
    let name = event.body.name();
    let (tint, plain) = if colour { (tint(&event.body), "\x1b[0m") } else { ("", "") };
    format!("{tint}{name:<24}{plain} {about:<15} {text}").trim_end().to_owned()
}

/// Red for what went wrong, yellow for what may, green for what is well again.
fn tint(body: &EventBody) -> &'static str {
    const RED: &str = "\x1b[31m";
    const YELLOW: &str = "\x1b[33m";
    const GREEN: &str = "\x1b[32m";
    match body {
        EventBody::Refused { .. }
        | EventBody::StartFailed { .. }
        | EventBody::Crashed { .. }
        | EventBody::GaveUp { .. }
        | EventBody::StopFailed { .. }
        | EventBody::PolicyRefused { .. }
        | EventBody::PolicyFault { .. }
        | EventBody::HolderLost { .. }
        | EventBody::HolderSilent { silent: true, .. }
        | EventBody::OutputLost { .. }
        | EventBody::Killed { .. } => RED,
        EventBody::AlertRaised { alert } | EventBody::AlertEscalated { alert } => match alert.severity {
            Severity::Info | Severity::Warning => YELLOW,
            Severity::Critical | Severity::Emergency => RED,
        },
        EventBody::HealthChanged { status, .. } => match status {
            HealthStatus::Healthy => GREEN,
            HealthStatus::Warning => YELLOW,
            HealthStatus::Critical | HealthStatus::Failing => RED,
        },
        EventBody::Queued { .. } | EventBody::Backoff { .. } | EventBody::Forecast { .. } => YELLOW,
        EventBody::LimitViolated { .. } => YELLOW,
        EventBody::Adopted { .. } | EventBody::HolderSilent { silent: false, .. } => GREEN,
        EventBody::Started { .. } | EventBody::Restarted { .. } | EventBody::AlertResolved { .. } => GREEN,
        _ => "",
    }
}

/// Whom an event is about, and the rest of it.
fn words(body: &EventBody) -> (String, String) {
    match body {
        EventBody::Refused { name, command, rule, message } => {
            (name.clone(), format!("`{command}` by {rule}: {message}"))
        }
        EventBody::Queued { who, position, priority, reason } => {
            (who.name.clone(), format!("place {position}, priority {priority}: {reason}"))
        }
        EventBody::Starting { who, run } => (who.name.clone(), format!("run {run}")),
        EventBody::Started { who, run, pid } => (who.name.clone(), format!("run {run}, pid {pid}")),
        EventBody::Adopted { who, run, pid } => (who.name.clone(), format!("run {run}, pid {pid}, of an earlier life")),
        EventBody::OutputLost { who, lost_bytes, archives_removed, reason } => {
            (who.name.clone(), format!("{} lost, {archives_removed} old files removed: {reason}", Bytes(*lost_bytes)))
        }
        EventBody::StartFailed { who, message, .. } => (who.name.clone(), message.clone()),
        EventBody::Idle { who, idle } => (who.name.clone(), if *idle { "does nothing" } else { "active again" }.into()),
        EventBody::Stopping { who, reason, grace_ms } => {
            (who.name.clone(), format!("{reason} (grace {})", duration(*grace_ms)))
        }
        EventBody::Killed { who, pid, after_grace_ms } => {
            (who.name.clone(), format!("pid {pid} did not stop in {}", duration(*after_grace_ms)))
        }
        EventBody::Exited { who, run, exit, lasted_ms, peak_memory_bytes, .. } => {
            let known = (*peak_memory_bytes > 0).then(|| format!(", peak {}", Bytes(*peak_memory_bytes)));
            let peak = known.unwrap_or_default();
            (who.name.clone(), format!("run {run}: {exit} after {}{peak}", duration(*lasted_ms)))
        }
        EventBody::Crashed { who, run, reason } => (who.name.clone(), format!("run {run}: {reason}")),
        EventBody::Backoff { who, delay_ms, attempt, reason } => {
            (who.name.clone(), format!("back in {} (attempt {attempt}) after {reason}", duration(*delay_ms)))
        }
        EventBody::Restarted { who, run, pid, restarts } => {
            (who.name.clone(), format!("run {run}, pid {pid}, restart {restarts}"))
        }
        EventBody::GaveUp { who, reason, .. } => (who.name.clone(), reason.clone()),
        EventBody::Stopped { who, reason, .. } => (who.name.clone(), reason.clone()),
        EventBody::StopFailed { who, survivors } => (who.name.clone(), format!("still alive: {survivors:?}")),
        EventBody::Signalled { who, signal } => (who.name.clone(), signal.clone()),
        EventBody::Paused { who, paused } => {
            (who.name.clone(), if *paused { "stands still" } else { "goes on" }.into())
        }
        other => words_of_judgement(other),
    }
}

fn words_of_judgement(body: &EventBody) -> (String, String) {
    match body {
        EventBody::HealthChanged { who, score, previous_score, status, descriptions, .. } => {
            let why = if descriptions.is_empty() { String::new() } else { format!(": {}", descriptions.join("; ")) };
            (who.name.clone(), format!("score {previous_score} -> {score}, {status}{why}"))
        }
        EventBody::HealthCheck { who, passed, failures, detail } => {
            let answer = if *passed { "passed".to_owned() } else { format!("failed {failures} times") };
            (who.name.clone(), format!("{answer} {detail}"))
        }
        EventBody::Forecast { who, metric, limit_in_ms, confidence } => (
            who.name.clone(),
            format!("{metric} reaches its limit in {} (confidence {:.0}%)", duration(*limit_in_ms), confidence * 100.0),
        ),
        EventBody::AlertRaised { alert }
        | EventBody::AlertEscalated { alert }
        | EventBody::AlertResolved { alert, .. } => told(alert),
        EventBody::LimitViolated { who, limit, value, threshold, count, action } => (
            who.name.clone(),
            format!("{limit} {} over {} (time {count}): {action}", number(*value), number(*threshold)),
        ),
        EventBody::PolicySwapped { kind, plugin, version, generation, took_us, .. } => (
            kind.to_string(),
            format!("{plugin} ({version}) rules as generation {generation}, after {}", micros(*took_us)),
        ),
        EventBody::PolicyRefused { plugin, reason } => (String::new(), format!("{plugin}: {reason}")),
        EventBody::PolicyFault { kind, provenance } => {
            let fallback = provenance.fallback.as_ref();
            let fault = fallback.map_or_else(String::new, |fallback| {
                format!(": {} ({}); answered by {}", fallback.fault, fallback.message, fallback.answered_by)
            });
            (kind.to_string(), format!("{}{fault}", provenance.plugin))
        }
        EventBody::RestartDecided { who, decision, provenance } => {
            let decision = match decision {
                RestartDecision::RestartAfter { delay_ms, .. } => format!("restart after {}", duration(*delay_ms)),
                RestartDecision::GiveUp { .. } => "give up".to_owned(),
            };
            (who.name.clone(), format!("{decision}, says {} in {}", provenance.plugin, micros(provenance.took_us)))
        }
        EventBody::ShadowDiffers { kind, plugin, detail } => (kind.to_string(), format!("{plugin}: {detail}")),
        other => words_of_house(other),
    }
}

fn words_of_house(body: &EventBody) -> (String, String) {
    let text = match body {
        EventBody::SupervisorStarted { pid, state_dir, configured } => {
            format!("pid {pid}, {configured} configured, state in {state_dir}")
        }
        EventBody::SupervisorStopping { reason, live } => format!("{reason}; {live} alive"),
        EventBody::SupervisorStopped { uptime_ms, leftovers } => {
            format!("after {}, {leftovers} left behind", duration(*uptime_ms))
        }
        EventBody::SupervisorReloaded { added, removed, changed } => {
            format!("added {added:?}, removed {removed:?}, changed {changed:?}")
        }
        EventBody::SupervisorAdopted { adopted, ended, stopped, orphans } => {
            format!("{adopted} go on, {ended} ended meanwhile, {stopped} no longer wanted, {orphans} orphans ended")
        }
        EventBody::SupervisorLeft { reason, live } => format!("{reason}; {live} go on"),
        EventBody::HolderLost { pid, reason } => format!("pid {pid}: {reason}; runs are watched on"),
        EventBody::HolderStarted { pid } => format!("pid {pid}"),
        EventBody::HolderSilent { pid, silent } => {
            format!("pid {pid} {}", if *silent { "does not answer" } else { "answers again" })
        }
        EventBody::OrphansCleaned { count, pids, origin } => format!("{count} of {origin}: {pids:?}"),
        EventBody::AgentStarted { agent_id, task_id, agent_type, .. } => {
            return (agent_id.clone(), format!("{agent_type} works on {task_id}"));
        }
        EventBody::AgentFinished { agent_id, task_id, status, execution_time_ms, .. } => {
            return (agent_id.clone(), format!("{task_id}: {status} after {}", duration(*execution_time_ms)));
        }
        EventBody::LogsTrimmed { archives, freed_bytes, total_bytes, cap_bytes } => {
            let [freed, total, cap] = [freed_bytes, total_bytes, cap_bytes].map(|bytes| Bytes(*bytes));
            format!("{archives} old log files ({freed}) removed: {total} are left of {cap} allowed")
        }
        EventBody::Coalesced { event_type, count, .. } => format!("{count} more of {event_type}"),
        _ => String::new(),
    };
    (String::new(), text)
}

fn told(alert: &Alert) -> (String, String) {
    (alert.name.clone(), format!("{}, {}: {}", alert.severity, alert.topic, alert.message))
}

fn duration(ms: u64) -> String {
    human_duration(Duration::from_millis(ms))
}

fn micros(us: u64) -> String {
    human_duration(Duration::from_micros(us))
}

/// A metric without its unit: large ones are sizes in bytes, the only metric that grows so large.
fn number(value: f64) -> String {
    if value >= 65_536.0 { Bytes(value as u64).to_string() } else { format!("{value:.0}") }
}
