//! Questions that got no answer, noted instead of given up on.

use super::{error::ProxmoxError, observe::is_off};
use crate::model::{
    firewall_step::PveLevel,
    observed::{ObservedProxmox, Question, Unanswered},
};

/// Questions without an answer so far.
#[derive(Debug, Default)]
pub(super) struct Open(pub(super) Vec<Unanswered>);

impl Open {
    /// The answer, or a note that there is none.
    pub(super) fn answer<T>(
        &mut self,
        question: Question,
        answer: Result<T, ProxmoxError>,
    ) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.0.push(Unanswered {
                    question,
                    why: error.told(),
                    hint: error.hint(),
                });
                None
            }
        }
    }

    /// Takes over notes. What a node that is off was asked is told in the cluster's own words.
    pub(super) fn add(&mut self, other: Self, seen: &ObservedProxmox) {
        self.0.extend(other.0.into_iter().map(|unanswered| {
            let node = match &unanswered.question {
                Question::Node(node)
                | Question::Power(node)
                | Question::Firewall(PveLevel::Node(node)) => Some(node),
                Question::Version
                | Question::DirMappings
                | Question::PciMappings
                | Question::UsbMappings
                | Question::Pools
                | Question::Entries(_)
                | Question::Guest(_)
                | Question::Firewall(_) => None,
            };
            match node.filter(|node| is_off(seen, node.as_str())) {
                Some(node) => {
                    let error = ProxmoxError::NodeOff {
                        node: node.to_string(),
                    };
                    Unanswered {
                        why: error.told(),
                        hint: error.hint(),
                        question: unanswered.question,
                    }
                }
                None => unanswered,
            }
        }));
    }
}
