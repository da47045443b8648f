//! One command.

use super::{
    answer::{Answer, Result},
    create, dataset,
    disk::{Disk, Real},
    list, snapshot,
    store::Store,
    zpool,
};
use rustix::fs::{FlockOperation, flock};
use std::{io::Write as _, path::Path};

/// Where the lab's node keeps the twin's store.
const FOLDER: &str = "/var/lib/infra-lab/zfs";

const VERSION: &str = "zfs-2.3.9-infra-lab\nzfs-kmod-2.3.9-infra-lab\n";

/// Runs one command against a store; the store is changed only when the command says so.
pub fn run(store: &mut Store, disk: &dyn Disk, program: &str, args: &[String]) -> Answer {
    let outcome = match program {
        "zpool" => of_zpool(store, disk, args),
        _ => of_zfs(store, disk, args),
    };
    outcome.unwrap_or_else(|refusal| refusal)
}

fn of_zfs(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let [verb, rest @ ..] = args else {
        return Err(Answer::refused(
            2,
            "missing command\nusage: zfs command args ...",
        ));
    };
    match verb.as_str() {
        "version" | "-V" | "--version" => Ok(Answer::text(VERSION)),
        "list" => list::list(store, disk, rest),
        "get" => list::get(store, disk, rest),
        "create" => create::create(store, disk, rest),
        "set" => dataset::set(store, disk, rest),
        "inherit" => dataset::inherit(store, rest),
        "mount" => dataset::mount(store, disk, rest),
        "unmount" | "umount" => dataset::unmount(store, disk, rest),
        "snapshot" | "snap" => snapshot::snapshot(store, disk, rest),
        "destroy" => snapshot::destroy(store, disk, rest),
        "hold" => snapshot::hold(store, rest, false),
        "release" => snapshot::hold(store, rest, true),
        "rollback" => snapshot::rollback(store, disk, rest),
        other => Err(unknown("zfs", other)),
    }
}

fn of_zpool(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let [verb, rest @ ..] = args else {
        return Err(Answer::refused(
            2,
            "missing command\nusage: zpool command args ...",
        ));
    };
    match verb.as_str() {
        "version" | "-V" | "--version" => Ok(Answer::text(VERSION)),
        "list" => zpool::list(store, disk, rest),
        "status" => zpool::status(store, rest),
        "create" => zpool::create(store, disk, rest),
        other => Err(unknown("zpool", other)),
    }
}

fn unknown(program: &str, verb: &str) -> Answer {
    Answer::refused(
        2,
        format!("unrecognized command '{verb}'\nusage: {program} command args ..."),
    )
}

/// What `zfs` and `zpool` on the lab's node do; gives the exit code.
pub fn main(program: &str, args: &[String]) -> u8 {
    let folder = Path::new(FOLDER);
    let answer = locked(folder, program, args)
        .unwrap_or_else(|why| Answer::refused(1, format!("lab: {why}")));
    let _ = std::io::stdout().lock().write_all(answer.stdout.as_bytes());
    let _ = std::io::stderr().lock().write_all(answer.stderr.as_bytes());
    answer.code
}

/// Makes an empty pool in a store's folder, as the owner of the disks would have done long ago; a pool that is there
/// stays as it is. Its root is mounted nowhere.
///
/// # Errors
/// What the disk said.
pub fn make_pool(folder: &Path, name: &str) -> std::result::Result<(), String> {
    if Store::read(folder)?.pools.contains_key(name) {
        return Ok(());
    }
    let args = ["create", "-O", "mountpoint=none", name, "lab"].map(str::to_owned);
    let answer = locked(folder, "zpool", &args)?;
    if answer.code == 0 {
        Ok(())
    } else {
        Err(answer.stderr.trim().to_owned())
    }
}

/// Runs one command against the store of a folder, alone.
fn locked(folder: &Path, program: &str, args: &[String]) -> std::result::Result<Answer, String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let lock = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))
        .map_err(|error| error.to_string())?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| error.to_string())?;
    let before = Store::read(folder)?;
    let mut store = before.clone();
    let answer = run(&mut store, &Real::new(folder), program, args);
    if store != before {
        store.write(folder)?;
    }
    Ok(answer)
}
