//! A host with ZFS in memory: it knows the room's scripts, counts what it runs, and refuses in ZFS's recorded words.

use crate::model::ids::HostName;
use crate::providers::shell::{Command, Output, Shell, ShellError};
use crate::providers::zfs::{DESTROY_SCRIPT, HOLD_SCRIPT, SNAPSHOT_SCRIPT, SURVEY_SCRIPT};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Mutex,
};

/// One snapshot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) txg: u64,
    pub(crate) creation: i64,
    pub(crate) mark: String,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) clone: String,
    /// Busy for this many destroys.
    pub(crate) busy: u32,
}

/// Datasets with their snapshots by name.
pub(crate) type World = BTreeMap<String, BTreeMap<String, Snapshot>>;

/// The host.
pub(crate) struct FakeHost {
    host: HostName,
    pub(crate) clock: i64,
    pub(crate) world: Mutex<World>,
    /// Each command's script name, or its first two words.
    pub(crate) ran: Mutex<Vec<String>>,
    /// Each `zfs` that was started on the host.
    pub(crate) started: Mutex<Vec<String>>,
}

impl FakeHost {
    pub(crate) fn new(clock: i64, datasets: &[&str]) -> Self {
        let world = datasets
            .iter()
            .map(|name| ((*name).to_owned(), BTreeMap::new()))
            .collect();
        Self {
            host: "pve".parse().expect("valid"),
            clock,
            world: Mutex::new(world),
            ran: Mutex::default(),
            started: Mutex::default(),
        }
    }

    pub(crate) fn put(&self, id: &str, snapshot: Snapshot) {
        let (dataset, name) = id.split_once('@').expect("a snapshot");
        let mut world = self.world.lock().expect("not poisoned");
        let snapshots = world.entry(dataset.to_owned()).or_default();
        let txg = u64::try_from(snapshots.len()).expect("few") + 1;
        let txg = if snapshot.txg == 0 { txg } else { snapshot.txg };
        snapshots.insert(name.to_owned(), Snapshot { txg, ..snapshot });
    }

    pub(crate) fn names(&self, dataset: &str) -> Vec<String> {
        self.world.lock().expect("not poisoned")[dataset]
            .keys()
            .cloned()
            .collect()
    }

    fn survey(&self, pools: &[String]) -> Output {
        let world = self.world.lock().expect("not poisoned");
        let mut out = format!("==zfs clock {}\n==zfs version 2.2.7-pve1\n", self.clock);
        for pool in pools {
            let is_there = world
                .keys()
                .any(|name| name.split('/').next() == Some(pool));
            let _ = writeln!(out, "==zfs pool {pool}");
            if !is_there {
                let _ = writeln!(out, "==zfs exit 1 cannot open '{pool}': no such pool");
                continue;
            }
            let _ = writeln!(
                out,
                "{pool}\tONLINE\t1006632960\t466944\t1006166016\t0\t2\n"
            );
            let _ = writeln!(out, "==zfs exit 0 \n==zfs things {pool}");
            let below = world
                .iter()
                .filter(|(name, _)| name.split('/').next() == Some(pool));
            for (name, snapshots) in below {
                let _ = writeln!(
                    out,
                    "{name}\tfilesystem\t1\t1\t1\t98304\t-\t-\t-\tyes\t-\t-"
                );
                for (short, one) in snapshots {
                    let clones = if one.clone.is_empty() {
                        "-"
                    } else {
                        &one.clone
                    };
                    let _ = writeln!(
                        out,
                        "{name}@{short}\tsnapshot\t{0}\t{0}\t{1}\t0\t{2}\t{clones}\t-\t-\t-\t{3}",
                        one.txg,
                        one.creation,
                        one.tags.len(),
                        one.mark
                    );
                }
            }
            out.push_str("==zfs exit 0 \n");
        }
        out.push_str("==zfs end\n");
        said(0, out)
    }

