//! A plan carried out by hands that fail, stop and die.

use crate::world::System;
use infra::{
    apply::{
        Hands, Interrupt, Notes, Receipt, StepFailure, Walk,
        event::{Event, Sink, StepOutcome},
        journal::{Journal, unfinished_tasks},
    },
    plan::{Plan, change::Change},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex},
};

fn fresh() -> Plan {
    let system = System::flagship();
    system.plan(&system.fresh())
}

fn lanes(plan: &Plan) -> BTreeMap<String, String> {
    let steps = plan.steps.iter();
    steps
        .flat_map(|step| step.changes.iter().map(|at| (*at, step.lane.clone())))
        .map(|(at, lane)| (plan.changes[at].id.clone(), lane))
        .collect()
}

/// What the hands did, in order.
#[derive(Default)]
struct Log {
    begun: Vec<String>,
    ended: BTreeSet<String>,
    running: BTreeSet<String>,
    most: usize,
}

/// Hands that take a few turns for each step, fail at some and raise the interrupt at one.
#[derive(Default)]
struct Fake {
    fails: BTreeSet<String>,
    interrupts_at: Option<String>,
    hangs_at: Option<String>,
    interrupt: Interrupt,
    lanes: BTreeMap<String, String>,
    log: Mutex<Log>,
}

impl Fake {
    fn of(plan: &Plan) -> Self {
        Self {
            lanes: lanes(plan),
            ..Self::default()
        }
    }
}

impl Hands for Fake {
    async fn carry_out(&self, changes: Vec<Change>, notes: Notes) -> Result<(), StepFailure> {
        let first = &changes[0].id;
        let lane = self.lanes[first].clone();
        {
            let mut log = self.log.lock().expect("no panic");
            for change in &changes {
                for need in &change.needs {
                    let together = changes.iter().any(|other| other.id == *need);
                    assert!(together || log.ended.contains(need), "{need} has not ended");
                }
                log.begun.push(change.id.clone());
            }
            assert!(log.running.insert(lane.clone()), "two steps in {lane}");
            log.most = log.most.max(log.running.len());
        }
        notes.task(&format!("UPID:{first}")).expect("written");
        if self.hangs_at.as_ref() == Some(first) {
            std::future::pending::<()>().await;
        }
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        if self.interrupts_at.as_ref() == Some(first) {
            self.interrupt.raise();
        }
        let mut log = self.log.lock().expect("no panic");
        log.running.remove(&lane);
        if changes.iter().any(|change| self.fails.contains(&change.id)) {
            return Err(StepFailure {
                why: "failed to reach it".to_owned(),
                hint: None,
                reverted: false,
            });
        }
        log.ended
            .extend(changes.into_iter().map(|change| change.id));
        Ok(())
    }
}

#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl Sink for Events {
    fn tell(&self, event: Event) {
        self.0.lock().expect("no panic").push(event);
    }
}

fn walk(folder: &Path, hands: &Fake, sink: &Arc<Events>) -> Walk {
    Walk {
        sink: Arc::clone(sink) as Arc<dyn Sink>,
        journal: Arc::new(Journal::begin(folder).expect("opens")),
        interrupt: hands.interrupt.clone(),
        now: || "2026-11-20T12:00:00Z".to_owned(),
    }
}

async fn run(plan: &Plan, hands: &Fake) -> (Receipt, Vec<Event>) {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Arc::new(Events::default());
    let walk = walk(folder.path(), hands, &sink);
    let receipt = walk.run(plan, hands).await.expect("a journal");
    let ids: BTreeSet<&str> = receipt.changes.iter().map(|c| &*c.id).collect();
    assert_eq!(
        ids.len(),
        plan.changes.len(),
        "every change is in the receipt"
    );
    assert!(unfinished_tasks(folder.path()).expect("reads").is_empty());
    let events = std::mem::take(&mut *sink.0.lock().expect("no panic"));
    (receipt, events)
}

fn outcomes(receipt: &Receipt) -> BTreeMap<&str, &StepOutcome> {
    let changes = receipt.changes.iter();
    changes
        .map(|change| (&*change.id, &change.outcome))
        .collect()
}

#[tokio::test]
async fn lanes_run_side_by_side_and_every_change_is_carried_out_once() {
    let plan = fresh();
    let hands = Fake::of(&plan);
    let (receipt, events) = run(&plan, &hands).await;
    assert!(receipt.is_complete());
    assert_eq!(receipt.plan, plan.fingerprint);
    let log = hands.log.into_inner().expect("no panic");
    assert_eq!(log.begun.len(), plan.changes.len());
    assert!(log.most >= 4, "at most {} lanes at once", log.most);
    let count = |wanted: fn(&Event) -> bool| events.iter().filter(|e| wanted(e)).count();
    let steps = plan.steps.len();
    assert_eq!(count(|e| matches!(e, Event::StepStarted { .. })), steps);
    assert_eq!(count(|e| matches!(e, Event::StepFinished { .. })), steps);
}

