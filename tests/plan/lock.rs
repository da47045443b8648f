//! The lock's script, run for real.

use infra::{
    apply::lock::SCRIPT,
    model::ids::HostName,
    providers::{
        local::LocalShell,
        shell::{Command, Shell as _},
    },
};
use std::{path::Path, process};

fn shell() -> LocalShell {
    LocalShell::new(HostName::new("here").expect("a name"))
}

/// The answer of one call, as root would get it.
async fn call(folder: &Path, action: &str, token: &str, max_age: u32) -> String {
    let lock = folder.join("locks/home");
    let command = Command::script("infra-lock", SCRIPT)
        .args([action, &lock.to_string_lossy(), token, &max_age.to_string()])
        .stdin(format!(r#"{{"token":"{token}"}}"#));
    let output = shell().run(command).await.expect("it ran");
    assert!(output.is_success(), "{}", output.complaint());
    output.text().trim().to_owned()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The holder has not said anything since 1970.
fn let_age(folder: &Path) {
    let beat = folder.join("locks/home/beat");
    let touched = process::Command::new("touch")
        .args(["--date", "1970-01-02T00:00:00Z"])
        .arg(beat)
        .status()
        .expect("touch is there");
    assert!(touched.success());
}

#[tokio::test]
async fn the_second_taker_hears_who_holds_it() {
    let folder = folder();
    assert_eq!(call(folder.path(), "take", "a", 300).await, "taken");
    let answer = call(folder.path(), "take", "b", 300).await;
    let words: Vec<&str> = answer.splitn(3, ' ').collect();
    assert_eq!(words[0], "held");
    assert!(words[1].parse::<u64>().expect("an age") < 300);
    assert_eq!(words[2], r#"{"token":"a"}"#);
}

#[tokio::test]
async fn only_the_holder_releases_and_then_it_is_free() {
    let folder = folder();
    assert_eq!(call(folder.path(), "take", "a", 300).await, "taken");
    assert_eq!(call(folder.path(), "release", "b", 300).await, "lost");
    assert_eq!(call(folder.path(), "beat", "b", 300).await, "lost");
    assert_eq!(call(folder.path(), "beat", "a", 300).await, "taken");
    assert_eq!(call(folder.path(), "release", "a", 300).await, "released");
    assert_eq!(call(folder.path(), "beat", "a", 300).await, "lost");
    assert_eq!(call(folder.path(), "take", "b", 300).await, "taken");
}

#[tokio::test]
async fn a_silent_holder_loses_it_and_learns_so() {
    let folder = folder();
    assert_eq!(call(folder.path(), "take", "a", 300).await, "taken");
    let_age(folder.path());
    assert_eq!(call(folder.path(), "beat", "a", 300).await, "taken");
    let fresh = call(folder.path(), "take", "b", 300).await;
    assert!(fresh.starts_with("held "), "a beat keeps it: {fresh}");
    let_age(folder.path());
    assert_eq!(
        call(folder.path(), "take", "b", 300).await,
        r#"taken {"token":"a"}"#,
        "the next one hears whose lock it took over"
    );
    assert_eq!(call(folder.path(), "beat", "a", 300).await, "lost");
    assert_eq!(call(folder.path(), "release", "a", 300).await, "lost");
    assert_eq!(call(folder.path(), "beat", "b", 300).await, "taken");
}

#[tokio::test]
async fn a_dead_holders_lock_is_broken_by_its_token_only() {
    let folder = folder();
    assert_eq!(call(folder.path(), "take", "a", 300).await, "taken");
    call(folder.path(), "break", "b", 300).await;
    assert_eq!(call(folder.path(), "beat", "a", 300).await, "taken");
    call(folder.path(), "break", "a", 300).await;
    assert_eq!(call(folder.path(), "take", "b", 300).await, "taken");
}

#[tokio::test]
async fn exactly_one_of_many_takers_wins_even_a_stale_lock() {
    for stale in [false, true] {
        let folder = folder();
        if stale {
            assert_eq!(call(folder.path(), "take", "dead", 300).await, "taken");
            let_age(folder.path());
        }
        let takers: Vec<String> = (0..16).map(|number| format!("t{number}")).collect();
        let calls = takers
            .iter()
            .map(|token| call(folder.path(), "take", token, 300));
        let answers = futures_util::future::join_all(calls).await;
        let winners = answers
            .iter()
            .filter(|answer| answer.starts_with("taken"))
            .count();
        assert_eq!(winners, 1, "{answers:?}");
    }
}
