//! What comes back of the built-in media server, in which order, and its runbook.

use infra::{
    backup::{
        Copy, Goal, Held, Restoration, Words, concerns, hosts_in_order, is_the_machines, lives,
        restoration, runbook,
    },
    inventory::{BuiltinTemplates, load},
    model::{
        backup::{BackupJob, StackBackup},
        dataset::Protection,
        desired::Desired,
        ids::StackName,
    },
};
use std::{collections::BTreeMap, path::Path};

fn desired() -> Desired {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory/media-server-home");
    let today = jiff::civil::date(2026, 11, 20);
    let loaded = load(&folder, today, &BuiltinTemplates::new()).expect("readable");
    loaded.desired.expect("valid")
}

const NIGHT: i64 = 1_796_000_000;
const SUNDAY: i64 = NIGHT - 4 * 86_400;

fn dataset(job: &str, name: &str) -> Held {
    Held {
        name: name.to_owned(),
        path: format!("/run/infra/backup/{job}/data/{name}/@"),
        ..Held::default()
    }
}

fn dump(job: &str, on: &str, name: &str) -> Held {
    Held {
        name: name.to_owned(),
        path: format!("/run/infra/backup/{job}/data/{on}/@/.infra-dumps/{name}"),
        sha256: Some("a".repeat(64)),
        rows: Some(1_000_000),
        extensions: Vec::new(),
    }
}

/// Every night the containers' data, every Sunday the library; each with a dump of Immich.
fn copies() -> Vec<Copy> {
    let database = "immich/database.immich.pgdump";
    vec![
        Copy {
            job: "appdata".parse().expect("valid"),
            snapshot: "aaaa".to_owned(),
            at: NIGHT,
            sources: vec![
                dataset("appdata", "tank/appdata"),
                dump("appdata", "tank/appdata", database),
                dump(
                    "appdata",
                    "tank/appdata",
                    "monitoring/grafana.grafana.db.sqlite",
                ),
                Held {
                    path: "/var/lib/infra/backup/appdata/stage/proxy/configuration.tar".to_owned(),
                    ..dump("appdata", "", "proxy/configuration.tar")
                },
            ],
        },
        Copy {
            job: "library".parse().expect("valid"),
            snapshot: "bbbb".to_owned(),
            at: SUNDAY,
            sources: vec![
                dataset("library", "tank/photos"),
                dataset("library", "tank/media"),
                dump("library", "tank/photos", database),
            ],
        },
    ]
}

fn directories() -> BTreeMap<StackName, Vec<String>> {
    let of = |name: &str, paths: &[&str]| {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        (name.parse().expect("valid"), paths)
    };
    BTreeMap::from([
        of(
            "immich",
            &[
                "/mnt/tank/photos/immich",
                "/mnt/tank/appdata/immich",
                "/mnt/tank/appdata/immich/postgres",
            ],
        ),
        of("jellyfin", &["/mnt/tank/appdata/jellyfin"]),
    ])
}

fn plan(goal: &Goal) -> Restoration {
    restoration(&desired(), &copies(), &directories(), goal).expect("all is there")
}

fn names(restoration: &Restoration, group: usize) -> (Vec<&str>, Vec<&str>, Vec<&str>) {
    let group = &restoration.groups[group];
    (
        group.files.iter().map(|one| one.name.as_str()).collect(),
        group.loads.iter().map(|one| one.name.as_str()).collect(),
        group.stacks.iter().map(StackName::as_str).collect(),
    )
}

#[test]
fn a_stack_comes_back_with_a_database_that_is_no_younger_than_its_files() {
    let goal = Goal::Stack("immich".parse().expect("valid"));
    let made = plan(&goal);
    let (files, loads, stacks) = names(&made, 0);
    assert_eq!(
        stacks,
        ["immich", "monitoring"],
        "jellyfin's directories are its own; nobody knows monitoring's"
    );
    assert_eq!(files, ["tank/appdata:immich", "tank/photos:immich"]);
    assert_eq!(loads, ["immich/database.immich.pgdump"]);
    let load = &made.groups[0].loads[0];
    assert_eq!(
        load.job.as_str(),
        "library",
        "Sunday's photos, Sunday's database"
    );
    assert_eq!(load.held.rows, Some(1_000_000));
    assert_eq!(made.groups[0].files[0].inner.as_deref(), Some("/immich"));
    assert!(made.left.is_empty(), "{:?}", made.left);
}

