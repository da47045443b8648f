//! The disaster-recovery runbook of an inventory, in Markdown: what somebody does who has lost everything but this text, the
//! inventory and the emergency sheet.

use super::order::{hosts_in_order, stacks_in_order};
use crate::model::{
    backup::{BackupJob, Repository, in_order},
    desired::Desired,
    ids::{DatasetName, HostName, StackName, ZpoolName},
    secret::SecretSource,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// How commands are written: `infra -i inventory/home`.
pub struct Words<'a> {
    /// The program with its global options.
    pub infra: &'a str,
    /// Date of printing.
    pub today: &'a str,
}

/// Prints it.
pub fn runbook(desired: &Desired, words: &Words<'_>) -> String {
    let mut out = format!(
        "# Disaster recovery of {}\n\nPrinted {} by `infra dr plan`. Print it anew when the inventory changes, and keep it on paper with the emergency sheet, away from the machines.\n",
        desired.system, words.today
    );
    needed(&mut out, desired, words);
    machines(&mut out, desired, words);
    repositories(&mut out, desired);
    restore(&mut out, desired, words);
    proof(&mut out, desired, words);
    lost(&mut out, desired);
    out
}

fn needed(out: &mut String, desired: &Desired, words: &Words<'_>) {
    out.push_str("\n## 1. What you need\n\n");
    out.push_str(
        "- This text, a computer with `infra`, and a network that reaches the machines.\n",
    );
    out.push_str("- The inventory with its `templates/` and lock files: from its git remote, or a copy of its folder.\n");
    let mut files: BTreeSet<String> = BTreeSet::new();
    let (mut keys, mut other) = (false, Vec::new());
    for (name, source) in &desired.secrets {
        match source {
            SecretSource::Age { file, .. } | SecretSource::Sops { file, .. } => {
                keys = true;
                files.insert(file.clone());
            }
            SecretSource::File(file) => {
                files.insert(file.clone());
            }
            SecretSource::Env(variable) => {
                other.push(format!("`{name}`: the environment variable `{variable}`"));
            }
            SecretSource::Command(argv) => {
                let program = argv.first().map_or("", String::as_str);
                other.push(format!("`{name}`: what `{program}` prints"));
            }
        }
    }
    if keys {
        out.push_str("- Your age key (`~/.config/infra/age.txt`, or the one that SOPS uses). Without it no secret opens.\n");
    }
    for file in files {
        let _ = writeln!(out, "- The secrets file `{file}` beside the inventory.");
    }
    for one in other {
        let _ = writeln!(out, "- The secret {one}.");
    }
    if !desired.backups.is_empty() {
        let _ = writeln!(
            out,
            "- The emergency sheet (`{} backup keys --export`): it opens the backups by hand when all of the above is gone.",
            words.infra
        );
    }
}

fn machines(out: &mut String, desired: &Desired, words: &Words<'_>) {
    out.push_str("\n## 2. Machines\n\n");
    let mut step = 0;
    let mut line = |text: String| {
        step += 1;
        let _ = writeln!(out, "{step}. {text}");
    };
    for node in desired.nodes.values() {
        line(format!(
            "Install Proxmox VE on `{}` with the address {}, and its storages by the names of the inventory.",
            node.name, node.address
        ));
    }
    for host in desired.hosts.values() {
        line(format!(
            "Install Debian on `{}` with the address {}, and let your SSH key in.",
            host.name, host.address
        ));
    }
    for pool in desired.zpools.values() {
        let parts: Vec<String> = pool
            .create
            .iter()
            .map(|part| {
                let kind = part.kind.word().unwrap_or("single disk");
                format!("{kind} of {}", part.disks.join(", "))
            })
            .collect();
        let how = if parts.is_empty() {
            "the inventory does not say of which disks".to_owned()
        } else {
            format!("of {}", parts.join("; "))
        };
        line(format!(
            "The zpool `{}` on `{}`: `zpool import {}` when its disks have survived: then its files are there, and `dr run` brings nothing back over them. Otherwise make it ({how}).",
            pool.name, pool.host, pool.name
        ));
    }
    if desired.proxmox.is_some() {
        line(format!(
            "A token with the least privileges, pinned certificate: `{} play first-boot-node`, then put the token and the fingerprint into the inventory.",
            words.infra
        ));
    }
    line(format!(
        "`{} doctor`: everything that would stop the next step.",
        words.infra
    ));
    line(format!(
        "`{} dr run`: it carries out the rest of this text. By hand: `{} up --no-verify`, then section 4.",
        words.infra, words.infra
    ));
}

/// What a place is lost together with.
fn lives_on(desired: &Desired, job: &BackupJob) -> Option<ZpoolName> {
    let Repository::Path {
        dataset: Some(dataset),
        ..
    } = &job.repository
    else {
        return None;
    };
    let pool = dataset.zpool();
    desired
        .zpools
        .values()
        .find(|known| known.name.as_str() == pool)
        .map(|known| known.name.clone())
}

