//! The rules, in the order in which they are asked: what is not found cannot run (`command-not-found`), what is denied
//! may not (`command-denylist`), what is not allowed may not (`command-allowlist`).

use wasmvisor_policy_sdk::admission::{Decision, Lookup, Request, deny};
use wasmvisor_policy_sdk::settings::problem;
use wasmvisor_policy_sdk::{Refusal, SettingsProblem, refuse};

use crate::entry::{Entry, File, file_name};
use crate::settings::Settings;

/// Entries named in a reason; the rest is counted.
const SHOWN: usize = 12;
/// Longest part of a reason that comes from outside, in bytes: the whole has at most 1 KiB.
const CLIP: usize = 160;

/// The two lists, each entry beside the place of its lookup.
#[derive(Clone, Debug)]
pub struct Lists {
    allowed: Vec<(Entry, Option<usize>)>,
    denied: Vec<(Entry, Option<usize>)>,
    multi_call: Vec<String>,
    lookups: Vec<String>,
}

impl Lists {
    /// Read the lists.
    ///
    /// # Errors
    /// Every entry that is none.
    pub fn new(settings: Settings) -> Result<Self, Vec<SettingsProblem>> {
        let mut problems = Vec::new();
        let mut lookups = Vec::new();
        let mut read = |list: &[String], name: &str| {
            let mut entries = Vec::with_capacity(list.len());
            for (place, text) in list.iter().enumerate() {
                match Entry::parse(text) {
                    Ok(entry) => entries.push((entry.clone(), place_of(&entry, &mut lookups))),
                    Err(message) => problems.push(problem(format!("/{name}/{place}"), message)),
                }
            }
            entries
        };
        let allowed = read(&settings.allowed_commands, "allowed_commands");
        let denied = read(&settings.denied_commands, "denied_commands");
        if lookups.len() > 4096 {
            problems.push(problem("", "at most 4096 different names and paths can be looked up; use globs"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { allowed, denied, multi_call: settings.multi_call_programs, lookups })
    }

    /// What the host is to look up.
    #[must_use]
    pub fn lookups(&self) -> Vec<String> {
        self.lookups.clone()
    }

    /// Judge one request.
    ///
    /// # Errors
    /// When the host did not answer the lookups.
    pub fn decide(&self, request: &Request) -> Result<Decision, Refusal> {
        if !self.lookups.iter().eq(request.lookups.iter().map(|lookup| &lookup.query)) {
            return Err(refuse("the lookups in the request are not those that were asked for"));
        }
        let (Some(found), Some(resolved)) = (&request.found, &request.resolved) else {
            return Ok(deny("command-not-found", not_found(&request.command)));
        };
        let multi_call = self.multi_call.iter().any(|name| name == file_name(resolved));
        let file = File { found, resolved, multi_call };
        if let Some(entry) = self.denying(file, &request.lookups) {
            let what = asked(&request.command, file);
            return Ok(deny("command-denylist", format!("{what}, which is denied by `{}`", clip(entry.text()))));
        }
        if covering(&self.allowed, file, &request.lookups).is_some() {
            return Ok(Decision::Allow);
        }
        let what = asked(&request.command, file);
        Ok(deny("command-allowlist", format!("{what}, which is not allowed; {}", self.allowed_in_words())))
    }

    /// A denial also holds for the name a file is found under: a link to it must not be a way round.
    fn denying(&self, file: File<'_>, lookups: &[Lookup]) -> Option<&Entry> {
        let named = self.denied.iter().map(|(entry, _)| entry).find(|entry| entry.names(file));
        named.or_else(|| covering(&self.denied, file, lookups))
    }

    fn allowed_in_words(&self) -> String {
        if self.allowed.is_empty() {
            return "nothing is allowed".to_owned();
        }
        let shown: Vec<&str> = self.allowed.iter().take(SHOWN).map(|(entry, _)| clip_to(entry.text(), 40)).collect();
        let more = match self.allowed.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("allowed are {}{more}", shown.join(", "))
    }
}

/// The place of an exact entry's lookup; two entries with the same text share one.
fn place_of(entry: &Entry, lookups: &mut Vec<String>) -> Option<usize> {
    let Entry::Exact(text) = entry else { return None };
    let known = lookups.iter().position(|query| query == text);
    Some(known.unwrap_or_else(|| {
        lookups.push(text.clone());
        lookups.len() - 1
    }))
}

fn covering<'l>(list: &'l [(Entry, Option<usize>)], file: File<'_>, lookups: &[Lookup]) -> Option<&'l Entry> {
    let found = list.iter().find(|(entry, place)| {
        let looked_up = place.and_then(|place| lookups.get(place)?.resolved.as_deref());
        entry.covers(file, looked_up)
    });
    found.map(|(entry, _)| entry)
}

fn not_found(command: &str) -> String {
    let shown = clip(command);
    if command.contains('/') {
        format!("`{shown}` does not exist or is not executable")
    } else {
        format!("`{shown}` was not found on the PATH of the process")
    }
}

/// What was asked for and what it is; of a multi-call program both names, because both count.
fn asked(command: &str, file: File<'_>) -> String {
    let (command, resolved) = (clip(command), clip(file.resolved));
    if file.multi_call {
        return format!("`{command}` is {resolved} called as {}", clip(file_name(file.found)));
    }
    format!("`{command}` is {resolved}")
}

fn clip(text: &str) -> &str {
    clip_to(text, CLIP)
}

fn clip_to(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
