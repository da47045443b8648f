//! Whether machines are empty: what a recovery would overwrite.
//!
//! Invariant: a machine that exists and gives no answer never counts as empty.

use crate::backup::is_the_machines;
use crate::cli::{
    backup::live_restore::directories, exit, failure::Failure, session::Session, zfs::shell_told,
};
use crate::model::{
    backup::{BackupJob, DatabaseEngine},
    dataset::MARKER,
    ids::{DatasetName, HostName},
};
use crate::providers::{
    proxmox::ProxmoxRead as _,
    shell::{Command, Shell},
    ssh::SshHost,
};
use std::collections::BTreeSet;

/// What holds something where a recovery would bring something back, in words.
pub(super) async fn full(session: &Session) -> Result<Vec<String>, Failure> {
    let desired = &session.desired;
    let mut hosts: BTreeSet<&HostName> = desired.backups.values().map(|job| &job.host).collect();
    hosts.extend(desired.stacks.values().map(|stack| &stack.on));
    let mut out = Vec::new();
    for host in hosts {
        let Some(shell) = machine(session, host).await? else {
            continue;
        };
        for job in desired.backups.values().filter(|job| job.host == *host) {
            out.extend(of_job(shell, job).await?);
        }
        let directories = directories(session);
        for stack in desired.stacks.values().filter(|stack| stack.on == *host) {
            let is_backed = desired
                .backups
                .values()
                .any(|job| job.stacks.contains(&stack.name));
            let own = directories.get(&stack.name).into_iter().flatten();
            for path in own.filter(|path| !is_the_machines(path)) {
                out.extend(files(shell, path, path, true).await?);
            }
            let mut databases = stack.backup.databases.iter();
            if is_backed && databases.any(|one| one.engine != DatabaseEngine::Sqlite) {
                out.extend(containers(shell, stack.name.as_str()).await?);
            }
        }
    }
    out.sort();
    out.dedup();
    Ok(out)
}

/// The way to a host that exists; none for a guest that Proxmox does not have yet.
async fn machine<'s>(
    session: &'s Session,
    host: &HostName,
) -> Result<Option<&'s SshHost>, Failure> {
    let Some(shell) = session.hosts.get(host) else {
        return Ok(None);
    };
    let Some(guest) = session.desired.guests.get(host) else {
        return Ok(Some(shell));
    };
    let Err(error) = shell.run(Command::new(["true"])).await else {
        return Ok(Some(shell));
    };
    if let Some(proxmox) = &session.world.proxmox {
        let seen = proxmox.guest(guest.vmid).await;
        let seen = seen.map_err(|error| Failure::of(exit::UNREACHABLE, &error))?;
        if seen.is_none() {
            return Ok(None);
        }
    }
    Err(Failure::new(
        exit::UNREACHABLE,
        format!(
            "{host} exists (guest {}) and gives no answer: nobody knows what it holds",
            guest.vmid
        ),
    )
    .because(shell_told(error).text())
    .hint("Nothing was touched. Start it and run this again, or remove it when nothing of it is needed."))
}

async fn of_job<S: Shell>(shell: &S, job: &BackupJob) -> Result<Vec<String>, Failure> {
    let mut out = Vec::new();
    for dataset in &job.datasets {
        out.extend(of_dataset(shell, dataset).await?);
    }
    for path in job.paths.iter().filter(|path| !is_the_machines(path)) {
        out.extend(files(shell, path, path, true).await?);
    }
    Ok(out)
}

/// A dataset and those below it.
async fn of_dataset<S: Shell>(shell: &S, top: &DatasetName) -> Result<Vec<String>, Failure> {
    let words = [
        "zfs",
        "list",
        "-Hp",
        "-r",
        "-t",
        "filesystem",
        "-o",
        "name,mounted,mountpoint",
    ];
    let asked = Command::new(words).args([top.as_str()]);
    let output = shell.run(asked).await.map_err(shell_told)?;
    // No such dataset, or no ZFS yet: nothing is there.
    if !output.is_success() {
        return Ok(Vec::new());
    }
    let mut out = Vec::new();
    for line in output.text().lines() {
        let mut words = line.splitn(3, '\t');
        if let (Some(name), Some("yes"), Some(at)) = (words.next(), words.next(), words.next()) {
            out.extend(files(shell, name, at, false).await?);
        }
    }
    Ok(out)
}

/// Whether there is any file at a path; `deep` looks into what is mounted there as well. The file by which stacks know a
/// dataset is none.
async fn files<S: Shell>(
    shell: &S,
    what: &str,
    at: &str,
    deep: bool,
) -> Result<Option<String>, Failure> {
    let mut words = vec!["find", at];
    if !deep {
        words.push("-xdev");
    }
    words.extend(["!", "-type", "d", "!", "-name", MARKER, "-print", "-quit"]);
    let found = shell.run(Command::new(words)).await.map_err(shell_told)?;
    let is_full = !found.text().trim().is_empty();
    Ok(is_full.then(|| format!("{what} on {} holds files", shell.host())))
}