#[tokio::test]
async fn a_failure_stops_what_needs_it_and_nothing_else() {
    let plan = fresh();
    for failing in [
        "pve: guest 110 intranet",
        "intranet: stack immich",
        "extranet: stack node-exporter",
        "pve: dataset tank/photos",
        "extranet: packages",
        "pve: firewall of datacenter",
    ] {
        let mut hands = Fake::of(&plan);
        hands.fails.insert(failing.to_owned());
        let (receipt, _) = run(&plan, &hands).await;
        let outcomes = outcomes(&receipt);
        // What is carried out together fails together; the rest is worked out from the needs of changes alone.
        let together: BTreeSet<&str> = plan
            .steps
            .iter()
            .map(|step| step.changes.iter().map(|at| &*plan.changes[*at].id))
            .find(|ids| ids.clone().any(|id| id == failing))
            .expect("a step")
            .collect();
        let mut lost = together.clone();
        loop {
            let more: Vec<&str> = plan
                .changes
                .iter()
                .filter(|change| change.needs.iter().any(|need| lost.contains(&**need)))
                .map(|change| &*change.id)
                .filter(|id| !lost.contains(id))
                .collect();
            if more.is_empty() {
                break;
            }
            lost.extend(more);
        }
        for change in &plan.changes {
            let id = &*change.id;
            match outcomes[id] {
                StepOutcome::Failed { .. } => assert!(together.contains(id), "{id}"),
                StepOutcome::Done => assert!(!lost.contains(id), "{id} after {failing}"),
                StepOutcome::Skipped { because } => {
                    assert!(
                        lost.contains(id),
                        "{id} is skipped for nothing after {failing}"
                    );
                    assert!(because.ends_with("` was not carried out"), "{because}");
                }
            }
        }
        assert_eq!(receipt.failed().count(), together.len());
        assert_eq!(receipt.skipped(), lost.len() - together.len());
    }
}

#[tokio::test]
async fn a_failed_stack_leaves_the_other_stacks_of_its_host_alone() {
    let plan = fresh();
    let mut hands = Fake::of(&plan);
    hands.fails.insert("intranet: stack immich".to_owned());
    let (receipt, _) = run(&plan, &hands).await;
    let outcomes = outcomes(&receipt);
    assert_eq!(outcomes["intranet: stack jellyfin"], &StepOutcome::Done);
    assert_eq!(outcomes["intranet: stack monitoring"], &StepOutcome::Done);
}

#[tokio::test]
async fn a_skipped_change_names_what_was_lost() {
    let plan = fresh();
    let mut hands = Fake::of(&plan);
    hands.fails.insert("extranet: packages".to_owned());
    let (receipt, _) = run(&plan, &hands).await;
    let because = "`extranet: packages` was not carried out".to_owned();
    assert_eq!(
        outcomes(&receipt)["extranet: ufw"],
        &StepOutcome::Skipped { because }
    );
}

#[tokio::test]
async fn an_interrupt_lets_running_steps_end_and_begins_nothing_new() {
    let plan = fresh();
    let mut hands = Fake::of(&plan);
    let at = "pve: guest 111 extranet power".to_owned();
    hands.interrupts_at = Some(at.clone());
    let (receipt, _) = run(&plan, &hands).await;
    let outcomes = outcomes(&receipt);
    assert_eq!(outcomes[&*at], &StepOutcome::Done);
    let log = hands.log.into_inner().expect("no panic");
    let begun: BTreeSet<&str> = log.begun.iter().map(String::as_str).collect();
    assert!(log.running.is_empty(), "what was begun has ended");
    for (id, outcome) in outcomes {
        match outcome {
            StepOutcome::Done => assert!(begun.contains(id)),
            StepOutcome::Skipped { .. } => assert!(!begun.contains(id), "{id}"),
            StepOutcome::Failed { why, .. } => panic!("{id}: {why}"),
        }
    }
    assert!(receipt.skipped() > 0);
    let interrupted = |change: &&infra::apply::receipt::ChangeReceipt| {
        matches!(&change.outcome, StepOutcome::Skipped { because }
            if because == "the run was interrupted")
    };
    assert!(receipt.changes.iter().any(|change| interrupted(&change)));
}

#[tokio::test]
async fn a_run_that_is_killed_leaves_the_task_it_was_waiting_for() {
    let plan = fresh();
    let mut hands = Fake::of(&plan);
    let at = "pve: image debian-13";
    hands.hangs_at = Some(at.to_owned());
    let folder = tempfile::tempdir().expect("a folder");
    let sink = Arc::new(Events::default());
    let killed = walk(folder.path(), &hands, &sink);
    {
        let mut run = std::pin::pin!(killed.run(&plan, &hands));
        // Far more turns than everything else takes.
        for _ in 0..1_000 {
            assert!(futures_util::poll!(run.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
    }
    let journal = folder.path().join("journal.jsonl");
    let torn = b"{\"entry\":\"done\",\"step\":";
    std::fs::OpenOptions::new()
        .append(true)
        .open(&journal)
        .and_then(|mut file| file.write_all(torn))
        .expect("a torn line");
    let open = unfinished_tasks(folder.path()).expect("reads");
    assert_eq!(open, [format!("UPID:{at}")]);

    let next = Fake::of(&plan);
    let receipt = walk(folder.path(), &next, &sink).run(&plan, &next).await;
    assert!(receipt.expect("a journal").is_complete());
    assert!(unfinished_tasks(folder.path()).expect("reads").is_empty());
    let previous = folder.path().join("journal.previous.jsonl");
    assert!(std::fs::read(previous).expect("kept").ends_with(torn));
}
