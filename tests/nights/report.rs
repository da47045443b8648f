//! `make nightly` itself: every suite runs, and what it was is in the report.

use std::{fs, path::Path, process::Command};

const EVERY: &str = "good bad odd last";

/// Suites of a Makefile that nobody has; how the night ended, and its report.
fn night(folder: &Path, suites: &[&str], minutes: &str) -> (i32, String) {
    let makefile = "nightly-good nightly-last:\n\t@echo all is well\n\
        nightly-bad:\n\t@printf 'begun\\n\\033[31mWRONG: x|y `z`\\033[0m\\nthe end\\n'; exit 3\n\
        nightly-odd:\n\t@echo skipped: this machine lacks KVM\n";
    fs::write(folder.join("Makefile"), makefile).expect("written");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nightly.sh");
    let output = Command::new("sh")
        .args([script, "out", EVERY])
        .args(suites)
        .current_dir(folder)
        .env("INFRA_NIGHTLY_MINUTES", minutes)
        .output()
        .expect("sh is there");
    let report = fs::read_to_string(folder.join("out/report.md")).unwrap_or_default();
    (output.status.code().unwrap_or(-1), report)
}

fn rows(report: &str) -> Vec<Vec<String>> {
    report
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| suite"))
        .map(|line| {
            line.split(" | ")
                .map(|cell| cell.trim_matches(['|', ' ']).to_owned())
                .collect()
        })
        .collect()
}

#[test]
fn a_suite_that_fails_is_told_and_the_others_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, report) = night(folder.path(), &[], "100");
    assert_eq!(code, 1, "{report}");
    let rows = rows(&report);
    let results: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row[0].as_str(), row[1].as_str()))
        .collect();
    let expected = [
        ("good", "passed"),
        ("bad", "**failed**"),
        ("odd", "passed, 1 skipped"),
        ("last", "passed"),
    ];
    assert_eq!(results, expected, "{report}");
    assert_eq!(rows[1][3], "`WRONG: x\\|y 'z'`", "{report}");
    assert_eq!(rows[2][3], "`skipped: this machine lacks KVM`", "{report}");
    assert!(
        rows.iter().all(|row| row[2].parse::<u64>().is_ok()),
        "{report}"
    );
    assert!(
        report.contains("4 of 4 suites ran, 1 failed; 0 min "),
        "{report}"
    );
    assert!(report.contains("of at most 100 min"), "{report}");
    assert!(
        report.contains("\n## bad\n") && report.contains("\n    the end\n"),
        "{report}"
    );
    assert!(
        !report.contains('\u{1b}') && !report.contains("make: ***"),
        "{report}"
    );
    let log = fs::read_to_string(folder.path().join("out/bad.log")).expect("there");
    assert!(log.contains("begun"), "{log}");
}

#[test]
fn one_suite_runs_alone_and_one_that_is_not_there_runs_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, report) = night(folder.path(), &["nope"], "100");
    assert_eq!((code, report.as_str()), (2, ""));
    let (code, report) = night(folder.path(), &["good"], "100");
    assert_eq!(code, 0, "{report}");
    assert_eq!(rows(&report).len(), 1, "{report}");
}

#[test]
fn a_night_that_takes_too_long_is_no_good_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, report) = night(folder.path(), &["good"], "-1");
    assert_eq!(code, 1, "{report}");
    assert!(report.contains("longer than it may"), "{report}");
}
