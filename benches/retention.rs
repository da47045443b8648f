//! 100,000 snapshots over 500 datasets: the list is read and the prune is planned. Prints absolute numbers.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "measures this process and prints"
)]

use base64::{engine::GeneralPurpose, prelude::BASE64_STANDARD, write::EncoderStringWriter};
use flate2::{Compression, write::GzEncoder};
use infra::{
    model::{
        ids::SystemName,
        retention::Retention,
        snapshot::{mark, our_name},
    },
    providers::zfs::parse_survey,
    retention::{Rules, decide},
};
use std::{
    collections::BTreeMap,
    io::Write as _,
    time::{Duration, Instant},
};

const NOW: i64 = 1_795_196_991;
const DATASETS: i64 = 500;
const EACH: i64 = 200;
const LIMIT: Duration = Duration::from_secs(1);
const LIMIT_MIB: u64 = 150;

fn kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// What a host says about the snapshots, packed as it packs them.
struct Packed(Box<GzEncoder<EncoderStringWriter<'static, GeneralPurpose, String>>>);

/// One of the two forms that the list has.
enum Things {
    Text(String),
    Json(Packed),
}

impl Things {
    fn add(&mut self, text: &str) {
        match self {
            Self::Text(whole) => whole.push_str(text),
            Self::Json(Packed(whole)) => whole.write_all(text.as_bytes()).expect("in memory"),
        }
    }

    fn into_answer(self) -> String {
        let (word, body) = match self {
            Self::Text(text) => ("things", text),
            Self::Json(Packed(whole)) => {
                let text = whole.finish().expect("in memory").into_inner();
                ("things-jz", format!("{text}\n"))
            }
        };
        format!(
            "==zfs clock {NOW}\n==zfs version 2.3.9\n==zfs {word} tank\n{body}==zfs exit 0 \n==zfs end\n"
        )
    }
}

/// The answer, and how many bytes the list in it has unpacked.
fn answer(system: &SystemName, is_json: bool) -> (String, usize) {
    let mut things = if is_json {
        let text = EncoderStringWriter::new(&BASE64_STANDARD);
        Things::Json(Packed(Box::new(GzEncoder::new(text, Compression::fast()))))
    } else {
        Things::Text(String::new())
    };
    if is_json {
        things.add(
            r#"{"output_version":{"command":"zfs list","vers_major":0,"vers_minor":1},"datasets":{"#,
        );
    }
    let (mut txg, mut bytes) = (0, 0);
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
            let guid = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(txg);
            let thing = if is_json {
                let none = r#","source":{"type":"NONE","data":"-"}}"#;
                let comma = if txg == 1 { "" } else { "," };
                format!(
                    r#"{comma}"{full}":{{"name":"{full}","type":"SNAPSHOT","pool":"tank","createtxg":"{txg}","dataset":"tank/data/d{number:03}","snapshot_name":"{name}","properties":{{"type":{{"value":"snapshot"{none},"guid":{{"value":"{guid}"{none},"creation":{{"value":"{creation}"{none},"used":{{"value":"0"{none},"userrefs":{{"value":"0"{none},"clones":{{"value":"-"{none},"origin":{{"value":"-"{none},"mounted":{{"value":"-"{none},"keystatus":{{"value":"-"{none},"org.infra:snapshot":{{"value":"{mark}","source":{{"type":"LOCAL","data":"-"}}}}}}}}"#
                )
            } else {
                format!("{full}\tsnapshot\t{guid}\t{txg}\t{creation}\t0\t0\t-\t-\t-\t-\t{mark}\n")
            };
            bytes += thing.len();
            things.add(&thing);
        }
    }
    if is_json {
        things.add("}}");
    }
    (things.into_answer(), bytes)
}

fn main() {
    let system: SystemName = "home".parse().expect("valid");
    let mut missed = Vec::new();
    for (form, is_json) in [("JSON", true), ("text", false)] {
        let (text, bytes) = answer(&system, is_json);
        // Peak memory counts from here on: making the answer up is the host's work.
        std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
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
        let peak = kib("VmHWM:") >> 10;
        println!(
            "{form}: {seen} snapshots of {} datasets, {} MiB of list in {} KiB of answer: read in {read:?}, planned in {planned:?}, {going} would go; peak memory {peak} MiB",
            survey.datasets.len(),
            bytes >> 20,
            text.len() >> 10,
        );
        if read + planned > LIMIT {
            missed.push(format!("{form}: longer than {LIMIT:?}"));
        }
        if peak > LIMIT_MIB {
            missed.push(format!("{form}: more than {LIMIT_MIB} MiB"));
        }
    }
    assert!(missed.is_empty(), "missed: {missed:?}");
}
