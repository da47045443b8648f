//! The name of a seed tells what is in it: a digest of the whole, and one of each part. So the seed that a guest has in its
//! drive says which parts of the inventory have changed since, although nobody can read it there.

use super::fingerprint;
use crate::model::{
    host::GuestSeed,
    ids::{SystemName, Vmid},
};
use serde::Serialize;

/// Digits of the digest of the whole.
const WHOLE: usize = 12;
/// Digits of the digest of a part: a change that is missed here still changes the whole.
const PART: usize = 4;

/// When a changed part acts on a guest that has booted before. Its instance id stays, so nothing runs a second time that
/// cloud-init does once an instance, and its host keys stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rerun {
    /// infra does it itself, over SSH, in this run.
    Now,
    /// At the next boot.
    NextBoot,
    /// Not by itself.
    Never,
}

/// A part of a seed: its name, when it acts, and what that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) rerun: Rerun,
    pub(super) means: &'static str,
}

/// The parts, in the order of their digests.
const PARTS: [Part; 12] = [
    part("host name", Rerun::NextBoot, "set at the next boot"),
    part(
        "login user",
        Rerun::Never,
        "never runs again: make the new user in the guest first",
    ),
    part(
        "authorized keys",
        Rerun::Now,
        "written over SSH in this run",
    ),
    part(
        "time zone",
        Rerun::Never,
        "never runs again: `timedatectl set-timezone` in the guest",
    ),
    part(
        "name servers",
        Rerun::Never,
        "never runs again: the network was written at the first boot; change it in the guest",
    ),
    part(
        "network cards",
        Rerun::Never,
        "never runs again: the network was written at the first boot; change it in the guest",
    ),
    part(
        "network version",
        Rerun::Never,
        "never runs again: the network was written at the first boot",
    ),
    part(
        "packages",
        Rerun::Never,
        "never runs again: install or remove them in the guest",
    ),
    part(
        "users",
        Rerun::Never,
        "never runs again: make or change them in the guest",
    ),
    part(
        "bootcmd",
        Rerun::NextBoot,
        "runs at the next boot, as at every boot",
    ),
    part(
        "user-data",
        Rerun::Never,
        "never runs again: what it asks for was done at the first boot",
    ),
    part(
        "vendor-data",
        Rerun::Never,
        "never runs again, except its bootcmd at the next boot",
    ),
];

const fn part(name: &'static str, rerun: Rerun, means: &'static str) -> Part {
    Part { name, rerun, means }
}

/// The name of a seed.
pub(super) fn name(system: &SystemName, vmid: Vmid, seed: &GuestSeed) -> String {
    let whole = digest(seed, WHOLE);
    let extra = &seed.cloud_init;
    let bootcmd = extra.user_data.get("bootcmd");
    let mut others = extra.user_data.clone();
    others.remove("bootcmd");
    let parts = [
        digest(&seed.guest, PART),
        digest(&seed.user, PART),
        digest(&seed.authorized_keys, PART),
        digest(&seed.timezone, PART),
        digest(&seed.nameservers, PART),
        digest(&seed.nics, PART),
        digest(&extra.network_version, PART),
        digest(&extra.packages, PART),
        digest(&extra.users, PART),
        digest(&bootcmd, PART),
        digest(&others, PART),
        digest(&extra.vendor_data, PART),
    ];
    format!("infra-{system}-{vmid}-{whole}-{}.iso", parts.concat())
}

fn digest(value: &impl Serialize, digits: usize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    fingerprint(text.as_bytes())[..digits].to_owned()
}

/// The parts in which two seeds differ, by their names; none when a name does not tell.
pub(super) fn changed(before: &str, after: &str) -> Option<Vec<Part>> {
    let digits = |name: &str| -> Option<Vec<u8>> {
        let parts = name.strip_suffix(".iso")?.rsplit('-').next()?;
        let is_it =
            parts.len() == PART * PARTS.len() && parts.bytes().all(|b| b.is_ascii_hexdigit());
        is_it.then(|| parts.as_bytes().to_vec())
    };
    let (before, after) = (digits(before)?, digits(after)?);
    let differ = before
        .chunks(PART)
        .zip(after.chunks(PART))
        .zip(PARTS)
        .filter(|((before, after), _)| before != after);
    Some(differ.map(|(_, part)| part).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cloud_init::CloudInit;

    fn seed() -> GuestSeed {
        GuestSeed {
            guest: "web".parse().expect("valid"),
            filename: String::new(),
            instance_id: "infra-home-110-1".to_owned(),
            user: "infra".to_owned(),
            authorized_keys: vec!["ssh-ed25519 AAAA me".to_owned()],
            timezone: "Etc/UTC".to_owned(),
            nameservers: Vec::new(),
            nics: Vec::new(),
            cloud_init: CloudInit::default(),
        }
    }

    fn differ(change: impl Fn(&mut GuestSeed)) -> Vec<(&'static str, Rerun)> {
        let (system, vmid) = (
            "home".parse().expect("valid"),
            Vmid::new(110).expect("valid"),
        );
        let before = name(&system, vmid, &seed());
        let mut other = seed();
        change(&mut other);
        let after = name(&system, vmid, &other);
        let parts = changed(&before, &after).expect("both tell");
        parts
            .into_iter()
            .map(|part| (part.name, part.rerun))
            .collect()
    }

    #[test]
    fn each_part_is_known_by_itself() {
        assert!(differ(|_| ()).is_empty());
        assert_eq!(
            differ(|seed| seed.authorized_keys.clear()),
            [("authorized keys", Rerun::Now)]
        );
        assert_eq!(
            differ(|seed| seed.cloud_init.packages.push("htop".to_owned())),
            [("packages", Rerun::Never)]
        );
        assert_eq!(
            differ(|seed| {
                let data = &mut seed.cloud_init.user_data;
                data.insert("bootcmd".to_owned(), serde_json::json!(["true"]));
            }),
            [("bootcmd", Rerun::NextBoot)]
        );
        assert_eq!(
            differ(|seed| {
                seed.timezone = "Europe/Paris".to_owned();
                seed.user = "kim".to_owned();
            }),
            [("login user", Rerun::Never), ("time zone", Rerun::Never)]
        );
    }

    #[test]
    fn a_name_that_tells_nothing_is_not_guessed_at() {
        let (system, vmid) = (
            "home".parse().expect("valid"),
            Vmid::new(110).expect("valid"),
        );
        let after = name(&system, vmid, &seed());
        assert_eq!(changed("infra-home-110-7afbf7acf3db.iso", &after), None);
        assert_eq!(changed("debian.iso", &after), None);
    }
}
