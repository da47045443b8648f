//! How a guest's first boot went: asked in its shell, or of its agent when nobody can log in.

use super::{hands::World, walk::StepFailure};
use crate::model::ids::{HostName, Vmid};
use crate::providers::{
    proxmox::{GuestRead, GuestWrite, ProxmoxRead, ProxmoxWrite},
    shell::{Command, Shell as _},
};
use std::{fmt::Write as _, time::Duration};

impl<P: ProxmoxRead + ProxmoxWrite + GuestRead + GuestWrite> World<P> {
    /// Ends when the guest's agent says that cloud-init has failed: a guest that nobody can log in to need not be waited
    /// for. Without an agent it never ends.
    pub(super) async fn first_boot_fails(
        &self,
        node: &HostName,
        vmid: Vmid,
        guest: &HostName,
    ) -> StepFailure {
        loop {
            tokio::time::sleep(self.pause * AGENT_ROUNDS).await;
            if let Some(FirstBoot::Failed(said)) = self.first_boot_seen(node, vmid).await {
                return StepFailure::told(
                    format!("cloud-init failed on {guest}; its agent says:\n{said}"),
                    "Correct `cloud_init` in the inventory. The guest has booted: what failed is done by hand, or the guest \
                     is made anew after `infra destroy`.",
                );
            }
        }
    }

    /// How cloud-init ended, read by the agent; none while it has not, or when no agent answers.
    async fn first_boot_seen(&self, node: &HostName, vmid: Vmid) -> Option<FirstBoot> {
        let api = self.api().ok()?;
        let read = |path| api.agent_file(node.as_str(), vmid, path);
        let result = read(CLOUD_INIT_RESULT).await.ok()??;
        let errors = cloud_init_errors(&result)?;
        if errors.is_empty() {
            return Some(FirstBoot::Well);
        }
        let mut said = errors.join("\n");
        for path in CLOUD_INIT_LOGS {
            if let Ok(Some(log)) = read(path).await {
                // Writing to a string does not fail.
                let _ = write!(said, "\nthe end of {path}:\n{}", tail(&log));
            }
        }
        Some(FirstBoot::Failed(said))
    }

    /// A guest that does not let us in may still say through its agent how its first boot went.
    pub(super) async fn explained(
        &self,
        mut failure: StepFailure,
        node: &HostName,
        vmid: Vmid,
    ) -> StepFailure {
        match self.first_boot_seen(node, vmid).await {
            Some(FirstBoot::Failed(said)) => {
                failure.why.push_str("\nits agent says that cloud-init failed:\n");
                failure.why.push_str(&said);
            }
            Some(FirstBoot::Well) => failure
                .why
                .push_str("\nits agent says that cloud-init ended well: look at its addresses and at its sshd"),
            None => failure.why.push_str(
                "\nno guest agent says how its first boot went (none answers, or the token lacks VM.GuestAgent.FileRead); \
                 its serial console may",
            ),
        }
        failure
    }

    /// A failed cloud-init is told with its own words instead of a hang.
    pub(super) async fn first_boot(&self, guest: &HostName) -> Result<(), StepFailure> {
        let shell = self.shell(guest)?;
        let wait = Command::script("infra-first-boot", FIRST_BOOT).timeout(FIRST_BOOT_LIMIT);
        let output = shell.run(wait).await?;
        match output.code {
            // 2 is "done, with recoverable errors": the schema's deprecations count as such.
            0 | 2 => Ok(()),
            _ => Err(StepFailure::told(
                format!("cloud-init failed on {guest}:\n{}", output.complaint()),
                "Look at /var/log/cloud-init.log on the guest.",
            )),
        }
    }
}

/// cloud-init gets this long to end once its guest answers.
const FIRST_BOOT_LIMIT: Duration = Duration::from_mins(6);
/// Pauses between two questions to the agent of a guest that is waited for: ten seconds.
const AGENT_ROUNDS: u32 = 20;

/// What cloud-init leaves when it has ended.
const CLOUD_INIT_RESULT: &str = "/run/cloud-init/result.json";
/// What it did, and what the commands that it ran said.
const CLOUD_INIT_LOGS: [&str; 2] = ["/var/log/cloud-init.log", "/var/log/cloud-init-output.log"];
/// Lines of each that a failure shows.
const LOG_TAIL: usize = 20;

/// How a first boot ended.
enum FirstBoot {
    Well,
    Failed(String),
}

/// The errors in cloud-init's `result.json`; none when it is no such file.
fn cloud_init_errors(text: &str) -> Option<Vec<String>> {
    let result: serde_json::Value = serde_json::from_str(text).ok()?;
    let errors = result.get("v1")?.get("errors")?.as_array()?;
    let word = |error: &serde_json::Value| match error.as_str() {
        Some(text) => text.to_owned(),
        None => error.to_string(),
    };
    Some(errors.iter().map(word).collect())
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
}

/// Waits for cloud-init to end; exit 0 done, 1 failed, 2 done with recoverable errors. Absent cloud-init is done.
const FIRST_BOOT: &str = "\
command -v cloud-init >/dev/null || exit 0
[ ! -e /etc/cloud/cloud-init.disabled ] || exit 0
cloud-init status --wait >/dev/null 2>&1
code=$?
if [ \"$code\" = 1 ]; then
  cloud-init status --long >&2
  tail -n 20 /var/log/cloud-init.log >&2 2>/dev/null
fi
exit \"$code\"
";

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by cloud-init 25.1.4 in a guest of the lab.
    const WELL: &str = r#"{
 "v1": {
  "datasource": "DataSourceNoCloud [seed=/var/lib/cloud/seed/nocloud]",
  "errors": []
 }
}"#;

    #[test]
    fn errors_are_taken_from_the_result_and_nothing_else_counts() {
        assert_eq!(cloud_init_errors(WELL), Some(Vec::new()));
        let failed = WELL.replace(
            "[]",
            r#"["('scripts_user', RuntimeError('Runparts: 1 failures'))"]"#,
        );
        let errors = cloud_init_errors(&failed).expect("read");
        assert!(errors[0].contains("Runparts"), "{errors:?}");
        assert_eq!(cloud_init_errors("{\"v1\""), None, "half a file");
    }

    #[test]
    fn a_log_shows_its_end() {
        let log: String = (0..50)
            .map(|line| format!("line {line}"))
            .collect::<Vec<_>>()
            .join("\n");
        let end = tail(&log);
        assert!(
            end.starts_with("line 30") && end.ends_with("line 49"),
            "{end}"
        );
    }
}
