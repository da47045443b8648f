//! Backup jobs.

use super::{
    Noun, Scope, backup_place,
    names::{entries, items},
    policy,
    scope::or,
};
use crate::inventory::{
    codes,
    document::{self, BackupEngine, Document},
    nearest::listed,
    source::Span,
    written::{At, May},
};
use crate::model::{
    backup::{BackupJob, Engine, Repository},
    desired::Desired,
    ids::{BackupName, DatasetName, HostName, SecretName, StackName},
    retention::Retention,
};
use std::collections::BTreeMap;

/// Restored when everything else is, unless given.
const ORDER: u32 = 100;
/// Where drills restore to, unless given.
const SCRATCH: &str = "/var/lib/infra/scratch";
/// What is kept, unless given.
const KEEP: Retention = Retention {
    last: 1,
    hourly: 0,
    daily: 14,
    weekly: 8,
    monthly: 12,
    yearly: 2,
    guards: None,
};

/// All jobs.
pub(super) fn backups(
    document: &Document,
    desired: &Desired,
    scope: &mut Scope<'_>,
) -> BTreeMap<BackupName, BackupJob> {
    let mut out: BTreeMap<BackupName, BackupJob> = BTreeMap::new();
    for (key, raw) in entries(&document.backups) {
        let name = scope.own_name::<BackupName>(key);
        let Some(raw) = &raw.value else { continue };
        let host: Option<HostName> = scope.refer(Noun::Host, &raw.host);
        let password: Option<SecretName> = scope.refer(Noun::Secret, &raw.password);
        let schedule = scope.parse(&raw.schedule);
        let drill = scope.parse_may(&raw.drill);
        let keep = keep(&raw.keep, scope);
        let engine = match or(&raw.engine, BackupEngine::Restic) {
            BackupEngine::Restic => Engine::Restic,
            BackupEngine::Borg => Engine::Borg,
        };
        let same_zpool = raw
            .same_zpool
            .as_ref()
            .and_then(|at| policy::reason(at, scope));
        let Some(host) = host else { continue };
        let reader = Reader {
            raw,
            host: &host,
            desired,
        };
        let datasets = reader.datasets(scope);
        let paths = reader.paths(scope);
        let stacks = reader.stacks(scope);
        reader.something(key.span, scope);
        let repository = backup_place::repository(raw, &host, desired, scope);
        if engine == Engine::Borg && matches!(repository, Some(Repository::S3(_))) {
            scope
                .error(codes::BACKUP_REPOSITORY, "borg has no S3")
                .at(raw.repository.span, "this repository")
                .help("write `engine: restic`, or a repository behind `ssh`");
        }
        let (Some(name), Some(password), Some(schedule), Some(repository)) =
            (name, password, schedule, repository)
        else {
            continue;
        };
        let job = BackupJob {
            name: name.clone(),
            host: host.clone(),
            engine,
            repository,
            password,
            datasets,
            paths,
            stacks,
            excludes: items(&raw.exclude)
                .iter()
                .filter_map(|at| at.value.clone())
                .filter(|pattern| !pattern.is_empty())
                .collect(),
            schedule,
            drill,
            keep,
            order: or(&raw.order, ORDER),
            scratch: scope
                .parse_may(&raw.scratch)
                .map_or_else(|| SCRATCH.to_owned(), |path| path.0),
            same_zpool,
        };
        backup_place::apart(&job, raw, desired, scope);
        out.insert(name, job);
    }
    out
}

fn keep(raw: &May<document::Retention>, scope: &mut Scope<'_>) -> Retention {
    let Some(at) = raw else { return KEEP };
    let Some(raw) = &at.value else { return KEEP };
    let count = |at: &May<u32>| at.as_ref().and_then(|at| at.value).unwrap_or(0);
    let keep = Retention {
        last: count(&raw.last),
        hourly: count(&raw.hourly),
        daily: count(&raw.daily),
        weekly: count(&raw.weekly),
        monthly: count(&raw.monthly),
        yearly: count(&raw.yearly),
        guards: None,
    };
    let all = [
        keep.last,
        keep.hourly,
        keep.daily,
        keep.weekly,
        keep.monthly,
        keep.yearly,
    ];
    if all.iter().all(|count| *count == 0) {
        scope
            .error(codes::KEEPS_NOTHING, "this retention keeps nothing")
            .at(at.span, "every count is 0")
            .help("write for example `keep: {daily: 14, weekly: 8, monthly: 12}`");
    }
    keep
}

