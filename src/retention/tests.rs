//! Properties of every policy over every history.

use super::{ClockDoubt, Period, Reason, Rules, decide, doubt, simulate};
use crate::model::{
    ids::{DatasetName, SnapshotName, SystemName},
    retention::{Retention, Schedule},
    snapshot::{DatasetView, SnapshotFact, Survey, our_name},
};
use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const DAY: i64 = 86_400;
const NOW: i64 = 1_795_196_991;

fn home() -> SystemName {
    "home".parse().expect("valid")
}

/// How a snapshot of a random history differs from a plain scheduled one.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Scheduled,
    Foreign,
    OtherSystem,
    Guard,
    Held,
    Cloned,
    Base,
}

fn snapshot(number: u64, creation: i64, kind: Kind) -> SnapshotFact {
    let at = Timestamp::from_second(creation).expect("in range");
    let label = if matches!(kind, Kind::Guard) {
        "guard"
    } else {
        "auto"
    };
    let ours = our_name(label, at).expect("valid");
    let (name, system) = match kind {
        Kind::Foreign => (
            SnapshotName::new(format!("autosnap_{number}")).expect("valid"),
            None,
        ),
        Kind::OtherSystem => (ours, Some("other".parse().expect("valid"))),
        Kind::Scheduled | Kind::Guard | Kind::Held | Kind::Cloned | Kind::Base => {
            (ours, Some(home()))
        }
    };
    SnapshotFact {
        name,
        guid: number,
        createtxg: number,
        creation,
        used: 0,
        userrefs: u64::from(matches!(kind, Kind::Held)),
        clones: if matches!(kind, Kind::Cloned) {
            vec!["tank/look".to_owned()]
        } else {
            vec![]
        },
        system,
    }
}

fn bases(view: &[(SnapshotFact, Kind)]) -> BTreeMap<u64, String> {
    view.iter()
        .filter(|(_, kind)| matches!(kind, Kind::Base))
        .map(|(one, _)| (one.guid, "offsite".to_owned()))
        .collect()
}

/// Histories of three years with clocks that jump, so that groups and dates do not agree.
fn histories() -> impl Strategy<Value = Vec<(SnapshotFact, Kind)>> {
    let kind = prop_oneof![
        12 => Just(Kind::Scheduled),
        1 => Just(Kind::Foreign),
        1 => Just(Kind::OtherSystem),
        1 => Just(Kind::Guard),
        1 => Just(Kind::Held),
        1 => Just(Kind::Cloned),
        1 => Just(Kind::Base),
    ];
    let age = prop_oneof![4 => 0..DAY, 4 => 0..60 * DAY, 2 => 0..1_100 * DAY, 1 => -30 * DAY..0];
    prop::collection::vec((age, kind), 0..80).prop_map(|mut all| {
        // Mostly in order; the ages that are not are a clock that went back.
        all.sort_by_key(|(age, _)| -(*age / (20 * DAY)));
        all.into_iter()
            .zip(1_u64..)
            .map(|((age, kind), number)| (snapshot(number, NOW - age, kind), kind))
            .collect()
    })
}

fn policies() -> impl Strategy<Value = Retention> {
    (
        0..5_u32,
        0..30_u32,
        0..20_u32,
        0..10_u32,
        0..14_u32,
        0..4_u32,
        prop::option::of(0..4_u32),
    )
        .prop_map(
            |(last, hourly, daily, weekly, monthly, yearly, guards)| Retention {
                last,
                hourly,
                daily,
                weekly,
                monthly,
                yearly,
                guards,
            },
        )
}

fn view(history: &[(SnapshotFact, Kind)]) -> DatasetView {
    DatasetView {
        snapshots: history.iter().map(|(one, _)| one.clone()).collect(),
        ..DatasetView::default()
    }
}

