//! Versions of ZFS that damage what they send.

use super::side::{Far, Near};

/// The first version in which snapshots of natively encrypted datasets survive being sent
/// (openzfs/zfs#12014, openzfs/zfs#15837).
const MENDED: [u32; 3] = [2, 3, 3];

/// What to tell before an encrypted dataset is sent; none when nothing is known against it.
pub fn doubt(near: &Near, far: &Far) -> Option<String> {
    let old = [(&near.version, "here"), (&far.version, "over there")];
    let old: Vec<String> = old
        .iter()
        .filter(|(version, _)| {
            near.is_encrypted && numbers(version).is_some_and(|own| own < MENDED)
        })
        .map(|(version, side)| format!("{version} {side}"))
        .collect();
    (!old.is_empty()).then(|| {
        format!(
            "{} is encrypted, and ZFS {} is older than 2.3.3, which may damage snapshots that are sent encrypted: scrub both zpools after it, and update",
            near.dataset,
            old.join(" and ")
        )
    })
}

/// `2.2.7-pve1` as numbers. None for what does not begin so.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.splitn(3, '.').map(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit());
        part[..end.unwrap_or(part.len())].parse().ok()
    });
    Some([parts.next()??, parts.next()??, parts.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::next::tests::{far, near};

    #[test]
    fn an_encrypted_dataset_and_an_old_zfs_on_either_side_are_told() {
        let said = |is_encrypted, here: &str, there: &str| {
            let (mut near, mut far) = (near(vec![]), far(vec![]));
            near.is_encrypted = is_encrypted;
            near.version = here.to_owned();
            far.version = there.to_owned();
            doubt(&near, &far)
        };
        assert_eq!(said(true, "2.3.3-1", "2.4.0"), None);
        assert_eq!(said(true, "", "2.3.9-1"), None);
        assert_eq!(said(false, "2.2.7-pve1", "2.1.11"), None);
        let old = said(true, "2.2.7-pve1", "2.3.9-1").expect("told");
        assert!(old.contains("ZFS 2.2.7-pve1 here is older"), "{old}");
        let both = said(true, "2.3.2-2", "2.1.11-1+deb12u1").expect("told");
        assert!(
            both.contains("2.3.2-2 here and 2.1.11-1+deb12u1 over there"),
            "{both}"
        );
    }
}
