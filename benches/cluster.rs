//! What a cluster costs: the requests, the time and the memory of a plan over 5 nodes and 500 guests, and 500 guests made
//! side by side without a lock that was not obtained in time.
//!
//! The lab answers in the same process, so time and memory are those of both sides.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement reads the clock and prints"
)]

#[path = "../tests/cluster/farm.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod farm;

use farm::Farm;
use infra::plan::change::Operation;
use std::time::Instant;

const NODES: usize = 5;
const GUESTS: usize = 500;

#[tokio::main]
async fn main() {
    let farm = Farm::new(NODES, GUESTS);
    let client = farm.client();
    let first = farm.plan(&client).await;
    let begun = Instant::now();
    let receipt = farm.apply(&first).await;
    let failed: Vec<_> = receipt.failed().collect();
    assert!(receipt.is_complete(), "{failed:#?}");
    let made = first
        .changes
        .iter()
        .filter(|change| matches!(change.operation, Operation::CreateGuest { .. }));
    println!(
        "apply: {} guests made, {} changes in {:.1} s, no lock error",
        made.count(),
        first.changes.len(),
        begun.elapsed().as_secs_f64()
    );
    let count = || farm.lab.requests_by_endpoint().values().sum::<u64>();
    let before = count();
    let begun = Instant::now();
    let second = farm.plan(&client).await;
    let (took, asked) = (begun.elapsed(), count() - before);
    assert!(second.is_empty(), "{:#?}", second.changes);
    println!(
        "plan: {NODES} nodes, {GUESTS} guests: {:.2} s, {asked} requests, peak {} MiB with the lab",
        took.as_secs_f64(),
        peak_mib()
    );
    assert!(took.as_secs() < 5, "a plan takes less than 5 s");
    assert!(
        peak_mib() < 150,
        "client and lab together stay below 150 MiB"
    );
}

/// `VmHWM` of this process.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
