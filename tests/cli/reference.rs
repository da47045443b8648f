//! `docs/cli.md` is what the program prints.

use crate::folder::Folder;
use std::{fs, path::Path};

#[test]
fn the_reference_in_the_docs_is_the_programs_own() {
    let said = Folder::new().run(&["man", "--markdown"]);
    assert_eq!(said.code, 0, "{}", said.talk);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    if std::env::var_os("CLI_DOCS_UPDATE").is_some() {
        fs::write(&file, &said.out).expect("written");
    }
    let written = fs::read_to_string(&file).expect("docs/cli.md");
    assert!(
        written == said.out,
        "docs/cli.md is not what `infra man --markdown` prints: run this test with CLI_DOCS_UPDATE=1"
    );
}

#[test]
fn every_verb_says_what_it_is_for() {
    let said = Folder::new().run(&["man", "--markdown"]);
    for section in said.out.split("\n## ").skip(2) {
        let (name, text) = section.split_once("\n\n```text\n").expect("a section");
        let about = text.lines().next().expect("a line");
        assert!(
            about.len() > 10 && !about.starts_with("Usage"),
            "{name}: {about}"
        );
    }
}

#[test]
fn the_manual_and_the_completions_know_every_verb() {
    let folder = Folder::new();
    let manual = folder.run(&["man"]).out;
    let bash = folder.run(&["completions", "bash"]).out;
    for verb in [
        "init", "check", "plan", "up", "status", "verify", "vm", "lab", "schema",
    ] {
        assert!(
            manual.contains(&format!("infra\\-{verb}(1)")),
            "{verb} in the manual"
        );
        assert!(
            bash.contains(&format!("infra,{verb})")),
            "{verb} in completions"
        );
    }
}
