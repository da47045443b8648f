//! Rows that say what other rows say already.

use super::{agreement::RowIndex, place::Atlas};
use crate::diagnostic::{Code, Diagnostic};
use crate::firewall::{
    matrix::{End, Matrix, Row},
    port_set::PortSet,
};
use crate::model::desired::Desired;

/// A flow opens nothing that one other flow does not open.
pub(crate) const SHADOWED_FLOW: Code = Code("FW010");
/// A flow opens nothing that several other flows together do not open.
pub(crate) const REDUNDANT_FLOW: Code = Code("FW011");

/// Two flows say different things about the same packets.
pub(crate) const CONTRADICTORY_FLOWS: Code = Code("FW014");

/// Rows of the owner of which one limits what another opens to the same people without a limit: only one can be meant.
pub(crate) fn contradictions(matrix: &Matrix) -> Vec<Diagnostic> {
    let rows: Vec<&Row> = matrix.rows.iter().filter(|row| row.limit).collect();
    let mut out = Vec::new();
    for limited in rows {
        let ports = PortSet::of(&limited.ports);
        let meets = |a: &[End], b: &[End]| {
            a.iter()
                .any(|one| b.iter().any(|other| one.addresses.meets(&other.addresses)))
        };
        let free = matrix.rows.iter().find(|row| {
            !row.limit
                && row.place.is_some()
                && !PortSet::of(&row.ports).intersection(&ports).is_empty()
                && meets(&row.from, &limited.from)
                && meets(&row.to, &limited.to)
        });
        let (Some(free), Some(place)) = (free, &limited.place) else {
            continue;
        };
        let both = PortSet::of(&free.ports).intersection(&ports);
        let summary = format!(
            "flow `{}` limits {}, and flow `{}` opens it to some of the same people without a limit",
            limited.id,
            both.words(),
            free.id
        );
        let found = Diagnostic::warning(CONTRADICTORY_FLOWS, summary).at(place, "limited here");
        let found = match &free.place {
            Some(place) => found.at(place, "and not here"),
            None => found,
        };
        out.push(
            found.help("limit both, or keep their ends apart: the flow that comes first decides"),
        );
    }
    out
}

/// Rows of the owner that could go without closing anything, the later ones of two that say the same.
pub(crate) fn flaws(desired: &Desired, matrix: &Matrix) -> Vec<Diagnostic> {
    let rows: Vec<Row> = matrix
        .rows
        .iter()
        .filter(|row| row.place.is_some())
        .cloned()
        .collect();
    let atlas = Atlas::new(desired, []);
    let index = RowIndex::new(&rows, &atlas);
    let mut alive = vec![true; rows.len()];
    let mut out = Vec::new();
    for number in (0..rows.len()).rev() {
        let row = &rows[number];
        let Some(place) = &row.place else { continue };
        let Some(covering) = covering(&index, &atlas, number, &alive) else {
            continue;
        };
        alive[number] = false;
        let whole = covering.iter().find(|other| {
            let ends = |is_from| {
                let theirs = index.places(**other, is_from);
                index
                    .places(number, is_from)
                    .iter()
                    .all(|p| theirs.contains(p))
            };
            index.ports(**other).covers(index.ports(number)) && ends(true) && ends(false)
        });
        let found = if let Some(other) = whole {
            let other = &rows[*other];
            let summary = format!(
                "flow `{}` is shadowed: flow `{}` opens all of it",
                row.id, other.id
            );
            let found = Diagnostic::warning(SHADOWED_FLOW, summary).at(place, "opens nothing more");
            match &other.place {
                Some(place) => found.at(place, "opens all of it"),
                None => found,
            }
        } else {
            let names: Vec<String> = covering
                .iter()
                .map(|other| format!("`{}`", rows[*other].id))
                .collect();
            let names = names.join(" and ");
            let summary = format!(
                "flow `{}` is redundant: {names} open all of it together",
                row.id
            );
            Diagnostic::warning(REDUNDANT_FLOW, summary).at(place, "opens nothing more")
        };
        out.push(found.help("remove it, or narrow the others: a row that does nothing misleads whoever removes another"));
    }
    out.reverse();
    out
}

/// The other rows that open all of a row; none as soon as one pair needs it. A row that connects nothing is not covered.
fn covering(index: &RowIndex, atlas: &Atlas, number: usize, alive: &[bool]) -> Option<Vec<usize>> {
    let mut used: Vec<usize> = Vec::new();
    let to = index.places(number, false);
    for from in index.places(number, true) {
        for to in to.iter().copied() {
            let (a, b) = (&atlas.places[from], &atlas.places[to]);
            if a.is_v6() != b.is_v6() || a.machine.is_some() && a.machine == b.machine {
                continue;
            }
            let mut left: PortSet = index.ports(number).clone();
            for other in index.between(from, to) {
                if other == number || !alive[other] || left.is_empty() {
                    continue;
                }
                let rest = left.without(index.ports(other));
                if rest != left {
                    left = rest;
                    if !used.contains(&other) {
                        used.push(other);
                    }
                }
            }
            if !left.is_empty() {
                return None;
            }
        }
    }
    (!used.is_empty()).then_some(used)
}
