//! A host with two zpools, and one behind another address of it: real OpenZFS, an inventory about it, and the program.

use super::{
    rig::{Rig, is_nightly, program},
    stage::tell,
};
use serde_json::Value;
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

/// An inventory about a rig, and the program.
pub(crate) struct Bench {
    pub(crate) rig: Rig,
    folder: tempfile::TempDir,
}

const INVENTORY: &str = "version: 1
name: home
hosts:
  nas: {address: 127.0.0.1, ssh: {port: PORT, identity: KEY}}
  vault: {address: 127.0.0.2, ssh: {port: PORT, identity: KEY}}
zones:
  lan: {cidrs: 127.0.0.0/8}
sets: {operators: [127.0.0.9]}
operators: operators
services: {shell: PORT/tcp}
flows:
  - {from: operators, to: [nas, vault], allow: shell, reason: administration}
zfs:
  tank:
    host: nas
    datasets:
      photos: {snapshots: daily, properties: {acltype: posix}, datasets: {raw: {}}}
      media: {snapshots: weekly}
  cellar: {host: vault, datasets: {home: {snapshots: none, waivers: {snapshots: it holds copies, backup: it is one}}}}
retention: {two: {last: 2, guards: 1}}
replicas:
  offsite: {datasets: [tank/photos], to: cellar/home, retention: two}
stacks:
  app: {on: nas, mounts: {files: tank/photos}}
";

/// A unit with the stack's name that only notes what is asked of it.
const UNIT: &str = "[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo start >>/run/app.log'
ExecStop=/bin/sh -c 'test ! -e /run/app.stuck && echo stop >>/run/app.log'
";

impl Bench {
    /// In the nightly alone: a busy machine is too slow for an emulated one to answer in time.
    pub(crate) fn up() -> Option<Self> {
        if !is_nightly() {
            tell(
                "skipped: the verbs on real OpenZFS are tested at night; `make nightly SUITE=zfs`",
            );
            return None;
        }
        let rig = super::real::rig()?;
        let folder = tempfile::tempdir().expect("a folder");
        let bench = Self { rig, folder };
        let text = INVENTORY
            .replace("PORT", &bench.rig.port().to_string())
            .replace("KEY", &bench.rig.key().to_string_lossy());
        bench.write("inventory/system.yaml", &text);
        bench.write(
            "inventory/known_hosts",
            &bench.rig.known_hosts(&["nas", "vault"]),
        );
        bench.write(
            "inventory/templates/app/stack.yaml",
            "description: An app.\nneeds_mounts: [files]\n",
        );
        bench.write(
            "inventory/templates/app/compose.yaml",
            "services:\n  app:\n    image: docker.io/library/busybox:1.36\n    volumes: [\"{{ mounts.files }}:/data\"]\n",
        );
        // On a machine that is short of time the new partition's name may come too late for the first attempt.
        bench.rig.sh(&format!(
            "set -e; make() {{ zpool create -O mountpoint=none \"$@\"; }}; \
             for pool in 'tank /dev/vdg' 'cellar /dev/vdh'; do make $pool || {{ udevadm settle; make -f $pool; }}; done; \
             cat >/etc/systemd/system/infra-stack-app.service <<'E'\n{UNIT}E\nsystemctl daemon-reload; systemctl start infra-stack-app"
        ));
        Some(bench)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    pub(crate) fn inventory(&self) -> PathBuf {
        self.folder.path().join("inventory")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .arg("-i")
            .arg(self.inventory())
            .args(args)
            .env("HOME", self.folder.path())
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env("NO_COLOR", "1");
        command
    }

    pub(crate) fn infra(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program runs")
    }

    /// Runs it, and wants this exit code and these words.
    pub(crate) fn says(&self, args: &[&str], code: i32, words: &[&str]) -> String {
        let output = self.infra(args);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(code), "{args:?}:\n{text}");
        for word in words {
            assert!(
                text.contains(word),
                "{args:?} does not say `{word}`:\n{text}"
            );
        }
        text
    }

    /// Runs it with `--json`: one document, whatever the verb.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.infra(&[&["--json"], args].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "{args:?} printed no single document ({error}):\n{}\n{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }

    /// Waits for what another process is about to do; a test that hangs says nothing.
    pub(crate) fn until(&self, condition: &str) {
        self.rig.sh(&format!(
            "timeout 300 sh -c 'until {condition}; do :; done'"
        ));
    }

    pub(crate) fn newest(&self, dataset: &str) -> String {
        let all = self.rig.sh(&format!(
            "zfs list -H -t snapshot -o name -s createtxg -d 1 {dataset}"
        ));
        all.lines().last().expect("a snapshot").to_owned()
    }
}
