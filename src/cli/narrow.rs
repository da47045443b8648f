//! `--on`: a plan narrowed to what was chosen, and to what that needs.

use super::{exit, failure::Failure};
use crate::inventory::{Selector, Subject};
use crate::model::desired::Desired;
use crate::plan::{
    Plan,
    change::{Change, Operation},
};

/// Keeps the chosen changes.
pub(crate) fn to(plan: Plan, text: &str, desired: &Desired) -> Result<Plan, Failure> {
    let selector: Selector = text
        .parse()
        .map_err(|error| Failure::of(exit::USAGE, &error))?;
    selector
        .verify(desired)
        .map_err(|error| Failure::of(exit::USAGE, &error))?;
    plan.only(|change| chosen(change, &selector, desired))
        .map_err(|error| super::failure::failed(&error))
}

fn chosen(change: &Change, selector: &Selector, desired: &Desired) -> bool {
    let subject = match &change.operation {
        Operation::DeployStack(release) => Subject::Stack(&release.stack),
        Operation::CreateZpool { zpool, .. } => {
            let mut inside = desired.datasets.keys();
            return inside.any(|dataset| {
                dataset.zpool() == zpool.as_str()
                    && selector.selects(Subject::Dataset(dataset), desired)
            });
        }
        Operation::CreateDataset { dataset, .. }
        | Operation::SetProperties { dataset, .. }
        | Operation::DatasetDirectories { dataset, .. }
        | Operation::LoadKey { dataset, .. }
        | Operation::MountDataset { dataset } => Subject::Dataset(dataset),
        Operation::UploadBootSeed { seed, .. } | Operation::SealSeed { seed, .. } => {
            Subject::Host(&seed.guest)
        }
        Operation::StartGuest { guest, .. }
        | Operation::RestartGuest { guest, .. }
        | Operation::MigrateGuest { guest, .. }
        | Operation::EmptyDrive { guest, .. } => Subject::Host(guest),
        Operation::WriteEntry { kind, id, .. } => {
            Subject::Host(crate::plan::entry_guest(desired, *kind, id).unwrap_or(&change.host))
        }
        Operation::CreateGuest { vmid, .. }
        | Operation::CloneGuest { vmid, .. }
        | Operation::MoveDisk { vmid, .. }
        | Operation::JoinPool { vmid, .. }
        | Operation::ConfigureGuest { vmid, .. }
        | Operation::StopGuest { vmid, .. }
        | Operation::DestroyGuest { vmid, .. }
        | Operation::GrowDisk { vmid, .. } => desired
            .guests
            .values()
            .find(|guest| guest.vmid == *vmid)
            .map_or(Subject::Host(&change.host), |guest| {
                Subject::Host(&guest.name)
            }),
        Operation::DownloadImage { .. }
        | Operation::UploadImage { .. }
        | Operation::MakeTemplate { .. }
        | Operation::AllocateDisk { .. }
        | Operation::MakePool { .. }
        | Operation::MapDirectory { .. }
        | Operation::ApplyNetwork { .. }
        | Operation::ApplySdn { .. }
        | Operation::DeleteVolume { .. }
        | Operation::Firewall { .. }
        | Operation::EnableFirewall { .. }
        | Operation::InstallPackages { .. }
        | Operation::MakeFilesystem(_)
        | Operation::GrowFilesystem(_)
        | Operation::WriteFile(_)
        | Operation::MakeDirectory { .. }
        | Operation::RemoveFile { .. }
        | Operation::SetUnit { .. }
        | Operation::RestartUnit { .. }
        | Operation::RunCommand { .. }
        | Operation::SetSysctl { .. }
        | Operation::Ufw(_) => Subject::Host(&change.host),
    };
    selector.selects(subject, desired)
}
