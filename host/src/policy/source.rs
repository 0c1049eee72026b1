//! Where plugins come from: embedded in the binary or a file.
//!
//! Owns references and the embedded components. Reads files; knows nothing of what is in them.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::decision::PolicyKind;

/// Largest component that is read, bytes. A JavaScript engine in a component has 12 MB.
const MAX_COMPONENT: u64 = 64 << 20;

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// Embedded in the binary.
    Builtin(&'static Builtin),
    /// A file.
    File(PathBuf),
}

/// A plugin embedded in the binary.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Builtin {
    name: &'static str,
    kind: PolicyKind,
    component: &'static [u8],
    /// What `plugins/build` recorded about it.
    record: &'static str,
}

impl Builtin {
    /// The digest in the record: nobody can have changed what is in the binary, so a start does not compute it.
    fn digest(&self) -> Option<&'static str> {
        let (_, component) = self.record.split_once("[component]")?;
        let digest = component.split_once("sha256 = \"")?.1.split_once('"')?.0;
        Some(digest).filter(|digest| digest.len() == 64)
    }
}

/// The default plugins, made by `plugins/build`; one for each kind.
static BUILTINS: [Builtin; 4] = [
    Builtin {
        name: "command-allowlist",
        kind: PolicyKind::Admission,
        component: include_bytes!("../../../plugins/dist/command-allowlist.wasm"),
        record: include_str!("../../../plugins/dist/command-allowlist.toml"),
    },
    Builtin {
        name: "health-score",
        kind: PolicyKind::Health,
        component: include_bytes!("../../../plugins/dist/health-score.wasm"),
        record: include_str!("../../../plugins/dist/health-score.toml"),
    },
    Builtin {
        name: "restart-backoff",
        kind: PolicyKind::Restart,
        component: include_bytes!("../../../plugins/dist/restart-backoff.wasm"),
        record: include_str!("../../../plugins/dist/restart-backoff.toml"),
    },
    Builtin {
        name: "alert-threshold",
        kind: PolicyKind::Alert,
        component: include_bytes!("../../../plugins/dist/alert-threshold.wasm"),
        record: include_str!("../../../plugins/dist/alert-threshold.toml"),
    },
];

impl Reference {
    /// The embedded plugin that stands in when another of this kind fails.
    pub(super) fn default_of(kind: PolicyKind) -> Self {
        let index = match kind {
            PolicyKind::Admission => 0,
            PolicyKind::Health => 1,
            PolicyKind::Restart => 2,
            PolicyKind::Alert => 3,
        };
        Self::Builtin(&BUILTINS[index])
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("builtin:") {
            let known = || BUILTINS.iter().map(|b| b.name).collect::<Vec<_>>().join(", ");
            return BUILTINS
                .iter()
                .find(|builtin| builtin.name == name)
                .map(Self::Builtin)
                .ok_or_else(|| format!("there is no built-in plugin `{name}`; there are {}", known()));
        }
        match text.split_once("://") {
            Some((scheme @ ("https" | "http" | "oci"), _)) => {
                Err(format!("`{text}`: {scheme}:// is not supported yet; fetch the component and write its path"))
            }
            _ if text.trim().is_empty() => Err("is empty; write `builtin:NAME` or a path".to_owned()),
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(builtin) => write!(f, "builtin:{}", builtin.name),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A component as it was found, not yet looked at.
pub(super) struct Fetched {
    pub(super) bytes: Cow<'static, [u8]>,
    /// SHA-256 of the bytes, hexadecimal.
    pub(super) digest: String,
}

impl Reference {
    /// Read the component.
    pub(super) fn fetch(&self) -> Result<Fetched, String> {
        match self {
            Self::Builtin(builtin) => {
                let bytes = Cow::Borrowed(builtin.component);
                let digest = builtin.digest().map_or_else(|| sha256(&bytes), str::to_owned);
                Ok(Fetched { bytes, digest })
            }
            Self::File(path) => {
                let bytes = Cow::Owned(read(path)?);
                Ok(Fetched { digest: sha256(&bytes), bytes })
            }
        }
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("cannot read plugin {}: {error}", path.display());
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_COMPONENT {
        return Err(format!("plugin {} has {size} bytes; at most {MAX_COMPONENT} are read", path.display()));
    }
    std::fs::read(path).map_err(failed)
}

/// SHA-256, hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_built_in() {
        for kind in PolicyKind::ALL {
            let Reference::Builtin(builtin) = Reference::default_of(*kind) else { panic!("not built in") };
            assert_eq!(builtin.kind, *kind);
            assert_eq!(format!("builtin:{}", builtin.name).parse(), Ok(Reference::default_of(*kind)));
        }
    }

    #[test]
    fn the_recorded_digest_of_each_built_in_is_that_of_its_bytes() {
        for builtin in &BUILTINS {
            assert_eq!(builtin.digest(), Some(sha256(builtin.component).as_str()), "{}", builtin.name);
        }
    }

    #[test]
    fn an_unknown_built_in_and_a_url_are_refused_with_what_to_write() {
        assert!("builtin:nope".parse::<Reference>().unwrap_err().contains("health-score"));
        for url in ["https://x/y.wasm", "oci://x/y:1"] {
            assert!(url.parse::<Reference>().unwrap_err().contains("not supported yet"), "{url}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Reference::File("/no/such.wasm".into()).fetch().err().unwrap();
        assert!(error.contains("/no/such.wasm"), "{error}");
    }
}
