//! Drift is seen and repaired: each alone, then all that get along at once.

use crate::{
    drifts::{self, Drift},
    lab::{Lab, addresses, is_chosen, ready, said},
};
use std::{collections::BTreeSet, time::Instant};

#[test]
fn every_change_by_hand_is_seen_and_repaired() {
    if !ready() {
        return;
    }
    let lab = Lab::with_flagship();
    let drifts: Vec<Drift> = drifts::all()
        .into_iter()
        .filter(|drift| is_chosen(drift.what))
        .collect();
    assert!(!drifts.is_empty(), "nothing was chosen");
    let mut wrong = Vec::new();
    for drift in &drifts {
        let begun = Instant::now();
        match alone(&lab, drift) {
            Ok(seen) => println!(
                "ok    {}: seen in {seen:.1} s, repaired after {:.1} s",
                drift.what,
                begun.elapsed().as_secs_f64()
            ),
            Err(why) => {
                println!("WRONG {}: {why}", drift.what);
                wrong.push(drift.what);
                // So that the next one begins from order, if that can be had.
                println!(
                    "      {}",
                    said(&lab.up(&["--no-verify"]))
                        .lines()
                        .last()
                        .unwrap_or_default()
                );
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:#?}",
        wrong.len(),
        drifts.len()
    );
    println!(
        "{} changes by hand, each seen by itself and repaired",
        drifts.len()
    );
}

/// Makes one change, which must be all that the plan is about, and has it repaired. That the plan is empty afterwards is
/// shown by the run itself, and by the next change being the only one.
fn alone(lab: &Lab, drift: &Drift) -> Result<f64, String> {
    let (place, look, right) = drift.look;
    let before = lab.at(place, look);
    if before != right {
        return Err(format!(
            "before anything was done it looks like {before:?}, not {right:?}"
        ));
    }
    let hand = lab.try_at(drift.hand.0, drift.hand.1);
    if !hand.status.success() {
        return Err(format!("the hand slipped: {}", said(&hand)));
    }
    let broken = said(&lab.try_at(place, look));
    if broken.trim() == right {
        return Err("the hand changed nothing".to_owned());
    }
    let begun = Instant::now();
    let plan = lab.plan();
    let seconds = begun.elapsed().as_secs_f64();
    let text = lab.plan_text();
    let wanted: BTreeSet<String> = drift.ids.iter().map(|id| (*id).to_owned()).collect();
    let seen = unhashed(addresses(&plan));
    if seen != wanted {
        return Err(format!(
            "the plan is about {seen:?}, not about {wanted:?}:\n{text}"
        ));
    }
    if let Some(words) = drift.words.iter().find(|words| !text.contains(**words)) {
        return Err(format!("the plan does not say {words:?}:\n{text}"));
    }
    let up = lab.up(&["--no-verify"]);
    if !up.status.success() {
        return Err(format!("up: {}", said(&up)));
    }
    let after = lab.at(place, look);
    if after != right {
        return Err(format!(
            "after the repair it looks like {after:?}, not {right:?}"
        ));
    }
    Ok(seconds)
}

/// Everything that gets along, at once: one plan names all of it, one run repairs it, and the system does its work.
#[test]
fn many_changes_by_hand_at_once_are_all_seen_and_repaired() {
    if !ready() {
        return;
    }
    let lab = Lab::with_flagship();
    let drifts = drifts::all();
    let sociable: Vec<&Drift> = drifts.iter().filter(|drift| drift.gets_along).collect();
    for drift in &sociable {
        lab.at(drift.hand.0, drift.hand.1);
    }
    let mut wanted: BTreeSet<String> = sociable
        .iter()
        .flat_map(|drift| drift.ids)
        .map(|id| (*id).to_owned())
        .collect();
    for (state, file) in LOADED_FROM {
        if wanted.contains(*file) {
            wanted.remove(*state);
        }
    }
    let seen = unhashed(addresses(&lab.plan()));
    assert_eq!(seen, wanted, "{}", lab.plan_text());
    let begun = Instant::now();
    let up = lab.up(&[]);
    assert!(up.status.success(), "{}", said(&up));
    for drift in &sociable {
        let (place, look, right) = drift.look;
        assert_eq!(lab.at(place, look), right, "{}", drift.what);
    }
    assert!(addresses(&lab.plan()).is_empty(), "{}", lab.plan_text());
    println!(
        "{} changes at once, all seen, repaired in {:.1} s, every check holds",
        sociable.len(),
        begun.elapsed().as_secs_f64()
    );
}

/// What is loaded from a file, and the file: where that is written, loading it anew is part of the change.
const LOADED_FROM: &[(&str, &str)] = &[
    (
        "extranet: docker firewall chain",
        "extranet: file /etc/infra/docker-firewall.v4",
    ),
    (
        "pve: nftables ip infra_router",
        "pve: file /etc/infra/router.nft",
    ),
];

/// Security groups are named by their content: the hash says nothing to a reader. Nor does the number of a firewall's change
/// among several of one subject.
fn unhashed(ids: BTreeSet<String>) -> BTreeSet<String> {
    let plain = |id: String| match id.split_once("group infra-") {
        Some((head, _)) => format!("{head}group infra-"),
        None => match id.split_once(" (") {
            Some((head, _)) if id.contains(": firewall of ") => head.to_owned(),
            Some(_) | None => id,
        },
    };
    ids.into_iter().map(plain).collect()
}
