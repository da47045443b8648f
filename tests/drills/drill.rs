//! The drills. Each gives the seconds from the cut until everything comes in again.

use crate::bench::{API, Bench, GUEST, NODE, On, Running, quoted, right, said};
use std::{fs, path::Path, process::Command, time::Instant};

/// One way to cut oneself off.
pub(crate) struct Drill {
    pub(crate) name: &'static str,
    /// Also part of every test run.
    pub(crate) quick: bool,
    pub(crate) run: fn(&Bench) -> Result<f64, String>,
}

const fn drill(name: &'static str, run: fn(&Bench) -> Result<f64, String>) -> Drill {
    Drill {
        name,
        quick: false,
        run,
    }
}

const fn quick(name: &'static str, run: fn(&Bench) -> Result<f64, String>) -> Drill {
    Drill {
        quick: true,
        ..drill(name, run)
    }
}

pub(crate) const DRILLS: &[Drill] = &[
    quick("the operators' set names another address", |b| {
        mistaken(b, &[], &[API, NODE, GUEST])
    }),
    drill("the operators' set is wrong on Proxmox alone", |b| {
        mistaken(b, &["--on", "pve"], &[API, NODE, GUEST])
    }),
    quick("the operators' set is wrong in the guest alone", |b| {
        mistaken(b, &["--on", "web"], &[GUEST])
    }),
    drill("the first enablement shuts the operator out", |b| {
        switch_off(b)?;
        mistaken(b, &["--on", "pve"], &[API, NODE])
    }),
    quick("infra is killed after the cut, on every layer", |b| {
        killed(b, &[], &[API, NODE, GUEST], |_| Ok(()))
    }),
    drill("infra is killed after the cut in the guest", |b| {
        killed(b, &["--on", "web"], &[GUEST], |_| Ok(()))
    }),
    drill("infra is killed during the first enablement", |b| {
        switch_off(b)?;
        killed(b, &["--on", "pve"], &[API, NODE], |_| Ok(()))
    }),
    drill("the clock is set back during the first enablement", |b| {
        switch_off(b)?;
        killed(b, &["--on", "pve"], &[API, NODE], clock_set_back)
    }),
    quick("the network is lost after the cut", network_lost),
    drill(
        "the network is lost, though the change was harmless",
        network_lost_for_nothing,
    ),
    drill("the laptop is closed after the cut", laptop_closed),
    drill("Ctrl-C after the cut", interrupted),
    drill("the guest agent is dead", |b| {
        b.demand(On::Guest, "systemctl stop qemu-guest-agent || true")?;
        mistaken(b, &[], &[API, NODE, GUEST])
    }),
    drill("the node's own rules drop SSH", |b| {
        sabotaged_node(b, &[NODE], |pve| {
            first_rule(&pve.join("nodes/pve/host.fw"), "IN DROP -p tcp -dport 22")
        })
    }),
    drill("the node's rules name the wrong bridge", |b| {
        sabotaged_node(b, &[API, NODE], |pve| {
            first_rule(&pve.join("nodes/pve/host.fw"), "IN DROP -i vmbr0 -p tcp")
        })
    }),
    drill("only the API is cut", |b| {
        sabotaged_node(b, &[API], |pve| {
            first_rule(&pve.join("nodes/pve/host.fw"), "IN DROP -p tcp -dport 8006")
        })
    }),
    drill("the management zone is emptied", |b| {
        sabotaged_node(b, &[API, NODE], |pve| {
            fs::write(pve.join("nodes/pve/host.fw"), "[OPTIONS]\n\nenable: 1\n\n")?;
            let cluster = pve.join("firewall/cluster.fw");
            let text = fs::read_to_string(&cluster)?;
            fs::write(cluster, text.replace("192.168.1.50", "192.168.1.77"))
        })
    }),
    drill("UFW loses the rule for SSH", |b| {
        sabotaged_guest(b, "sed -i '/dport 22 /d' /etc/ufw/user.rules && ufw reload")
    }),
    drill(
        "a guest's chains are flushed under a policy that drops",
        |b| sabotaged_guest(b, "iptables -P INPUT DROP; iptables -F INPUT"),
    ),
    drill("the guest loses its power after the cut", |b| {
        sabotaged_guest(
            b,
            "sed -i '/dport 22 /d' /etc/ufw/user.rules; sync; systemctl reboot --force --force",
        )
    }),
    quick("a cut that can be seen coming is refused", refused),
    quick("a dead run left its switch without a timer", left_behind),
    drill(
        "a prober sees no window while rules come and go",
        crate::window::none_opens,
    ),
    quick(
        "the live matrix is the one that is meant, and a hole in it is seen",
        live_matrix,
    ),
    drill(
        "somebody reloads UFW until the change is kept",
        reloaded_meanwhile,
    ),
    drill("somebody has a timer of that name", |b| {
        let own = "systemd-run --quiet --unit=infra-guard --on-active=1h true";
        b.demand(On::Guest, own)?;
        killed(b, &["--on", "web"], &[GUEST], |_| Ok(()))
    }),
];

