//! The survey, put together from what OpenZFS 2.3.9 answered to the commands in it.

use super::recorded::Recorded;
use crate::model::{
    ids::{DatasetName, SystemName, ZpoolName},
    snapshot::{Survey, mark},
    zpool::ZpoolState,
};
use crate::providers::zfs::{health, survey::parse_survey};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use std::{collections::BTreeMap, fmt::Write as _, io::Write as _};

fn recorded() -> Vec<Recorded> {
    include_str!("../../../../tests/zfs/snapshots.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a recorded command"))
        .collect()
}

fn stdout(cmd: &str) -> String {
    let row = recorded().into_iter().find(|row| row.cmd == cmd);
    row.unwrap_or_else(|| panic!("`{cmd}` was recorded")).stdout
}

/// The script's columns for `tank/media`'s snapshots, from the two recorded lists that have them.
fn rows() -> String {
    let numbers = stdout("zfs list -Hp -t snapshot -o name,createtxg,guid -s createtxg -r tank");
    let numbers: BTreeMap<&str, (&str, &str)> = numbers
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            (fields[0], (fields[1], fields[2]))
        })
        .collect();
    let rest = stdout(
        "zfs list -Hp -t snapshot -o name,creation,used,userrefs,clones,defer_destroy -r tank/media",
    );
    let marks = stdout("zfs list -Hp -t bookmark -o name,createtxg,guid -r tank");
    let marks: Vec<&str> = marks.trim_end().split('\t').collect();
    let mut out =
        "tank/media\tfilesystem\t6182244089317228900\t9\t1795196975\t98304\t-\t-\t-\tyes\t-\t-\n"
            .to_owned();
    for line in rest.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let (txg, guid) = numbers[fields[0]];
        let _ = writeln!(
            out,
            "{}\tsnapshot\t{guid}\t{txg}\t{}\t{}\t{}\t{}\t-\t-\t-\t-",
            fields[0], fields[1], fields[2], fields[3], fields[4]
        );
    }
    // It was made of @all, and says the same.
    let made_of = rest
        .lines()
        .find(|line| line.starts_with("tank/media@all\t"));
    let creation = made_of
        .and_then(|line| line.split('\t').nth(1))
        .expect("recorded");
    out + &format!(
        "{}\tbookmark\t{}\t{}\t{creation}\t-\t-\t-\t-\t-\t-\t-\n",
        marks[0], marks[2], marks[1]
    )
}

fn framed(things: &str) -> String {
    let pool = "tank\tONLINE\t1006632960\t466944\t1006166016\t0\t2\n";
    format!(
        "==zfs clock 1795196999\n==zfs version 2.3.9-0+deb13u1\n==zfs pool tank\n{pool}\n==zfs exit 0 \n\
         ==zfs status tank\n{}\n==zfs exit 0 \n==zfs things tank\n{things}\n==zfs exit 0 \n==zfs end\n",
        stdout("zpool status tank")
    )
}

fn media(survey: &Survey) -> &crate::model::snapshot::DatasetView {
    &survey.datasets[&DatasetName::new("tank/media").expect("valid")]
}

#[test]
fn a_recorded_list_is_read_whole_and_ordered_by_transaction_group() {
    let survey = parse_survey(&framed(&rows())).expect("well formed");
    assert_eq!(survey.clock, 1_795_196_999);
    assert_eq!(survey.version, "2.3.9-0+deb13u1");
    let media = media(&survey);
    let names: Vec<&str> = media.snapshots.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "infra_nightly_20260912T021500Z",
            "s1",
            "s3",
            "all",
            "props",
            "autosnap_2026-11-08_00:00:01_daily",
            "with space",
            "all2"
        ]
    );
    // Above 2^63: `--json-int` would have cut it.
    assert_eq!(media.snapshots[0].guid, 17_278_449_362_863_816_066);
    assert_eq!(media.bookmarks[0].name.as_str(), "infra_base");
    assert!(media.is_mounted && media.is_unlocked.is_none());
    let tank = &survey.zpools[&ZpoolName::new("tank").expect("valid")];
    assert_eq!((tank.capacity, tank.fragmentation), (Some(0), Some(2)));
}

#[test]
fn json_says_the_same_as_text() {
    let json = stdout(
        "zfs list -j -p -t snapshot -o name,creation,used,userrefs,org.infra:made-by -r tank/media",
    );
    // The recorded list was not asked for a guid.
    let guid = r#""properties":{"guid":{"value":"17278449362863816066","source":{"type":"NONE","data":"-"}},"#;
    let json = json.replace(r#""properties":{"#, guid);
    let text = framed(&json).replace("==zfs things tank", "==zfs things-j tank");
    let survey = parse_survey(&text).expect("well formed");
    let from_text = parse_survey(&framed(&rows())).expect("well formed");
    let both = |survey: &Survey| -> Vec<(String, u64, i64, u64)> {
        media(survey)
            .snapshots
            .iter()
            .map(|s| (s.name.to_string(), s.createtxg, s.creation, s.userrefs))
            .collect()
    };
    assert_eq!(both(&survey), both(&from_text));
    let packed = parse_survey(&packed(&json)).expect("well formed");
    assert_eq!(both(&packed), both(&from_text));
    let newer = text.replace("\"vers_major\":0", "\"vers_major\":1");
    let why = parse_survey(&newer).expect_err("an output of another version");
    assert!(why.contains("does not know"), "{why}");
    assert!(parse_survey(&text.replace("output_version", "other")).is_err());
}

/// The list as the script sends it.
fn packed(json: &str) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(json.as_bytes()).expect("in memory");
    let text = BASE64_STANDARD.encode(gzip.finish().expect("in memory"));
    framed(&format!("{text}\n")).replace("==zfs things tank", "==zfs things-jz tank")
}

