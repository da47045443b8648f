//! A plan as people read it: by host, then by thing; only what differs; the last lines count.

use crate::plan::{
    Obstacle, Plan,
    change::{Action, Change, Field, Impact},
};
use crate::view::{palette, words};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// More differing fields than this are counted, unless `-v`.
const SHOWN_FIELDS: usize = 6;

/// The whole plan, ending with a newline.
pub fn plan(plan: &Plan, verbose: bool) -> String {
    let mut out = String::new();
    let mut by_host: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for step in &plan.steps {
        for at in &step.changes {
            let change = &plan.changes[*at];
            by_host
                .entry(change.host.as_str())
                .or_default()
                .push(change);
        }
    }
    for (host, changes) in &by_host {
        let _ = writeln!(out, "  {}", palette::name(host));
        for one in changes {
            change(&mut out, one, verbose);
        }
        out.push('\n');
    }
    for blocked in &plan.blocked {
        let mark = match blocked.obstacle {
            Obstacle::Refused | Obstacle::Unreachable => palette::bad("!"),
            Obstacle::Unknown => palette::warn("unknown"),
        };
        let _ = writeln!(
            out,
            "  {mark} {}: {}",
            palette::name(&blocked.what),
            blocked.why
        );
        let _ = writeln!(out, "    {} {}", palette::hint("help:"), blocked.help);
    }
    if !plan.blocked.is_empty() {
        out.push('\n');
    }
    for complaint in &plan.complaints {
        let _ = writeln!(out, "  {} {complaint}", palette::warn("!"));
    }
    if !plan.complaints.is_empty() {
        out.push('\n');
    }
    if !plan.unmanaged.is_empty() {
        let _ = writeln!(
            out,
            "  {}",
            palette::faint("left alone (not in the inventory):")
        );
        for what in &plan.unmanaged {
            let _ = writeln!(out, "    {}", palette::faint(what));
        }
        out.push('\n');
    }
    for (host, why) in &plan.later {
        let what = format!("{host}: {why}; what is on it is compared once it can be seen");
        let _ = writeln!(out, "  {}", palette::faint(&what));
    }
    if !plan.later.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "  {}", summary(plan));
    out
}

fn change(out: &mut String, change: &Change, verbose: bool) {
    let symbol = match change.action {
        Action::Create => palette::good(change.action.symbol()),
        Action::Update => palette::warn(change.action.symbol()),
        Action::Delete => palette::bad(change.action.symbol()),
    };
    let impact = match change.impact {
        Impact::Hot => String::new(),
        Impact::NextBoot | Impact::Restart => {
            format!("  [{}]", palette::warn(&change.impact.to_string()))
        }
        Impact::Reboot
        | Impact::Stop
        | Impact::HostKeyReset
        | Impact::MayCutAccess
        | Impact::DestroysData => format!("  [{}]", palette::bad(&change.impact.to_string())),
    };
    let _ = writeln!(
        out,
        "    {symbol} {}  {}{impact}",
        change.subject,
        palette::faint(&change.reason)
    );
    let shown = if verbose {
        change.fields.len()
    } else {
        SHOWN_FIELDS
    };
    for field in change.fields.iter().take(shown) {
        let _ = writeln!(out, "        {}", line(field));
    }
    if change.fields.len() > shown {
        let more = words::count(change.fields.len() - shown, "more line", "more lines");
        let _ = writeln!(
            out,
            "        {}",
            palette::faint(&format!("{more} (-v shows all)"))
        );
    }
}

fn line(field: &Field) -> String {
    match (&field.before, &field.after) {
        (Some(before), Some(after)) => {
            format!("{}: {} → {}", field.name, flat(before), flat(after))
        }
        (None, Some(after)) => format!("{}: {}", field.name, flat(after)),
        (Some(before), None) => format!("{}: {} → gone", field.name, flat(before)),
        (None, None) => field.name.clone(),
    }
}

fn flat(text: &str) -> String {
    if text.contains('\n') {
        text.replace('\n', "⏎")
    } else {
        text.to_owned()
    }
}

/// The line that counts.
pub fn summary(plan: &Plan) -> String {
    let hosts = words::count(plan.hosts, "host", "hosts");
    if plan.is_empty() {
        let things = words::count(plan.compared, "resource", "resources");
        let verb = if plan.compared == 1 {
            "matches"
        } else {
            "match"
        };
        return format!("Nothing to change. {things} on {hosts} {verb} the inventory.");
    }
    let mut text = format!(
        "{} on {hosts}: {} to create, {} to update, {} to delete.",
        words::count(plan.changes.len(), "change", "changes"),
        plan.count(Action::Create),
        plan.count(Action::Update),
        plan.count(Action::Delete),
    );
    for impact in [
        Impact::Reboot,
        Impact::Stop,
        Impact::HostKeyReset,
        Impact::DestroysData,
    ] {
        let number = plan
            .changes
            .iter()
            .filter(|change| change.impact == impact)
            .count();
        if number > 0 {
            let _ = write!(text, " {number} {impact}.");
        }
    }
    if !plan.blocked.is_empty() {
        let things = words::count(plan.blocked.len(), "thing", "things");
        let _ = write!(text, " {things} could not be compared or must not go on.");
    }
    text
}
