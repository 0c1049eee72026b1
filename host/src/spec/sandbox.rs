//! What a process may not do or see, as written: the same keys in `[sandbox]` for all and in `[process.NAME.sandbox]` for
//! one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SpecError;

/// The sandbox of one process; what is absent is taken from `[sandbox]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxSettings {
    /// User to run as, by name or number. Needs CAP_SETUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<NameOrNumber>,
    /// Primary group, by name or number; the user's own when absent. Needs CAP_SETGID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<NameOrNumber>,
    /// Supplementary groups; those the user is a member of when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<NameOrNumber>>,
    /// File mode creation mask, octal, like `"0077"`; inherited when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<Umask>,
    /// Files and directories it may read and execute, with everything below. With this or `write`, the kernel (Landlock)
    /// closes all other files to it, but for what every program needs to start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Vec<PathBuf>>,
    /// Files and directories it may change as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<Vec<PathBuf>>,
    /// Whether it gets a `/tmp` and a `/var/tmp` of its own, empty and in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_tmp: Option<bool>,
    /// Whether it may not gain privileges by executing set-uid files; as `[sandbox] enabled` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_new_privileges: Option<bool>,
    /// Which arguments name files: a place in `command`, 1 for the first after the program, or what stands before the
    /// path, like `"--config="`. They must lead neither into a restricted path nor out of `read` and `write`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path_arguments: Vec<PathArgument>,
    /// What its environment is built from, over `[sandbox.env]`.
    #[serde(skip_serializing_if = "EnvironmentSettings::is_empty")]
    pub env: EnvironmentSettings,
}

impl SandboxSettings {
    /// Check what needs nothing but the specification.
    pub(super) fn validate(&self, command: &[String]) -> Result<(), SpecError> {
        for argument in &self.path_arguments {
            let wrong = |message: String| Err(SpecError::new("sandbox.path_arguments", message));
            match argument {
                PathArgument::Place(0) => return wrong("0 is the program itself; 1 is its first argument".to_owned()),
                PathArgument::Place(place) if *place >= command.len() => {
                    return wrong(format!(
                        "there is no argument {place}: the command has {}",
                        command.len().max(1) - 1
                    ));
                }
                PathArgument::Prefix(prefix) if prefix.is_empty() => {
                    return wrong("\"\" stands before every argument; write what stands before the path".to_owned());
                }
                _ => {}
            }
        }
        let named = self.env.pass.iter().chain(self.env.set.keys()).chain(&self.env.unset);
        if let Some(name) = named.into_iter().find(|name| !is_variable(name)) {
            return Err(SpecError::new("sandbox.env", format!("`{name}` cannot be the name of a variable")));
        }
        if self.env.set.values().any(|value| value.contains('\0')) {
            return Err(SpecError::new("sandbox.env", "a value holds a NUL character"));
        }
        Ok(())
    }
}

/// Whether this can be the name of a variable.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

/// A user or group by name or number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a name in quotes or a number")]
pub enum NameOrNumber {
    /// By number.
    Number(u32),
    /// By name; a name of digits is a number.
    Name(String),
}

impl fmt::Display for NameOrNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => f.pad(name),
        }
    }
}

/// Which argument names a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a place in the command, or the text before the path in quotes")]
pub enum PathArgument {
    /// The argument at this place in `command`, 1 for the first after the program.
    Place(usize),
    /// What follows this text in every argument that begins with it.
    Prefix(String),
}

impl PathArgument {
    /// The paths that this names in a command, as written.
    pub fn find<'a>(&self, command: &'a [String]) -> Vec<&'a str> {
        match self {
            Self::Place(place) => command.get(*place).map(String::as_str).into_iter().collect(),
            Self::Prefix(prefix) => {
                let arguments = command.iter().skip(1);
                arguments.filter_map(|argument| argument.strip_prefix(prefix.as_str())).collect()
            }
        }
    }
}

/// A file mode creation mask (umask(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = r"^0?[0-7]{3}$"))]
pub struct Umask(pub u32);

