//! A picture of the matrix, alone or in a page.

use crate::firewall::analysis::Table;
use std::fmt::Write as _;

const NAME_WIDTH: usize = 150;
const CELL_WIDTH: usize = 150;
const LINE: usize = 16;
const PAD: usize = 8;

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// An SVG: who asks on the left, who is asked above, what is open inside.
pub fn svg(name: &str, table: &Table) -> String {
    let heights: Vec<usize> = table
        .from
        .iter()
        .map(|from| {
            let lines = table.to.iter().map(|to| {
                let cell = table.cells.get(&(from.clone(), to.clone()));
                cell.map_or(1, |cell| cell.words.len().max(1))
            });
            lines.max().unwrap_or(1) * LINE + 2 * PAD
        })
        .collect();
    let head = LINE + 2 * PAD;
    let width = NAME_WIDTH + CELL_WIDTH * table.to.len();
    let height = head + heights.iter().sum::<usize>();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" role=\"img\">\n<title>{}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        escaped(&format!("Who reaches what in {name}"))
    );
    for (column, to) in table.to.iter().enumerate() {
        text(&mut out, NAME_WIDTH + column * CELL_WIDTH, 0, "600", to);
    }
    let mut y = head;
    for (from, height) in table.from.iter().zip(&heights) {
        text(&mut out, 0, y, "600", from);
        for (column, to) in table.to.iter().enumerate() {
            let x = NAME_WIDTH + column * CELL_WIDTH;
            let cell = table.cells.get(&(from.clone(), to.clone()));
            let fill = match cell {
                None => "#f4f4f5",
                Some(cell) if cell.partly.is_empty() => "#dcfce7",
                Some(_) => "#fef9c3",
            };
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{CELL_WIDTH}\" height=\"{height}\" fill=\"{fill}\" stroke=\"#d4d4d8\"/>"
            );
            let words = cell.map(|cell| cell.words.as_slice()).unwrap_or_default();
            for (line, word) in words.iter().enumerate() {
                text(&mut out, x, y + line * LINE, "400", word);
            }
        }
        y += height;
    }
    out.push_str("</svg>\n");
    out
}

fn text(out: &mut String, x: usize, y: usize, weight: &str, words: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" font-weight=\"{weight}\" fill=\"#18181b\">{}</text>",
        x + PAD,
        y + PAD + 12,
        escaped(words)
    );
}

/// A page with the picture as a table that can be read without it.
pub fn html(name: &str, table: &Table) -> String {
    let title = escaped(&format!("Who reaches what in {name}"));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <style>body{{font:14px system-ui,sans-serif;margin:2rem}}table{{border-collapse:collapse}}\
         th,td{{border:1px solid #d4d4d8;padding:.4rem .6rem;text-align:left;vertical-align:top}}\
         td{{background:#f4f4f5}}td.open{{background:#dcfce7}}td.partly{{background:#fef9c3}}</style>\n\
         <h1>{title}</h1>\n<p>Who asks is on the left, who is asked above. What is empty is closed.</p>\n<table>\n<tr><th></th>"
    );
    for to in &table.to {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(to));
    }
    out.push_str("</tr>\n");
    for from in &table.from {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escaped(from));
        for to in &table.to {
            match table.cells.get(&(from.clone(), to.clone())) {
                None => out.push_str("<td></td>"),
                Some(cell) => {
                    let class = if cell.partly.is_empty() {
                        "open"
                    } else {
                        "partly"
                    };
                    let words: Vec<String> = cell.words.iter().map(|word| escaped(word)).collect();
                    let flows = escaped(&cell.flows.join(", "));
                    let words = words.join("<br>");
                    let _ = write!(out, "<td class=\"{class}\" title=\"{flows}\">{words}</td>");
                }
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
    out
}
