//! What a cluster costs: the requests, the time and the memory of a plan over 5 nodes and 500 guests, and 500 guests made
//! side by side without a lock that was not obtained in time.
//!
//! The lab is a process of its own, so time and memory are those of infra: loading the inventory, compiling the matrix,
//! looking, comparing. The lab answers on the same machine and takes its share of the time.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement starts a process, reads the clock and prints"
)]

#[path = "../tests/cluster/farm.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod farm;

use farm::{Farm, Wanted, wish};
use infra::{
    firewall,
    model::{
        desired::{ApiAuth, TlsTrust},
        secret::SecretValues,
    },
    plan::change::Operation,
    providers::proxmox::{Client, ClientOptions},
};
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
    time::Instant,
};

const NODES: usize = 5;
const GUESTS: usize = 500;

/// What a plan may ask beside one question for each guest.
const FOR_EACH_NODE: u64 = 8;
const FOR_THE_CLUSTER: u64 = 24;

/// The argument that makes this process the lab.
const LAB: &str = "--the-lab";

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == LAB) {
        serve().await;
    } else {
        measure().await;
    }
}

/// The lab with its guests: says where it is, then answers a word a line.
async fn serve() {
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
    let api = farm.desired.proxmox.as_ref().expect("has one");
    let TlsTrust::Fingerprint(pin) = &api.tls else {
        panic!("pinned")
    };
    let told = serde_json::json!({
        "apply": format!(
            "apply: {} guests made, {} changes in {:.1} s, no lock error",
            made.count(),
            first.changes.len(),
            begun.elapsed().as_secs_f64()
        ),
        "host": api.host,
        "port": api.port,
        "pin": pin,
    });
    println!("{told}");
    for line in std::io::stdin().lines() {
        match line.expect("a word").as_str() {
            "requests" => println!("{}", farm.lab.requests_by_endpoint().values().sum::<u64>()),
            "files" => println!("{}", serde_json::json!(farm.lab.firewall_files())),
            _ => return,
        }
    }
}

/// The lab as its operator sees it.
struct Lab {
    child: Child,
    words: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Lab {
    fn start() -> (Self, serde_json::Value) {
        let own = std::env::current_exe().expect("known");
        let mut child = Command::new(own)
            .arg(LAB)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let (words, answers) = (child.stdin.take(), child.stdout.take());
        let mut lab = Self {
            child,
            words: words.expect("piped"),
            answers: BufReader::new(answers.expect("piped")).lines(),
        };
        let told = lab.answer();
        (lab, told)
    }

    fn answer(&mut self) -> serde_json::Value {
        let line = self.answers.next().expect("the lab is there");
        serde_json::from_str(&line.expect("a line")).expect("JSON")
    }

    fn ask(&mut self, word: &str) -> serde_json::Value {
        writeln!(self.words, "{word}").expect("heard");
        self.answer()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // It ends by itself when nobody speaks to it any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn measure() {
    let (lab, told) = Lab::start();
    println!("{}", told["apply"].as_str().expect("text"));
    let folder = tempfile::tempdir().expect("a folder");
    let begun = Instant::now();
    let mut desired = wish(folder.path(), &farm::inventory(NODES, GUESTS));
    let compiled = firewall::compile(&desired).0;
    let loaded = begun.elapsed();
    let api = desired.proxmox.as_mut().expect("has one");
    told["host"]
        .as_str()
        .expect("text")
        .clone_into(&mut api.host);
    api.port = u16::try_from(told["port"].as_u64().expect("a number")).expect("a port");
    api.tls = TlsTrust::Fingerprint(serde_json::from_value(told["pin"].clone()).expect("a pin"));
    let ApiAuth::Token { secret, .. } = &api.auth else {
        panic!("a token")
    };
    let mut secrets = SecretValues::default();
    secrets.insert(secret.clone(), farm::SECRET.to_owned().into());
    let client = Client::connect(api, &secrets, ClientOptions::default()).expect("a client");
    let wanted = Wanted {
        desired: &desired,
        firewall: &compiled,
        secrets: &secrets,
    };
    let lab = Arc::new(Mutex::new(lab));
    let ask = |word: &str| lab.lock().expect("nobody panicked").ask(word);
    let before = ask("requests").as_u64().expect("a number");
    let teller = Arc::clone(&lab);
    let files = move || -> BTreeMap<String, String> {
        let told = teller.lock().expect("nobody panicked").ask("files");
        serde_json::from_value(told).expect("files")
    };
    let begun = Instant::now();
    let plan = wanted.plan(&client, Some(Box::new(files))).await;
    let took = begun.elapsed();
    assert!(plan.is_empty(), "{:#?}", plan.changes);
    let asked = ask("requests").as_u64().expect("a number") - before;
    println!(
        "plan: {NODES} nodes, {GUESTS} guests: inventory {:.2} s, look and compare {:.2} s, {asked} requests, peak {} MiB",
        loaded.as_secs_f64(),
        took.as_secs_f64(),
        peak_mib()
    );
    let enough = GUESTS as u64 + FOR_EACH_NODE * NODES as u64 + FOR_THE_CLUSTER;
    assert!(
        asked <= enough,
        "{asked} requests; one for each guest and a few for each node are {enough}"
    );
    assert!((loaded + took).as_secs() < 5, "a plan takes less than 5 s");
    assert!(peak_mib() < 150, "infra stays below 150 MiB");
}

/// `VmHWM` of this process.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
