//! The analysis against real packets: what it says of every cell is what arrives in namespaces that enforce the rules.
//! Skips, and says so, without root or the tools. `INFRA_MATRICES` sets how many random matrices are tried.

use crate::{packets::may_run, system::system};
use infra::{
    firewall::{
        CompiledFirewall, Matrix,
        analysis::{Enforcement, Probe, probes},
        compile,
    },
    model::{address::Mac, desired::Desired},
    prove::Room,
};
use proptest::{
    strategy::{Strategy, ValueTree as _},
    test_runner::TestRunner,
};
use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

fn asked(desired: &Desired, compiled: &CompiledFirewall) -> Vec<Probe> {
    let enforcement = Enforcement::of_compiled(desired, compiled);
    probes(desired, &Matrix::of(desired), &enforcement)
}

fn wrong(probes: &[Probe]) -> Vec<String> {
    let differing = probes.iter().filter(|probe| !probe.holds());
    differing.map(|probe| format!("{probe:?}")).collect()
}

fn flagship() -> Desired {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory/media-server-home");
    let today = jiff::civil::date(2026, 11, 20);
    let loaded = infra::inventory::load(&folder, today, &infra::builtin::templates());
    loaded.expect("readable").desired.expect("valid")
}

#[test]
fn every_cell_of_the_flagship_is_as_the_analysis_says_and_a_missing_rule_is_seen() {
    if !may_run() {
        return;
    }
    let desired = flagship();
    let (mut compiled, _) = compile(&desired);
    let mut all = asked(&desired, &compiled);
    let open = all.iter().filter(|probe| probe.expected).count();
    assert!(
        open > 30 && all.len() > 1000,
        "{open} open of {}",
        all.len()
    );
    let mut room = Room::new(&desired).expect("a room");
    room.load(&desired, &compiled).expect("loads");
    room.probe(&desired, &mut all).expect("asked");
    assert!(wrong(&all).is_empty(), "{:#?}", wrong(&all));

    // The proof can fail: without the last rules of each chain, what they close is seen to be open.
    for rules in compiled.docker.values_mut() {
        rules.v4.clear();
    }
    for guest in compiled.pve.guests.values_mut() {
        guest.options.insert("enable".to_owned(), "0".to_owned());
    }
    room.load(&desired, &compiled).expect("loads");
    room.probe(&desired, &mut all).expect("asked");
    let jellyfin = all.iter().find(|probe| {
        probe.names == ("lan".to_owned(), "intranet".to_owned())
            && probe.packet.port.to_string() == "8096/tcp"
    });
    assert!(!jellyfin.expect("a closed cell").holds());
}

#[test]
fn who_borrows_an_address_from_behind_an_interface_is_not_let_in() {
    if !may_run() {
        return;
    }
    let text = |behind: &str| {
        format!(
            "zone lan 192.168.1.0/24\nzone vpn 10.8.0.0/24 {behind}\nset operators 192.168.1.5\noperators operators\n\
             host pi 192.168.1.30\nstack pages pi 443/tcp\n\
             flow vpn > pi : 443/tcp 9100/tcp | pages and metrics\nflow lan > pi : 443/tcp | pages\n"
        )
    };
    let desired = system(&text("@pi=wg0"));
    let (compiled, _) = compile(&desired);
    let mut all = asked(&desired, &compiled);
    let mut room = Room::new(&desired).expect("a room");
    room.load(&desired, &compiled).expect("loads");
    room.probe(&desired, &mut all).expect("asked");
    assert!(wrong(&all).is_empty(), "{:#?}", wrong(&all));

    // The same rules where everybody is on one wire: the tunnel's addresses come in by the wrong card.
    let flat = system(&text(""));
    let mut room = Room::new(&flat).expect("a room");
    room.load(&flat, &compiled).expect("loads");
    room.probe(&flat, &mut all).expect("asked");
    let (behind, others): (Vec<&Probe>, Vec<&Probe>) = all
        .iter()
        .filter(|probe| probe.expected && probe.names.1 == "pi")
        .partition(|probe| probe.names.0 == "vpn");
    let tcp = |probe: &&&Probe| probe.packet.port.to_string().ends_with("/tcp");
    assert_eq!(behind.iter().filter(tcp).count(), 2, "{behind:#?}");
    assert!(
        behind
            .iter()
            .filter(tcp)
            .all(|probe| probe.seen == Some(false))
    );
    assert!(
        others
            .iter()
            .filter(tcp)
            .all(|probe| probe.seen == Some(true))
    );
}

