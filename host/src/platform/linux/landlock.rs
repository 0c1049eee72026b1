//! What the kernel's file rules (Landlock) can hold here, and which rights a plan's rules come to.
//!
//! Numbers are those of `linux/landlock.h`; which version knows which is told in the kernel's
//! `Documentation/userspace-api/landlock.rst`. Owns no state. `prepare` and `abilities` enter; the child puts the rights
//! in force.
#![allow(unsafe_code)]

use std::path::{Path, PathBuf};

use super::child::{FileRights, Refused, Rule};
use super::prepare::text;
use crate::platform::FileRules;

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
/// Rights that a rule for something other than a directory may name.
pub(super) const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;
const READ: u64 = EXECUTE | READ_FILE | READ_DIR;

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const ASK_VERSION: u32 = 1;

/// What programs need to be started at all and cannot be asked to list: code and libraries, the loader's files, names,
/// time zone and certificates. Readable under every rule; what is missing on this machine is left out.
const SYSTEM_READ: [&str; 25] = [
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/ca-certificates",
    "/etc/pki/tls/certs",
    "/dev/random",
    "/dev/urandom",
];
/// Devices without memory: readable and writable under every rule.
const SYSTEM_WRITE: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];
/// What a private /tmp consists of.
pub(super) const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// The version of Landlock that is in force here; `None` when there is none.
pub(super) fn version() -> Option<u32> {
    let none = std::ptr::null::<u64>();
    // SAFETY: with this flag the call takes no structure and makes no descriptor.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, ASK_VERSION) };
    u32::try_from(version).ok().filter(|version| *version > 0)
}

/// Every right that a version knows, and so can hold.
const fn known(version: u32) -> u64 {
    match version {
        0 => 0,
        1 => (1 << 13) - 1,
        2 => (1 << 14) - 1,
        3 | 4 => (1 << 15) - 1,
        _ => (1 << 16) - 1,
    }
}

/// The rights that `rules` come to under this version, for a run of `program`.
pub(super) fn rights(
    rules: &FileRules,
    program: &Path,
    private_tmp: bool,
    version: u32,
) -> Result<FileRights, Refused> {
    let handled = known(version);
    let asked = |paths: &[PathBuf], allowed: u64, first: u32| -> Result<Vec<Rule>, Refused> {
        let places = first..;
        paths.iter().zip(places).map(|(path, place)| rule(path, allowed, Some(place))).collect()
    };
    let mut all = asked(&rules.read, READ, 0)?;
    all.extend(asked(&rules.write, handled, u32::try_from(rules.read.len()).unwrap_or(u32::MAX))?);
    all.push(rule(program, EXECUTE | READ_FILE, None)?);
    let temporary: &[&str] = if private_tmp { &TEMPORARY } else { &[] };
    for (paths, allowed) in [(&SYSTEM_READ[..], READ), (&SYSTEM_WRITE, handled), (temporary, handled)] {
        for path in paths {
            all.push(rule(Path::new(path), allowed, None)?);
        }
    }
    Ok(FileRights { handled, rules: all })
}

fn rule(path: &Path, allowed: u64, required: Option<u32>) -> Result<Rule, Refused> {
    Ok(Rule { path: text(path.as_os_str())?, allowed, required })
}

/// The path that `Step::Rule` means by its detail.
pub(super) fn path_of(rules: &FileRules, place: u32) -> Option<&Path> {
    let place = usize::try_from(place).ok()?;
    rules.read.iter().chain(&rules.write).nth(place).map(PathBuf::as_path)
}

/// Whether a resolved path lies where the rules let a run read or write.
pub(crate) fn allows(rules: &FileRules, private_tmp: bool, path: &Path) -> bool {
    let lies_in =
        |root: &Path| path.starts_with(root) || std::fs::canonicalize(root).is_ok_and(|r| path.starts_with(r));
    let temporary: &[&str] = if private_tmp { &TEMPORARY } else { &[] };
    let system = SYSTEM_READ.iter().chain(&SYSTEM_WRITE).chain(temporary);
    rules.read.iter().chain(&rules.write).any(|root| lies_in(root)) || system.map(Path::new).any(lies_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_holds_all_that_an_older_one_does() {
        for version in 0..8 {
            assert_eq!(known(version) & known(version + 1), known(version));
        }
        assert_eq!(known(1) & TRUNCATE, 0);
        assert_eq!(known(3) & TRUNCATE, TRUNCATE);
        assert_eq!(known(4) & IOCTL_DEV, 0);
    }

    #[test]
    fn a_rule_that_was_asked_for_is_found_by_its_place() {
        let rules = FileRules { read: vec!["/a".into(), "/b".into()], write: vec!["/c".into()] };
        let rights = rights(&rules, Path::new("/bin/true"), false, 3).unwrap();
        let asked: Vec<_> = rights.rules.iter().filter_map(|rule| path_of(&rules, rule.required?)).collect();
        assert_eq!(asked, [Path::new("/a"), Path::new("/b"), Path::new("/c")]);
    }

    #[test]
    fn only_a_write_root_may_be_written() {
        let rules = FileRules { read: vec!["/a".into()], write: vec!["/c".into()] };
        let rights = rights(&rules, Path::new("/bin/true"), false, 3).unwrap();
        let allowed: Vec<_> = rights.rules.iter().filter(|r| r.required.is_some()).map(|r| r.allowed).collect();
        assert_eq!(allowed, [READ, known(3)]);
    }
}
