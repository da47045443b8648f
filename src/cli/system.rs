//! An inventory, loaded and compiled as far as that goes offline.

use super::{context::Context, exit, failure::Failure};
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::inventory;
use crate::model::{desired::Desired, secret::SecretValues};
use crate::plan::compile;
use crate::view::human;
use std::path::PathBuf;

/// What was loaded.
pub(crate) struct System {
    pub(crate) folder: PathBuf,
    pub(crate) desired: Desired,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) sources: Vec<Source>,
}

/// Loads an inventory and looks for every problem that can be found offline. Errors are printed, all at once.
pub(crate) fn load(context: &Context) -> Result<System, Failure> {
    let folder = context.inventory()?;
    let today = jiff::Zoned::now().date();
    let loaded =
        inventory::load(&folder, today, &crate::builtin::templates()).map_err(|error| {
            Failure::of(exit::INVALID, &error)
                .hint("`infra init SYSTEM` writes an inventory; `-i DIR` names one that is there.")
        })?;
    let mut diagnostics = loaded.diagnostics;
    if let Some(desired) = &loaded.desired {
        let (compiled, found) = compile(desired, &SecretValues::default());
        if !has_errors(&found) && desired.speaks_of_firewalls() {
            diagnostics.extend(crate::firewall::analysis::verify(
                desired,
                &compiled.firewall,
            ));
        }
        diagnostics.extend(found);
    }
    match loaded.desired {
        Some(desired) if !has_errors(&diagnostics) => Ok(System {
            folder,
            desired,
            diagnostics,
            sources: loaded.sources,
        }),
        Some(_) | None => {
            show(context, &diagnostics, &loaded.sources);
            Err(Failure::said(exit::INVALID))
        }
    }
}

/// Shows diagnostics on the right stream in the right form.
pub(crate) fn show(context: &Context, diagnostics: &[Diagnostic], sources: &[Source]) {
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "diagnostics": diagnostics }));
    } else if !diagnostics.is_empty() {
        let text = human::diagnostics(diagnostics, sources, !context.terminal.loudness().plain);
        context.terminal.complain(text.trim_end());
    }
}

pub(crate) fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error)
}