/// The most that a way back may take.
fn limit(bench: &Bench) -> u64 {
    if bench.guard < 45 { 60 } else { 90 }
}

/// The owner's mistake: the set of operators is somebody else's address.
fn mistaken_apply(bench: &Bench, more: &[&str]) -> Running {
    let inventory = bench.inventory("operators: [192.168.1.50]", "operators: [192.168.1.77]");
    bench.apply(&inventory, more)
}

/// Waits until one of the targets is cut; infra must still be at work.
fn cut(bench: &Bench, child: &mut Running, targets: &[&str]) -> Result<Instant, String> {
    let mut ended = None;
    bench.until("the cut", 90, || {
        ended = child.0.try_wait().expect("asked");
        ended.is_some() || targets.iter().any(|target| !bench.comes_in(target))
    })?;
    match ended {
        Some(status) => Err(format!(
            "infra ended ({status}) before anything was cut\n{}",
            bench.log()
        )),
        None => Ok(Instant::now()),
    }
}

fn back(bench: &Bench, since: Instant) -> Result<f64, String> {
    bench.until("access", limit(bench), || bench.all_come_in())?;
    Ok(since.elapsed().as_secs_f64())
}

/// infra must end by itself and say that everything was taken back.
fn reverted(bench: &Bench, child: &mut Running) -> Result<(), String> {
    let mut status = None;
    bench.until("infra's end", 150, || {
        status = child.0.try_wait().expect("asked");
        status.is_some()
    })?;
    match status.and_then(|status| status.code()) {
        Some(9) => Ok(()),
        code => Err(format!(
            "infra ended with {code:?}, not with 9\n{}",
            bench.log()
        )),
    }
}

/// sshd says from where infra comes, and the matrix closes it: nothing is begun.
fn refused(bench: &Bench) -> Result<f64, String> {
    bench.show_the_way(On::Guest)?;
    let since = Instant::now();
    let status = mistaken_apply(bench, &["--on", "web"]).0.wait();
    let seconds = since.elapsed().as_secs_f64();
    bench.hide_the_way(On::Guest)?;
    let log = bench.log();
    let code = status.map_err(|error| error.to_string())?.code();
    if code != Some(1) || !log.contains("infra comes from 192.168.1.50 to port 22") {
        return Err(format!("ended with {code:?}\n{log}"));
    }
    if bench.is_armed(On::Guest) || !bench.all_come_in() {
        return Err("something was begun".to_owned());
    }
    Ok(seconds)
}

fn mistaken(bench: &Bench, more: &[&str], targets: &[&str]) -> Result<f64, String> {
    let mut child = mistaken_apply(bench, more);
    let since = cut(bench, &mut child, targets)?;
    let seconds = back(bench, since)?;
    reverted(bench, &mut child)?;
    Ok(seconds)
}

fn killed(
    bench: &Bench,
    more: &[&str],
    targets: &[&str],
    then: fn(&Bench) -> Result<(), String>,
) -> Result<f64, String> {
    let mut child = mistaken_apply(bench, more);
    let since = cut(bench, &mut child, targets)?;
    child.kill();
    then(bench)?;
    back(bench, since)
}

