//! What a look at 40 stacks on 5 hosts costs when nothing has changed: one command a host, and less than two seconds.
//!
//! The lab is another process and answers over real SSH; the time is that of the whole program, from its start to its end.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement runs the program, reads the clock and prints"
)]

#[path = "../tests/days/forty.rs"]
mod forty;
#[path = "../tests/days/lab.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod lab;

use forty::{HOSTS, STACKS};
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const LIMIT: Duration = Duration::from_secs(2);

fn main() {
    let lab = forty::running();
    let execs = || -> u64 {
        let report = lab.report();
        let of_host = |host: usize| report["visits"][format!("h{host}")]["execs"].as_u64();
        (1..=HOSTS)
            .map(|host| of_host(host).expect("counted"))
            .sum()
    };
    let before = execs();
    let round = |_| {
        let begun = Instant::now();
        lab.run(&["--lab", "stack", "plan", "--exit-code"])
            .says(0, &["Nothing to change"]);
        begun.elapsed()
    };
    let times: Vec<Duration> = (0..ROUNDS).map(round).collect();
    let (best, worst) = (times.iter().min(), times.iter().max());
    let asked = execs() - before;
    println!(
        "stack plan: {STACKS} stacks on {HOSTS} hosts, nothing changed: {best:.2?} to {worst:.2?}, {asked} commands in {ROUNDS} runs",
        best = best.expect("ran"),
        worst = worst.expect("ran"),
    );
    let wanted = u64::try_from(ROUNDS * HOSTS).expect("small");
    assert_eq!(asked, wanted, "one command a host");
    assert!(best < Some(&LIMIT), "less than {LIMIT:?}");
}
