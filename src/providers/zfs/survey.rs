//! What is on the zpools of a host: how the answer to [`SURVEY`] is read.

use super::{
    frame::{Section, sections},
    health,
};
use crate::model::{
    ids::{DatasetName, SnapshotName, SystemName, ZpoolName},
    snapshot::{BookmarkFact, DatasetView, SnapshotFact, Survey},
    zpool::ZpoolState,
};
use base64::{prelude::BASE64_STANDARD, read::DecoderReader};
use flate2::read::GzDecoder;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};
use std::{borrow::Cow, fmt, io::Read};

/// The script. Its arguments are [`MARK`](crate::model::snapshot::MARK) and names of zpools or datasets.
pub(super) const SURVEY: &str = include_str!("scripts/survey.sh");

/// The columns of the text form, in the script's order.
const COLUMNS: usize = 12;

/// One line of the list, whatever its form. `-` and the empty text mean that there is no such value.
#[derive(Default)]
struct Row<'a> {
    name: Cow<'a, str>,
    kind: Cow<'a, str>,
    guid: Cow<'a, str>,
    createtxg: Cow<'a, str>,
    creation: Cow<'a, str>,
    used: Cow<'a, str>,
    userrefs: Cow<'a, str>,
    clones: Cow<'a, str>,
    origin: Cow<'a, str>,
    mounted: Cow<'a, str>,
    keystatus: Cow<'a, str>,
    mark: Cow<'a, str>,
}

/// Reads the script's output. A pool that is not imported is absent; one that is suspended has no datasets.
///
/// # Errors
/// The line that makes no sense, or the words of a command that failed for another reason than a missing pool.
pub fn parse_survey(text: &str) -> Result<Survey, String> {
    let mut survey = Survey::default();
    let mut is_whole = false;
    for section in sections(text, &["clock", "version", "not-installed", "end"])? {
        if section.is_missing() {
            continue;
        }
        match section.about {
            "clock" => {
                survey.clock = section
                    .subject
                    .parse()
                    .map_err(|_| format!("`date +%s` answered `{}`", section.subject))?;
                continue;
            }
            "version" => {
                section.subject.clone_into(&mut survey.version);
                continue;
            }
            "not-installed" | "end" => {
                is_whole = true;
                continue;
            }
            _ => {}
        }
        if let Some(complaint) = section.complaint() {
            return Err(complaint);
        }
        match section.about {
            "pool" => {
                let (name, state) = zpool(&section)?;
                survey.zpools.insert(name, state);
            }
            "status" | "status-j" => {
                let state = survey
                    .zpools
                    .iter_mut()
                    .find(|(name, _)| name.as_str() == section.subject);
                if let Some((_, state)) = state {
                    health::read(section.body, section.about == "status-j", state)?;
                }
            }
            "things" => {
                for line in section.body.lines().filter(|line| !line.is_empty()) {
                    add(&mut survey, &row(line)?)?;
                }
            }
            "things-j" => json(section.body.as_bytes(), &mut survey)?,
            "things-jz" => json(&packed(&section)?, &mut survey)?,
            other => return Err(format!("unexpected frame `{other}`")),
        }
    }
    if !is_whole {
        return Err("the answer was cut off".to_owned());
    }
    for dataset in survey.datasets.values_mut() {
        dataset.snapshots.sort_by_key(|snapshot| snapshot.createtxg);
        dataset.bookmarks.sort_by_key(|bookmark| bookmark.createtxg);
    }
    Ok(survey)
}

