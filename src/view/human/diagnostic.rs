//! Diagnostics with the lines they point at.

use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::view::words;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceSpan};
use std::fmt;

/// One diagnostic in miette's terms. All labels of one report lie in one file; the rest are told in words.
#[derive(Debug)]
struct Report<'a> {
    diagnostic: &'a Diagnostic,
    source: Option<NamedSource<String>>,
    help: Option<String>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.summary)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(self.diagnostic.code.0))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source
            .as_ref()
            .map(|source| source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let file = &self.diagnostic.labels.first()?.place.file;
        self.source.as_ref()?;
        Some(Box::new(
            self.diagnostic
                .labels
                .iter()
                .filter(move |l| &l.place.file == file)
                .map(|label| {
                    let span = SourceSpan::new(label.place.offset.into(), label.place.length);
                    LabeledSpan::new_with_span(Some(label.text.clone()), span)
                }),
        ))
    }
}

/// All diagnostics, sorted by place, with a last line that counts.
pub fn diagnostics(found: &[Diagnostic], sources: &[Source], colour: bool) -> String {
    let theme = if colour {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(110)
        .with_context_lines(1);
    let mut sorted: Vec<&Diagnostic> = found.iter().collect();
    sorted.sort_by_key(|d| (d.labels.first().map(|label| label.place.clone()), d.code));
    let mut out = String::new();
    for diagnostic in sorted {
        let first = diagnostic.labels.first().map(|label| &label.place.file);
        let source = first.and_then(|file| sources.iter().find(|source| &source.name == file));
        let elsewhere: Vec<String> = diagnostic
            .labels
            .iter()
            .filter(|label| source.is_none() || Some(&label.place.file) != first)
            .map(|label| format!("{}:{}: {}", label.place.file, label.place.line, label.text))
            .collect();
        let help = match (diagnostic.help.clone(), elsewhere.is_empty()) {
            (help, true) => help,
            (None, false) => Some(format!("see {}", elsewhere.join("; "))),
            (Some(help), false) => Some(format!("{help}\nsee {}", elsewhere.join("; "))),
        };
        let report = Report {
            diagnostic,
            help,
            source: source.map(|s| NamedSource::new(s.name.as_ref(), s.text.to_string())),
        };
        // Writing into a String does not fail.
        let _ = handler.render_report(&mut out, &report);
        out.push('\n');
    }
    let errors = found
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    let warnings = found.len() - errors;
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(words::count(errors, "error", "errors"));
    }
    if warnings > 0 {
        parts.push(words::count(warnings, "warning", "warnings"));
    }
    if !parts.is_empty() {
        out.push_str(&parts.join(", "));
        out.push_str(".\n");
    }
    out
}