struct Reader<'a> {
    raw: &'a document::Backup,
    host: &'a HostName,
    desired: &'a Desired,
}

impl Reader<'_> {
    /// Only the host that owns a dataset can take its snapshots and mount them.
    fn datasets(&self, scope: &mut Scope<'_>) -> Vec<DatasetName> {
        let mut out: Vec<DatasetName> = Vec::new();
        for at in items(&self.raw.datasets) {
            let Some(name) = scope.refer::<DatasetName>(Noun::Dataset, at) else {
                continue;
            };
            let pools = self.desired.zpools.values();
            let owner = pools
                .filter(|pool| pool.name.as_str() == name.zpool())
                .map(|pool| &pool.host)
                .next();
            if let Some(owner) = owner.filter(|owner| *owner != self.host) {
                scope
                    .error(
                        codes::BACKUP_SOURCE,
                        format!(
                            "`{name}` is on `{owner}`, and this job runs on `{}`",
                            self.host
                        ),
                    )
                    .at(at.span, "this dataset")
                    .at(self.raw.host.span, "this host")
                    .help(format!(
                        "write `host: {owner}`: snapshots are taken and mounted where the zpool is"
                    ));
                continue;
            }
            if let Some(other) = out.iter().find(|other| name.is_within(other)) {
                let summary = format!("`{name}` goes along with `{other}` already");
                scope
                    .error(codes::BACKUP_SOURCE, summary)
                    .at(at.span, "twice")
                    .help("datasets inside of a named one need no mention");
                continue;
            }
            out.push(name);
        }
        out
    }

    fn paths(&self, scope: &mut Scope<'_>) -> Vec<String> {
        let written = items(&self.raw.paths).iter();
        written
            .filter_map(|at| scope.parse(at))
            .map(|path| path.0)
            .collect()
    }

    /// A stack that is named must have something beside its files.
    fn stacks(&self, scope: &mut Scope<'_>) -> Vec<StackName> {
        let mut out = Vec::new();
        for at in items(&self.raw.stacks) {
            let Some(name) = scope.refer::<StackName>(Noun::Stack, at) else {
                continue;
            };
            let Some(stack) = self.desired.stacks.get(&name) else {
                continue;
            };
            if stack.backup.is_empty() {
                let with: Vec<_> = self.desired.stacks.values().collect();
                let with: Vec<String> = with
                    .iter()
                    .filter(|stack| !stack.backup.is_empty())
                    .map(|stack| stack.name.to_string())
                    .collect();
                let help = if with.is_empty() {
                    "no template says `backup:` in its manifest".to_owned()
                } else {
                    format!("there is {}", listed(&with))
                };
                scope
                    .error(
                        codes::BACKUP_SOURCE,
                        format!("the stack `{name}` has neither databases nor exports"),
                    )
                    .at(at.span, "nothing to do here")
                    .help(format!(
                        "name the dataset that its files are on; or write `backup:` in `templates/{}/stack.yaml`; {help}",
                        stack.template
                    ));
            }
            out.push(name);
        }
        out
    }

    fn something(&self, span: Span, scope: &mut Scope<'_>) {
        let written = |list: &May<Vec<At<String>>>| !items(list).is_empty();
        if written(&self.raw.datasets)
            || written(&self.raw.stacks)
            || !items(&self.raw.paths).is_empty()
        {
            return;
        }
        scope
            .error(codes::EMPTY, "a backup of nothing")
            .at(span, "what is backed up?")
            .help("name `datasets`, `paths` or `stacks`");
    }
}
