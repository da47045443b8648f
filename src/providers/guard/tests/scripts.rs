//! The scripts in a real `sh`, on folders of their own, with a stand-in for `systemctl`.

#![expect(
    clippy::disallowed_methods,
    reason = "runs the scripts on this machine"
)]

use crate::model::ids::HostName;
use crate::providers::guard::{Armed, GuardError, GuardKind, Standing, Switch};
use crate::providers::shell::{Command, Output, Shell, ShellError};
use std::{fs, path::PathBuf, process::Stdio, time::Duration};
use tempfile::TempDir;

const A_MOMENT: Duration = Duration::from_secs(5);

/// A node whose `/etc/pve`, units and guard are folders of a test.
#[derive(Clone)]
struct Stand<'a> {
    host: HostName,
    folder: &'a TempDir,
}

impl<'a> Stand<'a> {
    fn new(folder: &'a TempDir) -> Self {
        for name in ["pve/firewall", "units", "guard"] {
            fs::create_dir_all(folder.path().join(name)).expect("made");
        }
        Self {
            host: "pve".parse().expect("valid"),
            folder,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("pve/firewall").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).expect("written");
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.file(name)).ok()
    }

    fn switch(&self, token: &str) -> Switch<Self> {
        Switch::new(self.clone(), GuardKind::Node, token, 45)
    }
}

impl Shell for Stand<'_> {
    fn host(&self) -> &HostName {
        &self.host
    }

    async fn run(&self, command: Command) -> Result<Output, ShellError> {
        let folder = self.folder.path().display().to_string();
        let stand_ins = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/firewall/stand-in");
        let path = format!("{stand_ins}:/usr/bin:/bin");
        let text = command.argv[2]
            .replace("/etc/pve", &format!("{folder}/pve"))
            .replace("/etc/systemd/system", &format!("{folder}/units"))
            .replace("/var/lib/infra/guard", &format!("{folder}/guard"))
            .replace(
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                &format!("PATH={path}"),
            );
        let done = std::process::Command::new("sh")
            .args(["-c", &text])
            .args(&command.argv[3..])
            .env("PATH", &path)
            .env("STAND", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("sh is there");
        Ok(Output {
            code: done.status.code().unwrap_or(-1),
            signal: None,
            stdout: done.stdout,
            stderr: done.stderr,
        })
    }
}

#[tokio::test]
async fn a_held_switch_still_puts_back_what_was_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let stand = Stand::new(&folder);
    stand.write("cluster.fw", "before\n");
    let switch = stand.switch("one");
    assert_eq!(switch.arm().await.expect("armed"), Armed::Now);
    stand.write("cluster.fw", "after\n");
    stand.write("110.fw", "new\n");
    switch.hold().await.expect("held");
    assert_eq!(switch.look(A_MOMENT).await.expect("said"), Standing::Held);
    assert_eq!(stand.read("cluster.fw").as_deref(), Some("after\n"));
    // The timer, were it still there, would find nothing to do.
    assert!(matches!(
        switch.renew(A_MOMENT).await,
        Err(GuardError::Fired { .. })
    ));
    switch.hold().await.expect("it hears it twice");

    switch.revert(A_MOMENT).await.expect("put back");
    assert_eq!(
        switch.look(A_MOMENT).await.expect("said"),
        Standing::Reverted
    );
    assert_eq!(stand.read("cluster.fw").as_deref(), Some("before\n"));
    assert_eq!(stand.read("110.fw"), None);
}

#[tokio::test]
async fn a_confirmed_switch_has_nothing_left_to_put_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let stand = Stand::new(&folder);
    stand.write("cluster.fw", "before\n");
    let switch = stand.switch("one");
    switch.arm().await.expect("armed");
    let timer = folder.path().join("units/infra-guard.timer");
    let text = fs::read_to_string(&timer).expect("a timer");
    assert!(text.contains("OnActiveSec=45s"), "{text}");
    stand.write("cluster.fw", "after\n");
    switch.hold().await.expect("held");
    switch.confirm().await.expect("confirmed");
    assert!(!timer.exists() && !folder.path().join("guard").exists());
    assert_eq!(switch.look(A_MOMENT).await.expect("said"), Standing::None);
    assert!(matches!(
        switch.revert(A_MOMENT).await,
        Err(GuardError::Fired { .. })
    ));
    assert_eq!(stand.read("cluster.fw").as_deref(), Some("after\n"));
}

#[tokio::test]
async fn what_a_dead_run_left_is_put_back_and_what_it_held_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let stand = Stand::new(&folder);
    stand.write("cluster.fw", "before\n");
    stand.switch("dead").arm().await.expect("armed");
    stand.write("cluster.fw", "after\n");
    let next = stand.switch("next");
    assert_eq!(next.arm().await.expect("said"), Armed::EarlierPutBack);
    assert_eq!(stand.read("cluster.fw").as_deref(), Some("before\n"));

    let kept = stand.switch("kept");
    kept.arm().await.expect("armed");
    stand.write("cluster.fw", "after\n");
    kept.hold().await.expect("held");
    assert_eq!(next.arm().await.expect("armed"), Armed::Now);
    assert_eq!(stand.read("cluster.fw").as_deref(), Some("after\n"));
    // Whoever held it has no say any more.
    assert!(kept.confirm().await.is_err());
    assert_eq!(next.look(A_MOMENT).await.expect("said"), Standing::Armed);
}
