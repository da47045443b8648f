//! infra's dead-man switch. A scripted host has no timer: what is not confirmed stays until it is reverted.

use crate::lab::scripted::{
    machine::{Machine, Reply},
    ufw::Ufw,
};

/// An armed or held switch.
#[derive(Debug, Clone)]
pub(in crate::lab::scripted) struct Switch {
    token: String,
    /// Nobody has said yet that the change is good.
    counts: bool,
    /// What it would put back.
    before: Ufw,
}

/// `infra-guard`
pub(super) fn guard(machine: &mut Machine, arguments: &[String]) -> Reply {
    let [verb, _, token, _] = arguments else {
        return Reply::failed(2, "infra-guard: four arguments");
    };
    if verb == "arm" {
        if let Some(switch) = machine.guard.take_if(|switch| switch.counts) {
            machine.ufw = switch.before;
            return Reply::failed(4, "");
        }
        machine.guard = Some(Switch {
            token: token.clone(),
            counts: true,
            before: machine.ufw.clone(),
        });
        return Reply::said("");
    }
    let switch = machine.guard.take_if(|switch| switch.token == *token);
    match (verb.as_str(), switch) {
        ("look", Some(switch)) => {
            let word = if switch.counts { "armed\n" } else { "held\n" };
            machine.guard = Some(switch);
            Reply::said(word)
        }
        ("look", None) => Reply::said("reverted\n"),
        ("renew", Some(switch)) if switch.counts => {
            machine.guard = Some(switch);
            Reply::said("")
        }
        ("hold", Some(switch)) => {
            machine.guard = Some(Switch {
                counts: false,
                ..switch
            });
            Reply::said("")
        }
        ("confirm", Some(_)) => Reply::said(""),
        ("revert", Some(switch)) => {
            machine.ufw = switch.before;
            Reply::said("")
        }
        ("renew" | "hold" | "confirm" | "revert", _) => Reply::failed(3, ""),
        _ => Reply::failed(2, format!("infra-guard: {verb}")),
    }
}
