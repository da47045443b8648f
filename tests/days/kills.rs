//! Where a run is killed: at every kind of entry of its journal, for every kind of operation. Shared by the days on
//! scripted hosts and the nights on real guests.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Child,
};

/// The word of a journal's entry and an operation, in the words of both files.
pub(crate) type Moment = (String, String);

/// When a kind of operation is begun, carried out and killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    /// When the flagship is brought up from nothing.
    Flagship,
    /// When its wishes or what there is are changed.
    Change,
    /// With more than the flagship, on scripted hosts.
    Days,
    /// On real guests.
    Nights,
    /// By no run of `up` in either lab, and why.
    Never(&'static str),
}

/// Every kind of operation that a plan may hold. A test compares it with the sources.
pub(crate) const OPERATIONS: &[(&str, Met)] = &[
    ("download_image", Met::Flagship),
    ("upload_image", Met::Days),
    ("make_template", Met::Days),
    ("clone_guest", Met::Days),
    ("allocate_disk", Met::Days),
    ("move_disk", Met::Days),
    ("make_pool", Met::Days),
    ("join_pool", Met::Days),
    ("upload_boot_seed", Met::Flagship),
    ("seal_seed", Met::Flagship),
    ("create_guest", Met::Flagship),
    ("configure_guest", Met::Change),
    ("migrate_guest", Met::Days),
    ("empty_drive", Met::Never("of guests that HA may move")),
    ("apply_network", Met::Days),
    (
        "apply_sdn",
        Met::Never("no lab here has a software-defined network"),
    ),
    (
        "write_entry",
        Met::Never("HA and replication need rights beside the least"),
    ),
    ("grow_disk", Met::Flagship),
    ("start_guest", Met::Flagship),
    ("restart_guest", Met::Change),
    ("stop_guest", Met::Never("of `destroy`")),
    ("destroy_guest", Met::Never("of `destroy`")),
    ("delete_volume", Met::Never("of `destroy`")),
    ("map_directory", Met::Flagship),
    ("firewall", Met::Flagship),
    ("enable_firewall", Met::Flagship),
    (
        "create_zpool",
        Met::Never("needs empty disks: the rig with real ZFS"),
    ),
    ("load_key", Met::Never("needs real ZFS: the rig")),
    ("create_dataset", Met::Flagship),
    ("set_properties", Met::Change),
    ("mount_dataset", Met::Nights),
    ("dataset_directories", Met::Flagship),
    ("install_packages", Met::Flagship),
    ("write_file", Met::Flagship),
    (
        "make_filesystem",
        Met::Never("no disk of these labs gets a filesystem"),
    ),
    (
        "grow_filesystem",
        Met::Never("no disk of these labs gets a filesystem"),
    ),
    ("make_directory", Met::Flagship),
    (
        "remove_file",
        Met::Never("nothing of a baseline is unwanted yet"),
    ),
    ("set_unit", Met::Flagship),
    ("restart_unit", Met::Nights),
    ("run_command", Met::Never("of playbooks")),
    ("set_sysctl", Met::Flagship),
    ("ufw", Met::Flagship),
    ("deploy_stack", Met::Flagship),
];

/// What is not killed at, and why.
pub(crate) fn never() -> String {
    let told = OPERATIONS.iter().filter_map(|(operation, met)| match met {
        Met::Never(why) => Some(format!("{operation} ({why})")),
        Met::Flagship | Met::Change | Met::Days | Met::Nights => None,
    });
    told.collect::<Vec<_>>().join(", ")
}

/// What a plan in a file does, by the ids of its changes.
pub(crate) fn operations(plan: &Value) -> BTreeMap<String, String> {
    let changes = plan["changes"].as_array().expect("a list");
    let operation = |change: &Value| {
        let of = &change["operation"];
        let word = of.as_str().map(str::to_owned);
        word.or_else(|| of.as_object()?.keys().next().cloned())
    };
    changes
        .iter()
        .map(|change| {
            let id = change["id"].as_str().expect("an id").to_owned();
            (id, operation(change).expect("an operation"))
        })
        .collect()
}

fn entries(text: &str) -> impl Iterator<Item = Value> {
    // A torn last line is no entry.
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
}

