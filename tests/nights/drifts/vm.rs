//! Virtual machines, through the API.

use super::Drift;
use crate::lab::Place::Desk;

pub(super) fn all() -> Vec<Drift> {
    vec![
        Drift::new(
            "memory of a VM",
            (Desk, "pve PUT /nodes/pve/qemu/110/config -d memory=4096"),
            &["pve: guest 110 intranet"],
            &["memory (MiB): 4096 at the next start → 8192"],
            (Desk, "pve GET /nodes/pve/qemu/110/pending | grep -o '{\"key\":\"memory\"[^}]*'", "{\"key\":\"memory\",\"value\":\"8192\""),
        ),
        Drift::new(
            "cores of a VM, which was restarted with them",
            (
                Desk,
                "pve PUT /nodes/pve/qemu/111/config -d cores=1\n\
                 pve POST /nodes/pve/qemu/111/status/shutdown -d forceStop=1 | task\n\
                 pve POST /nodes/pve/qemu/111/status/start | task\n\
                 until pve GET /nodes/pve/qemu/111/status/current | grep -q '\"status\":\"running\"'; do sleep 0.2; done\n\
                 until bash -c '</dev/tcp/10.10.10.2/22' 2>/dev/null; do sleep 0.2; done",
            ),
            &["pve: guest 111 extranet", "pve: guest 111 extranet restart"],
            &["cores: 1 → 2"],
            (Desk, "pve GET /nodes/pve/qemu/111/status/current | grep -o '\"cpus\":[0-9]*'", "\"cpus\":2"),
        )
        .apart(),
        Drift::new(
            "a VM's card on another bridge",
            (
                Desk,
                "pve PUT /nodes/pve/qemu/111/config --data-urlencode \"net0=$(key 111 net0 | sed s/vmbr1/vmbr0/)\"",
            ),
            &["pve: guest 111 extranet"],
            &["net0 bridge: vmbr0 → vmbr1"],
            (Desk, "pve GET /nodes/pve/qemu/111/pending | grep -o '{\"key\":\"net0\"[^}]*' | grep -o 'bridge=vmbr.' | tail -n 1", "bridge=vmbr1"),
        )
        .apart(),
        Drift::new(
            "a VM's card without its firewall",
            (
                Desk,
                "pve PUT /nodes/pve/qemu/110/config --data-urlencode \"net0=$(key 110 net0 | sed s/,firewall=1//)\"",
            ),
            &["pve: guest 110 intranet"],
            &["net0 firewall: 1"],
            (Desk, "pve GET /nodes/pve/qemu/110/pending | grep -o '{\"key\":\"net0\"[^}]*' | grep -c 'bridge=vmbr0,firewall=1\"$'", "1"),
        ),
        Drift::new(
            "a tag of a VM",
            (Desk, "pve PUT /nodes/pve/qemu/111/config --data-urlencode 'tags=infra-media-server-home;mine'"),
            &["pve: guest 111 extranet"],
            &["tags: infra-media-server-home;mine → infra;infra-media-server-home"],
            (Desk, "key 111 tags", "infra;infra-media-server-home"),
        ),
        Drift::new(
            "an option of a VM's disk",
            (
                Desk,
                "pve PUT /nodes/pve/qemu/111/config --data-urlencode \"scsi0=$(key 111 scsi0 | sed s/,discard=on//)\"",
            ),
            &["pve: guest 111 extranet"],
            &["discard"],
            (Desk, "pve GET /nodes/pve/qemu/111/pending | tr '{' '\\n' | grep '\"scsi0\"' | sed 's/.*\"pending\":\"//;t;s/.*\"value\":\"//' | grep -o 'discard=on'", "discard=on"),
        ),
        Drift::new(
            "a VM that does not start with the node",
            (Desk, "pve PUT /nodes/pve/qemu/110/config -d onboot=0"),
            &["pve: guest 110 intranet"],
            &["starts with the node: 0 → 1"],
            (Desk, "key 110 onboot", "1"),
        ),
        Drift::new(
            "the order in which VMs start",
            (Desk, "pve PUT /nodes/pve/qemu/111/config --data-urlencode startup=order=7"),
            &["pve: guest 111 extranet"],
            &["start order: 7 → 1"],
            (Desk, "key 111 startup", "order=1"),
        ),
        Drift::new(
            "a VM without its guest agent",
            (Desk, "pve PUT /nodes/pve/qemu/111/config -d agent=0"),
            &["pve: guest 111 extranet"],
            &["agent"],
            (Desk, "pve GET /nodes/pve/qemu/111/pending | grep -o '{\"key\":\"agent\"[^}]*'", "{\"key\":\"agent\",\"value\":\"enabled=1\""),
        ),
        Drift::new(
            "a shared directory taken from a VM",
            (Desk, "pve PUT /nodes/pve/qemu/110/config -d delete=virtiofs1"),
            &["pve: guest 110 intranet"],
            &["virtiofs1"],
            (Desk, "pve GET /nodes/pve/qemu/110/pending | grep -o '{\"key\":\"virtiofs1\"[^}]*'", "{\"key\":\"virtiofs1\",\"value\":\"dirid=tank-photos\""),
        ),
        Drift::new(
            "the notes of a VM",
            (Desk, "pve PUT /nodes/pve/qemu/111/config --data-urlencode 'description=do not touch'"),
            &["pve: guest 111 extranet"],
            &["do not touch"],
            (Desk, "key 111 description | grep -c 'Managed by infra'", "1"),
        ),
        Drift::new(
            "the seed taken out of the drive",
            (Desk, "pve PUT /nodes/pve/qemu/111/config --data-urlencode 'ide2=none,media=cdrom'"),
            &["pve: guest 111 extranet seed"],
            &["ide2: infra-media-server-home-111-"],
            (Desk, "key 111 ide2 | grep -o 'infra-media-server-home-111'", "infra-media-server-home-111"),
        ),
        Drift::new(
            "a VM that was switched off",
            (Desk, "pve POST /nodes/pve/qemu/111/status/stop | task"),
            &["pve: guest 111 extranet power"],
            &["state: stopped → running"],
            (Desk, "pve GET /nodes/pve/qemu/111/status/current | grep -o '\"status\":\"[a-z]*\"'", "\"status\":\"running\""),
        )
        .apart(),
        Drift::new(
            "a directory mapping on another path",
            (Desk, "pve PUT /cluster/mapping/dir/tank-photos --data-urlencode 'map=node=pve,path=/mnt/tank/media'"),
            &["pve: directory mapping tank-photos"],
            &["/mnt/tank/media"],
            (Desk, "pve GET /cluster/mapping/dir/tank-photos | grep -o '/mnt/tank/[a-z]*'", "/mnt/tank/photos"),
        ),
    ]
}
