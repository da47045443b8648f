//! The facts of a ZFS host: what is asked, and how the answer is read.

use super::frame::sections;
use crate::model::{
    facts::{DatasetFact, PropertyFact, ZpoolFact},
    ids::DatasetName,
};
use std::collections::BTreeMap;

/// `facts_zfs POOL...`, a POSIX sh function. Its output is what [`parse_facts`] reads:
///
/// ```text
/// ==zfs pool tank
/// tank<TAB>ONLINE<TAB>1006632960<TAB>1006166016
/// ==zfs exit 0
/// ==zfs datasets tank
/// tank/media<TAB>recordsize<TAB>1048576<TAB>local
/// ==zfs exit 0
/// ```
///
/// or `==zfs not-installed`. Of a suspended pool there are no datasets. A failed command leaves its exit code and its words on the `exit` line.
pub const FACTS: &str = include_str!("scripts/facts.sh");

/// Datasets and zpools, as in [`HostFacts`](crate::model::facts::HostFacts).
pub type ZfsFacts = (
    BTreeMap<DatasetName, DatasetFact>,
    BTreeMap<String, ZpoolFact>,
);

/// Reads the output of [`FACTS`]. A pool that is not imported is absent; one that is suspended has no datasets.
///
/// # Errors
/// The line that makes no sense, or the words of a command that failed for another reason than a missing pool.
pub fn parse_facts(text: &str) -> Result<ZfsFacts, String> {
    let (mut datasets, mut zpools) = ZfsFacts::default();
    for section in sections(text, &["not-installed"])? {
        if section.about == "not-installed" || section.is_missing() {
            continue;
        }
        if let Some(complaint) = section.complaint() {
            return Err(complaint);
        }
        let lines = section.lines();
        match section.about {
            "pool" => {
                let [line] = lines.as_slice() else {
                    return Err(format!(
                        "zpool list {}: {} lines instead of one",
                        section.subject,
                        lines.len()
                    ));
                };
                let (name, fact) = zpool(line)?;
                zpools.insert(name, fact);
            }
            "datasets" => {
                for record in records(&lines)? {
                    add(&mut datasets, &record)?;
                }
            }
            other => return Err(format!("unexpected frame `{other}`")),
        }
    }
    datasets.retain(|_, fact: &mut DatasetFact| {
        let kind = fact
            .properties
            .get("type")
            .map(|property| property.value.clone());
        fact.kind = kind.unwrap_or_default();
        !fact.kind.is_empty()
    });
    Ok((datasets, zpools))
}

fn zpool(line: &str) -> Result<(String, ZpoolFact), String> {
    let wrong = || format!("zpool list answered `{line}`");
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, health, size, free] = fields.as_slice() else {
        return Err(wrong());
    };
    // A suspended or faulted pool has `-` for its sizes.
    let bytes = |field: &str| {
        if field == "-" {
            Ok(0)
        } else {
            field.parse().map_err(|_| wrong())
        }
    };
    let fact = ZpoolFact {
        health: (*health).to_owned(),
        size: bytes(size)?,
        free: bytes(free)?,
    };
    Ok(((*name).to_owned(), fact))
}

/// Lines put together to records. The value of a user property may hold line breaks, as ZFS prints it raw.
fn records(lines: &[&str]) -> Result<Vec<String>, String> {
    let mut records = Vec::with_capacity(lines.len());
    let mut broken: Option<String> = None;
    for line in lines {
        let record = match broken.take() {
            Some(start) => format!("{start}\n{line}"),
            None => (*line).to_owned(),
        };
        let source = record.rsplit('\t').next().unwrap_or_default();
        if record.matches('\t').count() >= 3 && is_source(source) {
            records.push(record);
        } else if record
            .split('\t')
            .nth(1)
            .is_some_and(|property| property.contains(':'))
        {
            broken = Some(record);
        } else {
            return Err(format!("zfs get answered `{record}`"));
        }
    }
    match broken {
        None => Ok(records),
        Some(record) => Err(format!("zfs get ended within `{record}`")),
    }
}

