//! How much a run costs when nothing is to be done: connections, commands and time.

use crate::lab::{Lab, Place, addresses, ready, said};
use std::{
    fs,
    time::{Duration, Instant},
};

/// One connection would do; a second is allowed for what must be proven anew.
const CONNECTIONS: usize = 2;
/// The lock is taken and given back, the host is looked at once, and its checks run.
const COMMANDS: usize = 5;

#[test]
fn a_run_with_nothing_to_do_is_cheap() {
    if !ready() {
        return;
    }
    let lab = Lab::with_flagship();
    let places = [Place::Node, Place::Intranet, Place::Extranet];
    // sshd says what it is asked to run when it is told to say more. The file is nobody's, so it is no drift.
    for place in places {
        lab.at(
            place,
            "echo 'LogLevel VERBOSE' > /etc/ssh/sshd_config.d/99-count.conf; systemctl reload ssh",
        );
    }
    for (verb, args) in [("plan", &["plan"][..]), ("up", &["up", "--yes"][..])] {
        let marks = places.map(|place| {
            lab.at(
                place,
                "journalctl -n 0 --show-cursor | sed -n 's/^-- cursor: //p'",
            )
        });
        let begun = Instant::now();
        let output = lab.run(args);
        let took = begun.elapsed().as_secs_f64();
        assert!(output.status.success(), "{}", said(&output));
        for (place, mark) in places.into_iter().zip(marks) {
            // Our own look comes after: its lines are of a connection that is still open, so they are the last ones.
            let log = lab.at(
                place,
                &format!("journalctl -o cat --after-cursor='{mark}' -t sshd -t sshd-session"),
            );
            let count = |words: &str| log.lines().filter(|line| line.contains(words)).count() - 1;
            let (connections, commands) =
                (count("Accepted publickey"), count("Starting session: "));
            println!("{verb}: {place:?}: {connections} connections, {commands} commands");
            assert!(connections <= CONNECTIONS, "{verb}: {place:?}:\n{log}");
            assert!(commands <= COMMANDS, "{verb}: {place:?}:\n{log}");
            assert!(commands > 0, "nothing was counted on {place:?}:\n{log}");
        }
        println!("{verb} took {took:.1} s");
    }
    for place in places {
        lab.at(
            place,
            "rm /etc/ssh/sshd_config.d/99-count.conf; systemctl reload ssh",
        );
    }
    // The best of some: another program may want the machine now and then.
    let best = (0..5)
        .map(|_| {
            let begun = Instant::now();
            let output = lab.up(&["--no-verify"]);
            assert!(output.status.success(), "{}", said(&output));
            begun.elapsed()
        })
        .min()
        .expect("five");
    println!("up with nothing to do: {:.2} s at best", best.as_secs_f64());
    let load = fs::read_to_string("/proc/loadavg").expect("readable");
    let load: f64 = load
        .split(' ')
        .next()
        .and_then(|load| load.parse().ok())
        .expect("a number");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if best >= Duration::from_secs(3) {
        let busy = load >= f64::from(u32::try_from(cores).expect("few")) * 2.0;
        assert!(busy, "{best:?} at load {load}");
        println!("the machine is busy with other work (load {load}): the time is not judged");
    }
    assert!(addresses(&lab.plan()).is_empty());
}