fn going(
    view: &DatasetView,
    retention: &Retention,
    now: i64,
    bases: &BTreeMap<u64, String>,
) -> BTreeSet<u64> {
    let system = home();
    let rules = Rules {
        system: &system,
        retention,
        now,
        bases,
    };
    decide(view, &rules)
        .iter()
        .filter(|decision| !decision.keeps())
        .map(|decision| decision.snapshot.guid)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn pruning_twice_is_pruning_once(history in histories(), policy in policies()) {
        let bases = bases(&history);
        let mut all = view(&history);
        let gone = going(&all, &policy, NOW, &bases);
        all.snapshots.retain(|one| !gone.contains(&one.guid));
        prop_assert_eq!(going(&all, &policy, NOW, &bases), BTreeSet::new());
    }

    #[test]
    fn a_dataset_is_never_emptied(history in histories(), policy in policies()) {
        let all = view(&history);
        let gone = going(&all, &policy, NOW, &bases(&history));
        let scheduled = history.iter().filter(|(_, kind)| matches!(kind, Kind::Scheduled)).count();
        let newest = history
            .iter()
            .filter(|(one, kind)| matches!(kind, Kind::Scheduled) && one.creation <= NOW)
            .map(|(one, _)| one.guid)
            .max();
        let going = history.iter().filter(|(one, kind)| matches!(kind, Kind::Scheduled) && gone.contains(&one.guid));
        prop_assert!(scheduled == 0 || going.count() < scheduled);
        let guards = history.iter().filter(|(_, kind)| matches!(kind, Kind::Guard));
        let guards: Vec<u64> = guards.map(|(one, _)| one.guid).collect();
        prop_assert!(guards.is_empty() || guards.iter().any(|guid| !gone.contains(guid)));
        let counted = |guid: u64| history.iter().any(|(one, _)| {
            one.guid > guid && one.label(&home()) == Some("auto") && one.creation <= NOW
        });
        if let Some(newest) = newest.filter(|newest| !counted(*newest)) {
            prop_assert!(!gone.contains(&newest));
        }
    }

    #[test]
    fn a_more_generous_policy_never_destroys_more(
        history in histories(),
        policy in policies(),
        more in policies(),
    ) {
        let generous = Retention {
            last: policy.last + more.last,
            hourly: policy.hourly + more.hourly,
            daily: policy.daily + more.daily,
            weekly: policy.weekly + more.weekly,
            monthly: policy.monthly + more.monthly,
            yearly: policy.yearly + more.yearly,
            // Without a number all guards stay, which is more than any.
            guards: policy.guards.zip(more.guards).map(|(one, other)| one + other),
        };
        let (all, bases) = (view(&history), bases(&history));
        let (few, many) = (going(&all, &generous, NOW, &bases), going(&all, &policy, NOW, &bases));
        prop_assert!(few.is_subset(&many), "{few:?} and {many:?}");
    }

    #[test]
    fn a_clock_that_went_back_never_destroys_more(
        history in histories(),
        policy in policies(),
        back in 0..1_200 * DAY,
    ) {
        let (all, bases) = (view(&history), bases(&history));
        let then = going(&all, &policy, NOW - back, &bases);
        let now = going(&all, &policy, NOW, &bases);
        prop_assert!(then.is_subset(&now), "{then:?} and {now:?}");
    }

    #[test]
    fn what_must_never_go_never_goes(history in histories(), policy in policies(), now in NOW - 900 * DAY..NOW + 900 * DAY) {
        let gone = going(&view(&history), &policy, now, &bases(&history));
        for (one, kind) in &history {
            let is_ruled = matches!(kind, Kind::Scheduled) || (matches!(kind, Kind::Guard) && policy.guards.is_some());
            let is_protected = !is_ruled || one.creation > now;
            prop_assert!(!(is_protected && gone.contains(&one.guid)), "{one:?} {kind:?}");
        }
    }
}

#[test]
fn every_snapshot_has_its_reason() {
    let day = |age: i64| NOW - age * DAY;
    let mut all = vec![
        (snapshot(1, day(400), Kind::Scheduled), Kind::Scheduled),
        (snapshot(2, day(40), Kind::Foreign), Kind::Foreign),
        (snapshot(3, day(30), Kind::Held), Kind::Held),
        (snapshot(4, day(29), Kind::Cloned), Kind::Cloned),
        (snapshot(5, day(28), Kind::Base), Kind::Base),
        (snapshot(6, day(27), Kind::Guard), Kind::Guard),
        (snapshot(7, day(3), Kind::Scheduled), Kind::Scheduled),
        (snapshot(8, day(1), Kind::Scheduled), Kind::Scheduled),
        (snapshot(9, day(0), Kind::Scheduled), Kind::Scheduled),
    ];
    all.push((snapshot(10, day(-2), Kind::Scheduled), Kind::Scheduled));
    let (system, bases) = (home(), bases(&all));
    let retention = Retention {
        last: 1,
        hourly: 0,
        daily: 2,
        weekly: 0,
        monthly: 0,
        yearly: 2,
        guards: None,
    };
    let rules = Rules {
        system: &system,
        retention: &retention,
        now: NOW,
        bases: &bases,
    };
    let view = view(&all);
    let why: Vec<String> = decide(&view, &rules)
        .iter()
        .map(super::Decision::why)
        .collect();
    assert_eq!(
        why,
        [
            "yearly 2 of 2",
            "foreign",
            "held",
            "cloned as tank/look",
            "last common with offsite",
            "made by hand (guard)",
            "newer ones stand for its periods",
            "daily 2 of 2",
            "last 1 of 1, daily 1 of 2, yearly 1 of 2",
            "dated in the future",
        ]
    );
    assert_eq!(Reason::Held(42).to_string(), "held by 42 tags");
    let tags = ["release 42", "infra-replica-offsite"];
    assert_eq!(
        decide(&view, &rules)[2].why_held_by(&tags),
        "held by release 42 and infra-replica-offsite"
    );
}

