use std::path::Path;

use wit_parser::Resolve;

use super::check;
use crate::error::Error;

/// Check a world of this body against the real contract.
fn checked(body: &str) -> Result<(), Error> {
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/0.1");
    let mut resolve = Resolve::default();
    resolve.push_dir(contract).expect("the contract is valid");
    let text = format!("package test:guest; interface secret {{ read: func() -> string; }} world guest {{ {body} }}");
    let package = resolve.push_str("guest.wit", &text).expect("a valid world");
    let world = resolve.select_world(&[package], Some("guest")).expect("the world");
    check("guest", &resolve, world)
}

#[test]
fn a_policy_that_imports_only_log_is_good() {
    let body = "import wasmvisor:policy/log@0.1.0; export wasmvisor:policy/policy@0.1.0;
        export wasmvisor:policy/health@0.1.0;";
    assert!(checked(body).is_ok(), "{:?}", checked(body));
}

#[test]
fn an_import_that_can_be_called_is_refused_by_name() {
    let body = "import secret; export wasmvisor:policy/policy@0.1.0; export wasmvisor:policy/health@0.1.0;";
    let error = checked(body).expect_err("an import too many");
    assert!(matches!(&error, Error::Imports { imports, .. } if imports == "test:guest/secret"), "{error}");
}

#[test]
fn a_bare_function_among_the_imports_is_refused() {
    let body = "import now: func() -> u64; export wasmvisor:policy/policy@0.1.0;
        export wasmvisor:policy/restart@0.1.0;";
    assert!(matches!(checked(body), Err(Error::Imports { .. })));
}

#[test]
fn two_kinds_in_one_component_are_refused() {
    let body = "export wasmvisor:policy/policy@0.1.0; export wasmvisor:policy/health@0.1.0;
        export wasmvisor:policy/alert@0.1.0;";
    assert!(matches!(checked(body), Err(Error::Exports { .. })));
}

#[test]
fn a_component_that_does_not_describe_itself_is_refused() {
    assert!(matches!(checked("export wasmvisor:policy/health@0.1.0;"), Err(Error::Exports { .. })));
}

#[test]
fn bytes_that_are_no_module_are_an_error_not_a_panic() {
    let error = super::encode("guest", b"nonsense").expect_err("no module");
    assert!(error.to_string().starts_with("guest cannot be made a component"), "{error}");
}