/// Whether a stack has containers or volumes: its databases may be in them.
async fn containers<S: Shell>(shell: &S, stack: &str) -> Result<Option<String>, Failure> {
    let label = format!("label=com.docker.compose.project={stack}");
    for (list, what) in [
        (["docker", "volume", "ls", "--quiet"].as_slice(), "volumes"),
        (
            ["docker", "ps", "--all", "--quiet"].as_slice(),
            "containers",
        ),
    ] {
        let asked = Command::new(list.iter().copied()).args(["--filter", &label]);
        let output = shell.run(asked).await.map_err(shell_told)?;
        // Without Docker there is no container.
        if output.is_success() && !output.text().trim().is_empty() {
            return Ok(Some(format!(
                "stack {stack} has {what} on {} already",
                shell.host()
            )));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::shell::{Output, ShellError};

    /// Answers of a host by how its commands begin; any other command fails.
    struct Machine(HostName, &'static [(&'static str, &'static str)]);

    impl Shell for Machine {
        fn host(&self) -> &HostName {
            &self.0
        }

        async fn run(&self, command: Command) -> Result<Output, ShellError> {
            let line = command.argv.join(" ");
            let known = self.1.iter().find(|(begin, _)| line.starts_with(begin));
            Ok(Output {
                code: if known.is_some() { 0 } else { 127 },
                stdout: known.map_or(Vec::new(), |(_, text)| text.as_bytes().to_vec()),
                ..Output::default()
            })
        }
    }

    fn machine(answers: &'static [(&'static str, &'static str)]) -> Machine {
        Machine("pve".parse().expect("valid"), answers)
    }

    fn ask<T>(work: impl Future<Output = Result<T, Failure>>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let done = runtime.expect("a runtime").block_on(work);
        done.unwrap_or_else(|failure| panic!("{}", failure.text()))
    }

    fn job(datasets: &[&str], paths: &[&str]) -> BackupJob {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = folder.join("inventory/media-server-home");
        let today = jiff::civil::date(2026, 11, 20);
        let builtin = crate::inventory::BuiltinTemplates::new();
        let loaded = crate::inventory::load(&folder, today, &builtin).expect("readable");
        let desired = loaded.desired.expect("valid");
        let mut job = desired.backups.values().next().expect("a job").clone();
        let dataset = |name: &&str| DatasetName::new(*name).expect("valid");
        job.datasets = datasets.iter().map(dataset).collect();
        job.paths = paths.iter().map(|&path| path.to_owned()).collect();
        job
    }

    #[test]
    fn a_dataset_below_one_that_is_empty_is_seen() {
        let pve = machine(&[
            (
                "zfs list",
                "tank/photos\tyes\t/mnt/p\ntank/photos/raw\tyes\t/mnt/p/raw\ntank/photos/off\tno\t/mnt/p/off\n",
            ),
            ("find /mnt/p/raw -xdev", "/mnt/p/raw/a.jpg\n"),
            ("find /mnt/p -xdev", ""),
            ("find /mnt/p/off", "/mnt/p/off/x\n"),
        ]);
        let found = ask(of_job(&pve, &job(&["tank/photos"], &[])));
        assert_eq!(found, ["tank/photos/raw on pve holds files"]);
    }

    #[test]
    fn without_zfs_directories_are_looked_at() {
        let pve = machine(&[
            ("find /srv/app !", "/srv/app/data.db\n"),
            ("find /etc", "/etc/passwd\n"),
        ]);
        let found = ask(of_job(
            &pve,
            &job(&["tank/photos"], &["/etc", "/srv/app", "/srv/none"]),
        ));
        assert_eq!(found, ["/srv/app on pve holds files"]);
    }

    #[test]
    fn databases_live_in_volumes_and_containers() {
        let volume = machine(&[(
            "docker volume ls --quiet --filter label=com.docker.compose.project=immich",
            "immich_data\n",
        )]);
        let found = ask(containers(&volume, "immich"));
        assert_eq!(
            found.as_deref(),
            Some("stack immich has volumes on pve already")
        );
        let container = machine(&[("docker volume ls", ""), ("docker ps --all", "abc\n")]);
        let found = ask(containers(&container, "immich"));
        assert_eq!(
            found.as_deref(),
            Some("stack immich has containers on pve already")
        );
        assert_eq!(ask(containers(&machine(&[]), "immich")), None, "no Docker");
    }
}
