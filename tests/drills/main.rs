//! Ways to cut oneself off, and the way back that nobody has to walk.
//!
//! A real node and a real guest in namespaces; infra sits in the operator's namespace, so a cut really cuts it. Each
//! drill ends when a NEW connection to the API, the node's SSH and the guest's SSH comes in again, by itself. The quick
//! ones run with every test; all of them with `INFRA_DRILLS=all`, then with the guard's own 45 s.

#![expect(
    clippy::disallowed_methods,
    reason = "runs programs of this machine and looks at what they left"
)]

mod bench;
mod drill;
mod window;

use bench::{Bench, ready};
use drill::{DRILLS, Drill};
use std::io::Write as _;

#[test]
fn access_comes_back_by_itself_whatever_cut_it() {
    if !ready() {
        return;
    }
    let all = std::env::var_os("INFRA_DRILLS").is_some_and(|value| value == "all");
    let only = std::env::var("INFRA_DRILL").ok();
    let chosen = |drill: &&Drill| match &only {
        Some(names) => names.split(',').any(|name| drill.name.contains(name)),
        None => all || drill.quick,
    };
    let bench = Bench::up(if all { 45 } else { 8 });
    let mut failed = Vec::new();
    let mut stderr = std::io::stderr();
    for drill in DRILLS.iter().filter(chosen) {
        let outcome = (drill.run)(&bench);
        let mended = bench.mend();
        let told = match (&outcome, &mended) {
            (Ok(seconds), Ok(())) => format!("back after {seconds:.1} s"),
            (Err(why), _) | (_, Err(why)) => {
                failed.push(format!("{}: {why}", drill.name));
                format!("FAILED: {why}")
            }
        };
        writeln!(stderr, "drill {}: {told}", drill.name).expect("stderr");
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