#[test]
fn only_the_stacks_that_use_what_comes_back_stand_still() {
    let goal = |what: &str| Goal::Parts("library".parse().expect("valid"), vec![what.to_owned()]);
    let made = plan(&goal("tank/media"));
    assert_eq!(names(&made, 0).2, ["jellyfin"]);
    let made = plan(&goal("tank/photos:immich/upload/a.jpg"));
    let (files, _, stacks) = names(&made, 0);
    assert_eq!(files, ["tank/photos:immich/upload/a.jpg"]);
    assert_eq!(stacks, ["immich"]);
    let one = &made.groups[0].files[0];
    assert_eq!(one.inner.as_deref(), Some("/immich/upload/a.jpg"));
    assert_eq!(one.live.as_deref(), Some("/mnt/tank/photos"));
}

#[test]
fn names_that_nothing_answers_to_are_all_told() {
    let what = ["tank/nothing", "tank/photos:../../etc/shadow"].map(str::to_owned);
    let goal = Goal::Parts("library".parse().expect("valid"), what.to_vec());
    let wrong = restoration(&desired(), &copies(), &directories(), &goal).expect_err("two");
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(
        wrong[0].contains("it holds tank/photos, tank/media"),
        "{wrong:?}"
    );
    assert!(wrong[1].contains("leads out of the backup"), "{wrong:?}");
}

#[test]
fn everything_comes_back_proxy_and_vpn_first() {
    let desired = desired();
    let order: Vec<&str> = hosts_in_order(&desired)
        .iter()
        .map(|host| host.as_str())
        .collect();
    assert_eq!(order, ["extranet", "intranet", "pve"]);
    let made = plan(&Goal::All);
    let titles: Vec<&str> = made
        .groups
        .iter()
        .map(|group| group.title.as_str())
        .collect();
    assert_eq!(titles, ["host extranet", "host intranet"]);
    let (files, loads, stacks) = names(&made, 0);
    assert!(files.is_empty());
    assert_eq!(loads, ["proxy/configuration.tar"]);
    let place = |name: &str| stacks.iter().position(|one| *one == name).expect(name);
    assert!(place("proxy") < place("openvpn"));
    let (files, loads, _) = names(&made, 1);
    // Whole datasets, each once: what a stack has in them comes along.
    assert_eq!(files.len(), 3, "{files:?}");
    for dataset in ["tank/appdata", "tank/media", "tank/photos"] {
        assert!(files.contains(&dataset), "{files:?}");
    }
    assert_eq!(
        loads,
        [
            "immich/database.immich.pgdump",
            "monitoring/grafana.grafana.db.sqlite"
        ]
    );
    assert!(made.left.is_empty(), "{:?}", made.left);
    assert!(made.stays.is_empty(), "{:?}", made.stays);
}

/// A job of the edge that copies directories, and a stack that has nothing else.
fn edge(desired: &mut Desired, paths: &[&str]) -> BackupJob {
    let proxy = desired
        .stacks
        .values_mut()
        .find(|stack| stack.name.as_str() == "proxy");
    proxy.expect("it is there").backup = StackBackup::default();
    let mut job = desired.backups.values().next().expect("a job").clone();
    job.name = "edge".parse().expect("valid");
    job.host = "extranet".parse().expect("valid");
    job.datasets.clear();
    job.stacks.clear();
    job.paths = paths.iter().map(|&path| path.to_owned()).collect();
    desired.backups.insert(job.name.clone(), job.clone());
    job
}

fn of_edge(names: &[&str]) -> Copy {
    let held = |name: &&str| Held {
        name: (*name).to_owned(),
        path: (*name).to_owned(),
        ..Held::default()
    };
    Copy {
        job: "edge".parse().expect("valid"),
        snapshot: "cccc".to_owned(),
        at: NIGHT,
        sources: names.iter().map(held).collect(),
    }
}

