//! A person's folder, and the program run in it.

use std::{
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

/// A home, a working folder and nothing else.
pub(crate) struct Folder(TempDir);

/// What a run said and how it ended.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) talk: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs `infra` here, with nothing of this machine's environment. The folder's own name is shortened to `HERE`.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        self.run_with(args, &[])
    }

    pub(crate) fn run_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Said {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(env!("CARGO_BIN_EXE_infra"))
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", "/usr/bin:/bin")
            .envs(environment.iter().copied())
            .output()
            .expect("infra runs");
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes)
                .expect("UTF-8")
                .replace(&self.path().display().to_string(), "HERE")
        };
        Said {
            code: status.code().expect("not killed"),
            out: text(stdout),
            talk: text(stderr),
        }
    }
}
