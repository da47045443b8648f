//! Mount points that ZFS accepts without a word and that hide data. Pure.

use crate::model::{facts::DatasetFact, ids::DatasetName};
use std::collections::BTreeMap;

/// Where a dataset is, or would be, mounted: its own mount point, else the nearest one above it with the names between.
/// None for `none`, `legacy`, `canmount=off` and volumes.
pub fn mount_path(
    dataset: &DatasetName,
    properties: &BTreeMap<String, String>,
    datasets: &BTreeMap<DatasetName, DatasetFact>,
) -> Option<String> {
    if properties
        .get("canmount")
        .is_some_and(|value| value == "off")
    {
        return None;
    }
    if let Some(own) = properties.get("mountpoint") {
        return own.starts_with('/').then(|| own.clone());
    }
    let above = dataset.parent()?;
    let fact = datasets.get(&above)?;
    let path = fact
        .properties
        .get("mountpoint")
        .map(|property| property.value.as_str())?;
    let name = dataset.as_str().rsplit('/').next()?;
    path.starts_with('/')
        .then(|| format!("{}/{name}", path.trim_end_matches('/')))
}

/// Mount points that several datasets claim, with the claimants. Whichever is mounted last hides the others.
pub fn shared_mount_points(
    datasets: &BTreeMap<DatasetName, DatasetFact>,
) -> BTreeMap<String, Vec<DatasetName>> {
    let mut claims: BTreeMap<String, Vec<DatasetName>> = BTreeMap::new();
    for (name, fact) in datasets {
        let value = |property: &str| {
            fact.properties
                .get(property)
                .map_or("", |fact| fact.value.as_str())
        };
        let path = value("mountpoint");
        if value("canmount") == "on" && path.starts_with('/') {
            claims
                .entry(path.to_owned())
                .or_default()
                .push(name.clone());
        }
    }
    claims.retain(|_, claimants| claimants.len() > 1);
    claims
}

/// Filesystems that should be mounted and are not: what is written to their mount points goes underneath.
pub fn unmounted(datasets: &BTreeMap<DatasetName, DatasetFact>) -> Vec<DatasetName> {
    let is_unmounted = |fact: &DatasetFact| {
        let value = |property: &str| {
            fact.properties
                .get(property)
                .map_or("", |fact| fact.value.as_str())
        };
        value("canmount") == "on"
            && value("mountpoint").starts_with('/')
            && value("mounted") == "no"
    };
    datasets
        .iter()
        .filter(|(_, fact)| is_unmounted(fact))
        .map(|(name, _)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::PropertyFact;

    fn datasets(rows: &[(&str, &str, &str, &str)]) -> BTreeMap<DatasetName, DatasetFact> {
        let row = |(name, canmount, mountpoint, mounted): &(&str, &str, &str, &str)| {
            let fact = |value: &str| PropertyFact {
                value: value.to_owned(),
                source: "local".to_owned(),
            };
            let properties = [
                ("canmount", *canmount),
                ("mountpoint", *mountpoint),
                ("mounted", *mounted),
            ];
            let properties = properties
                .map(|(key, value)| (key.to_owned(), fact(value)))
                .into();
            let dataset = DatasetFact {
                kind: "filesystem".to_owned(),
                properties,
            };
            (DatasetName::new(*name).expect("valid"), dataset)
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn two_datasets_on_one_mount_point_are_found() {
        let seen = datasets(&[
            ("tank", "off", "/mnt/tank", "no"),
            ("tank/appdata", "on", "/mnt/tank/media", "yes"),
            ("tank/media", "on", "/mnt/tank/media", "yes"),
            ("tank/old", "noauto", "/mnt/tank/media", "no"),
        ]);
        let shared = shared_mount_points(&seen);
        let claimants: Vec<&str> = shared["/mnt/tank/media"]
            .iter()
            .map(DatasetName::as_str)
            .collect();
        assert_eq!(claimants, ["tank/appdata", "tank/media"]);
        assert_eq!(shared.len(), 1);
    }

    #[test]
    fn a_filesystem_that_is_not_mounted_is_found() {
        let seen = datasets(&[
            ("tank", "off", "/mnt/tank", "no"),
            ("tank/media", "on", "/mnt/tank/media", "no"),
        ]);
        let names: Vec<String> = unmounted(&seen).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["tank/media"]);
    }

    #[test]
    fn a_new_dataset_is_mounted_below_its_parent_unless_told_otherwise() {
        let seen = datasets(&[
            ("tank", "on", "/mnt/tank", "yes"),
            ("tank/none", "on", "none", "no"),
        ]);
        let path = |name: &str, properties: &[(&str, &str)]| {
            let own = properties
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
            mount_path(&DatasetName::new(name).expect("valid"), &own, &seen)
        };
        assert_eq!(path("tank/media", &[]).as_deref(), Some("/mnt/tank/media"));
        assert_eq!(
            path("tank/media", &[("mountpoint", "/srv")]).as_deref(),
            Some("/srv")
        );
        assert_eq!(path("tank/media", &[("canmount", "off")]), None);
        assert_eq!(path("tank/none/x", &[]), None);
        assert_eq!(path("tank/a", &[("mountpoint", "legacy")]), None);
    }
}