/// The words of the SOURCE column.
fn is_source(text: &str) -> bool {
    matches!(text, "-" | "local" | "default" | "received" | "temporary")
        || text.starts_with("inherited from ")
}

fn add(datasets: &mut BTreeMap<DatasetName, DatasetFact>, record: &str) -> Result<(), String> {
    let wrong = || format!("zfs get answered `{record}`");
    let mut front = record.splitn(3, '\t');
    let (Some(name), Some(property), Some(rest)) = (front.next(), front.next(), front.next())
    else {
        return Err(wrong());
    };
    // The value of a user property may hold tabs: the source is what follows the last one.
    let (value, source) = rest.rsplit_once('\t').ok_or_else(wrong)?;
    let name = match DatasetName::new(name) {
        Ok(name) => name,
        // Names that only ZFS itself makes (`tank/x%recv`).
        Err(_) if name.contains('%') => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let fact = PropertyFact {
        value: value.to_owned(),
        source: source.to_owned(),
    };
    datasets
        .entry(name)
        .or_default()
        .properties
        .insert(property.to_owned(), fact);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "==zfs pool tank\ntank\tONLINE\t1006632960\t1006166016\n==zfs exit 0 \n==zfs datasets tank\n\
        tank\ttype\tfilesystem\t-\ntank\tmountpoint\t/mnt/tank\tlocal\ntank/my movies\ttype\tfilesystem\t-\n\
        tank/my movies\tcompression\tlz4\tinherited from tank\ntank/my movies\torg.other:note\ta\tb\nc\tlocal\n\
        tank/x%recv\ttype\tfilesystem\t-\n==zfs exit 0 \n";

    #[test]
    fn spaces_tabs_and_line_breaks_stay_where_they_belong() {
        let (datasets, zpools) = parse_facts(ANSWER).expect("well formed");
        assert_eq!(
            datasets.keys().map(DatasetName::as_str).collect::<Vec<_>>(),
            ["tank", "tank/my movies"]
        );
        let movies = &datasets[&DatasetName::new("tank/my movies").expect("valid")];
        assert_eq!(movies.kind, "filesystem");
        assert_eq!(
            movies.properties["compression"].source,
            "inherited from tank"
        );
        let note = &movies.properties["org.other:note"];
        assert_eq!(
            (note.value.as_str(), note.source.as_str()),
            ("a\tb\nc", "local")
        );
        assert_eq!(zpools["tank"].free, 1_006_166_016);
    }

    #[test]
    fn a_pool_that_is_not_imported_is_absent_and_other_failures_are_not_hidden() {
        let missing = "==zfs pool tank\n==zfs exit 1 cannot open 'tank': no such pool\n==zfs datasets tank\n\
            ==zfs exit 1 cannot open 'tank': dataset does not exist\n";
        assert_eq!(parse_facts(missing), Ok(ZfsFacts::default()));
        assert_eq!(
            parse_facts("==zfs not-installed\n"),
            Ok(ZfsFacts::default())
        );
        let module = "==zfs pool tank\n==zfs exit 1 The ZFS modules are not loaded.\n";
        assert_eq!(
            parse_facts(module),
            Err("pool tank: exit 1: The ZFS modules are not loaded.".to_owned())
        );
    }

    #[test]
    fn an_answer_that_was_cut_off_is_an_error_and_not_a_short_list() {
        for end in [ANSWER.len() - 14, ANSWER.len() / 2, 20] {
            assert!(parse_facts(&ANSWER[..end]).is_err(), "{}", &ANSWER[..end]);
        }
        assert!(parse_facts("==zfs pool tank\nWarning: tank\n==zfs exit 0 \n").is_err());
        assert!(parse_facts("Last login: today\n").is_err());
    }
}
