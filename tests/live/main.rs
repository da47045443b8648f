//! The main job against a real Proxmox VE that somebody gives up for it: `docs/live-tests.md`.
//!
//! Runs only where `INFRA_LIVE_OK_TO_DESTROY` names a zpool on the node, and says so where it does not.

#![expect(
    clippy::disallowed_methods,
    reason = "reads where the Proxmox is, runs the program in a folder of its own"
)]

mod place;
mod run;

use place::Place;
use run::Run;

#[test]
fn the_main_job_on_a_real_proxmox() {
    let Some(place) = Place::named() else { return };
    let run = Run::prepare(&place);
    run.says("what stands in the way", &["doctor"], 0, &[]);
    run.nothing_of_ours_is_there();
    run.says(
        "up, from nothing",
        &["up", "--yes"],
        0,
        &["1 of 1 check holds"],
    );
    run.settled();
    run.says("status", &["status"], 0, &["are well"]);
    the_firewall_comes_back_by_itself(&run);
    snapshots_are_taken_and_kept(&run);
    a_second_run_changes_nothing(&run);
    run.says(
        "the guest goes by its name",
        &["destroy", "probe", "--confirm", "probe"],
        0,
        &[],
    );
    run.guest_is_gone();
    run.clean_up();
}

/// What is written for a real Proxmox is checked where there is none.
#[test]
fn the_inventory_of_the_suite_is_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(
        key.with_extension("pub"),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGmJCr9+DyIrJRkPz6FnW7XbQ5dHUxQkBDR8oBJpN4mO live\n",
    )
    .expect("written");
    let place = Place::imagined(&key);
    Run::prepare(&place);
}

fn the_firewall_comes_back_by_itself(run: &Run) {
    run.says("every cell", &["firewall", "probe"], 0, &[]);
    run.in_guest(&["sudo", "ufw", "--force", "disable"]);
    run.says(
        "UFW switched off by hand is seen",
        &["plan", "--exit-code"],
        4,
        &["UFW"],
    );
    run.says("and put right", &["firewall", "apply", "--yes"], 0, &[]);
    run.settled();
}

fn snapshots_are_taken_and_kept(run: &Run) {
    run.says(
        "a snapshot",
        &["zfs", "snapshot", "--label", "live"],
        0,
        &[],
    );
    run.says("it is there", &["zfs", "list"], 0, &["live"]);
    run.says("nothing has to go", &["zfs", "prune", "--plan"], 0, &[]);
}

fn a_second_run_changes_nothing(run: &Run) {
    run.says("up again", &["up", "--yes"], 0, &["Nothing to change"]);
}