fn zpool(section: &Section<'_>) -> Result<(ZpoolName, ZpoolState), String> {
    let wrong = || format!("zpool list answered `{}`", section.body.trim());
    let mut lines = section.body.lines().filter(|line| !line.is_empty());
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(wrong());
    };
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, health, size, allocated, free, capacity, fragmentation] = fields.as_slice() else {
        return Err(wrong());
    };
    // A suspended or faulted pool has `-` for its numbers; some versions keep the percent sign under `-p`.
    let number = |field: &str| match field.trim_end_matches('%') {
        "-" => Ok(None),
        digits => digits.parse::<u64>().map(Some).map_err(|_| wrong()),
    };
    let state = ZpoolState {
        health: (*health).to_owned(),
        size: number(size)?.unwrap_or(0),
        allocated: number(allocated)?.unwrap_or(0),
        free: number(free)?.unwrap_or(0),
        capacity: number(capacity)?,
        fragmentation: number(fragmentation)?,
        ..ZpoolState::default()
    };
    let name = ZpoolName::new(*name).map_err(|error| error.to_string())?;
    Ok((name, state))
}

/// A line of the text form. The mark stands last: what somebody else wrote into it stays in it.
fn row(line: &str) -> Result<Row<'_>, String> {
    let fields: Vec<&str> = line.splitn(COLUMNS, '\t').collect();
    let [
        name,
        kind,
        guid,
        createtxg,
        creation,
        used,
        userrefs,
        clones,
        origin,
        mounted,
        keystatus,
        mark,
    ] = fields.as_slice()
    else {
        return Err(format!("zfs list answered `{line}`"));
    };
    Ok(Row {
        name: Cow::Borrowed(*name),
        kind: Cow::Borrowed(*kind),
        guid: Cow::Borrowed(*guid),
        createtxg: Cow::Borrowed(*createtxg),
        creation: Cow::Borrowed(*creation),
        used: Cow::Borrowed(*used),
        userrefs: Cow::Borrowed(*userrefs),
        clones: Cow::Borrowed(*clones),
        origin: Cow::Borrowed(*origin),
        mounted: Cow::Borrowed(*mounted),
        keystatus: Cow::Borrowed(*keystatus),
        mark: Cow::Borrowed(*mark),
    })
}

fn value(field: &str) -> Option<&str> {
    (!matches!(field, "" | "-")).then_some(field)
}

fn number<N: std::str::FromStr>(row: &Row<'_>, what: &str, field: &str) -> Result<N, String> {
    field
        .parse()
        .map_err(|_| format!("{} has the {what} `{field}`", row.name))
}

/// A number that some kinds of things do not have.
fn count(row: &Row<'_>, what: &str, field: &str) -> Result<u64, String> {
    value(field).map_or(Ok(0), |digits| number(row, what, digits))
}

fn add(survey: &mut Survey, row: &Row<'_>) -> Result<(), String> {
    let (dataset, short) = match row.name.split_once(['@', '#']) {
        Some((dataset, short)) => (dataset, Some(short)),
        None => (row.name.as_ref(), None),
    };
    let short = short.map(SnapshotName::new).transpose();
    // Names that only ZFS itself makes (`tank/x%recv`), or that a newer ZFS allows, are told and left alone.
    let (Ok(dataset), Ok(short)) = (DatasetName::new(dataset), short) else {
        survey.unnamed.push(row.name.clone().into_owned());
        return Ok(());
    };
    let guid = number(row, "guid", &row.guid)?;
    let view = survey.datasets.entry(dataset).or_default();
    match (row.kind.to_ascii_lowercase().as_str(), short) {
        (kind @ ("filesystem" | "volume"), None) => {
            *view = DatasetView {
                guid,
                is_volume: kind == "volume",
                used: count(row, "size", &row.used)?,
                is_mounted: row.mounted == "yes",
                origin: value(&row.origin).map(str::to_owned),
                is_unlocked: value(&row.keystatus).map(|status| status == "available"),
                snapshots: std::mem::take(&mut view.snapshots),
                bookmarks: std::mem::take(&mut view.bookmarks),
            };
        }
        ("snapshot", Some(name)) => {
            let system = row
                .mark
                .split_once('/')
                .filter(|(_, marked)| *marked == name.as_str())
                .and_then(|(system, _)| SystemName::new(system).ok());
            view.snapshots.push(SnapshotFact {
                guid,
                createtxg: number(row, "createtxg", &row.createtxg)?,
                creation: number(row, "creation", &row.creation)?,
                used: count(row, "size", &row.used)?,
                userrefs: count(row, "userrefs", &row.userrefs)?,
                clones: value(&row.clones)
                    .map(|clones| clones.split(',').map(str::to_owned).collect())
                    .unwrap_or_default(),
                system,
                name,
            });
        }
        ("bookmark", Some(name)) => view.bookmarks.push(BookmarkFact {
            guid,
            createtxg: number(row, "createtxg", &row.createtxg)?,
            creation: number(row, "creation", &row.creation)?,
            name,
        }),
        (kind, _) => return Err(format!("{} is a `{kind}`", row.name)),
    }
    Ok(())
}

