//! What the services say of themselves (see `torture/program.c`), against what the supervisor says of them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use crate::support::Fleet;

/// A time in which neither supervisor nor holder lived: how a run ended then, the kernel has told nobody.
#[derive(Debug)]
pub(super) struct Darkness {
    pub(super) began: SystemTime,
    pub(super) ended: SystemTime,
}

/// A run, by the name of its service and its number.
type Run = (String, u64);

/// Everything that is known of all runs.
#[derive(Debug)]
pub(super) struct Books {
    directory: PathBuf,
    logs: PathBuf,
    /// How runs ended, as the supervisor told it at any time.
    told: HashMap<Run, String>,
}

/// What a run has written about itself.
#[derive(Debug)]
struct Account {
    pid: u64,
    lines: u64,
    /// `code:N`, `signal:N`, or `none` as long as it goes on.
    end: String,
    written: SystemTime,
}

impl Books {
    pub(super) fn of(fleet: &Fleet) -> Self {
        let (directory, logs) = (fleet.path().join("books"), fleet.state_dir().join("logs"));
        Self { directory, logs, told: HashMap::new() }
    }

    /// Note what the supervisor says now, and give its records.
    pub(super) fn note(&mut self, fleet: &Fleet) -> Vec<Value> {
        let page = fleet.json(&["ps"]);
        let records = page["processes"].as_array().expect("a page has processes").clone();
        for record in &records {
            let name = record["name"].as_str().expect("a name").to_owned();
            let number = record["run_number"].as_u64().expect("a number");
            // Newest first, and the live one is not among them.
            let newest = match record["status"].as_str() {
                Some("running" | "idle" | "stopping") => number.saturating_sub(1),
                Some("backoff") => number,
                _ => continue,
            };
            for (past, number) in record["runs"].as_array().into_iter().flatten().zip((1..=newest).rev()) {
                self.told.insert((name.clone(), number), words(&past["ending"]));
            }
        }
        records
    }

    /// Whether the run of this record says of itself that it is this run.
    pub(super) fn knows(&self, record: &Value) -> bool {
        let name = record["name"].as_str().unwrap_or_default();
        let book = format!("{name}.{}.{}.book", record["run_number"], record["run"]["pid"]);
        self.directory.join(book).exists()
    }

    /// Whether the supervisor has told the end of every run that had ended by itself by then.
    pub(super) fn is_told_until(&self, then: SystemTime) -> bool {
        let ended = |account: &Account| account.end != "none" && account.written < then;
        let accounts = self.accounts(&mut Vec::new());
        accounts.iter().all(|(run, account)| !ended(account) || self.told.contains_key(run))
    }

    /// Everything that does not fit together; what ended after `asked` need not be on record.
    pub(super) fn check(&self, darkness: &[Darkness], headless: &[Darkness], asked: SystemTime) -> Vec<String> {
        let mut mistakes = Vec::new();
        let accounts = self.accounts(&mut mistakes);
        let within = |times: &[Darkness], account: &Account| {
            times.iter().any(|time| (time.began..=time.ended).contains(&account.written))
        };
        for (run, account) in &accounts {
            let dark = within(darkness, account);
            mistakes.extend(self.check_end(run, account, dark, account.written >= asked));
        }
        self.check_lines(&accounts, |account| within(headless, account), &mut mistakes);
        mistakes
    }

    /// The account of each run; two of one run are a mistake.
    fn accounts(&self, mistakes: &mut Vec<String>) -> BTreeMap<Run, Account> {
        let mut accounts: BTreeMap<Run, Account> = BTreeMap::new();
        for path in files_of(&self.directory) {
            let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name").to_owned();
            if name.ends_with(".doubled") {
                mistakes.push(format!("{name}: began while another run of the same service lived"));
            }
            let Some(account) = name.ends_with(".book").then(|| read_account(&path)).flatten() else { continue };
            let mut parts = name.split('.');
            let run = (parts.next().expect("a service").to_owned(), number(parts.next()));
            let account = Account { pid: number(parts.next()), ..account };
            if let Some(other) = accounts.get(&run) {
                mistakes.push(format!("{run:?} was made twice: pids {} and {}", other.pid, account.pid));
            }
            accounts.insert(run, account);
        }
        accounts
    }