#[test]
fn a_stack_with_nothing_but_directories_stands_still_for_them() {
    let mut desired = desired();
    let job = edge(&mut desired, &["/srv/proxy", "/srv/other"]);
    let own = ["/srv/proxy/data".to_owned()].to_vec();
    let directories = BTreeMap::from([("proxy".parse().expect("valid"), own)]);
    let copies = [of_edge(&["/srv/proxy", "/srv/other"])];
    let stopped = |what: &str| {
        let goal = Goal::Parts(job.name.clone(), vec![what.to_owned()]);
        let made = restoration(&desired, &copies, &directories, &goal).expect("it is there");
        made.groups[0].stacks.clone()
    };
    let proxy: Vec<StackName> = vec!["proxy".parse().expect("valid")];
    assert_eq!(stopped("/srv/proxy"), proxy, "the folder around them");
    assert_eq!(stopped("/srv/proxy:data/host/1.conf"), proxy, "in them");
    assert!(stopped("/srv/other").is_empty());
    let there = |path: &str| lives(&desired, &directories, &job, path);
    assert_eq!(
        there("/srv/proxy/data/x").as_deref(),
        Some("the stack proxy")
    );
    assert_eq!(
        there("/opt/infra/stacks/proxy/data/x").as_deref(),
        Some("the stack proxy")
    );
    assert_eq!(there("/var/scratch"), None);
}

#[test]
fn a_dataset_that_nobody_declared_stops_who_uses_the_one_above_it() {
    let mut copies = copies();
    copies[1]
        .sources
        .push(dataset("library", "tank/photos/immich"));
    let goal = Goal::Parts(
        "library".parse().expect("valid"),
        vec!["tank/photos/immich".to_owned()],
    );
    let made = restoration(&desired(), &copies, &directories(), &goal).expect("it is there");
    assert_eq!(names(&made, 0).2, ["immich"]);
}

#[test]
fn a_recovery_passes_nothing_over_that_a_copy_holds_and_brings_nothing_twice() {
    let mut desired = desired();
    edge(&mut desired, &["/srv/tools", "/etc", "/srv/gone"]);
    // The photos are mounted in both guests.
    let guests = desired.guests.values();
    let mount = guests
        .flat_map(|guest| &guest.mounts)
        .find(|mount| mount.dataset.as_str() == "tank/photos")
        .expect("mounted")
        .clone();
    for guest in desired.guests.values_mut() {
        guest
            .mounts
            .retain(|one| one.dataset.as_str() != "tank/photos");
        guest.mounts.push(mount.clone());
    }
    let mut copies = copies();
    copies[1].sources.extend([
        dataset("library", "tank/photos/raw"),
        dataset("library", "tank/share"),
        dump("library", "tank/photos", "wiki/database.wiki.pgdump"),
    ]);
    copies.push(of_edge(&["/srv/tools", "/etc"]));
    let made = restoration(&desired, &copies, &directories(), &Goal::All).expect("a part");
    let mut all: Vec<(&str, &str)> = Vec::new();
    for group in &made.groups {
        let files = group.files.iter();
        all.extend(files.map(|one| (group.title.as_str(), one.name.as_str())));
    }
    let of = |name: &str| -> Vec<&str> {
        let mine = all.iter().filter(|(_, one)| *one == name);
        mine.map(|(title, _)| *title).collect()
    };
    assert_eq!(of("tank/photos"), ["host extranet"], "once: {all:?}");
    assert_eq!(of("tank/photos/raw"), ["host extranet"], "{all:?}");
    assert_eq!(of("tank/share"), ["host pve"], "{all:?}");
    assert_eq!(of("/srv/tools"), ["host extranet"], "{all:?}");
    assert!(of("/etc").is_empty(), "{all:?}");
    let stays = made.stays.join("\n");
    assert!(stays.contains("infra backup restore edge /etc"), "{stays}");
    let left = made.left.join("\n");
    assert!(
        left.contains(
            "wiki/database.wiki.pgdump of the backup `library`: the inventory has no place for it"
        ),
        "{left}"
    );
    assert!(
        left.contains("/srv/gone on extranet is not in the copy of `edge`"),
        "{left}"
    );
    let photos = made
        .groups
        .iter()
        .find(|group| group.title == "host extranet");
    let stands = &photos.expect("a group").stacks;
    assert!(
        stands.iter().any(|stack| stack.as_str() == "immich"),
        "who uses it elsewhere stands still: {stands:?}"
    );
}