/// The datacenter's firewall is off, and the node has noticed.
fn switch_off(bench: &Bench) -> Result<(), String> {
    let cluster = bench.pve().join("firewall/cluster.fw");
    let text = fs::read_to_string(&cluster).map_err(|e| e.to_string())?;
    let off = text.replace("enable: 1\n", "enable: 0\n");
    assert_ne!(text, off, "it was on");
    fs::write(cluster, off).map_err(|e| e.to_string())?;
    let status = || bench.on(On::Node, "pve-firewall status").stdout;
    bench
        .until("the firewall is off", 30, || {
            status() == b"Status: disabled/running\n"
        })
        .map(drop)
}

/// The stamp of the armed switch lies in the future: by the clock it never runs out.
fn clock_set_back(bench: &Bench) -> Result<(), String> {
    let cluster = bench.pve().join("firewall/cluster.fw");
    let text = fs::read_to_string(&cluster).map_err(|e| e.to_string())?;
    let stamp = text
        .lines()
        .find_map(|line| line.strip_prefix("enable: "))
        .and_then(|stamp| stamp.parse::<u64>().ok())
        .filter(|stamp| *stamp > 1)
        .ok_or("the switch is armed by a stamp")?;
    let later = text.replace(&stamp.to_string(), &(stamp + 86_400).to_string());
    fs::write(cluster, later).map_err(|e| e.to_string())
}

fn network_lost(bench: &Bench) -> Result<f64, String> {
    let mut child = mistaken_apply(bench, &[]);
    let since = cut(bench, &mut child, &[API, NODE, GUEST])?;
    bench.cable(false);
    let waited = unconfirmed(bench, On::Guest);
    bench.cable(true);
    waited?;
    let seconds = back(bench, since)?;
    reverted(bench, &mut child)?;
    Ok(seconds)
}

fn network_lost_for_nothing(bench: &Bench) -> Result<f64, String> {
    bench.demand(On::Guest, "ufw allow 9999/tcp")?;
    let mut child = bench.apply(&right(), &[]);
    // Not already when the guard is armed: then infra would hear nothing of that, and change nothing.
    let rules = bench.root(On::Guest).join("etc/ufw/user.rules");
    bench.until("the change", 60, || {
        fs::read_to_string(&rules).is_ok_and(|text| !text.contains("9999"))
    })?;
    let since = Instant::now();
    bench.cable(false);
    let waited = unconfirmed(bench, On::Guest);
    bench.cable(true);
    waited?;
    let seconds = back(bench, since)?;
    reverted(bench, &mut child)?;
    Ok(seconds)
}

/// Waits until a machine has put back what it had, without anybody's help.
fn unconfirmed(bench: &Bench, on: On) -> Result<(), String> {
    let limit = u64::from(bench.guard) + 30;
    bench
        .until("the machine's own way back", limit, || {
            !bench.is_armed(on) && bench.guard_folder(on).join("reverted").exists()
        })
        .map(drop)
}

fn signal(child: &Running, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.0.id().to_string()])
        .status()
        .expect("kill");
    assert!(sent.success(), "{name}");
}

fn laptop_closed(bench: &Bench) -> Result<f64, String> {
    let mut child = mistaken_apply(bench, &[]);
    let since = cut(bench, &mut child, &[API, NODE, GUEST])?;
    signal(&child, "-STOP");
    let seconds = back(bench, since);
    signal(&child, "-CONT");
    reverted(bench, &mut child)?;
    seconds
}

fn interrupted(bench: &Bench) -> Result<f64, String> {
    let mut child = mistaken_apply(bench, &[]);
    let since = cut(bench, &mut child, &[API, NODE, GUEST])?;
    signal(&child, "-INT");
    let seconds = back(bench, since)?;
    reverted(bench, &mut child)?;
    Ok(seconds)
}

/// A rule before all others of a file.
fn first_rule(file: &Path, rule: &str) -> std::io::Result<()> {
    let text = fs::read_to_string(file)?;
    fs::write(
        file,
        text.replacen("[RULES]\n\n", &format!("[RULES]\n\n{rule}\n"), 1),
    )
}

