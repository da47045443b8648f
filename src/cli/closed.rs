//! Connections that were opened through a rule that is gone: rules let what is established pass, so they are ended.

use super::{context::Context, session::Session};
use crate::apply::guard::{Connection, Flushed};
use crate::firewall::analysis::{Packet, is_closed, live};
use crate::model::{
    address::{Port, PortRange},
    ids::HostName,
    observed::Observed,
};
use std::collections::BTreeSet;

/// Ends, on the machines named, what the live rules allowed before and close now.
pub(crate) async fn end(
    context: &Context,
    session: &Session,
    machines: &BTreeSet<HostName>,
    (before, after): (&Observed, &Observed),
) {
    if machines.is_empty() {
        return;
    }
    let desired = &session.desired;
    let before = live(desired, before).enforcement;
    let after = live(desired, after).enforcement;
    let is_closed = |machine: &HostName, connection: &Connection| {
        let packet = Packet {
            from: connection.from.0,
            to: connection.to.0,
            port: Port {
                proto: connection.proto,
                range: PortRange::one(connection.to.1),
            },
        };
        is_closed(desired, (&before, &after), machine, packet)
    };
    for (machine, flushed) in session.world.flush(machines, is_closed).await {
        match flushed {
            Flushed::Ended(0) => {}
            Flushed::Ended(count) => context.terminal.tell(&format!(
                "{machine}: open connections of flows that are closed now, ended: {count}."
            )),
            Flushed::Unknown(why) => context.terminal.tell(&format!(
                "{machine}: connections that are open stay open: {why}."
            )),
        }
    }
}
