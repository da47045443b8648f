//! 100,000 snapshots over 500 datasets: the list is read and the prune is planned. Prints absolute numbers.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "measures this process and prints"
)]

use infra::{
    model::{
        ids::SystemName,
        retention::Retention,
        snapshot::{mark, our_name},
    },
    providers::zfs::parse_survey,
    retention::{Rules, decide},
};
use std::{collections::BTreeMap, fmt::Write as _, time::Instant};

const NOW: i64 = 1_795_196_991;
const DATASETS: i64 = 500;
const EACH: i64 = 200;

fn kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

fn answer(system: &SystemName, is_json: bool) -> String {
    let mut things = String::new();
    let mut txg = 0;
    for number in 0..DATASETS {
        for old in (0..EACH).rev() {
            txg += 1;
            let creation = NOW - old * 43_200;
            let at = jiff::Timestamp::from_second(creation).expect("in range");
            let name = our_name("auto", at).expect("valid");
            let (full, mark) = (
                format!("tank/data/d{number:03}@{name}"),
                mark(system, &name),
            );
            if is_json {
                let none = r#","source":{"type":"NONE","data":"-"}}"#;
                let comma = if txg == 1 { "" } else { "," };
                let _ = write!(
                    things,
                    r#"{comma}"{full}":{{"name":"{full}","type":"SNAPSHOT","pool":"tank","createtxg":"{txg}","dataset":"tank/data/d{number:03}","snapshot_name":"{name}","properties":{{"type":{{"value":"snapshot"{none},"guid":{{"value":"{txg}"{none},"creation":{{"value":"{creation}"{none},"used":{{"value":"0"{none},"userrefs":{{"value":"0"{none},"clones":{{"value":"-"{none},"origin":{{"value":"-"{none},"mounted":{{"value":"-"{none},"keystatus":{{"value":"-"{none},"org.infra:snapshot":{{"value":"{mark}","source":{{"type":"LOCAL","data":"-"}}}}}}}}"#
                );
            } else {
                let _ = writeln!(
                    things,
                    "{full}\tsnapshot\t{txg}\t{txg}\t{creation}\t0\t0\t-\t-\t-\t-\t{mark}"
                );
            }
        }
    }
    let version =
        r#"{"output_version":{"command":"zfs list","vers_major":0,"vers_minor":1},"datasets":{"#;
    let (word, body) = if is_json {
        ("things-j", format!("{version}{things}}}}}"))
    } else {
        ("things", things)
    };
    format!(
        "==zfs clock {NOW}\n==zfs version 2.3.9\n==zfs {word} tank\n{body}\n==zfs exit 0 \n==zfs end\n"
    )
}

fn main() {
    let system: SystemName = "home".parse().expect("valid");
    for (form, is_json) in [("text", false), ("JSON", true)] {
        let text = answer(&system, is_json);
        let begun = Instant::now();
        let survey = parse_survey(&text).expect("well formed");
        let read = begun.elapsed();
        let begun = Instant::now();
        let bases = BTreeMap::new();
        let rules = Rules {
            system: &system,
            retention: &Retention::STANDARD,
            now: survey.clock,
            bases: &bases,
        };
        let (mut seen, mut going) = (0, 0);
        for view in survey.datasets.values() {
            let decisions = decide(view, &rules);
            seen += decisions.len();
            going += decisions
                .iter()
                .filter(|decision| !decision.keeps())
                .count();
        }
        let planned = begun.elapsed();
        println!(
            "{form}: {seen} snapshots of {} datasets, {} MiB of answer: read in {read:?}, planned in {planned:?}, {going} would go; peak memory so far {} MiB",
            survey.datasets.len(),
            text.len() >> 20,
            kib("VmHWM:") >> 10,
        );
    }
}
