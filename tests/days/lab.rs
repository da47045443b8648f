//! A scripted lab of the flagship in a folder of its own, and the program that is run against it.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    /// Both streams, the answer first.
    pub(crate) text: String,
}

impl Ran {
    /// It ended with this code, and every one of these words is in what it said.
    #[track_caller]
    pub(crate) fn says(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.text);
        for word in words {
            assert!(
                self.text.contains(word),
                "`{word}` is not in:\n{}",
                self.text
            );
        }
        self
    }
}

/// A lab that ends with the test.
pub(crate) struct Lab {
    folder: TempDir,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.run(&["lab", "down"]);
    }
}

impl Lab {
    /// The flagship's inventory, and a lab for it in which nothing has been made yet.
    pub(crate) fn new() -> Self {
        Self::with_clock("0.01")
    }

    /// A folder without anything; its lab is begun by [`Lab::begin_lab`].
    pub(crate) fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().expect("folder"),
        }
    }

    /// A folder with this inventory; its lab is begun by [`Lab::begin_lab`].
    pub(crate) fn of(name: &str, inventory: &str) -> Self {
        let lab = Self::empty();
        let folder = lab.path("inventory").join(name);
        fs::create_dir_all(&folder).expect("made");
        fs::write(folder.join("inventory.yaml"), inventory).expect("written");
        lab
    }

    /// Begins a scripted lab for the inventory.
    pub(crate) fn begin_lab(&self) {
        self.begin_lab_at("0.01");
    }

    /// The same with this factor on its delays.
    pub(crate) fn begin_lab_at(&self, factor: &str) {
        self.run(&["lab", "up", "--kind", "scripted", "--clock", factor])
            .says(0, &["scripted guests"]);
    }

    /// The flagship's inventory, and no lab yet.
    pub(crate) fn unbegun() -> Self {
        let lab = Self {
            folder: tempfile::tempdir().expect("folder"),
        };
        lab.run(&["init", "media-server-home"]).says(0, &[]);
        lab
    }

    /// The same with this factor on its delays.
    pub(crate) fn with_clock(factor: &str) -> Self {
        let lab = Self::unbegun();
        lab.begin_lab_at(factor);
        lab
    }

    /// The same with one more file in the inventory before the lab is made for it.
    pub(crate) fn with_more(text: &str) -> Self {
        let lab = Self::unbegun();
        fs::write(lab.path("inventory/media-server-home/more.yaml"), text).expect("written");
        // With a second image every guest has to name its own.
        let guests = lab.path("inventory/media-server-home/guests.yaml");
        let own = fs::read_to_string(&guests).expect("guests");
        let named = own.replace("    memory:", "    image: debian-13\n    memory:");
        fs::write(&guests, named).expect("written");
        lab.begin_lab();
        lab
    }

    /// The same with everything up.
    pub(crate) fn running() -> Self {
        let lab = Self::new();
        lab.up().says(0, &["Done.", "needs real guests"]);
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with this lab's surroundings; `lab` is the folder that `--lab` looks into.
    pub(crate) fn command_in(&self, lab: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_infra"));
        let root = self.folder.path();
        command
            .current_dir(root)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", root)
            .env("USER", "tester")
            .env("XDG_STATE_HOME", root.join("state"))
            .env("XDG_CONFIG_HOME", root.join("config"))
            .env("XDG_CACHE_HOME", root.join("cache"))
            .env("INFRA_LAB_DIR", lab)
            .stdin(Stdio::null())
            .args(args);
        command
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_in(&self.path("lab"), args)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        ended(self.command(args))
    }

    pub(crate) fn up(&self) -> Ran {
        self.run(&["--lab", "up", "--yes"])
    }

    /// `up` in the background.
    pub(crate) fn begin(&self) -> Child {
        self.command(&["--lab", "up", "--yes"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started")
    }

    /// Breaks something: the words after `infra lab fault`.
    #[track_caller]
    pub(crate) fn fault(&self, args: &[&str]) {
        let args = [&["lab", "fault"], args].concat();
        self.run(&args).says(0, &[]);
    }

    /// Everything is well again, `up` reaches its end, and a second plan is empty.
    #[track_caller]
    pub(crate) fn recovers(&self) {
        self.fault(&["clear"]);
        self.up().says(0, &[]);
        self.settled();
    }

    #[track_caller]
    pub(crate) fn settled(&self) {
        self.run(&["--lab", "plan", "--exit-code"])
            .says(0, &["Nothing to change"]);
    }

    /// A new tag for Jellyfin's image: one stack has to be deployed again.
    pub(crate) fn another_jellyfin(&self, tag: &str) {
        let path = self.path("templates/images.yaml");
        let text = fs::read_to_string(&path).expect("images");
        let lines: Vec<String> = text
            .lines()
            .map(|line| match line.strip_prefix("jellyfin: ") {
                Some(image) => {
                    let (name, _) = image.rsplit_once(':').expect("a tag");
                    format!("jellyfin: {name}:{tag}")
                }
                None => line.to_owned(),
            })
            .collect();
        fs::write(path, lines.join("\n") + "\n").expect("written");
    }

    /// The lab's state, as `--lab` reads it.
    pub(crate) fn state(&self) -> Value {
        let text = fs::read_to_string(self.path("lab/state.json")).expect("the lab is up");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Runs `up` with one word of the lab's state replaced, as if the inventory named a wrong one.
    pub(crate) fn up_with(&self, key: &str, value: &str) -> Ran {
        let path = self.path("lab/state.json");
        let right = fs::read(&path).expect("the lab is up");
        let mut state = self.state();
        state[key] = value.into();
        fs::write(&path, state.to_string()).expect("written");
        let ran = self.up();
        fs::write(&path, right).expect("written");
        ran
    }

    /// What is wrong in the lab, and what its visitors have cost.
    pub(crate) fn report(&self) -> Value {
        let output = self
            .command(&["lab", "fault", "list", "--json"])
            .output()
            .expect("run");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// What the API remembers.
    pub(crate) fn model(&self) -> Value {
        let text = fs::read_to_string(self.path("lab/scripted/api/model.json")).expect("saved");
        serde_json::from_str(&text).expect("JSON")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path("lab/scripted/state/media-server-home/journal.jsonl")
    }
}

/// Runs a command to its end.
pub(crate) fn ended(mut command: Command) -> Ran {
    told(&command.output().expect("run"))
}

/// What an ended process said.
pub(crate) fn told(output: &std::process::Output) -> Ran {
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Ran {
        code: output.status.code(),
        text,
    }
}
