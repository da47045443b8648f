//! IP sets as the kernel has them: one of each name for each family.

use super::{
    address::Names,
    chain::{Family, INFALLIBLE},
};
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The kernel's limit is 31; five are kept for the name under which a set is built before it replaces the old one.
const NAME_LENGTH: usize = 26;

/// Whose set it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Cluster,
    Guest(u32),
}

/// The kernel's name for a set: `PVEFW-0-management-v4`.
pub(super) fn set_name(owner: Owner, name: &str, family: Family) -> String {
    let id = match owner {
        Owner::Cluster => 0,
        Owner::Guest(vmid) => vmid,
    };
    let full = format!("PVEFW-{id}-{name}-v{}", family.digit());
    if full.len() <= NAME_LENGTH {
        return full;
    }
    let hash = Sha256::digest(full.as_bytes());
    let short = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    format!("PVEFW-{short:08X}-v{}", family.digit())
}

/// The lines for `ipset restore` that make one set of both families: built aside, swapped in, so that it is never
/// empty in between. Members that name nothing are skipped.
pub(super) fn restore(
    out: &mut String,
    names: &Names<'_>,
    owner: Owner,
    name: &str,
    members: &[(String, bool)],
) {
    for family in Family::BOTH {
        let set = set_name(owner, name, family);
        let inet = match family {
            Family::V4 => "inet",
            Family::V6 => "inet6",
        };
        let size = members.len().next_power_of_two().max(64);
        for name in [&set, &format!("{set}_swap")] {
            writeln!(
                out,
                "create {name} hash:net family {inet} hashsize 64 maxelem {size}"
            )
            .expect(INFALLIBLE);
        }
        writeln!(out, "flush {set}_swap").expect(INFALLIBLE);
        for (member, nomatch) in members {
            let Some(network) = names.network(member) else {
                continue;
            };
            if Family::of(network.addr()) != family {
                continue;
            }
            let exception = if *nomatch { " nomatch" } else { "" };
            for part in parts(network) {
                writeln!(out, "add {set}_swap {part}{exception}").expect(INFALLIBLE);
            }
        }
        writeln!(out, "swap {set}_swap {set}\ndestroy {set}_swap").expect(INFALLIBLE);
    }
}

/// The kernel has no member that covers a whole family.
fn parts(network: IpNet) -> Vec<IpNet> {
    if network.prefix_len() == 0 {
        network.subnets(1).into_iter().flatten().collect()
    } else {
        vec![network]
    }
}