/// What a step does, from the entry that begins it.
fn begun(entry: &Value, operations: &BTreeMap<String, String>) -> BTreeSet<String> {
    let ids = entry["changes"].as_array().expect("a list");
    ids.iter()
        .filter_map(|id| operations.get(id.as_str()?).cloned())
        .collect()
}

/// The moments in a journal, in order. A sample takes one end of a step for another.
fn moments(text: &str, operations: &BTreeMap<String, String>, is_sample: bool) -> Vec<Moment> {
    let mut steps: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut out = Vec::new();
    for entry in entries(text) {
        let word = entry["entry"].as_str().unwrap_or_default().to_owned();
        let step = entry["step"].to_string();
        match word.as_str() {
            "run" | "end" => out.push((word, String::new())),
            "done" if is_sample => out.push((word, String::new())),
            _ => {
                if word == "started" {
                    steps.insert(step.clone(), begun(&entry, operations));
                }
                let kinds = steps.get(&step).into_iter().flatten();
                out.extend(kinds.map(|kind| (word.clone(), kind.clone())));
            }
        }
    }
    out
}

/// What was killed, and when.
pub(crate) struct Kills {
    journal: PathBuf,
    is_sample: bool,
    /// Every moment that a run was killed at.
    pub(crate) at: BTreeSet<Moment>,
    /// Operations that were begun and had not ended.
    pub(crate) within: BTreeSet<String>,
    pub(crate) count: usize,
}

impl Kills {
    pub(crate) fn of(journal: &Path, is_sample: bool) -> Self {
        Self {
            journal: journal.to_owned(),
            is_sample,
            at: BTreeSet::new(),
            within: BTreeSet::new(),
            count: 0,
        }
    }

    /// The same with another lab.
    pub(crate) fn go_on_in(&mut self, journal: &Path) {
        journal.clone_into(&mut self.journal);
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.journal).unwrap_or_default()
    }

    /// Kills the run at the first moment that was not killed at yet. False when it came to its end.
    pub(crate) fn one(&mut self, run: &mut Child, old: &str, plan: &Value) -> bool {
        let operations = operations(plan);
        loop {
            let ended = run.try_wait().expect("asked").is_some();
            let text = self.text();
            if text != old {
                let mut all = moments(&text, &operations, self.is_sample).into_iter();
                if let Some(new) = all.find(|moment| !self.at.contains(moment)) {
                    if ended {
                        return false;
                    }
                    run.kill().expect("killed");
                    self.at.insert(new);
                    self.count += 1;
                    return true;
                }
            }
            if ended {
                return false;
            }
            std::thread::yield_now();
        }
    }

    /// The journal before a run begins its own.
    pub(crate) fn before(&self) -> String {
        self.text()
    }

    /// Remembers what the killed run had begun and not ended.
    pub(crate) fn remember(&mut self, plan: &Value) {
        let operations = operations(plan);
        let mut open = BTreeMap::new();
        for entry in entries(&self.text()) {
            let step = entry["step"].to_string();
            match entry["entry"].as_str() {
                Some("started") => {
                    open.insert(step, begun(&entry, &operations));
                }
                Some("done" | "failed") => {
                    open.remove(&step);
                }
                _ => {}
            }
        }
        self.within.extend(open.into_values().flatten());
    }

    /// What was not killed yet: an operation that is met at these times at its beginning, in its middle or at its end, and a
    /// kind of entry as the last one of some run. A quick step may pass by while a kill is aimed at the one before it, and is
    /// not done again in the same lab.
    pub(crate) fn missing(&self, times: &[Met]) -> Vec<&'static str> {
        let met = OPERATIONS.iter().filter(|(_, met)| times.contains(met));
        let unhit = met.map(|(operation, _)| *operation).filter(|operation| {
            !self.within.contains(*operation) && !self.at.iter().any(|(_, of)| of == operation)
        });
        let entries = ["run", "started", "task", "done", "end"];
        let unseen = entries
            .into_iter()
            .filter(|entry| !self.at.iter().any(|(word, _)| word == entry));
        unhit.chain(unseen).collect()
    }
}