    fn snapshot(&self, args: &[String], input: &str) -> Output {
        let mut world = self.world.lock().expect("not poisoned");
        let mark = args
            .iter()
            .find_map(|arg| arg.strip_prefix("org.infra:snapshot="));
        let taken = input.lines().find(|line| {
            world
                .get(*line)
                .is_some_and(|all| all.contains_key(&args[0]))
        });
        if let Some(taken) = taken {
            let words = format!(
                "cannot create snapshot '{taken}@{}': dataset already exists\n",
                args[0]
            );
            return Output {
                stderr: words.into_bytes(),
                ..said(1, String::new())
            };
        }
        let txg = world
            .values()
            .flatten()
            .map(|(_, one)| one.txg)
            .max()
            .unwrap_or(0)
            + 1;
        for line in input.lines() {
            let snapshot = Snapshot {
                txg,
                creation: self.clock,
                mark: mark.unwrap_or("-").to_owned(),
                ..Snapshot::default()
            };
            world
                .entry(line.to_owned())
                .or_default()
                .insert(args[0].clone(), snapshot);
        }
        self.note("zfs snapshot");
        said(0, String::new())
    }

    fn destroy(&self, input: &str) -> Output {
        let mut world = self.world.lock().expect("not poisoned");
        let mut out = String::new();
        // A program for a thousand of a zpool; a line of which something stays is a command of its own.
        let (mut pool, mut inside) = (None, 0);
        for line in input.lines() {
            let own = line.split(['/', '@']).next();
            if own != pool || inside >= 1_000 {
                self.note("zfs program");
                (pool, inside) = (own, 0);
            }
            inside += line.split(',').count();
        }
        for line in input.lines() {
            let (dataset, names) = line.split_once('@').expect("a snapshot");
            let snapshots = world.get_mut(dataset).expect("a dataset");
            let mut complaints = Vec::new();
            for name in names.split(',') {
                let Some(one) = snapshots.get_mut(name) else {
                    continue;
                };
                if one.busy > 0 {
                    one.busy -= 1;
                    complaints.push(format!(
                        "cannot destroy snapshot {dataset}@{name}: dataset is busy"
                    ));
                } else if !one.tags.is_empty() {
                    complaints.push(format!(
                        "cannot destroy snapshot {dataset}@{name}: it's being held. Run 'zfs holds -r {dataset}@{name}' to see holders."
                    ));
                } else if !one.clone.is_empty() {
                    complaints.push(format!(
                        "cannot destroy '{dataset}@{name}': snapshot has dependent clones\tuse '-R' to destroy the following datasets:\t{}",
                        one.clone
                    ));
                }
            }
            if !names.split(',').any(|name| snapshots.contains_key(name)) {
                complaints.push(
                    "could not find any snapshots to destroy; check snapshot names.".to_owned(),
                );
            }
            if complaints.is_empty() {
                for name in names.split(',') {
                    snapshots.remove(name);
                }
            }
            let code = i32::from(!complaints.is_empty());
            if code != 0 {
                self.note("zfs destroy");
            }
            let _ = writeln!(out, "==zfs exit {code} {}", complaints.join("\t"));
        }
        out.push_str("==zfs end\n");
        said(0, out)
    }

    fn hold(&self, args: &[String], input: &str) -> Output {
        let mut world = self.world.lock().expect("not poisoned");
        let mut out = String::new();
        for line in input.lines() {
            let (dataset, name) = line.split_once('@').expect("a snapshot");
            let one = world
                .get_mut(dataset)
                .and_then(|all| all.get_mut(name))
                .expect("a snapshot");
            let changed = if args[0] == "hold" {
                one.tags.insert(args[1].clone())
            } else {
                one.tags.remove(&args[1])
            };
            if changed {
                let _ = writeln!(out, "changed {line}");
            }
        }
        said(0, out)
    }

    fn note(&self, what: &str) {
        self.started
            .lock()
            .expect("not poisoned")
            .push(what.to_owned());
    }
}

fn said(code: i32, stdout: String) -> Output {
    Output {
        code,
        stdout: stdout.into_bytes(),
        ..Output::default()
    }
}

impl Shell for FakeHost {
    fn host(&self) -> &HostName {
        &self.host
    }

    async fn run(&self, command: Command) -> Result<Output, ShellError> {
        let name = command
            .script_name()
            .map_or_else(|| command.argv[..2].join(" "), str::to_owned);
        self.ran.lock().expect("not poisoned").push(name.clone());
        let args = command.argv.get(4..).unwrap_or_default();
        let input = String::from_utf8(command.stdin.clone()).expect("text");
        Ok(match name.as_str() {
            SURVEY_SCRIPT => {
                self.note("zfs list");
                self.survey(&args[1..])
            }
            SNAPSHOT_SCRIPT => self.snapshot(args, &input),
            DESTROY_SCRIPT => self.destroy(&input),
            HOLD_SCRIPT => self.hold(args, &input),
            other => panic!("nobody taught this host `{other}`"),
        })
    }
}
