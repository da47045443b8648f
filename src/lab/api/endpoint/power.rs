//! Switching guests on and off, and what they say of themselves.

use super::guest::entry;
use crate::lab::api::{
    call::{Answer, Call, Outcome, Refusal},
    job::{Job, Work},
    model::cluster::Model,
};
use serde_json::{Value, json};

pub(crate) fn current(model: &Model, call: &Call) -> Answer {
    let vmid = call.vmid();
    let guest = model.guest(vmid)?;
    let mut fields = entry(vmid, guest, call.now);
    fields.insert(
        "ha".to_owned(),
        json!({"managed": i32::from(model.ha.contains_key(&format!("vm:{vmid}")))}),
    );
    fields.insert("clipboard".to_owned(), Value::Null);
    let status = fields.get("status").cloned().unwrap_or_default();
    fields.insert("qmpstatus".to_owned(), status);
    if guest
        .value("agent")
        .is_some_and(|agent| agent.starts_with('1') || agent.contains("enabled=1"))
    {
        fields.insert("agent".to_owned(), json!(1));
    }
    if guest.running.is_some() {
        let pressures = [
            "cpufull",
            "cpusome",
            "iofull",
            "iosome",
            "memoryfull",
            "memorysome",
        ];
        for pressure in pressures {
            fields.insert(format!("pressure{pressure}"), json!(0));
        }
        let cards = guest
            .config
            .keys()
            .filter_map(|key| key.strip_prefix("net")?.parse::<u32>().ok());
        let nics = cards.map(|card| {
            (
                format!("tap{vmid}i{card}"),
                json!({"netin": 0, "netout": 0}),
            )
        });
        fields.insert("nics".to_owned(), Value::Object(nics.collect()));
    }
    Outcome::data(Value::Object(fields))
}

fn skiplock(call: &Call) -> Result<(), Refusal> {
    if call.is_on("skiplock") && !call.who.is_root() {
        return Err(Refusal::parameter(
            "skiplock",
            "Only root may use this option.",
        ));
    }
    Ok(())
}

/// Whether the HA manager acts for a guest.
fn is_under_ha(model: &Model, vmid: u32) -> bool {
    let options = model.ha.get(&format!("vm:{vmid}"));
    options.is_some_and(|options| options.get("state").is_none_or(|state| state != "ignored"))
}

/// A job on a guest, or the request for it where the HA manager acts.
fn job(
    model: &Model,
    call: &Call,
    (kind, under_ha, words): (&'static str, &'static str, &'static str),
    state: Option<&'static str>,
    work: Work,
) -> Answer {
    let vmid = call.vmid();
    let (kind, work) = if is_under_ha(model, vmid) {
        let work = Box::new(work);
        let asked = Work::AskHa {
            vmid,
            words,
            state,
            work,
        };
        (under_ha, asked)
    } else {
        (kind, work)
    };
    Outcome::job(Job::on_guest(kind, call.node(), vmid, work))
}

pub(crate) fn start(model: &Model, call: &Call) -> Answer {
    skiplock(call)?;
    let vmid = call.vmid();
    let kinds = ("qmstart", "hastart", "start");
    job(model, call, kinds, Some("started"), Work::Start { vmid })
}

pub(crate) fn stop(model: &Model, call: &Call) -> Answer {
    skiplock(call)?;
    let vmid = call.vmid();
    let kinds = ("qmstop", "hastop", "stop");
    job(model, call, kinds, Some("stopped"), Work::Stop { vmid })
}

pub(crate) fn shutdown(model: &Model, call: &Call) -> Answer {
    skiplock(call)?;
    let vmid = call.vmid();
    let timeout = call.number("timeout").unwrap_or(180.0);
    let work = Work::Shutdown {
        vmid,
        timeout,
        // The HA manager cuts the power after the time that it was given.
        force: call.is_on("forceStop") || is_under_ha(model, vmid),
    };
    let kinds = ("qmshutdown", "hastop", "stop");
    job(model, call, kinds, Some("stopped"), work)
}

pub(crate) fn reboot(model: &Model, call: &Call) -> Answer {
    let vmid = call.vmid();
    if model.guest(vmid)?.running.is_none() {
        return Err(Refusal::Failed(format!("VM {vmid} not running")));
    }
    let timeout = call.number("timeout").unwrap_or(180.0);
    Outcome::job(Job::on_guest(
        "qmreboot",
        call.node(),
        vmid,
        Work::Reboot { vmid, timeout },
    ))
}

/// What ties a guest to its node comes out in the task.
pub(crate) fn migrate(model: &Model, call: &Call) -> Answer {
    let (vmid, target) = (call.vmid(), call.text("target"));
    let there = model
        .nodes
        .get(target)
        .ok_or_else(|| format!("no such cluster node '{target}'"))?;
    if target == call.node() {
        return Err(Refusal::parameter("target", "target is local node."));
    }
    let guest = model.guest(vmid)?;
    guest.assert_unlocked()?;
    if there.is_off {
        return Err(Refusal::Failed(format!(
            "target node '{target}' is offline"
        )));
    }
    if guest.running.is_some() && !call.is_on("online") {
        return Err(Refusal::Failed(
            "can't migrate running VM without --online".to_owned(),
        ));
    }
    let work = Work::Migrate {
        vmid,
        target: target.to_owned(),
        online: call.is_on("online"),
    };
    let kinds = ("qmigrate", "hamigrate", "migration");
    job(model, call, kinds, None, work)
}

pub(crate) fn suspend(model: &Model, call: &Call) -> Answer {
    let vmid = call.vmid();
    if model.guest(vmid)?.running.is_none() {
        return Err(Refusal::Failed(format!("VM {vmid} not running")));
    }
    Err(Refusal::NotImplemented(
        "suspending is not modelled by the lab".to_owned(),
    ))
}
