//! What was seen against what the matrix says.

use super::ask::{Outcome, Seen};
use serde::Serialize;

/// Whether a cell is as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// As the matrix says.
    Holds,
    /// The matrix says otherwise.
    Differs,
    /// What was seen could mean both.
    NotJudged(String),
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CellResult {
    /// Who asked.
    pub from: String,
    /// The address it asked from.
    pub from_address: Option<String>,
    /// Who was asked.
    pub to: String,
    /// The address that was asked.
    pub address: Option<String>,
    /// `443/tcp`.
    pub port: String,
    /// The row that opens it; none when the matrix keeps it closed.
    pub row: Option<String>,
    /// What the asker heard.
    pub heard: Outcome,
    /// Whether a packet came through.
    pub seen_open: Option<bool>,
    /// Whether that is as it should be.
    pub ruling: Ruling,
}

/// Judges one cell; `row` is what opens it.
pub fn judge(seen: &Seen, row: Option<String>) -> CellResult {
    let seen_open = match (seen.outcome, seen.came_through) {
        // A refusal comes from the kernel behind the door: our firewalls drop and say nothing. It also makes kernels
        // forget the connection, so the witness is not asked.
        (Outcome::Open | Outcome::Refused, _) => Some(true),
        (Outcome::Unasked | Outcome::Unresolved | Outcome::Unable, _) => None,
        // The refusal may be lost on its way back.
        (Outcome::Silent | Outcome::Unreachable, Some(false))
            if row.is_some() && seen.listens == Some(false) =>
        {
            None
        }
        (Outcome::Silent | Outcome::Unreachable, through) => through,
    };
    let ruling = match (seen_open, &row) {
        (Some(open), row) if open == row.is_some() => Ruling::Holds,
        (Some(_), _) => Ruling::Differs,
        // Silence is what a closed door says; only an open one may be silent too.
        (None, None) if matches!(seen.outcome, Outcome::Silent | Outcome::Unreachable) => {
            Ruling::Holds
        }
        (None, _) => {
            Ruling::NotJudged(seen.trouble.clone().unwrap_or_else(|| match seen.outcome {
                Outcome::Unresolved => "the name was not found".to_owned(),
                Outcome::Unable => {
                    "only root may send echo requests there: `net.ipv4.ping_group_range` names no other group".to_owned()
                }
                Outcome::Silent if seen.listens == Some(false) => "nobody listens there".to_owned(),
                Outcome::Open
                | Outcome::Refused
                | Outcome::Silent
                | Outcome::Unreachable
                | Outcome::Unasked => "nobody answers there, and nobody can tell why".to_owned(),
            }))
        }
    };
    CellResult {
        from: seen.knock.asker.to_string(),
        from_address: seen.between.map(|(from, _)| from.to_string()),
        to: seen.knock.door.name.clone(),
        address: seen.between.map(|(_, to)| to.to_string()),
        port: seen.knock.door.port.to_string(),
        row,
        heard: seen.outcome,
        seen_open,
        ruling,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::cells::{Asker, Door, Knock, Where};

    fn seen(outcome: Outcome, came_through: Option<bool>) -> Seen {
        let address = "192.168.1.20".parse().expect("address");
        Seen {
            knock: Knock {
                asker: Asker::Here,
                door: Door {
                    name: "intranet".to_owned(),
                    at: Where::Address(address),
                    port: "22/tcp".parse().expect("port"),
                    witness: None,
                },
            },
            between: Some((address, address)),
            outcome,
            came_through,
            listens: Some(true),
            trouble: None,
        }
    }

    #[test]
    fn a_port_without_a_listener_is_judged_by_the_witness() {
        let row = || Some("operators".to_owned());
        let ruling = |outcome, through, row| judge(&seen(outcome, through), row).ruling;
        assert_eq!(ruling(Outcome::Silent, Some(true), row()), Ruling::Holds);
        assert_eq!(ruling(Outcome::Silent, Some(true), None), Ruling::Differs);
        assert_eq!(ruling(Outcome::Silent, Some(false), row()), Ruling::Differs);
        assert_eq!(ruling(Outcome::Refused, Some(false), None), Ruling::Differs);
        assert_eq!(ruling(Outcome::Open, Some(false), None), Ruling::Differs);
    }

    #[test]
    fn silence_without_a_witness_is_no_proof_that_a_door_is_open() {
        let row = Some("egress".to_owned());
        let found = judge(&seen(Outcome::Silent, None), row).ruling;
        assert!(matches!(found, Ruling::NotJudged(_)), "{found:?}");
        assert_eq!(
            judge(&seen(Outcome::Silent, None), None).ruling,
            Ruling::Holds
        );
    }
}
