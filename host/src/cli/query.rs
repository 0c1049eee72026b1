//! `wasmvisor query`: find processes by what is known of them.

use std::time::Duration;

use clap::Args;

use super::arguments::{duration, moment, words};
use super::ps;
use super::shell::{Outcome, Shell};
use crate::health::Health;
use crate::record::{Query, SortKey, Status};
use crate::spec::Priority;
use crate::units::{Bytes, Percent, Timestamp};

const EXAMPLES: &str = "\
Examples:
  wasmvisor query --status running,idle --sort memory --desc --limit 10
  wasmvisor query --health unhealthy --started-after 5m       started in the last five minutes
  wasmvisor query --memory-above 512MiB --cpu-above 50%
  wasmvisor query --history --tag batch --name 'build-*' --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Any of these statuses
    #[arg(long, value_delimiter = ',', value_parser = words(Status::ALL, Status::as_str))]
    status: Vec<Status>,
    /// Any of these
    #[arg(long, value_delimiter = ',', value_parser = words(Health::ALL, Health::as_str))]
    health: Vec<Health>,
    /// Agent type, as a glob
    #[arg(long, value_name = "GLOB")]
    agent_type: Option<String>,
    /// Any of these priorities
    #[arg(long, value_delimiter = ',', value_parser = words(&Priority::ALL, Priority::as_str))]
    priority: Vec<Priority>,
    /// Exactly this task
    #[arg(long, value_name = "ID")]
    task_id: Option<String>,
    /// All of these tags
    #[arg(long, value_delimiter = ',')]
    tag: Vec<String>,
    /// Name, as a glob
    #[arg(long, value_name = "GLOB")]
    name: Option<String>,
    /// Started since then: an age (5m) or a date and time
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    started_after: Option<Timestamp>,
    /// Started before then: an age (5m) or a date and time
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    started_before: Option<Timestamp>,
    /// Did something in the last of this time, for example 30s
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    active_within: Option<Duration>,
    /// Uses at least this much memory, for example 512MiB
    #[arg(long, value_name = "SIZE")]
    memory_above: Option<Bytes>,
    /// Uses at least this much processor, for example 50%
    #[arg(long, value_name = "PERCENT")]
    cpu_above: Option<Percent>,
    /// Ended processes from the history too
    #[arg(long, short = 'a', visible_alias = "all")]
    history: bool,
    /// Order
    #[arg(long, default_value = "start", value_parser = words(SortKey::ALL, SortKey::as_str))]
    sort: SortKey,
    /// Largest, newest or highest first
    #[arg(long)]
    desc: bool,
    /// At most this many
    #[arg(long, short = 'n', value_name = "COUNT")]
    limit: Option<usize>,
    /// Leave out this many first
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    offset: usize,
}

impl From<Arguments> for Query {
    fn from(arguments: Arguments) -> Self {
        Self {
            status: arguments.status,
            health: arguments.health,
            agent_type: arguments.agent_type,
            priority: arguments.priority,
            task_id: arguments.task_id,
            tag: arguments.tag,
            name: arguments.name,
            started_after_ms: arguments.started_after,
            started_before_ms: arguments.started_before,
            active_within_ms: arguments.active_within.map(|within| within.as_millis() as u64),
            memory_above: arguments.memory_above,
            cpu_above: arguments.cpu_above.map(|percent| percent.get() as f32),
            history: arguments.history,
            sort: arguments.sort,
            descending: arguments.desc,
            limit: arguments.limit,
            offset: arguments.offset,
        }
    }
}

pub(super) async fn run(arguments: Arguments, shell: &Shell) -> Outcome {
    let page = shell.client()?.query(&arguments.into()).await?;
    shell.answer(&page, |page| ps::text(page, shell.colour))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn query(words: &str) -> Query {
        Line::try_parse_from(std::iter::once("query").chain(words.split(' '))).unwrap().arguments.into()
    }

    #[test]
    fn every_filter_reaches_the_query() {
        let query = query(
            "--status running,idle --health unhealthy --agent-type a* --priority high --task-id t --tag x,y --name n* \
             --started-after 1970-01-01T00:00:01Z --started-before 1970-01-01T00:00:02Z --active-within 30s \
             --memory-above 1MiB --cpu-above 50% --history --sort memory --desc --limit 3 --offset 2",
        );
        let wanted = Query {
            status: vec![Status::Running, Status::Idle],
            health: vec![Health::Unhealthy],
            agent_type: Some("a*".into()),
            priority: vec![Priority::High],
            task_id: Some("t".into()),
            tag: vec!["x".into(), "y".into()],
            name: Some("n*".into()),
            started_after_ms: Some(Timestamp(1000)),
            started_before_ms: Some(Timestamp(2000)),
            active_within_ms: Some(30_000),
            memory_above: Some(Bytes::mib(1)),
            cpu_above: Some(50.0),
            history: true,
            sort: SortKey::Memory,
            descending: true,
            limit: Some(3),
            offset: 2,
        };
        assert_eq!(query, wanted);
    }

    #[test]
    fn an_unknown_word_is_refused_with_the_known_ones() {
        let error = Line::try_parse_from(["query", "--status", "runing"]).unwrap_err().to_string();
        assert!(error.contains("running") && error.contains("backoff"), "{error}");
    }
}