    fn check_end(&self, run: &Run, account: &Account, dark: bool, last: bool) -> Option<String> {
        if account.end == "none" || account.end == "no-output" {
            return Some(format!("{run:?} was ended by somebody else: {account:?}, told as {:?}", self.told.get(run)));
        }
        match self.told.get(run) {
            Some(told) if *told == account.end => None,
            Some(told) if told == "unknown" && dark => None,
            // It ended after the last look at the records.
            None if last => None,
            told => Some(format!("{run:?} ended with {}, told as {told:?} (dark: {dark})", account.end)),
        }
    }

    /// Each run's lines are all there, once, and in order. Of a run that ended without a holder the last may be missing:
    /// the kernel drops a pipe that nobody has any more.
    fn check_lines(
        &self,
        accounts: &BTreeMap<Run, Account>,
        is_headless: impl Fn(&Account) -> bool,
        mistakes: &mut Vec<String>,
    ) {
        let mut found: HashMap<Run, u64> = HashMap::new();
        for directory in files_of(&self.logs) {
            for line in lines_of(&directory) {
                let mut words = line.split(' ');
                let run = (words.next().unwrap_or_default().to_owned(), number(words.next()));
                let (line_number, before) = (number(words.next()), found.get(&run).copied().unwrap_or_default());
                if line_number != before + 1 {
                    mistakes.push(format!("{run:?}: line {line_number} follows line {before}: {line:?}"));
                }
                found.insert(run, line_number);
            }
        }
        for (run, account) in accounts {
            let found = found.remove(run).unwrap_or_default();
            // It may have been killed between a line and its account.
            let fits = found == account.lines
                || (account.end == "none" && found == account.lines + 1)
                || (found < account.lines && is_headless(account));
            if !fits {
                mistakes.push(format!(
                    "{run:?} wrote {} lines, of which {found} are there ({})",
                    account.lines, account.end
                ));
            }
        }
        mistakes.extend(found.keys().map(|run| format!("lines of {run:?}, which never was")));
    }
}

/// An ending as the services write it.
fn words(ending: &Value) -> String {
    let exit = &ending["ended"];
    match (&exit["code"], &exit["signal"]) {
        (Value::Number(code), _) => format!("code:{code}"),
        (_, Value::Number(signal)) => format!("signal:{signal}"),
        _ if exit == "unknown" => "unknown".to_owned(),
        _ => ending.to_string(),
    }
}

fn number(word: Option<&str>) -> u64 {
    word.and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn files_of(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the directory can be listed");
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Nothing when the run was killed before it had written anything.
fn read_account(path: &Path) -> Option<Account> {
    let text = std::fs::read_to_string(path).expect("a book can be read");
    let (lines, end) = text.trim_end().strip_prefix("lines=")?.split_once(" end=")?;
    let written = path.metadata().and_then(|data| data.modified()).expect("files have times");
    Some(Account { pid: 0, lines: number(Some(lines)), end: end.trim_end().to_owned(), written })
}

/// The output of a process, files put aside first: their names tell where they stand in the stream.
fn lines_of(directory: &Path) -> Vec<String> {
    let is_output = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name == "stdout.log"
            || name.strip_prefix("stdout.log.").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_hexdigit()))
    };
    let mut files: Vec<_> = files_of(directory).into_iter().filter(is_output).collect();
    // The plain name sorts first and comes last.
    if !files.is_empty() {
        files.rotate_left(1);
    }
    let text: String = files.iter().map(|path| std::fs::read_to_string(path).expect("output is text")).collect();
    text.lines().map(str::to_owned).collect()
}
