//! Markdown and CSV.

use crate::firewall::analysis::Table;
use std::fmt::Write as _;

/// A table for documents.
pub fn markdown(table: &Table) -> String {
    let escape = |text: &str| text.replace('|', "\\|");
    let mut out = String::from("| from \\ to |");
    for to in &table.to {
        let _ = write!(out, " {} |", escape(to));
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(table.to.len()));
    out.push('\n');
    for from in &table.from {
        let _ = write!(out, "| **{}** |", escape(from));
        for to in &table.to {
            let cell = table.cells.get(&(from.clone(), to.clone()));
            let words = cell.map(|cell| {
                let star = if cell.partly.is_empty() {
                    ""
                } else {
                    " (partly)"
                };
                format!("{}{star}", cell.words.join(", "))
            });
            let _ = write!(out, " {} |", escape(&words.unwrap_or_default()));
        }
        out.push('\n');
    }
    out
}

/// One line a cell: from, to, ports open everywhere, ports open in part, flows.
pub fn csv(table: &Table) -> String {
    let mut out = String::from("from,to,open,partly,flows\n");
    for from in &table.from {
        for to in &table.to {
            let Some(cell) = table.cells.get(&(from.clone(), to.clone())) else {
                continue;
            };
            let ports = |set: &crate::firewall::PortSet| {
                let ports: Vec<String> = set.ports().iter().map(ToString::to_string).collect();
                ports.join(" ")
            };
            let fields = [
                from.clone(),
                to.clone(),
                ports(&cell.open),
                ports(&cell.partly),
                cell.flows.join(" "),
            ];
            let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
            let _ = writeln!(out, "{}", fields.join(","));
        }
    }
    out
}

/// RFC 4180. A field that a spreadsheet would take for a formula is made text.
fn quoted(field: &str) -> String {
    let field = if field.starts_with(['=', '+', '-', '@']) {
        format!("'{field}")
    } else {
        field.to_owned()
    };
    if field.contains([',', '"', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}
