//! What compiles a guest: rustup's target where it is installed, else Debian's compiler with the standard library built
//! from source.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::guest::Guest;

const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld-19";
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std";

/// A way to compile guests.
pub(crate) struct Toolchain {
    kind: Kind,
    version: String,
    root: PathBuf,
}

enum Kind {
    /// The compiler in use has the target.
    Installed,
    /// Debian's packages: the standard library is built once from source, into the same target directory.
    Debian,
}

/// The toolchain of this machine.
pub(crate) fn find(root: &Path) -> Result<Toolchain, Error> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    if let Some(directory) = output(Command::new(&rustc).args(["--print", "target-libdir", "--target", TARGET]))
        && Path::new(&directory).is_dir()
    {
        let version = output(Command::new(&rustc).arg("--version")).unwrap_or(rustc);
        return Ok(Toolchain { kind: Kind::Installed, version, root: root.to_owned() });
    }
    if [DEBIAN_RUSTC, DEBIAN_CARGO, DEBIAN_LINKER, DEBIAN_SOURCE].iter().all(|path| Path::new(path).exists()) {
        let version = output(Command::new(DEBIAN_RUSTC).arg("--version")).unwrap_or_else(|| DEBIAN_RUSTC.into());
        return Ok(Toolchain { kind: Kind::Debian, version, root: root.to_owned() });
    }
    Err(Error::NoToolchain)
}

impl Toolchain {
    /// Version line of the compiler.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Compile a guest to a core module.
    pub(crate) fn compile(&self, guest: &Guest) -> Result<Vec<u8>, Error> {
        let target = self.root.join("target/guests");
        let mut command = self.command();
        command.args(["build", "--locked", "--lib", "--profile", "plugin", "--target", TARGET, "-p", &guest.name]);
        command.arg("--target-dir").arg(&target).current_dir(&self.root);
        let status = command.status().map_err(|source| Error::io("run", Path::new(command.get_program()), source))?;
        if !status.success() {
            return Err(Error::Compile { name: guest.name.clone(), status });
        }
        let module = target.join(TARGET).join("plugin").join(format!("{}.wasm", guest.name.replace('-', "_")));
        std::fs::read(&module).map_err(|source| Error::io("read", &module, source))
    }

    /// Cargo, free of what an outer cargo passes down: this tool usually runs under one.
    fn command(&self) -> Command {
        let program = match self.kind {
            Kind::Installed => std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()),
            Kind::Debian => DEBIAN_CARGO.into(),
        };
        let mut command = Command::new(program);
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"]
        {
            command.env_remove(name);
        }
        // Paths of this machine have no place in an artefact that is committed.
        let home = std::env::var("CARGO_HOME").ok().or_else(|| Some(format!("{}/.cargo", std::env::var("HOME").ok()?)));
        let mut flags = vec![format!("--remap-path-prefix={}=/source", self.root.display())];
        flags.extend(home.map(|home| format!("--remap-path-prefix={home}=/cargo")));
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        if matches!(self.kind, Kind::Debian) {
            // Building the standard library is an unstable feature; Debian's compiler is a stable one.
            command.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", DEBIAN_RUSTC).env_remove("RUSTUP_TOOLCHAIN");
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER);
            command.args(["-Z", "build-std=std,panic_abort"]);
        }
        command
    }
}

/// First line of what a command prints, if it succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
}
