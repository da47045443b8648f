//! Document -> `Desired`: references followed, defaults filled in, every problem on the way reported.
//!
//! A thing with a problem is still resolved with a stand-in value where possible, so that one mistake does not hide the
//! next; [`super::load`] gives the result out only when nothing was reported as an error.
//!
//! Invariant: pure. The day is an input, files were read before.

mod adopted;
mod api;
mod availability;
mod backup;
mod backup_place;
mod bridge;
mod card;
mod check;
mod cloud_init;
mod device;
mod directory;
mod flow;
mod group;
mod guest;
mod host_mount;
mod image;
mod interfaces;
mod machine;
mod named;
mod names;
mod network;
mod nights;
mod option;
mod policy;
mod property;
mod replica;
mod scope;
mod sdn;
mod secret;
mod share;
mod stack;
mod stack_backup;
mod stack_check;
mod stack_guard;
mod stack_mount;
mod storage;
mod template;
mod zpool;

pub(crate) use names::Noun;
pub(crate) use scope::Scope;
pub(crate) use template::{Folder, Folders, MANIFEST};

use super::{document::Document, image_lock::ImageLock};
use crate::model::desired::Desired;

/// Resolves everything. The result is whole only when the scope has no error.
pub(crate) fn resolve(
    document: &Document,
    folders: &Folders,
    lock: &ImageLock,
    scope: &mut Scope<'_>,
) -> Option<Desired> {
    names::index(document, scope);
    let system = scope.parse(&document.name);
    api::version(document, scope);
    let secrets = secret::secrets(document, scope);
    let images = image::images(document, lock, scope);
    let zones = network::zones(document, scope);
    let mut nodes = machine::nodes(document, &zones, scope);
    let zones = network::route(document, zones, &mut nodes, scope);
    let hosts = machine::hosts(document, &zones, scope);
    let policies = policy::policies(document, scope);
    let (zpools, datasets) = storage::pools(document, &policies, scope);
    let replicas = replica::replicas(document, &zpools, &datasets, &policies, scope);
    let guests = guest::guests(document, system.as_ref(), &images, &zones, &datasets, scope);
    let ha_rules = availability::rules(document, &guests, scope);
    let sets = network::sets(document, scope);
    let operators = network::operators(document, scope);
    let mut services = network::services(document, scope);
    let mut desired = Desired {
        system: system.clone()?,
        proxmox: api::proxmox(document, &nodes, scope),
        nodes,
        guests,
        ha_rules,
        sdn: sdn::zones(document, scope),
        adopted: adopted::adopted(document, scope),
        hosts,
        images,
        zones: network::plain(zones),
        sets: std::collections::BTreeMap::new(),
        operators,
        services: std::collections::BTreeMap::new(),
        flows: vec![],
        nevers: vec![],
        zpools,
        datasets,
        replicas,
        backups: std::collections::BTreeMap::new(),
        stacks: std::collections::BTreeMap::new(),
        checks: vec![],
        nights: None,
        secrets,
        authorized_keys: api::authorized_keys(document, scope),
        timezone: api::timezone(document, scope),
    };
    share::shares(&mut desired);
    sdn::judge(document, &desired, scope);
    desired.sets = network::members(sets, &desired, scope);
    group::fill(document, &mut desired, scope);
    desired.stacks = stack::stacks(document, folders, &desired, lock, &mut services, scope);
    desired.backups = backup::backups(document, &desired, scope);
    desired.services = services.plain();
    desired.flows = flow::flows(document, &desired, scope);
    desired.nevers = flow::nevers(document, &desired, scope);
    desired.checks = check::checks(document, &desired, scope);
    let brought = stack_check::checks(document, folders, &desired, scope);
    desired.checks.extend(brought);
    desired.nights = nights::nights(document, &desired.system, scope);
    secret::unused(document, folders, &desired, scope);
    Some(desired)
}
