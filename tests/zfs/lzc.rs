//! The suite with `libzfs_core` as the engine. It works on the ZFS host itself, so this test program and the program
//! under test are carried into the guest, and every test runs there once more.

use super::{
    real::{block_on, rig, what_an_engine_does},
    rig::{here, is_nightly},
    stage::tell,
};
use infra::providers::{local::LocalShell, zfs::Lzc};

#[test]
fn libzfs_core_does_on_real_openzfs_what_the_command_line_does() {
    if here().is_none() {
        let Some(rig) = rig() else { return };
        rig.sh("zpool create -O mountpoint=/mnt/tank tank /dev/vdg");
        let name = "lzc::libzfs_core_does_on_real_openzfs_what_the_command_line_does";
        let said = rig.runs_inside(name);
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    block_on(async {
        let shell = LocalShell::new("rig".parse().expect("valid"));
        let lzc = Lzc::here(&shell).await.expect("this is the machine");
        what_an_engine_does(&lzc).await;
        // Three snapshots and a bookmark. What was destroyed had a held one among it, so the command line did it.
        assert!(lzc.calls() >= 4, "{} calls of libzfs_core", lzc.calls());
    });
}

/// What the verbs do, on both engines. Whether the library did it is told by the pool's own record: what the command line
/// did stands there as a command.
#[test]
fn the_verbs_do_with_libzfs_core_what_they_do_with_the_command_line() {
    if here().is_some() || !is_nightly() {
        return;
    }
    for test in [
        "a_rollback_loses_nothing_and_lets_nobody_write_meanwhile",
        "replicas_of_the_inventory_are_brought_up_to_date_and_count_as_copies",
        "a_pool_that_is_not_well_is_told_and_nothing_of_others_is_touched",
    ] {
        let Some(rig) = rig() else { return };
        let said = rig.runs_inside(&format!("verbs::{test}"));
        assert!(said.contains("1 passed"), "{said}");
        let record = rig.sh("zpool history -il tank");
        let by = |what: &str| record.lines().filter(|line| line.contains(what)).count();
        assert!(by("ioctl snapshot") > 0, "{test}: no snapshot in\n{record}");
        assert_eq!(by("zfs snapshot -o org.infra"), 0, "{test}:\n{record}");
        tell(&format!(
            "{test} with libzfs_core: {} calls for snapshots",
            by("ioctl snapshot")
        ));
    }
}
