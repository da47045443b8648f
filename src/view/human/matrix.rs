//! The effective matrix and its explanations.

use crate::firewall::analysis::{Disagreement, Explanation, Table};
use crate::view::{palette, words};
use comfy_table::{ContentArrangement, presets};
use std::fmt::Write as _;

/// More columns than this are a list: nobody reads a table that wide.
const COLUMNS: usize = 8;

/// The matrix: who asks on the left, who is asked above.
pub fn matrix(table: &Table) -> String {
    if table.cells.is_empty() {
        return "Nothing reaches anything.\n".to_owned();
    }
    let mut out = if table.to.len() <= COLUMNS {
        grid(table)
    } else {
        list(table)
    };
    let partly = table.cells.values().any(|cell| !cell.partly.is_empty());
    if partly {
        out.push_str(
            "\n* Not between all addresses of the two: `infra firewall explain` says which.\n",
        );
    }
    let _ = writeln!(
        out,
        "\nWhat is not listed is closed; nodes themselves may send everything. {}.",
        words::count(table.cells.len(), "open cell", "open cells")
    );
    out
}

fn star(table: &Table, from: &str, to: &str) -> &'static str {
    let cell = table.cells.get(&(from.to_owned(), to.to_owned()));
    match cell {
        Some(cell) if !cell.partly.is_empty() => " *",
        Some(_) | None => "",
    }
}

fn grid(table: &Table) -> String {
    let mut grid = comfy_table::Table::new();
    grid.load_style(presets::UTF8_FULL)
        .set_content_arrangement(ContentArrangement::Dynamic);
    let mut header = vec!["from \\ to".to_owned()];
    header.extend(table.to.iter().cloned());
    grid.set_header(header);
    for from in &table.from {
        let mut row = vec![from.clone()];
        for to in &table.to {
            let cell = table.cells.get(&(from.clone(), to.clone()));
            row.push(cell.map_or_else(
                || "\u{b7}".to_owned(),
                |cell| format!("{}{}", cell.words.join("\n"), star(table, from, to)),
            ));
        }
        grid.add_row(row);
    }
    format!("{grid}\n")
}

fn list(table: &Table) -> String {
    let mut out = String::new();
    for from in &table.from {
        let _ = writeln!(out, "{}", palette::name(from));
        for to in &table.to {
            if let Some(cell) = table.cells.get(&(from.clone(), to.clone())) {
                let ports = cell.words.join(", ");
                let _ = writeln!(out, "  -> {to}: {ports}{}", star(table, from, to));
            }
        }
    }
    out
}

/// What decides about packets, one paragraph each.
pub fn explanations(found: &[Explanation]) -> String {
    let mut out = String::new();
    for (number, one) in found.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        explanation(&mut out, one);
    }
    out
}

fn explanation(out: &mut String, found: &Explanation) {
    let word = |is_open: bool| {
        if is_open {
            palette::good("open")
        } else {
            palette::bad("closed")
        }
    };
    let mut verdict = word(found.open);
    if let Some(theirs) = found
        .open_to_containers
        .filter(|theirs| *theirs != found.open)
    {
        let _ = write!(verdict, " ({} from its containers)", word(theirs));
    }
    let (from, to) = (&found.names.0, &found.names.1);
    let _ = writeln!(out, "{from} -> {to} {}: {verdict}", found.packet.port);
    let _ = writeln!(
        out,
        "  witness          {} -> {} {}",
        found.packet.from, found.packet.to, found.packet.port
    );
    let row = match &found.row {
        Some(row) => {
            let place = row.written.as_deref().unwrap_or("infra's own way in");
            format!("{} ({place}): {}", palette::name(&row.id), row.reason)
        }
        None => "none: what is not listed is closed".to_owned(),
    };
    let _ = writeln!(out, "  row              {row}");
    for reason in &found.forbidden {
        let _ = writeln!(out, "  never            {reason}");
    }
    for step in &found.steps {
        let verdict = if step.passes {
            palette::good("passes ")
        } else {
            palette::bad("dropped")
        };
        let _ = writeln!(
            out,
            "  {:15}  {verdict}  {}: {}",
            step.layer.words(),
            step.host,
            step.by
        );
    }
    if found.steps.is_empty() {
        let _ = writeln!(
            out,
            "  no machine of the system is at either end: nothing here decides"
        );
    }
    let listener = found
        .listener
        .as_deref()
        .unwrap_or("nothing that the inventory knows of");
    let _ = writeln!(out, "  listens          {listener}");
}

/// Where live rules differ from the matrix: one line for each, and what could not be looked at.
pub fn disagreements(found: &[Disagreement], unread: &[String], unseen: &[String]) -> String {
    let mut out = String::new();
    for what in unseen {
        let _ = writeln!(
            out,
            "  {}  not seen, shown as open: {what}",
            palette::warn("????")
        );
    }
    for rule in unread {
        let _ = writeln!(
            out,
            "  {}  left out, infra cannot read it: {rule}",
            palette::warn("????")
        );
    }
    for wrong in found {
        let _ = writeln!(out, "  {}  {wrong}", palette::bad("FAIL"));
    }
    if found.is_empty() && unread.is_empty() && unseen.is_empty() {
        out.push_str("  The live rules do what the inventory says.\n");
    }
    out
}