#[test]
fn containers_of_external_hosts_are_asked_apart_from_their_host() {
    if !may_run() {
        return;
    }
    let desired = system(
        "zone lan 192.168.1.0/24 fd00:1::/64\nzone vpn 10.8.0.0/24 @pi=wg0\nset operators 192.168.1.5\noperators operators\n\
         host pi 192.168.1.30\nhost six fd00:1::30\nhost free 192.168.1.31\n\
         stack pages pi 443/tcp\nstack pages6 six 443/tcp\nstack others free 8080/tcp\n\
         flow pi > internet : 443/tcp 53/udp icmp | updates\nflow pi > vpn : 9100/tcp | metrics\n\
         flow six > lan : 8000-8010/tcp | pages\nflow pi > free : 8080/tcp | pages\n",
    );
    let (mut compiled, _) = compile(&desired);
    let mut all = asked(&desired, &compiled);
    for host in ["pi", "six", "free"] {
        let name = format!("{host} (containers)");
        let of = |open: bool| {
            let mine = all.iter().filter(|probe| probe.names.0 == name);
            mine.filter(|probe| probe.expected == open).count()
        };
        assert!(of(true) > 1 && (of(false) > 5 || host == "free"), "{host}");
    }
    let mut room = Room::new(&desired).expect("a room");
    room.load(&desired, &compiled).expect("loads");
    room.probe(&desired, &mut all).expect("asked");
    assert!(wrong(&all).is_empty(), "{:#?}", wrong(&all));

    // The proof can fail: without the last rule, what it closes is seen to be open, from containers and from nobody else.
    for rules in compiled.docker.values_mut() {
        rules.egress.v4.pop();
        rules.egress.v6.pop();
    }
    room.load(&desired, &compiled).expect("loads");
    room.probe(&desired, &mut all).expect("asked");
    let differing: Vec<&Probe> = all.iter().filter(|probe| !probe.holds()).collect();
    assert!(differing.iter().all(|probe| probe.by_container));
    for host in ["pi", "six"] {
        let name = format!("{host} (containers)");
        assert!(differing.iter().any(|probe| probe.names.0 == name));
    }
}

#[test]
fn random_matrices_do_to_real_packets_what_the_analysis_says() {
    if !may_run() {
        return;
    }
    let count = std::env::var("INFRA_MATRICES").map_or(25, |text| text.parse().expect("a number"));
    let mut runner = TestRunner::deterministic();
    let matrices: Vec<Vec<String>> = (0..count)
        .map(|_| {
            let tree = crate::exactness::flows().new_tree(&mut runner);
            tree.expect("flows").current()
        })
        .collect();
    // Most of the time is spent in waiting for packets that do not come: several rooms wait side by side.
    let next = AtomicUsize::new(0);
    let (packets, open) = std::thread::scope(|scope| {
        let workers = (0..(count / 6).clamp(1, 6)).map(|_| scope.spawn(|| prove(&matrices, &next)));
        let workers: Vec<_> = workers.collect();
        workers.into_iter().fold((0, 0), |(packets, open), worker| {
            let (more, through) = worker.join().expect("every cell is as the analysis says");
            (packets + more, open + through)
        })
    });
    println!("{count} matrices, {packets} packets, {open} of them through");
    assert!(open > count && open < packets);
}

/// Takes matrices in turn and sends their packets; how many there were, and how many came through.
fn prove(matrices: &[Vec<String>], next: &AtomicUsize) -> (usize, usize) {
    let mut room = None;
    let (mut packets, mut open) = (0, 0);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(flows) = matrices.get(number) else {
            return (packets, open);
        };
        if number > 0 && number.is_multiple_of(100) {
            println!("{number} of {} matrices", matrices.len());
        }
        let desired = own_macs(system(&format!(
            "{}{}",
            crate::exactness::THINGS,
            flows.join("\n")
        )));
        let (compiled, _) = compile(&desired);
        let mut all = asked(&desired, &compiled);
        if room.is_none() {
            room = Some(Room::new(&desired).expect("a room"));
        }
        let room = room.as_mut().expect("just made");
        room.load(&desired, &compiled).expect("loads");
        room.probe(&desired, &mut all).expect("asked");
        assert!(
            wrong(&all).is_empty(),
            "matrix {number}: {flows:#?}\n{:#?}",
            wrong(&all)
        );
        packets += all.len();
        open += all.iter().filter(|probe| probe.expected).count();
    }
}

/// The systems of these tests give every card one address of its own, but one MAC to all.
fn own_macs(mut desired: Desired) -> Desired {
    let cards = desired
        .guests
        .values_mut()
        .flat_map(|guest| &mut guest.nics);
    for (number, nic) in cards.enumerate() {
        let last = u8::try_from(number).expect("few cards");
        nic.mac = Mac([0xbc, 0x24, 0x11, 0, 0, last]);
    }
    desired
}