fn repositories(out: &mut String, desired: &Desired) {
    out.push_str("\n## 3. Where the backups are\n\n");
    if desired.backups.is_empty() {
        out.push_str("**The inventory has no backups. What is lost stays lost.**\n");
        return;
    }
    for job in in_order(&desired.backups) {
        let datasets = job.datasets.iter().map(ToString::to_string);
        let stacks = job
            .stacks
            .iter()
            .map(|name| format!("databases and exports of {name}"));
        let holds: Vec<String> = datasets
            .chain(job.paths.iter().cloned())
            .chain(stacks)
            .collect();
        let _ = writeln!(
            out,
            "- `{}` ({} on `{}`): `{}`, opens with the secret `{}`. It holds {}.",
            job.name,
            job.engine,
            job.host,
            job.repository,
            job.password,
            holds.join(", ")
        );
        if let Some(pool) = lives_on(desired, job) {
            let _ = writeln!(
                out,
                "  **This repository is on the zpool `{pool}`: when the zpool is lost, so is it.**"
            );
        } else if matches!(job.repository, Repository::Path { .. }) {
            let _ = writeln!(
                out,
                "  This repository is a directory of `{}`: bring its disk there before you go on.",
                job.host
            );
        }
    }
}

fn restore(out: &mut String, desired: &Desired, words: &Words<'_>) {
    out.push_str("\n## 4. What comes back, in this order\n\n");
    out.push_str("Files first, then databases from their dumps, then the services, host by host. Each command asks for the name.\n\n");
    let mut step = 0;
    for host in hosts_in_order(desired) {
        let parts = of_host(desired, host);
        if parts.is_empty() {
            continue;
        }
        step += 1;
        let _ = writeln!(
            out,
            "{step}. **{host}**: `{} backup restore host/{host} --live`",
            words.infra
        );
        for part in parts {
            let _ = writeln!(out, "   - {part}");
        }
    }
    if step == 0 {
        out.push_str("Nothing: no host has a dataset or a stack in a backup.\n");
    }
}

fn jobs_of(desired: &Desired, dataset: &DatasetName) -> Vec<String> {
    in_order(&desired.backups)
        .into_iter()
        .filter(|job| job.takes(dataset))
        .map(|job| job.name.to_string())
        .collect()
}

fn of_host(desired: &Desired, host: &HostName) -> Vec<String> {
    let mut out = Vec::new();
    let guest = desired.guests.get(host).into_iter();
    for mount in guest.flat_map(|guest| &guest.mounts) {
        let jobs = jobs_of(desired, &mount.dataset);
        if !jobs.is_empty() {
            out.push(format!(
                "files of `{}` from {}",
                mount.dataset,
                jobs.join(", ")
            ));
        }
    }
    let names: BTreeSet<StackName> = desired
        .stacks
        .values()
        .filter(|stack| stack.on == *host)
        .map(|stack| stack.name.clone())
        .collect();
    let mut order = Vec::new();
    for name in stacks_in_order(desired, &names) {
        order.push(name.to_string());
        let Some(stack) = desired.stacks.get(name) else {
            continue;
        };
        let held = desired
            .backups
            .values()
            .any(|job| job.stacks.contains(name));
        if !held {
            continue;
        }
        for database in &stack.backup.databases {
            out.push(format!(
                "database `{}` of {name} ({})",
                database.file(),
                database.engine
            ));
        }
        for export in &stack.backup.exports {
            out.push(format!("export `{}` of {name}", export.file()));
        }
    }
    if !out.is_empty() && !order.is_empty() {
        out.push(format!("then start, in this order: {}", order.join(", ")));
    }
    out
}

fn proof(out: &mut String, desired: &Desired, words: &Words<'_>) {
    out.push_str("\n## 5. Proof\n\n");
    let _ = writeln!(
        out,
        "1. `{} verify`: {} checks.",
        words.infra,
        desired.checks.len()
    );
    let _ = writeln!(
        out,
        "2. `{} plan --exit-code`: nothing differs.",
        words.infra
    );
    if !desired.backups.is_empty() {
        let _ = writeln!(
            out,
            "3. `{} backup run` (with `--anew` when you brought it back by hand), then `{} backup drill`: the next disaster may come tonight.",
            words.infra, words.infra
        );
    }
}

fn lost(out: &mut String, desired: &Desired) {
    let repositories: BTreeSet<&DatasetName> = desired
        .backups
        .values()
        .filter_map(|job| match &job.repository {
            Repository::Path { dataset, .. } => dataset.as_ref(),
            Repository::Ssh(_) | Repository::S3(_) => None,
        })
        .collect();
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for dataset in desired.datasets.values() {
        if !repositories.contains(&dataset.name) && jobs_of(desired, &dataset.name).is_empty() {
            all.insert(
                format!("the dataset `{}`", dataset.name),
                "no backup has it".to_owned(),
            );
        }
    }
    for stack in desired.stacks.values() {
        for (what, why) in &stack.waivers {
            all.insert(
                format!("`{what}` of {}", stack.name),
                format!("by your word: {why}"),
            );
        }
        let held = desired
            .backups
            .values()
            .any(|job| job.stacks.contains(&stack.name));
        if !held && !stack.backup.is_empty() {
            all.insert(
                format!("databases and exports of {}", stack.name),
                "no job names the stack".to_owned(),
            );
        }
    }
    if all.is_empty() {
        return;
    }
    out.push_str("\n## 6. What does not come back\n\n");
    for (what, why) in all {
        let _ = writeln!(out, "- {what}: {why}.");
    }
}
