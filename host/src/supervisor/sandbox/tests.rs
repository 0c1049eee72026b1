//! Tests of the sandbox as specification and configuration say it together.

use super::*;
use crate::spec::{PathArgument, Umask};

fn spec() -> ProcessSpec {
    ProcessSpec::new("web", ["tool", "in", "--out=file"])
}

fn name(text: &str) -> Option<NameOrNumber> {
    Some(NameOrNumber::Name(text.to_owned()))
}

fn judge(spec: &ProcessSpec, config: &SandboxConfig, directory: &Path) -> Result<Sandbox, Problem> {
    of(spec, config, Path::new("/usr/bin/env"), directory, None, &Limits::default())
}

#[test]
fn what_a_process_says_is_over_what_the_configuration_says() {
    let config = SandboxConfig { umask: Some(Umask(0o022)), private_tmp: true, ..SandboxConfig::default() };
    let mut spec = spec();
    spec.sandbox.private_tmp = Some(false);
    spec.sandbox.no_new_privileges = Some(false);
    let sandbox = judge(&spec, &config, Path::new("/")).unwrap();
    let expected = Confinement { umask: Some(0o022), ..Confinement::default() };
    assert_eq!(*sandbox.confinement, expected);
}

#[test]
fn the_groups_of_the_configuration_are_not_those_of_another_user() {
    let config = SandboxConfig { user: name("svc"), group: name("web"), ..SandboxConfig::default() };
    let mut spec = spec();
    assert_eq!(request(&spec, &config).group.as_deref(), Some("web"));
    spec.sandbox.user = name("other");
    let request = request(&spec, &config);
    assert_eq!((request.user.as_deref(), request.group), (Some("other"), None));
}

#[test]
fn a_sandbox_that_is_off_restricts_nothing_but_keeps_what_is_asked_for() {
    let config = SandboxConfig { enabled: false, umask: Some(Umask(0o077)), ..SandboxConfig::default() };
    let sandbox = judge(&spec(), &config, Path::new("/")).unwrap();
    assert!(sandbox.paths.restricted.is_empty() && !sandbox.confinement.no_new_privileges);
    assert_eq!(sandbox.confinement.umask, Some(0o077));
}

#[test]
fn path_arguments_are_taken_from_the_directory_and_judged_where_they_lead() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().canonicalize().unwrap();
    std::fs::create_dir(home.join("secret")).unwrap();
    std::os::unix::fs::symlink("secret/file", home.join("in")).unwrap();
    let config = SandboxConfig { restricted_paths: vec![home.join("secret")], ..SandboxConfig::default() };
    let mut spec = spec();
    spec.sandbox.path_arguments = vec![PathArgument::Prefix("--out=".to_owned())];
    assert_eq!(judge(&spec, &config, &home).unwrap().paths.arguments, [home.join("file")]);
    spec.sandbox.path_arguments.push(PathArgument::Place(1));
    let problem = judge(&spec, &config, &home).unwrap_err();
    assert_eq!((problem.class, problem.rule.as_deref()), (ErrorClass::SecurityViolation, Some("restricted-path")));
    assert!(problem.message.contains("secret"), "{problem}");
}

#[test]
fn a_file_rule_for_what_does_not_exist_is_named_with_its_key() {
    let mut spec = spec();
    spec.sandbox.write = Some(vec!["nowhere".into()]);
    let problem = judge(&spec, &SandboxConfig::default(), Path::new("/usr")).unwrap_err();
    assert!(problem.message.contains("sandbox write") && problem.message.contains("/usr/nowhere"), "{problem}");
}

#[test]
fn what_is_in_force_is_shown_by_its_key() {
    let sandbox = judge(&spec(), &SandboxConfig::default(), Path::new("/")).unwrap();
    let shown: Vec<_> = sandbox.shown.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(shown, [("no_new_privileges", "yes"), ("restricted_paths", "/etc, /usr")]);
}
