//! Tests of where paths lead, on real files.

use std::os::unix::fs::symlink;

use super::*;

/// A directory `home` with a directory `secret` and a directory `open`, resolved.
fn ground() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().canonicalize().unwrap();
    std::fs::create_dir(home.join("secret")).unwrap();
    std::fs::create_dir(home.join("open")).unwrap();
    (directory, home)
}

#[test]
fn restrictions_are_compared_component_by_component() {
    let rules = [PathBuf::from("/nonexistent/etc")];
    assert!(restriction(Path::new("/nonexistent/etc/ssl"), &rules).is_some());
    assert!(restriction(Path::new("/nonexistent/etc"), &rules).is_some());
    assert!(restriction(Path::new("/nonexistent/etcetera"), &rules).is_none());
}

#[test]
fn a_restricted_path_that_is_a_link_restricts_where_it_leads() {
    let (_directory, home) = ground();
    symlink(home.join("secret"), home.join("harmless")).unwrap();
    assert!(restriction(&home.join("secret/file"), &[home.join("harmless")]).is_some());
}

#[test]
fn what_is_to_be_made_is_resolved_as_far_as_it_exists() {
    let (_directory, home) = ground();
    symlink(home.join("secret"), home.join("open/link")).unwrap();
    assert_eq!(resolve(&home.join("open/link/new/file")).unwrap(), home.join("secret/new/file"));
    assert!(resolve(&home.join("open/nowhere/../link")).is_err(), "`..` behind what is missing");
}

#[test]
fn a_link_that_leads_nowhere_yet_is_followed() {
    let (_directory, home) = ground();
    symlink(home.join("secret/new"), home.join("open/second")).unwrap();
    symlink("second", home.join("open/first")).unwrap();
    assert_eq!(resolve(&home.join("open/first")).unwrap(), home.join("secret/new"));
    assert_eq!(resolve(&home.join("open/first/below")).unwrap(), home.join("secret/new/below"));
}

#[test]
fn links_in_a_circle_are_refused() {
    let (_directory, home) = ground();
    symlink("b", home.join("a")).unwrap();
    symlink("a", home.join("b")).unwrap();
    assert!(resolve(&home.join("a")).is_err());
    assert!(resolve(&home.join("a/below")).is_err());
}

#[test]
fn an_argument_must_not_lead_into_a_restricted_path() {
    let (_directory, home) = ground();
    symlink(home.join("secret"), home.join("open/link")).unwrap();
    let rules = PathRules { restricted: vec![home.join("secret")], ..PathRules::default() };
    let judge = |path: &str| judge_argument(&home.join(path), &rules, &Confinement::default());
    assert!(matches!(judge("open/link/file"), Err(PathRefusal::Restricted { .. })));
    assert_eq!(judge("open/../open/file").unwrap(), home.join("open/file"));
}

#[test]
fn an_argument_must_lie_in_what_the_file_rules_allow() {
    let (_directory, home) = ground();
    let files = FileRules { read: vec![home.join("open")], write: Vec::new() };
    let confinement = Confinement { files: Some(files), ..Confinement::default() };
    let judge = |path: PathBuf| judge_argument(&path, &PathRules::default(), &confinement);
    assert!(judge(home.join("open/file")).is_ok());
    assert!(matches!(judge(home.join("secret/file")), Err(PathRefusal::Outside { .. })));
    assert!(judge("/usr/bin/env".into()).is_ok(), "what every program may read");
}