impl FromStr for Umask {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a file mode mask; write three octal digits, like \"077\"");
        let mask = u32::from_str_radix(text, 8).map_err(|_| wrong())?;
        if mask <= 0o777 && (3..=4).contains(&text.len()) { Ok(Self(mask)) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for Umask {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Umask> for String {
    fn from(mask: Umask) -> Self {
        mask.to_string()
    }
}

impl fmt::Display for Umask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// What the environment of one process is built from. In order, later over earlier: what `[sandbox.env]` passes and
/// sets and takes away, then what this passes, sets and takes away, then the `env` of the process.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentSettings {
    /// More variables passed on from the supervisor's own environment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pass: Vec<String>,
    /// More variables set; values are secrets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Variables taken away again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<String>,
}

impl EnvironmentSettings {
    fn is_empty(&self) -> bool {
        self.pass.is_empty() && self.set.is_empty() && self.unset.is_empty()
    }
}

/// Environment values are secrets: the debug form shows their names only.
impl fmt::Debug for EnvironmentSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvironmentSettings")
            .field("pass", &self.pass)
            .field("set_keys", &self.set.keys().collect::<Vec<_>>())
            .field("unset", &self.unset)
            .finish()
    }
}

/// I/O scheduling class and level (ioprio_set(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^(idle|best-effort:[0-7])$"))]
pub enum IoPriority {
    /// Best effort, level 0 (first) to 7 (last).
    BestEffort(u8),
    /// Only when nobody else wants the disk.
    Idle,
}

impl TryFrom<String> for IoPriority {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let level = text.strip_prefix("best-effort:").and_then(|level| level.parse().ok()).filter(|level| *level <= 7);
        match (text.as_str(), level) {
            ("idle", _) => Ok(Self::Idle),
            (_, Some(level)) => Ok(Self::BestEffort(level)),
            _ => Err(format!(
                "`{text}` is no I/O priority; write \"idle\", or \"best-effort:0\" (first) to \"best-effort:7\""
            )),
        }
    }
}

impl From<IoPriority> for String {
    fn from(priority: IoPriority) -> Self {
        priority.to_string()
    }
}

impl fmt::Display for IoPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BestEffort(level) => write!(f, "best-effort:{level}"),
            Self::Idle => f.pad("idle"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_three_octal_digits() {
        assert_eq!("0077".parse(), Ok(Umask(0o077)));
        assert_eq!("027".parse::<Umask>().map(|mask| mask.to_string()), Ok("0027".to_owned()));
        for text in ["77", "0888", "1777", "", "-077", "u=rwx"] {
            assert!(text.parse::<Umask>().unwrap_err().contains("octal"), "{text}");
        }
    }

    #[test]
    fn an_io_priority_reads_as_it_is_shown() {
        for text in ["idle", "best-effort:0", "best-effort:7"] {
            assert_eq!(IoPriority::try_from(text.to_owned()).map(String::from), Ok(text.to_owned()));
        }
        for text in ["best-effort:8", "best-effort", "realtime:1", ""] {
            assert!(IoPriority::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn path_arguments_are_found_by_place_and_by_what_stands_before_them() {
        let command: Vec<_> = ["tool", "in", "--config=a", "--config=b", "out"].map(str::to_owned).into();
        assert_eq!(PathArgument::Place(4).find(&command), ["out"]);
        assert_eq!(PathArgument::Prefix("--config=".to_owned()).find(&command), ["a", "b"]);
        assert!(PathArgument::Place(5).find(&command).is_empty());
    }

    #[test]
    fn values_of_variables_are_not_in_the_debug_form() {
        let set = BTreeMap::from([("TOKEN".to_owned(), "hunter2".to_owned())]);
        let text = format!(
            "{:?}",
            SandboxSettings { env: EnvironmentSettings { set, ..Default::default() }, ..Default::default() }
        );
        assert!(text.contains("TOKEN") && !text.contains("hunter2"), "{text}");
    }
}
