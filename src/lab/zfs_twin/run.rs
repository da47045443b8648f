//! One command.

use super::{
    answer::{Answer, Result},
    change, create, destroy,
    disk::{Disk, Real},
    history, key, list, mount,
    print::versioned,
    receive, send, snapshot,
    store::Store,
    zpool,
};
use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use std::{
    io::{Read as _, Write as _},
    path::Path,
};

/// Where the lab's node keeps the twin's store.
const FOLDER: &str = "/var/lib/infra-lab/zfs";

const VERSION: &str = "zfs-2.3.9-infra-lab\nzfs-kmod-2.3.9-infra-lab\n";

/// Runs one command against a store; the store is changed only when the command says so. `input` is what it reads.
pub fn run(
    store: &mut Store,
    disk: &dyn Disk,
    program: &str,
    args: &[String],
    input: &[u8],
) -> Answer {
    let outcome = match program {
        "zpool" => of_zpool(store, disk, args),
        "mount.zfs" => mount::by_hand(store, disk, args),
        _ => of_zfs(store, disk, args, input),
    };
    outcome.unwrap_or_else(|refusal| refusal)
}

/// Whether a command reads its input: the twin does not touch that of others.
fn reads_input(program: &str, args: &[String]) -> bool {
    let Some(verb) = args.first().filter(|_| program == "zfs") else {
        return false;
    };
    match verb.as_str() {
        "receive" | "recv" => !args.iter().any(|arg| arg == "-A"),
        "load-key" | "change-key" => true,
        "create" => args.iter().any(|arg| arg.starts_with("keyformat=")),
        _ => false,
    }
}

fn of_zfs(store: &mut Store, disk: &dyn Disk, args: &[String], input: &[u8]) -> Result<Answer> {
    let [verb, rest @ ..] = args else {
        return Err(Answer::all_usage("missing command"));
    };
    match verb.as_str() {
        "version" | "-V" | "--version" => Ok(version("zfs", rest)),
        "list" => list::list(store, disk, rest),
        "get" => list::get(store, disk, rest),
        "create" => create::create(store, disk, rest, input),
        "set" => change::set(store, disk, rest),
        "inherit" => change::inherit(store, disk, rest),
        "mount" => mount::mount(store, disk, rest),
        "unmount" | "umount" => mount::unmount(store, disk, rest),
        "load-key" => key::load(store, disk, rest, input),
        "unload-key" => key::unload(store, disk, rest),
        "snapshot" | "snap" => snapshot::snapshot(store, disk, rest),
        "bookmark" => snapshot::bookmark(store, disk, rest),
        "destroy" => destroy::destroy(store, disk, rest),
        "hold" => snapshot::hold(store, disk, rest, false),
        "release" => snapshot::hold(store, disk, rest, true),
        "holds" => snapshot::holds(store, rest),
        "rollback" => history::rollback(store, disk, rest),
        "clone" => history::clone(store, disk, rest),
        "promote" => history::promote(store, rest),
        "rename" => history::rename(store, disk, rest),
        "diff" => history::diff(store, disk, rest),
        "send" => send::send(store, disk, rest),
        "receive" | "recv" => receive::receive(store, disk, rest, input),
        other => Err(Answer::all_usage(&format!(
            "unrecognized command '{other}'"
        ))),
    }
}

fn version(program: &str, args: &[String]) -> Answer {
    if args.iter().any(|arg| arg == "-j") {
        let (zfs, kernel) = VERSION.trim_end().split_once('\n').unwrap_or((VERSION, ""));
        let both = json!({"userland": zfs, "kernel": kernel});
        return Answer::text(versioned(
            &format!("{program} version"),
            "zfs_version",
            both,
        ));
    }
    Answer::text(VERSION)
}

fn of_zpool(store: &mut Store, disk: &dyn Disk, args: &[String]) -> Result<Answer> {
    let [verb, rest @ ..] = args else {
        return Err(Answer::refused(
            2,
            "missing command\nusage: zpool command args ...",
        ));
    };
    match verb.as_str() {
        "version" | "-V" | "--version" => Ok(version("zpool", rest)),
        "list" => zpool::list(store, disk, rest),
        "get" => zpool::get(store, disk, rest),
        "status" => zpool::status(store, disk, rest),
        "create" => zpool::create(store, disk, rest),
        "add" => zpool::add(store, disk, rest),
        "destroy" => zpool::destroy(store, disk, rest),
        "set" => zpool::set(store, rest),
        "offline" => zpool::offline(store, rest),
        "online" => zpool::online(store, disk, rest),
        "replace" => zpool::replace(store, disk, rest),
        "remove" => zpool::remove(store, rest),
        "scrub" => zpool::scrub(store, disk, rest),
        "clear" | "trim" | "sync" => zpool::clear(store, rest),
        "wait" => zpool::wait(store, rest),
        "export" => zpool::export(store, disk, rest),
        "import" => zpool::import(store, disk, rest),
        "upgrade" if rest.is_empty() => Ok(Answer::text(UPGRADED)),
        other => Err(Answer::refused(
            2,
            format!("unrecognized command '{other}'\nusage: zpool command args ..."),
        )),
    }
}

const UPGRADED: &str = "This system supports ZFS pool feature flags.\n\nAll pools are formatted using feature flags.\n\nEvery feature flags pool has all supported and requested features enabled.\n";

/// What `zfs` and `zpool` on the lab's node do; gives the exit code.
pub fn main(program: &str, args: &[String]) -> u8 {
    let folder = Path::new(FOLDER);
    // Read before the lock is taken: the command at the other end of the pipe needs it to come to its end.
    let mut input = Vec::new();
    if reads_input(program, args)
        && let Err(error) = std::io::stdin().lock().read_to_end(&mut input)
    {
        input.clear();
        let _ = writeln!(std::io::stderr(), "lab: {error}");
    }
    let answer = locked(folder, program, args, &input)
        .unwrap_or_else(|why| Answer::refused(1, format!("lab: {why}")));
    let _ = std::io::stdout().lock().write_all(answer.stdout.as_bytes());
    // A reader that has gone away is told of by the exit code of the real one as well.
    let sent = std::io::stdout().lock().write_all(&answer.stream);
    let _ = std::io::stderr().lock().write_all(answer.stderr.as_bytes());
    if sent.is_err() { 1 } else { answer.code }
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
    let answer = locked(folder, "zpool", &args, &[])?;
    if answer.code == 0 {
        Ok(())
    } else {
        Err(answer.stderr.trim().to_owned())
    }
}

/// Runs one command against the store of a folder, alone.
fn locked(
    folder: &Path,
    program: &str,
    args: &[String],
    input: &[u8],
) -> std::result::Result<Answer, String> {
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
    let answer = run(&mut store, &Real::new(folder), program, args, input);
    if store != before {
        store.write(folder)?;
    }
    Ok(answer)
}