#[test]
fn a_packed_list_that_lost_its_end_is_an_error() {
    let json = stdout(
        "zfs list -j -p -t snapshot -o name,creation,used,userrefs,org.infra:made-by -r tank/media",
    );
    let text = packed(&json);
    let begin = text.find("things-jz tank\n").expect("framed") + 15;
    let end = begin + text[begin..].find('\n').expect("a line");
    for keep in (begin..end).step_by(61) {
        let short = format!("{}{}", &text[..keep], &text[end..]);
        assert!(parse_survey(&short).is_err(), "{keep} of {end}");
    }
}

#[test]
fn an_answer_that_was_cut_off_is_an_error_and_never_a_short_list() {
    let text = framed(&rows());
    for end in 1..text.len() - 1 {
        assert!(parse_survey(&text[..end]).is_err(), "{}", &text[..end]);
    }
}

#[test]
fn a_mark_that_a_snapshot_took_over_from_its_dataset_proves_nothing() {
    let home: SystemName = "home".parse().expect("valid");
    let line = |name: &str, mark: &str| {
        format!("tank/media@{name}\tsnapshot\t7\t7\t1\t0\t0\t\t-\t-\t-\t{mark}\n")
    };
    let own = "infra_auto_20260912T021500Z".parse().expect("valid");
    let things = line("infra_auto_20260912T021500Z", &mark(&home, &own))
        + &line("infra_auto_20260913T021500Z", &mark(&home, &own))
        + &line("renamed-to-keep", &mark(&home, &own))
        + &line("autosnap_x", "home/other\ttab");
    let survey = parse_survey(&framed(&things)).expect("well formed");
    let ours: Vec<Option<&str>> = media(&survey)
        .snapshots
        .iter()
        .map(|s| s.label(&home))
        .collect();
    assert_eq!(ours, [Some("auto"), None, None, None]);
}

#[test]
fn names_that_only_zfs_makes_are_told_and_nothing_is_dropped() {
    let things = "tank/x%recv\tfilesystem\t1\t1\t1\t0\t-\t-\t-\tno\t-\t-\n\
                  tank/media@50% done\tsnapshot\t7\t7\t1\t0\t0\t\t-\t-\t-\t-\n";
    let survey = parse_survey(&framed(things)).expect("well formed");
    assert_eq!(survey.unnamed, ["tank/x%recv", "tank/media@50% done"]);
    for garbage in [
        "tank/media\tfilesystem\n",
        "tank/a\tthing\t1\t1\t1\t0\t-\t-\t-\tno\t-\t-\n",
    ] {
        assert!(parse_survey(&framed(garbage)).is_err(), "{garbage}");
    }
}

#[test]
fn health_is_the_same_from_json_and_from_text() {
    let pairs: Vec<(String, String)> = {
        let all = recorded();
        let of = |cmd: &str| -> Vec<String> {
            all.iter()
                .filter(|row| row.cmd.trim_start_matches("sleep 4; ") == cmd)
                .map(|row| row.stdout.clone())
                .collect()
        };
        // Recorded in pairs: new, scrubbed, one disk offline.
        of("zpool status tank")
            .into_iter()
            .zip(of("zpool status -j tank"))
            .take(3)
            .collect()
    };
    let seen: Vec<ZpoolState> = pairs
        .iter()
        .map(|(text, json)| {
            let (mut from_text, mut from_json) = (ZpoolState::default(), ZpoolState::default());
            health::read(text, false, &mut from_text).expect("text");
            health::read(json, true, &mut from_json).expect("json");
            assert_eq!(from_text, from_json);
            from_json
        })
        .collect();
    assert_eq!(seen[0].scan, None);
    let scan = seen[1].scan.as_ref().expect("scrubbed");
    assert_eq!(
        (scan.function.as_str(), scan.state.as_str()),
        ("scrub", "finished")
    );
    assert_eq!(scan.at, Some(1_795_196_998));
    assert_eq!(seen[2].health, "DEGRADED");
    assert_eq!(seen[2].devices.len(), 1);
    assert_eq!(
        (
            seen[2].devices[0].name.as_str(),
            seen[2].devices[0].state.as_str()
        ),
        ("vdd", "OFFLINE")
    );
    assert!(
        seen[2].action.starts_with("Online the device"),
        "{}",
        seen[2].action
    );
}
