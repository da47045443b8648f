//! Why the twin answers some commands differently.

/// Beginnings of commands, with the reason. The first that fits counts.
const REASONS: &[(&str, &str)] = &[
    ("zfs version", "says that it is the lab's"),
    ("zpool version", "says that it is the lab's"),
    (
        "zfs set sharenfs=on",
        "the recorded guest had no NFS server; the twin shares nothing and says nothing",
    ),
    ("findmnt", "a dataset is a bind mount of a btrfs subvolume"),
    ("zfs userspace", "not modelled"),
    ("zfs allow", "delegation is not modelled"),
    (
        "su -s /bin/sh nobody",
        "delegation is not modelled: the twin is root's",
    ),
    ("zpool status tank", "a resilver is over at once"),
    (
        "sleep 4; zpool status -j tank",
        "a resilver does not count what each disk got",
    ),
    ("zpool events", "not modelled"),
    ("zpool history", "not modelled"),
    ("zpool iostat", "not modelled"),
    ("modprobe", "there is no module"),
];

/// The reason for a command; none when nobody has thought about it.
pub(crate) fn of(cmd: &str) -> Option<&'static str> {
    REASONS
        .iter()
        .find(|(start, _)| cmd.starts_with(start))
        .map(|(_, reason)| *reason)
}
