//! Which process a person means. Pure.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::error::{ErrorClass, Problem};
use crate::record::ProcessRecord;

/// How alike a name must be to be worth a guess: Jaro-Winkler similarity, 0 to 1.
const ALIKE: f64 = 0.75;
/// How many ids a message names.
const MOST_NAMED: usize = 5;

/// The process of this id, else of this name (live before ended, then the newest), else the only one whose id begins
/// so.
pub(super) fn meant<'a>(
    records: impl Iterator<Item = &'a Arc<ProcessRecord>> + Clone,
    text: &str,
) -> Result<Arc<ProcessRecord>, Problem> {
    if text.is_empty() {
        return Err(Problem::new(ErrorClass::Configuration, "no process named; give a name, an id or its beginning"));
    }
    if let Some(record) = records.clone().find(|record| record.process_id.as_str() == text) {
        return Ok(Arc::clone(record));
    }
    let newest = |record: &&Arc<ProcessRecord>| {
        (!record.status.is_ended(), record.registered_at_ms, Reverse(record.process_id.clone()))
    };
    if let Some(record) = records.clone().filter(|record| record.name == text).max_by_key(newest) {
        return Ok(Arc::clone(record));
    }
    let mut fitting: Vec<_> = records.clone().filter(|record| record.process_id.as_str().starts_with(text)).collect();
    match fitting.as_slice() {
        [] => Err(unknown(records, text)),
        [record] => Ok(Arc::clone(record)),
        _ => {
            fitting.sort_by_key(|record| &record.process_id);
            Err(ambiguous(&fitting, text))
        }
    }
}

fn unknown<'a>(records: impl Iterator<Item = &'a Arc<ProcessRecord>>, text: &str) -> Problem {
    let nearest = records
        .map(|record| (strsim::jaro_winkler(&record.name, text), record.name.as_str()))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, one_name), (other, other_name)| one.total_cmp(other).then(other_name.cmp(one_name)));
    let hint = nearest.map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"));
    Problem::new(ErrorClass::NotFound, format!("no process is called `{text}` and no id begins so{hint}"))
}

fn ambiguous(fitting: &[&Arc<ProcessRecord>], text: &str) -> Problem {
    let named: Vec<_> =
        fitting.iter().take(MOST_NAMED).map(|record| format!("{} ({})", record.process_id, record.name)).collect();
    let more = fitting.len().saturating_sub(MOST_NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let message = format!("`{text}` begins several ids: {}{more}; write more of it", named.join(", "));
    Problem::new(ErrorClass::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::record;
    use super::*;
    use crate::record::Status;
    use crate::units::Timestamp;

    fn known() -> Vec<Arc<ProcessRecord>> {
        let of = |id: &str, name: &str, status, registered| {
            let mut record = record(id);
            (record.name, record.status) = (name.to_owned(), status);
            record.registered_at_ms = Timestamp(registered);
            Arc::new(record)
        };
        vec![
            of("ab12", "web", Status::Stopped, 30),
            of("ab34", "web", Status::Running, 10),
            of("cd56", "web", Status::Running, 20),
            of("ef78", "worker", Status::Stopped, 1),
            of("ef79", "worker", Status::Crashed, 2),
            of("web", "other", Status::Running, 1),
        ]
    }

    #[test]
    fn an_id_a_name_or_the_beginning_of_an_id_finds_its_process() {
        let known = known();
        for (text, id) in
            [("ab12", "ab12"), ("c", "cd56"), ("web", "web"), ("worker", "ef79"), ("ef78", "ef78"), ("other", "web")]
        {
            assert_eq!(meant(known.iter(), text).unwrap().process_id.as_str(), id, "{text}");
        }
    }

    #[test]
    fn of_those_with_one_name_the_newest_live_one_is_meant() {
        let known: Vec<_> = known().into_iter().filter(|record| record.process_id.as_str() != "web").collect();
        assert_eq!(meant(known.iter(), "web").unwrap().process_id.as_str(), "cd56");
    }

    #[test]
    fn a_beginning_that_fits_several_names_them() {
        let problem = meant(known().iter(), "ab").unwrap_err();
        assert_eq!(problem.class, ErrorClass::Configuration);
        assert_eq!(problem.message, "`ab` begins several ids: ab12 (web), ab34 (web); write more of it");
    }

    #[test]
    fn a_name_nobody_has_names_the_nearest() {
        let known = known();
        let problem = meant(known.iter(), "wroker").unwrap_err();
        assert_eq!(problem.class, ErrorClass::NotFound);
        assert_eq!(problem.message, "no process is called `wroker` and no id begins so; did you mean `worker`?");
        assert!(!meant(known.iter(), "zzz").unwrap_err().message.contains("did you mean"));
        assert!(meant(known.iter(), "").is_err());
    }
}
