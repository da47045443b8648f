//! The program in a folder of its own, outside of any lab.

use crate::place::Place;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

/// One run of the suite.
pub(crate) struct Run<'a> {
    place: &'a Place,
    folder: TempDir,
}

impl<'a> Run<'a> {
    /// Writes the inventory and the node's host key.
    pub(crate) fn prepare(place: &'a Place) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let system = folder.path().join("inventory/infra-live");
        fs::create_dir_all(&system).expect("a folder");
        fs::write(system.join("system.yaml"), place.inventory()).expect("the inventory");
        fs::write(system.join("known_hosts"), &place.known_hosts).expect("the node's key");
        let run = Self { place, folder };
        run.says("the inventory", &["check"], 0, &["is valid"]);
        run
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn infra(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_infra"))
            .args(args)
            .current_dir(self.path())
            .env("INFRA_LIVE_TOKEN", &self.place.token)
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env_remove("INFRA_INVENTORY")
            .output()
            .expect("infra runs")
    }

    /// Runs a verb, wants its exit code and its words, and keeps the token out of all it says.
    #[track_caller]
    pub(crate) fn says(&self, what: &str, args: &[&str], code: i32, words: &[&str]) {
        let Output {
            status,
            stdout,
            stderr,
        } = self.infra(args);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&stderr),
            String::from_utf8_lossy(&stdout)
        );
        assert_eq!(status.code(), Some(code), "{what}: infra {args:?}\n{text}");
        for word in words {
            assert!(
                text.contains(word),
                "{what}: infra {args:?} does not say {word:?}\n{text}"
            );
        }
        assert!(
            !text.contains(&self.place.token),
            "{what}: the token is told"
        );
    }

    /// Nothing differs from the inventory.
    #[track_caller]
    pub(crate) fn settled(&self) {
        self.says("the plan is empty", &["plan", "--exit-code"], 0, &[]);
    }

    /// What the suite makes is not there yet: it would not know its own from somebody else's.
    #[track_caller]
    pub(crate) fn nothing_of_ours_is_there(&self) {
        let zpool = &self.place.ok_to_destroy;
        assert!(
            self.on_node(&["zpool", "list", "-H", "-o", "name", zpool])
                .status
                .success(),
            "there is no zpool {zpool} on {}",
            self.place.node
        );
        let dataset = format!("{zpool}/infra-live");
        assert!(
            !self.on_node(&["zfs", "list", &dataset]).status.success(),
            "{dataset} exists: an earlier run left it. Look at it, then: zfs destroy -r {dataset}"
        );
        assert!(!self.guest_exists(), "there is a guest {}", self.place.vmid);
    }

    /// A command in the guest, over infra's own way in.
    #[track_caller]
    pub(crate) fn in_guest(&self, command: &[&str]) {
        let args = [&["vm", "ssh", "probe", "--"], command].concat();
        self.says("by hand", &args, 0, &[]);
    }

    /// A command on the node, over infra's own way in.
    fn on_node(&self, command: &[&str]) -> Output {
        self.infra(&[&["vm", "ssh", &self.place.node, "--"], command].concat())
    }

    fn guest_exists(&self) -> bool {
        let output = self.infra(&["--json", "vm", "list"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "vm list: {text}");
        let listed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let vmid: u64 = self.place.vmid.parse().expect("a number");
        let guests = listed["guests"].as_array().expect("guests");
        guests.iter().any(|guest| guest["vmid"] == vmid)
    }

    #[track_caller]
    pub(crate) fn guest_is_gone(&self) {
        assert!(!self.guest_exists(), "the guest is still there");
    }

    /// Destroys what infra itself never would: the suite's datasets, on the zpool that was given up for it.
    #[track_caller]
    pub(crate) fn clean_up(&self) {
        let dataset = format!("{}/infra-live", self.place.ok_to_destroy);
        let gone = self.on_node(&["zfs", "destroy", "-r", &dataset]);
        assert!(
            gone.status.success(),
            "zfs destroy -r {dataset}: {}",
            String::from_utf8_lossy(&gone.stderr)
        );
    }
}
