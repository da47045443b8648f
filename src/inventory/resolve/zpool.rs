//! What a zpool is made of.

use super::{Scope, names::items};
use crate::inventory::{
    codes,
    document::Part,
    written::{At, May},
};
use crate::model::dataset::{PartKind, ZpoolPart};
use std::collections::BTreeSet;

/// The parts of a pool that infra may make.
pub(super) fn parts(raw: &May<Vec<At<Part>>>, scope: &mut Scope<'_>) -> Vec<ZpoolPart> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for at in items(raw) {
        let Some(part) = &at.value else { continue };
        let several = [
            (PartKind::Mirror, &part.mirror),
            (PartKind::Raidz1, &part.raidz1),
            (PartKind::Raidz2, &part.raidz2),
            (PartKind::Raidz3, &part.raidz3),
        ];
        let mut found: Vec<(PartKind, Vec<&At<String>>)> = several
            .into_iter()
            .filter(|(_, list)| list.is_some())
            .map(|(kind, list)| (kind, items(list).iter().collect()))
            .collect();
        found.extend(
            part.single
                .iter()
                .map(|disk| (PartKind::Single, vec![disk])),
        );
        let [(kind, disks)] = found.as_slice() else {
            scope
                .error(codes::ONE_OF, "a part of a zpool is one kind of thing")
                .at(at.span, format!("{} kinds", found.len()))
                .help("write one of `mirror`, `raidz1`, `raidz2`, `raidz3` and `single`");
            continue;
        };
        if disks.len() < kind.least() {
            let word = kind.word().unwrap_or("single");
            scope
                .error(
                    codes::INVALID_PART,
                    format!("{} disks make no `{word}`", disks.len()),
                )
                .at(at.span, "too few")
                .help(format!("name at least {}", kind.least()));
        }
        let disks = disks.iter().filter_map(|disk| name(disk, &mut seen, scope));
        out.push(ZpoolPart {
            kind: *kind,
            disks: disks.collect(),
        });
    }
    out
}

/// A name that stays with the disk, whatever it is plugged into.
fn name(at: &At<String>, seen: &mut BTreeSet<String>, scope: &mut Scope<'_>) -> Option<String> {
    let text = at.value.as_deref()?;
    let name = text.strip_prefix("/dev/disk/by-id/").unwrap_or(text);
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:+".contains(c);
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(fits) {
        scope
            .error(
                codes::INVALID_PART,
                format!("`{text}` does not say for good which disk it is"),
            )
            .at(at.span, "not a name in /dev/disk/by-id")
            .help("`ls /dev/disk/by-id` on the host: `ata-WDC_WD80EFZZ_WD-CA1B2C3D`; names such as `sda` change places");
        return None;
    }
    if !seen.insert(name.to_owned()) {
        scope
            .error(
                codes::INVALID_PART,
                format!("the disk `{name}` is named twice"),
            )
            .at(at.span, "again")
            .help("every disk is in one part");
        return None;
    }
    Some(name.to_owned())
}
