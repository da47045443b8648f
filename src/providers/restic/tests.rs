//! restic's client, with what restic 0.18.0 was seen to answer.

#![expect(
    clippy::disallowed_methods,
    reason = "lays out what the stand-in answers"
)]

use super::{Restic, client::tests::job};
use crate::model::secret::SecretValues;
use crate::providers::backup::{
    BackupError, CopiesRead as _, CopiesWrite as _,
    stand::{Stand, block_on},
};
use std::fs;

#[test]
fn a_lock_of_a_dead_restic_is_removed_once_and_a_living_one_is_told() {
    let script = r#"
echo "$1" >>"$STAND/log"
case $1 in
unlock) [ -e "$STAND/alive" ] || : >"$STAND/free" ;;
*) [ -e "$STAND/free" ] || { echo '{"message_type":"exit_error","code":11,"message":"repository is already locked by PID 28321"}' >&2; exit 11; }; echo '[]' ;;
esac
"#;
    let mut values = SecretValues::default();
    values.insert("password".parse().expect("valid"), "x".to_owned().into());
    let (job, system) = (job(), "home".parse().expect("valid"));
    let stand = Stand::new(&[("restic", script)]);
    let restic = Restic::new(&stand, &system, &job, &values).expect("complete");
    assert!(block_on(restic.snapshots()).expect("free").is_empty());
    fs::remove_file(stand.path().join("free")).expect("there");
    fs::write(stand.path().join("alive"), "").expect("written");
    let error = block_on(restic.snapshots()).expect_err("alive");
    assert!(matches!(error, BackupError::Locked { .. }), "{error}");
}

#[test]
fn a_snapshot_that_is_not_found_again_is_not_proven() {
    let script = r#"
case "$*" in
*infra-unproven*) echo '[{"time":"2026-11-30T14:53:21.7Z","paths":["/a"],"hostname":"h","tags":["infra-unproven:home/nightly"],"id":"3ee8"}]' ;;
*snapshots*) cat "$STAND/good" ;;
*) echo 'modified 1 snapshots' ;;
esac
"#;
    let mut values = SecretValues::default();
    values.insert("password".parse().expect("valid"), "x".to_owned().into());
    let (job, system) = (job(), "home".parse().expect("valid"));
    let stand = Stand::new(&[("restic", script)]);
    let restic = Restic::new(&stand, &system, &job, &values).expect("complete");
    let good = |text: &str| fs::write(stand.path().join("good"), text).expect("written");
    let root = ["/a".to_owned()];
    good("[]");
    assert!(block_on(restic.prove("3ee8", &root)).is_err());
    good(
        r#"[{"time":"2026-11-30T14:53:21.7Z","paths":["/a"],"hostname":"h","tags":["infra:home/nightly"],"original":"3ee8","id":"c796"}]"#,
    );
    assert_eq!(
        block_on(restic.prove("3ee8", &root)).expect("proven").id,
        "c796"
    );
    let other = ["/a".to_owned(), "/b".to_owned()];
    assert!(
        block_on(restic.prove("3ee8", &other)).is_err(),
        "a root is missing"
    );
    assert!(block_on(restic.prove("beef", &root)).is_err(), "another id");
}
