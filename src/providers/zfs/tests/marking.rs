//! Marking snapshots of a copy: few commands however many there are, and ZFS's own words for one that cannot be marked.

use super::scripts::Stand;
use crate::model::{ids::SystemName, snapshot::SnapshotId};
use crate::providers::zfs::{Zfs, ZfsWrite as _};

fn many() -> Vec<SnapshotId> {
    let name = |number| SnapshotId::parse(&format!("vault/my photos@infra auto:{number}"));
    (0..2_500).filter_map(name).collect()
}

fn system() -> SystemName {
    "home".parse().expect("valid")
}

/// `zfs program -j` and `zfs set` as OpenZFS 2.3.9 answers them; a program's input is the program.
fn zfs(left: &str) -> String {
    format!(
        r#"case $1 in
program) cat >/dev/null; echo "program $# $5 $6 $7" >>"$folder/log"; printf '%s' '{{"return":{left}}}' ;;
set) echo "$*" >>"$folder/log"; case $3 in *:7) echo "cannot open '$3': dataset does not exist" >&2; exit 1 ;; esac ;;
esac"#
    )
}

#[tokio::test]
async fn a_thousand_snapshots_are_marked_by_one_command() {
    let stand = Stand::new(&zfs("{}"), "");
    let all = many();
    Zfs(&stand).mark(&system(), &all).await.expect("marked");
    let log = stand.log();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(
        lines,
        [
            "program 1006 org.infra:snapshot home vault/my photos@infra auto:0",
            "program 1006 org.infra:snapshot home vault/my photos@infra auto:1000",
            "program 506 org.infra:snapshot home vault/my photos@infra auto:2000",
        ]
    );
}

#[tokio::test]
async fn one_that_cannot_be_marked_is_told_in_the_words_of_zfs() {
    let stand = Stand::new(&zfs(r#"{"vault/my photos@infra auto:7":2}"#), "");
    let error = Zfs(&stand).mark(&system(), &many()[..20]).await;
    let said = error.expect_err("one is gone").to_string();
    assert!(said.contains("infra auto:7"), "{said}");
    let log = stand.log();
    let sets: Vec<&str> = log.lines().skip(1).collect();
    assert_eq!(
        sets,
        ["set org.infra:snapshot=home/infra auto:7 vault/my photos@infra auto:7"]
    );
}

#[tokio::test]
async fn where_programs_are_not_to_be_had_each_is_a_command() {
    let none =
        r#"case $1 in program) cat >/dev/null; exit 2 ;; *) echo "$*" >>"$folder/log" ;; esac"#;
    let stand = Stand::new(none, "");
    let all = &many()[..3];
    Zfs(&stand).mark(&system(), all).await.expect("marked");
    assert_eq!(stand.log().lines().count(), 3);
}
