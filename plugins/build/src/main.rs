//! Builds the default policies into components, and tells when the committed ones are stale.
//!
//! `cargo run -p wasmvisor-plugins-build -- [build|check] [--out DIR] [NAME…]`
//!
//! `build` compiles each guest for `wasm32-unknown-unknown`, encodes a component, checks that it is a policy that imports
//! nothing but `log`, and writes `NAME.wasm` beside `NAME.toml`, the record of what it was made from. `check` compares
//! that record with the sources as they are now and needs no WASM toolchain.
//!
//! The map: [`guest`] what is built from what, [`toolchain`] with what, [`component`] the encoding and its checks,
//! [`stamp`] the record.

mod component;
mod error;
mod guest;
mod stamp;
mod toolchain;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use error::Error;
use guest::Guest;

const USAGE: &str = "usage: wasmvisor-plugins-build [build|check] [--out DIR] [NAME…]";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
struct Request {
    check: bool,
    out: Option<PathBuf>,
    names: Vec<String>,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Request, Error> {
    let mut request = Request { check: false, out: None, names: Vec::new() };
    let mut first = true;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "build" if first => {}
            "check" if first => request.check = true,
            "--out" => request.out = Some(args.next().ok_or(Error::Usage(USAGE))?.into()),
            name if name.starts_with('-') => return Err(Error::Usage(USAGE)),
            name => request.names.push(name.to_owned()),
        }
        first = false;
    }
    Ok(request)
}

fn run(args: impl Iterator<Item = String>) -> Result<(), Error> {
    let request = parse(args)?;
    let root = workspace()?;
    let out = request.out.unwrap_or_else(|| root.join("plugins/dist"));
    let guests = guest::chosen(&root, &request.names)?;
    if request.check { check(&guests, &out) } else { build(&root, &guests, &out) }
}

/// The workspace this tool was built in.
fn workspace() -> Result<PathBuf, Error> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().and_then(Path::parent).unwrap_or(here);
    root.canonicalize().map_err(|source| Error::io("find the workspace", root, source))
}

fn build(root: &Path, guests: &[Guest], out: &Path) -> Result<(), Error> {
    let toolchain = toolchain::find(root)?;
    println!("toolchain: {}", toolchain.version());
    std::fs::create_dir_all(out).map_err(|source| Error::io("create", out, source))?;
    for guest in guests {
        let module = toolchain.compile(guest)?;
        let component = component::encode(&guest.name, &module)?;
        let stamp = stamp::Stamp::new(guest, toolchain.version(), &component)?;
        let path = out.join(format!("{}.wasm", guest.name));
        std::fs::write(&path, &component).map_err(|source| Error::io("write", &path, source))?;
        stamp.write(&out.join(format!("{}.toml", guest.name)))?;
        println!("{}: {} bytes, sha256 {}", path.display(), stamp.component.bytes, stamp.component.sha256);
    }
    Ok(())
}

fn check(guests: &[Guest], out: &Path) -> Result<(), Error> {
    let mut stale = Vec::new();
    for guest in guests {
        if let Some(why) = stamp::staleness(guest, out)? {
            stale.push(format!("{}: {why}", guest.name));
        }
    }
    if stale.is_empty() {
        println!("{} components are up to date", guests.len());
        return Ok(());
    }
    Err(Error::Stale(stale.join("\n  ")))
}
