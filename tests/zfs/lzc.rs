//! The suite with `libzfs_core` as the engine. It runs on the ZFS host itself, so this test program is carried there.

use super::{
    real::{block_on, rig, what_an_engine_does},
    stage::tell,
};
use infra::providers::{local::LocalShell, zfs::Lzc};

/// Set inside the guest.
const HERE: &str = "INFRA_ZFS_HERE";

#[test]
fn libzfs_core_does_on_real_openzfs_what_the_command_line_does() {
    if std::env::var_os(HERE).is_none() {
        let Some(rig) = rig() else { return };
        rig.sh("zpool create -O mountpoint=/mnt/tank tank /dev/vdg");
        let program = std::env::current_exe().expect("a path");
        rig.carry(
            "\"$0\" 'cat >/tmp/suite && chmod 755 /tmp/suite' <\"$1\"",
            &program,
        );
        let name = "lzc::libzfs_core_does_on_real_openzfs_what_the_command_line_does";
        let said = rig.sh(&format!(
            "{HERE}=1 /tmp/suite --exact {name} --nocapture 2>&1"
        ));
        assert!(said.contains("1 passed"), "{said}");
        tell(&said);
        return;
    }
    block_on(async {
        let shell = LocalShell::new("rig".parse().expect("valid"));
        let lzc = Lzc::here(&shell).await.expect("this is the machine");
        what_an_engine_does(&lzc).await;
        println!("{} calls of libzfs_core", lzc.calls());
        // Three snapshots, a bookmark, and what was destroyed without a refusal.
        assert!(lzc.calls() >= 4, "{}", lzc.calls());
    });
}