/// The change itself is harmless; what is written with it is not.
fn sabotaged_node(
    bench: &Bench,
    targets: &[&str],
    sabotage: fn(&Path) -> std::io::Result<()>,
) -> Result<f64, String> {
    let guest = bench.pve().join("firewall/110.fw");
    first_rule(&guest, "IN ACCEPT -p tcp -dport 9999").map_err(|e| e.to_string())?;
    let mut child = bench.apply(&right(), &[]);
    bench.armed(On::Node)?;
    sabotage(&bench.pve()).map_err(|e| e.to_string())?;
    let since = cut(bench, &mut child, targets)?;
    let seconds = back(bench, since)?;
    reverted(bench, &mut child)?;
    Ok(seconds)
}

fn sabotaged_guest(bench: &Bench, command: &str) -> Result<f64, String> {
    bench.demand(On::Guest, "ufw allow 9999/tcp")?;
    // Done by the guest itself the moment that infra has written: before, infra would write over it; later, it would
    // have confirmed. The file of IPv6 is written last.
    let wait = "while grep -q 9999 /etc/ufw/user6.rules; do sleep 0.05; done";
    let waiter = format!(
        "systemd-run --quiet sh -c {}",
        quoted(&format!("{wait}; {command}"))
    );
    bench.demand(On::Guest, &waiter)?;
    let mut child = bench.apply(&right(), &[]);
    let since = cut(bench, &mut child, &[GUEST])?;
    let seconds = back(bench, since)?;
    reverted(bench, &mut child)?;
    Ok(seconds)
}

/// A change that somebody disturbs all the time is kept whole or taken back whole, and what is said of it is so.
fn reloaded_meanwhile(bench: &Bench) -> Result<f64, String> {
    bench.demand(On::Guest, "ufw allow 9999/tcp")?;
    let armed = "[ -e /var/lib/infra/guard/armed ]";
    let reloads =
        format!("until {armed}; do sleep 0.05; done; while {armed}; do ufw reload; sleep 1; done");
    let reloader = format!("systemd-run --quiet sh -c '{reloads}'");
    bench.demand(On::Guest, &reloader)?;
    let since = Instant::now();
    let mut child = bench.apply(&right(), &["--on", "web"]);
    let status = child.0.wait().map_err(|error| error.to_string())?;
    let seconds = since.elapsed().as_secs_f64();
    let plan = bench.infra(&["--lab", "firewall", "plan", "--exit-code"]);
    match (status.code(), plan.status.code()) {
        (Some(0), Some(0)) | (Some(9), Some(4)) => Ok(seconds),
        _ => Err(format!("{status}\n{}\n{}", bench.log(), said(&plan))),
    }
}

/// A switch that nothing will ever fire: the next run finds it and puts back what it holds.
fn left_behind(bench: &Bench) -> Result<f64, String> {
    let mut dead = mistaken_apply(bench, &["--on", "web"]);
    bench.armed(On::Guest)?;
    dead.kill();
    bench.demand(On::Guest, "systemctl stop infra-guard.timer")?;
    let since = Instant::now();
    bench.demand(On::Guest, "ufw allow 9999/tcp")?;
    let mut next = bench.apply(&right(), &[]);
    reverted(bench, &mut next)?;
    back(bench, since)
}

/// `infra firewall matrix --live` derives the matrix back from what the machines enforce.
fn live_matrix(bench: &Bench) -> Result<f64, String> {
    let since = Instant::now();
    let looked = bench.infra(&["--lab", "firewall", "matrix", "--live"]);
    let text = said(&looked);
    let agrees = text.contains("The live rules do what the inventory says.");
    if !looked.status.success() || !agrees || !text.contains("site") {
        return Err(format!("as it should be: {text}"));
    }
    // Both layers before the guest get the same hole: one alone opens nothing.
    let guest = bench.pve().join("firewall/110.fw");
    first_rule(&guest, "IN ACCEPT -p tcp -dport 9999").map_err(|e| e.to_string())?;
    bench.demand(On::Guest, "ufw allow 9999/tcp")?;
    let looked = bench.infra(&["--lab", "firewall", "matrix", "--live"]);
    let text = said(&looked);
    let names = [
        "Proxmox, in of web opens 9999/tcp",
        "UFW, in of web opens 9999/tcp",
    ];
    if looked.status.code() != Some(12) || names.iter().any(|name| !text.contains(name)) {
        return Err(format!("with a hole: {text}"));
    }
    Ok(since.elapsed().as_secs_f64())
}