/// Unpacks what the script packed.
fn packed(section: &Section<'_>) -> Result<Vec<u8>, String> {
    let text = DecoderReader::new(section.body.trim().as_bytes(), &BASE64_STANDARD);
    let mut unpacked = Vec::new();
    GzDecoder::new(text)
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("zfs list -j: {error}"))?;
    Ok(unpacked)
}

/// Reads the JSON form of `zfs list`, one thing at a time: a hundred thousand snapshots are not held twice. The text is: out
/// of a slice it is read several times faster than out of a stream.
fn json(answer: &[u8], survey: &mut Survey) -> Result<(), String> {
    let mut reader = serde_json::Deserializer::from_slice(answer);
    List(survey)
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|error| format!("zfs list -j: {error}"))
}

/// The whole answer: `output_version` and `datasets`.
struct List<'s>(&'s mut Survey);

/// The map below `datasets`; its keys repeat the names.
struct Things<'s>(&'s mut Survey);

#[derive(Deserialize)]
struct OutputVersion {
    vers_major: u32,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the output of `zfs list -j`")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let (mut has_version, mut has_datasets) = (false, false);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match key.as_ref() {
                "output_version" => {
                    let version: OutputVersion = map.next_value()?;
                    if version.vers_major != 0 {
                        let major = version.vers_major;
                        return Err(M::Error::custom(format!(
                            "version {major} of the output, which this infra does not know"
                        )));
                    }
                    has_version = true;
                }
                "datasets" => {
                    map.next_value_seed(Things(self.0))?;
                    has_datasets = true;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if has_version && has_datasets {
            Ok(())
        } else {
            Err(M::Error::custom("no `output_version` or no `datasets`"))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Things<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Things<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("datasets and snapshots by name")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            let thing: Thing<'de> = map.next_value()?;
            add(self.0, &thing.into_row()).map_err(M::Error::custom)?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Thing<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    createtxg: Cow<'a, str>,
    #[serde(borrow)]
    properties: Properties<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Properties<'a> {
    #[serde(borrow)]
    guid: Property<'a>,
    #[serde(borrow)]
    creation: Property<'a>,
    #[serde(borrow)]
    used: Property<'a>,
    #[serde(borrow)]
    userrefs: Property<'a>,
    #[serde(borrow)]
    clones: Property<'a>,
    #[serde(borrow)]
    origin: Property<'a>,
    #[serde(borrow)]
    mounted: Property<'a>,
    #[serde(borrow)]
    keystatus: Property<'a>,
    #[serde(borrow, rename = "org.infra:snapshot")]
    mark: Property<'a>,
}

#[derive(Deserialize, Default)]
struct Property<'a> {
    #[serde(borrow)]
    value: Cow<'a, str>,
}

impl<'a> Thing<'a> {
    fn into_row(self) -> Row<'a> {
        Row {
            name: self.name,
            kind: self.kind,
            guid: self.properties.guid.value,
            createtxg: self.createtxg,
            creation: self.properties.creation.value,
            used: self.properties.used.value,
            userrefs: self.properties.userrefs.value,
            clones: self.properties.clones.value,
            origin: self.properties.origin.value,
            mounted: self.properties.mounted.value,
            keystatus: self.properties.keystatus.value,
            mark: self.properties.mark.value,
        }
    }
}
