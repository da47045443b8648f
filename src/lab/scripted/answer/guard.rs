//! infra's dead-man switch. A scripted host has no timer: what is not confirmed stays until it is reverted.

use crate::lab::scripted::machine::{Machine, Reply};

/// `infra-guard`
pub(super) fn guard(machine: &mut Machine, arguments: &[String]) -> Reply {
    let [verb, _, token, _] = arguments else {
        return Reply::failed(2, "infra-guard: four arguments");
    };
    if verb == "arm" {
        if let Some((_, before)) = machine.guard.take() {
            machine.ufw = before;
            return Reply::failed(4, "");
        }
        machine.guard = Some((token.clone(), machine.ufw.clone()));
        return Reply::said("");
    }
    let held = machine.guard.take_if(|(own, _)| own == token);
    match (verb.as_str(), held) {
        ("look", Some(held)) => {
            machine.guard = Some(held);
            Reply::said("armed\n")
        }
        ("look", None) => Reply::said("reverted\n"),
        ("renew", Some(held)) => {
            machine.guard = Some(held);
            Reply::said("")
        }
        ("confirm", Some(_)) => Reply::said(""),
        ("revert", Some((_, before))) => {
            machine.ufw = before;
            Reply::said("")
        }
        ("renew" | "confirm" | "revert", None) => Reply::failed(3, ""),
        _ => Reply::failed(2, format!("infra-guard: {verb}")),
    }
}