#[test]
fn a_clock_that_cannot_be_believed_is_doubted() {
    let mut survey = Survey {
        clock: NOW,
        ..Survey::default()
    };
    assert_eq!(doubt(&survey, &home(), Some(NOW)), Ok(()));
    survey.datasets.insert(
        DatasetName::new("tank/a").expect("valid"),
        DatasetView {
            snapshots: vec![
                snapshot(1, NOW - DAY, Kind::Scheduled),
                // Another tool's clock is its own affair.
                snapshot(2, NOW + 90 * DAY, Kind::Foreign),
            ],
            ..DatasetView::default()
        },
    );
    assert_eq!(doubt(&survey, &home(), None), Ok(()));
    let says = |clock: i64, here: Option<i64>| {
        let survey = Survey {
            clock,
            ..survey.clone()
        };
        doubt(&survey, &home(), here).expect_err("a doubt")
    };
    assert!(matches!(says(0, None), ClockDoubt::Unset(_)));
    assert!(matches!(
        says(NOW, Some(NOW - 2 * 3_600)),
        ClockDoubt::Differs { .. }
    ));
    assert!(matches!(
        says(NOW - 365 * DAY, None),
        ClockDoubt::Behind { .. }
    ));
    assert!(matches!(
        says(NOW + 365 * DAY, None),
        ClockDoubt::Ahead { days: 366 }
    ));
}

#[test]
fn a_year_with_both_turns_of_the_clock_keeps_what_the_policy_says() {
    let zone = TimeZone::get("Europe/Berlin").expect("bundled");
    let from = "2026-01-01".parse().expect("a date");
    let daily = simulate(Schedule::Daily, &Retention::STANDARD, from, 365, &zone);
    assert_eq!(daily.turned, ["2026-03-29", "2026-10-25"]);
    assert_eq!(daily.taken, 365);
    let newest = daily.kept.first().expect("kept");
    assert_eq!(newest.0, "infra_auto_20261231T011500Z");
    // 24 runs for the hours, which are days here, and older weeks, months and the year.
    let count = |word: &str| {
        daily
            .kept
            .iter()
            .filter(|(_, why)| why.contains(word))
            .count()
    };
    assert_eq!(
        (
            count("hourly"),
            count("daily"),
            count("weekly"),
            count("monthly")
        ),
        (24, 14, 8, 12)
    );
    let hourly = simulate(Schedule::Hourly, &Retention::STANDARD, from, 365, &zone);
    assert_eq!(hourly.taken, 365 * 24);
    let names: BTreeSet<&String> = hourly.kept.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), hourly.kept.len());
    assert!(hourly.most <= 60, "{}", hourly.most);
    let weekly = simulate(Schedule::Weekly, &Retention::STANDARD, from, 365, &zone);
    assert_eq!(weekly.taken, 52);
    assert_eq!(Period::Week.of(0), Period::Week.of(3 * DAY));
}

#[test]
fn a_night_in_which_an_hour_comes_twice_or_never_has_one_run() {
    let zone = TimeZone::get("Europe/Berlin").expect("bundled");
    let policy = Retention {
        daily: 14,
        ..Retention::STANDARD
    };
    for (from, expected) in [
        // 02:15 does not exist on the 29th: the run comes an hour later by the wall's clock.
        (
            "2026-03-28",
            ["20260330T001500Z", "20260329T011500Z", "20260328T011500Z"],
        ),
        // 02:15 comes twice on the 25th: the first one is taken.
        (
            "2026-10-24",
            ["20261026T011500Z", "20261025T001500Z", "20261024T001500Z"],
        ),
    ] {
        let from = from.parse().expect("a date");
        let played = simulate(Schedule::Daily, &policy, from, 3, &zone);
        let names: Vec<&str> = played
            .kept
            .iter()
            .filter_map(|(name, _)| name.strip_prefix("infra_auto_"))
            .collect();
        assert_eq!(names, expected);
    }
}

/// Declared, the newest guards stay and older ones go; undeclared, all stay.
#[test]
fn guards_go_only_where_the_owner_says_how_many_stay() {
    let guard = |number: u64, age: i64| {
        let one = snapshot(number, NOW - age * DAY, Kind::Guard);
        (one, Kind::Guard)
    };
    let all = view(&[guard(1, 90), guard(2, 60), guard(3, 30), guard(4, -1)]);
    let none = BTreeMap::new();
    let policy = |guards| Retention {
        guards,
        ..Retention::STANDARD
    };
    assert_eq!(going(&all, &policy(None), NOW, &none), BTreeSet::new());
    assert_eq!(
        going(&all, &policy(Some(2)), NOW, &none),
        BTreeSet::from([1])
    );
    assert_eq!(
        going(&all, &policy(Some(0)), NOW, &none),
        BTreeSet::from([1, 2])
    );
}