#[test]
fn a_recovery_leaves_alone_what_machines_live_on() {
    for own in [
        "/",
        "/etc",
        "/etc/pve",
        "/root",
        "/home",
        "/home/admin",
        "/var",
        "/opt",
        "/usr/local",
        "/home/admin/.ssh",
        "/lib64",
    ] {
        assert!(is_the_machines(own), "{own}");
    }
    for other in [
        "/srv",
        "/srv/x",
        "/root/notes",
        "/home/admin/data",
        "/opt/app",
        "/mnt/disk",
        "/opt/infra/stacks/app/data",
        "/var/lib/docker/volumes/x/_data",
        "/library",
    ] {
        assert!(!is_the_machines(other), "{other}");
    }
}

#[test]
fn a_repository_that_cannot_be_read_counts_where_it_may_hold_something() {
    let desired = desired();
    let job = |name: &str| {
        let mut jobs = desired.backups.values();
        jobs.find(|job| job.name.as_str() == name).expect("a job")
    };
    let stack = |name: &str| Goal::Stack(name.parse().expect("valid"));
    let host = |name: &str| Goal::Host(name.parse().expect("valid"));
    assert!(concerns(&desired, job("library"), &stack("immich")));
    assert!(!concerns(&desired, job("library"), &stack("proxy")));
    assert!(concerns(&desired, job("library"), &host("intranet")));
    assert!(!concerns(&desired, job("library"), &host("extranet")));
    assert!(concerns(&desired, job("library"), &Goal::All));
}

#[test]
fn what_no_copy_holds_is_told() {
    let desired = desired();
    let copies: Vec<Copy> = copies().into_iter().take(1).collect();
    let made = restoration(&desired, &copies, &directories(), &Goal::All).expect("a part");
    let left = made.left.join("\n");
    for dataset in ["tank/photos", "tank/media"] {
        let said = format!("{dataset} is in the backup `library`, of which no copy could be read");
        assert!(left.contains(&said), "{left}");
    }
    let mut desired = desired;
    desired.backups.retain(|name, _| name.as_str() != "library");
    let made = restoration(&desired, &copies, &directories(), &Goal::All).expect("a part");
    let left = made.left.join("\n");
    assert!(left.contains("tank/photos is in no backup"), "{left}");
    for dataset in desired.datasets.values_mut() {
        let why = "they are elsewhere".to_owned();
        dataset.waivers.insert(Protection::Backup, why);
    }
    let made = restoration(&desired, &copies, &directories(), &Goal::All).expect("a part");
    let stays = made.stays.join("\n");
    assert!(
        stays.contains("tank/photos: no backup, by your word: they are elsewhere"),
        "{stays}"
    );
}

#[test]
fn the_runbook_says_where_backups_are_and_in_which_order_hosts_come_back() {
    let words = Words {
        infra: "infra -i inventory/media-server-home",
        today: "2026-11-20",
    };
    let text = runbook(&desired(), &words);
    let place = |what: &str| {
        text.find(what)
            .unwrap_or_else(|| panic!("no {what} in:\n{text}"))
    };
    assert!(place("## 3. Where the backups are") < place("## 4. What comes back"));
    assert!(
        place("backup restore host/extranet --live") < place("backup restore host/intranet --live")
    );
    place("**This repository is on the zpool `tank`: when the zpool is lost, so is it.**");
    place("database `database.immich.pgdump` of immich (postgres)");
    place("infra -i inventory/media-server-home dr run");
    assert!(!text.contains("has_no_value"));
}
