//! A folder of its own and the real binary in it, with an environment that holds nothing but what a
//! test puts there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_secretzero");

/// The event of a push to `main`, the default branch.
pub(crate) const PUSH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/flow/push.json");

/// A folder that is removed at the end.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

/// What a run said and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment: BTreeMap::new() }
    }

    /// With a Secretfile.
    pub(crate) fn with(secretfile: &str) -> Self {
        let sandbox = Self::new();
        sandbox.write("Secretfile.yml", secretfile);
        sandbox
    }

    /// Sets variables of every run.
    pub(crate) fn env<N: Into<String>, V: Into<String>>(mut self, pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        self.environment.extend(pairs.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        self.write_bytes(name, text.as_bytes());
    }

    /// Writes a file that need not be text.
    pub(crate) fn write_bytes(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test prepares its own files")]
        std::fs::write(path, bytes).unwrap();
    }

    /// Reads a file; empty if there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Removes a file if it is there.
    #[cfg(feature = "aws")]
    pub(crate) fn remove(&self, name: &str) {
        #[expect(clippy::disallowed_methods, reason = "a test loses its own files")]
        drop(std::fs::remove_file(self.path(name)));
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(self.folder.path()).env_clear();
        // No test may meet the identity of the machine that it runs on.
        command.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9").envs(&self.environment);
        command.env("HOME", self.folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a run.
    #[cfg(feature = "aws")]
    pub(crate) fn spawn(&self, args: &[&str]) -> std::process::Child {
        self.command(args).spawn().unwrap()
    }

    /// Runs to the end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }

    /// Runs to the end with more variables.
    #[cfg(feature = "aws")]
    pub(crate) fn run_with(&self, args: &[&str], environment: &BTreeMap<String, String>) -> Ran {
        Ran::from(self.command(args).envs(environment).output().unwrap())
    }

    /// Runs to the end and insists on the exit code.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(code), "{args:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}
