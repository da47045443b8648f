//! What a doctor found: what is well in one line each, what is not with what to do.

use crate::doctor::{Finding, Verdict};
use crate::view::{palette, words};
use std::fmt::Write as _;

/// All findings, ending with a newline.
pub fn doctor(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Well => palette::good("ok"),
            Verdict::Warning => palette::warn("warning"),
            Verdict::Unknown => palette::warn("unknown"),
            Verdict::Bad => palette::bad("bad"),
        };
        let _ = writeln!(
            out,
            "  {mark}  {} {}: {}",
            finding.area,
            palette::name(&finding.subject),
            finding.text
        );
        if let Some(help) = &finding.help {
            let _ = writeln!(out, "      {} {help}", palette::hint("help:"));
        }
    }
    let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
    let _ = writeln!(
        out,
        "\n  {} looked at: {} bad, {} unknown, {}.",
        words::count(findings.len(), "thing", "things"),
        count(Verdict::Bad),
        count(Verdict::Unknown),
        words::count(count(Verdict::Warning), "warning", "warnings"),
    );
    out
}
