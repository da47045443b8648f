//! What came of a run, and of the owner's checks.

use crate::apply::{Receipt, event::StepOutcome};
use crate::verify::{CheckResult, Verdict};
use crate::view::{palette, words};
use std::fmt::Write as _;
use std::path::Path;

/// The end of a run: what failed and why, what is now true, what to run next.
pub fn receipt(receipt: &Receipt, file: Option<&Path>, again: &str) -> String {
    let mut out = String::new();
    let mut failed = receipt.failed().peekable();
    while let Some(change) = failed.next() {
        let _ = writeln!(
            out,
            "{} {}",
            palette::bad("failed:"),
            palette::name(&change.id)
        );
        // What was carried out together fails for one reason.
        if failed
            .peek()
            .is_some_and(|next| next.outcome == change.outcome)
        {
            continue;
        }
        if let StepOutcome::Failed { why, hint, .. } = &change.outcome {
            for line in why.lines() {
                let _ = writeln!(out, "  {line}");
            }
            if let Some(hint) = hint {
                let _ = writeln!(out, "  {} {hint}", palette::hint("help:"));
            }
        }
    }
    let done = words::count(receipt.done(), "change", "changes");
    if receipt.is_complete() {
        let _ = writeln!(out, "{} {done} carried out.", palette::good("Done."));
    } else {
        let _ = writeln!(
            out,
            "Now true: {done} carried out, {} failed, {} not begun.",
            receipt.failed().count(),
            receipt.skipped()
        );
        let _ = writeln!(out, "Run {} to go on from here.", palette::name(again));
    }
    if let Some(file) = file {
        let _ = writeln!(
            out,
            "{}",
            palette::faint(&format!("Receipt: {}", file.display()))
        );
    }
    out
}

/// The checks, one line each, and how many hold.
pub fn checks(results: &[CheckResult]) -> String {
    let mut out = String::new();
    let width = results
        .iter()
        .map(|result| result.asked_by.chars().count())
        .max()
        .unwrap_or(0);
    for result in results {
        let (mark, note) = match &result.verdict {
            Verdict::Passed => (palette::good("ok  "), String::new()),
            Verdict::Failed { seen } => (palette::bad("FAIL"), format!(": {seen}")),
            Verdict::NotAsked { why } => (palette::warn("n/a "), format!(": {why}")),
            Verdict::Unanswered { why } => (palette::bad("?   "), format!(": {why}")),
        };
        let _ = writeln!(
            out,
            "  {mark}  {}  {}{note}",
            palette::faint(&format!("{:width$}", result.asked_by)),
            result.name
        );
    }
    let passed = results
        .iter()
        .filter(|r| r.verdict == Verdict::Passed)
        .count();
    let failed = results
        .iter()
        .filter(|r| matches!(r.verdict, Verdict::Failed { .. }))
        .count();
    let unanswered = results
        .iter()
        .filter(|r| matches!(r.verdict, Verdict::Unanswered { .. }))
        .count();
    let silent = results.len() - passed - failed - unanswered;
    let _ = write!(
        out,
        "\n  {} of {} {}",
        passed,
        words::count(results.len(), "check", "checks"),
        if results.len() == 1 { "holds" } else { "hold" }
    );
    if failed > 0 {
        let _ = write!(out, ", {failed} failed");
    }
    if unanswered > 0 {
        let _ = write!(out, ", {unanswered} got no answer");
    }
    if silent > 0 {
        let _ = write!(out, ", {silent} not proven: they could not be asked");
    }
    out.push_str(".\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::receipt::ChangeReceipt;

    #[test]
    fn what_failed_together_is_told_once() {
        let of = |id: &str, why: &str| ChangeReceipt {
            id: id.to_owned(),
            outcome: StepOutcome::Failed {
                why: why.to_owned(),
                hint: Some("Run the command again.".to_owned()),
                reverted: true,
            },
        };
        let all = Receipt {
            version: 1,
            system: "home".to_owned(),
            lab: false,
            started: String::new(),
            finished: String::new(),
            plan: String::new(),
            changes: vec![
                of("a", "taken back"),
                of("b", "taken back"),
                of("c", "slow"),
            ],
        };
        let text = receipt(&all, None, "`infra up`");
        assert_eq!(text.matches("taken back").count(), 1, "{text}");
        assert_eq!(text.matches("failed:").count(), 3, "{text}");
        assert!(text.contains("3 failed"), "{text}");
    }
}
