//! What can go wrong on a host, in words that tell the owner what to do.

use crate::model::ids::HostName;
use crate::providers::shell::{Output, ShellError};

/// Why a host could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The command did not get there, or its answer makes no sense.
    #[error(transparent)]
    Shell(#[from] ShellError),
    /// A name that no line of a request can hold.
    #[error("name {what:?} to {host}: it holds a line break, or a blank where none can be")]
    Unspeakable {
        /// Host.
        host: HostName,
        /// The name.
        what: String,
    },
    /// No room on the filesystem.
    #[error("write to {host}: the disk is full: {complaint}")]
    DiskFull {
        /// Host.
        host: HostName,
        /// The failing operation's words.
        complaint: String,
    },
    /// A file or directory was not written.
    #[error("change files on {host}: {complaint}")]
    Files {
        /// Host.
        host: HostName,
        /// Path and reason, as the far side said them.
        complaint: String,
    },
    /// Another package manager did not finish within five minutes.
    #[error("install packages on {host}: another package manager holds the lock: {complaint}")]
    PackageLock {
        /// Host.
        host: HostName,
        /// What apt said.
        complaint: String,
    },
    /// No configured repository has the package.
    #[error("find packages for {host}: {complaint}")]
    PackageUnknown {
        /// Host.
        host: HostName,
        /// What apt said.
        complaint: String,
    },
    /// The repositories could not be reached.
    #[error("download packages for {host}: {complaint}")]
    PackageDownload {
        /// Host.
        host: HostName,
        /// What apt said.
        complaint: String,
    },
    /// apt or dpkg failed for another reason.
    #[error("install {packages} on {host}: {complaint}")]
    Packages {
        /// Host.
        host: HostName,
        /// What was asked for.
        packages: String,
        /// The last lines of apt.
        complaint: String,
    },
    /// A filesystem was not made, or did not grow.
    #[error("{verb} the filesystem of disk {disk} on {host}: {complaint}")]
    Disk {
        /// Host.
        host: HostName,
        /// `make` or `grow`.
        verb: String,
        /// Serial number.
        disk: String,
        /// What the far side said.
        complaint: String,
    },
    /// A unit, a reaction or a kernel setting failed.
    #[error("{step} on {host}: {complaint}")]
    Step {
        /// Host.
        host: HostName,
        /// What was attempted: `start docker.service`, `sysctl net.ipv4.ip_forward`.
        step: String,
        /// What the far side said, with the unit's last journal lines.
        complaint: String,
    },
}

const FULL: &str = "No space left on device";

impl HostError {
    /// A failed write script.
    pub(super) fn of_files(host: &HostName, output: &Output) -> Self {
        let (host, complaint) = (host.clone(), output.complaint());
        if complaint.contains(FULL) {
            Self::DiskFull { host, complaint }
        } else {
            Self::Files { host, complaint }
        }
    }

    /// A failed `infra-packages`, by what apt and dpkg say (apt 2.6 and 3.0).
    pub(super) fn of_packages(host: &HostName, packages: &[String], output: &Output) -> Self {
        let all = String::from_utf8_lossy(&output.stderr);
        let (host, complaint) = (host.clone(), essence(&all));
        let says = |words: &[&str]| words.iter().any(|word| all.contains(word));
        if says(&[FULL, "You don't have enough free space"]) {
            Self::DiskFull { host, complaint }
        } else if says(&[
            "Could not get lock",
            "Unable to acquire the dpkg frontend lock",
            "lock was locked by",
        ]) {
            Self::PackageLock { host, complaint }
        } else if says(&["Failed to fetch", "Unable to fetch some archives"]) {
            Self::PackageDownload { host, complaint }
        } else if says(&["Unable to locate package", "has no installation candidate"]) {
            Self::PackageUnknown { host, complaint }
        } else {
            Self::Packages {
                host,
                packages: packages.join(", "),
                complaint,
            }
        }
    }

    /// A failed step script: its first line says `failed STEP`, the rest why.
    pub(super) fn of_step(host: &HostName, output: &Output) -> Self {
        let text = output.text();
        let mut lines = text.lines();
        let step = lines.next().and_then(|line| line.strip_prefix("failed "));
        let mut rest: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
        let stderr = String::from_utf8_lossy(&output.stderr);
        rest.extend(stderr.lines().filter(|line| !line.trim().is_empty()));
        Self::Step {
            host: host.clone(),
            step: step.unwrap_or("run a step").to_owned(),
            complaint: rest[rest.len().saturating_sub(14)..].join("\n"),
        }
    }
}

/// apt's own errors; without any, its last lines.
fn essence(text: &str) -> String {
    let errors: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("E: ") || line.starts_with("dpkg: error"))
        .collect();
    if errors.is_empty() {
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    } else {
        errors.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> HostName {
        "intranet".parse().expect("valid")
    }

    fn failed(stdout: &str, stderr: &str) -> Output {
        Output {
            code: 1,
            signal: None,
            stdout: stdout.into(),
            stderr: stderr.into(),
        }
    }

    /// apt 2.6.1's own words.
    #[test]
    fn apts_failures_are_told_apart() {
        let of = |text: &str| HostError::of_packages(&host(), &["x".into()], &failed("", text));
        let unknown = of(
            "Reading package lists...\nBuilding dependency tree...\nE: Unable to locate package x\n",
        );
        assert!(
            matches!(&unknown, HostError::PackageUnknown { complaint, .. } if complaint == "E: Unable to locate package x")
        );
        let locked = of(
            "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt-get)\n\
                         E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n",
        );
        assert!(matches!(locked, HostError::PackageLock { .. }));
        let full = of("E: You don't have enough free space in /var/cache/apt/archives/.\n");
        assert!(matches!(full, HostError::DiskFull { .. }));
        let offline = of("E: Failed to fetch http://deb.example.org/x.deb  Could not connect\n");
        assert!(matches!(offline, HostError::PackageDownload { .. }));
        let other = of("Setting up x ...\nx: post-installation script returned 1\n");
        assert!(
            matches!(&other, HostError::Packages { complaint, .. } if complaint.contains("returned 1"))
        );
    }

    #[test]
    fn a_failed_step_is_named_with_its_journal() {
        let error = HostError::of_step(
            &host(),
            &failed(
                "failed start docker.service\nJob failed.\nno space left\n",
                "",
            ),
        );
        assert_eq!(
            error.to_string(),
            "start docker.service on intranet: Job failed.\nno space left"
        );
    }
}
