//! Two recorded runs against a real Proxmox VE 9.2.11, replayed in their order: the lab must answer alike.

use crate::{
    bench::{As, Bench, Reply, SECRET, Sent, root},
    coverage::{Coverage, DOCUMENT},
    shape,
};
use infra::{
    lab::{
        api::{CatalogueImage, Clock},
        backend::Powerless,
    },
    model::ids::Vmid,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const COMMITTED: &str = "tests/lab_api/recordings.jsonl";
const SHARED: &str = "../shared/data/pve-recordings-9.2.11.jsonl";

/// Exchanges that are answered alike. Raise it when the lab learns; it may never sink.
const ALIKE: usize = 441;

/// Exchanges recorded.
const RECORDED: usize = 450;

#[derive(Debug, Clone, serde::Deserialize)]
struct Exchange {
    run: u32,
    note: String,
    #[serde(rename = "as")]
    who: Option<String>,
    method: String,
    path: String,
    form: Option<BTreeMap<String, Value>>,
    query: Option<BTreeMap<String, Value>>,
    json: Option<Value>,
    raw: Option<String>,
    status: u16,
    reason: String,
    body: Option<Value>,
    body_text: Option<String>,
    elapsed_ms: u64,
}

fn recordings(path: &str) -> Option<Vec<Exchange>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()?;
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).expect("an exchange"))
            .collect(),
    )
}

type Step<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// What the recorded machine had: an image on the shelf and behind a URL, an `ops` token with a role of its own.
async fn world(run: u32) -> (Bench, String) {
    let folder = tempfile::tempdir().expect("folder");
    let backend = Arc::new(Powerless::default());
    backend.memory(|memory| {
        memory.agent = Some(agent);
        memory.directories.insert(PathBuf::from("/srv/tank"));
    });
    let mut config = crate::bench::config(folder.path(), Arc::clone(&backend), Clock::manual());
    config.storages.remove("local-zfs");
    config.tokens.remove("infra@pve!lab");
    let import = folder.path().join("var/lib/vz/import");
    fs::create_dir_all(&import).expect("folder");
    let image = import.join("trixie-cloud.qcow2");
    let mut file = fs::File::create(&image).expect("image");
    file.write_all(&crate::bench::qcow2(2 << 30))
        .expect("written");
    file.set_len(182_386_688).expect("sparse");
    let known = "72f946b677e4eb2f5e1aa06e3b3aafb09200b69fd3bb085e209616a50af03d04";
    let image = CatalogueImage {
        file: image,
        sha256: Some(known.to_owned()),
    };
    config
        .catalogue
        .insert("http://10.77.0.2:8099/trixie-cloud.qcow2".to_owned(), image);
    let bench = Bench::start(folder, backend, config);
    let role = "Datastore.AllocateSpace,Datastore.AllocateTemplate,Datastore.Audit,Pool.Audit,SDN.Audit,SDN.Use,\
        Sys.AccessNetwork,Sys.Audit,VM.Allocate,VM.Audit,VM.Clone,VM.Config.CDROM,VM.Config.CPU,VM.Config.Cloudinit,\
        VM.Config.Disk,VM.Config.HWType,VM.Config.Memory,VM.Config.Network,VM.Config.Options,VM.Console,\
        VM.GuestAgent.Audit,VM.PowerMgmt,VM.Snapshot,VM.Snapshot.Rollback";
    let steps: [Step; 5] = [
        (
            "POST",
            "/access/roles",
            &[("roleid", "Provisioner"), ("privs", role)],
        ),
        ("POST", "/access/users", &[("userid", "ops@pve")]),
        ("POST", "/access/users/ops@pve/token/ci", &[]),
        (
            "PUT",
            "/access/acl",
            &[
                ("path", "/"),
                ("users", "ops@pve"),
                ("roles", "Provisioner"),
            ],
        ),
        (
            "PUT",
            "/access/acl",
            &[
                ("path", "/"),
                ("tokens", "ops@pve!ci"),
                ("roles", "Provisioner"),
            ],
        ),
    ];
    let mut secret = String::new();
    for (method, path, form) in steps {
        let reply = bench.form(method, path, form).await;
        assert_eq!(reply.status, 200, "run {run}: {path}: {reply:?}");
        if let Some(value) = reply.body["data"]["value"].as_str() {
            value.clone_into(&mut secret);
        }
    }
    (bench, secret)
}

/// What the agent of the recorded guest said.
fn agent(command: &Value) -> Value {
    let counters = json!({"rx-bytes": 0, "rx-dropped": 0, "rx-errs": 0, "rx-packets": 0, "tx-bytes": 0, "tx-dropped": 0,
        "tx-errs": 0, "tx-packets": 0});
    let card = |name: &str, mac: &str, four: &str, six: &str| {
        json!({"name": name, "hardware-address": mac, "statistics": counters, "ip-addresses": [
            {"ip-address": four, "ip-address-type": "ipv4", "prefix": 8},
            {"ip-address": six, "ip-address-type": "ipv6", "prefix": 128}]})
    };
    let arguments = &command["arguments"];
    match command["execute"].as_str().expect("a command") {
        "guest-ping" | "guest-file-close" => json!({"return": {}}),
        "guest-network-get-interfaces" => json!({"return": [
            card("lo", "00:00:00:00:00:00", "127.0.0.1", "::1"),
            card("eth0", "bc:24:11:5f:bc:1c", "10.77.0.150", "fe80::be24:11ff:fe5f:bc1c")]}),
        "guest-get-osinfo" => {
            json!({"return": {"id": "debian", "kernel-release": "6.12", "kernel-version": "#1",
            "machine": "x86_64", "name": "Debian GNU/Linux", "pretty-name": "Debian GNU/Linux 13 (trixie)",
            "version": "13 (trixie)", "version-id": "13"}})
        }
        "guest-get-host-name" => json!({"return": {"host-name": "intranet"}}),
        "guest-file-open" if arguments["path"] == "/nope" => {
            let text = "failed to open file '/nope' (mode: 'r'): No such file or directory";
            json!({"error": {"class": "GenericError", "desc": text}})
        }
        "guest-file-open" => json!({"return": 1000}),
        "guest-file-read" => json!({"return": {"count": 4, "buf-b64": "a2V5Cg==", "eof": true}}),
        "guest-exec" => json!({"return": {"pid": 615}}),
        "guest-exec-status" => json!({"return": {"exited": false}}),
        other => panic!("{other} was not recorded"),
    }
}

/// One run on its way.
struct Replay {
    bench: Bench,
    secret: String,
    /// Recorded value -> ours: UPIDs, digests, process ids.
    names: BTreeMap<String, String>,
}

impl Replay {
    fn ours(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (theirs, ours) in &self.names {
            text = text.replace(theirs, ours);
        }
        text
    }

    /// Waits in the node's time until no job runs, as the recorder did between its steps.
    async fn settle(&self) {
        for _ in 0..500 {
            let running = self.bench.get("/nodes/pve/tasks?source=active").await;
            if running == json!([]) {
                return;
            }
            self.bench.world.clock().advance(0.2);
        }
        panic!("a job does not end");
    }

    async fn exchange(&mut self, exchange: &Exchange) -> Reply {
        let is_job = exchange.path.contains("/tasks/UPID");
        if !is_job {
            self.settle().await;
        }
        self.stage(exchange).await;
        if is_job && wants_end(exchange) {
            self.settle().await;
        }
        let who = match (exchange.who.as_deref(), exchange.note.as_str()) {
            (Some("root"), _) => root(),
            (Some("ops"), _) => As::Token(format!("ops@pve!ci={}", self.secret)),
            (_, "bad token secret") => As::Token(format!("root@pam!test=0{SECRET}")),
            _ => As::Nobody,
        };
        if exchange.path.ends_with("/upload") {
            let form = exchange.form.as_ref().expect("parameters");
            let content = form["content"].as_str().expect("a text");
            let name = if content == "iso" {
                "seed-150.iso"
            } else {
                "x.yaml"
            };
            return self
                .bench
                .upload(&who, "local", content, name, &[0; 4096])
                .await;
        }
        let path = self.ours(&exchange.path);
        let texts = |fields: &Option<BTreeMap<String, Value>>| {
            let fields = fields.iter().flatten();
            fields
                .map(|(name, value)| (name.clone(), self.ours(value.as_str().expect("a text"))))
                .collect::<Vec<_>>()
        };
        let (form, query) = (texts(&exchange.form), texts(&exchange.query));
        let borrowed = |pairs: &'_ [(String, String)]| -> Vec<(String, String)> { pairs.to_vec() };
        let pairs = if form.is_empty() {
            borrowed(&query)
        } else {
            borrowed(&form)
        };
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let body = exchange.json.as_ref().map(Value::to_string);
        let sent = match (&body, &exchange.raw) {
            (Some(json), _) => Sent::Raw("application/json", json),
            (None, Some(raw)) if raw.is_empty() => Sent::Raw("application/json", raw),
            (None, Some(raw)) => Sent::Raw("application/x-www-form-urlencoded", raw),
            (None, None) if exchange.form.is_some() => Sent::Form(&pairs),
            (None, None) if exchange.query.is_some() => Sent::Query(&pairs),
            (None, None) => Sent::Nothing,
        };
        let answer = self.bench.send(&who, &exchange.method, &path, sent);
        if exchange.elapsed_ms < 900 {
            return answer.await;
        }
        // The node takes its time over this one: let its clock run until the answer is there.
        tokio::pin!(answer);
        loop {
            tokio::select! {
                biased;
                reply = &mut answer => return reply,
                () = tokio::time::sleep(Duration::from_millis(5)) => self.bench.world.clock().advance(0.5),
            }
        }
    }

    /// What happened beside the API while it was recorded.
    async fn stage(&self, exchange: &Exchange) {
        let guest = Vmid::new(150).expect("valid");
        match exchange.note.as_str() {
            "cluster resources after a statistics round" => self.bench.world.clock().advance(10.0),
            // qmeventd had started it again.
            "stop" if exchange.run == 1 => {
                while self.bench.get("/nodes/pve/qemu/150/status/current").await["status"]
                    != "running"
                {
                    self.bench.world.clock().advance(0.2);
                }
            }
            "agent ping, up" => drop(
                self.bench
                    .backend
                    .memory(|memory| memory.agents.insert(guest)),
            ),
            "start right after stop (may lose the race for the lock)" => {
                self.bench
                    .backend
                    .memory(|memory| memory.agents.remove(&guest));
            }
            _ => {}
        }
    }

    fn learn(&mut self, theirs: &Value, ours: &Value) {
        match (theirs, ours) {
            (Value::Object(theirs), Value::Object(ours)) => {
                for (name, value) in theirs {
                    if let Some(own) = ours.get(name) {
                        if name == "digest" {
                            self.name(value, own);
                        }
                        self.learn(value, own);
                    }
                }
            }
            (Value::Array(theirs), Value::Array(ours)) => {
                for (value, own) in theirs.iter().zip(ours) {
                    self.learn(value, own);
                }
            }
            (Value::String(text), _) if text.starts_with("UPID:") => self.name(theirs, ours),
            _ => {}
        }
    }

    fn name(&mut self, theirs: &Value, ours: &Value) {
        if let (Some(theirs), Some(ours)) = (theirs.as_str(), ours.as_str()) {
            self.names.insert(theirs.to_owned(), ours.to_owned());
        }
    }
}

fn wants_end(exchange: &Exchange) -> bool {
    let status = exchange
        .body
        .as_ref()
        .map_or(&Value::Null, |body| &body["data"]["status"]);
    status != "running"
}

/// Status, errors, messages and exit states word for word; everything else by fields and types.
fn compare(exchange: &Exchange, reply: &Reply) -> Vec<String> {
    let mut found = Vec::new();
    if reply.status != exchange.status {
        return vec![format!(
            "status {} ({}), recorded {}",
            reply.status, reply.reason, exchange.status
        )];
    }
    let empty = Value::Null;
    let theirs = exchange.body.as_ref().unwrap_or(&empty);
    if exchange.status >= 400 {
        for name in ["message", "errors"] {
            if theirs[name] != reply.body[name] {
                found.push(format!(
                    "{name} {}, recorded {}",
                    reply.body[name], theirs[name]
                ));
            }
        }
        if reply.reason != exchange.reason {
            found.push(format!(
                "reason {:?}, recorded {:?}",
                reply.reason, exchange.reason
            ));
        }
    }
    if let Some(text) = &exchange.body_text
        && *text != reply.text
    {
        found.push(format!("text {:?}, recorded {text:?}", reply.text));
    }
    let exit = &theirs["data"]["exitstatus"];
    if exit.is_string() && *exit != reply.body["data"]["exitstatus"] {
        found.push(format!(
            "exit status {}, recorded {exit}",
            reply.body["data"]["exitstatus"]
        ));
    }
    found.extend(shape::differences(theirs, &reply.body));
    found
}

async fn replay(recordings: &[Exchange]) -> Coverage {
    let mut coverage = Coverage::new();
    for run in [1, 2] {
        let (bench, secret) = world(run).await;
        let mut player = Replay {
            bench,
            secret,
            names: BTreeMap::new(),
        };
        for exchange in recordings.iter().filter(|exchange| exchange.run == run) {
            let reply = player.exchange(exchange).await;
            if let Some(body) = &exchange.body {
                player.learn(body, &reply.body);
            }
            let found = compare(exchange, &reply);
            coverage.count(&exchange.method, &exchange.path, &exchange.note, &found);
        }
    }
    coverage
}

#[tokio::test]
async fn recorded_exchanges_are_answered_alike() {
    let committed = recordings(COMMITTED).expect("the committed recordings");
    if let Some(shared) = recordings(SHARED) {
        assert_eq!(
            shared.len(),
            RECORDED,
            "the recordings have changed: copy them"
        );
        assert_eq!(
            committed.len(),
            shared.len(),
            "the committed copy is not complete"
        );
    }
    let coverage = replay(&committed).await;
    let text = coverage.document();
    println!("{text}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
    if std::env::var_os("LAB_COVERAGE_UPDATE").is_some() {
        fs::write(&path, &text).expect("written");
    }
    assert_eq!(
        coverage.alike(),
        ALIKE,
        "of {RECORDED} recorded exchanges\n{}",
        coverage.deviations().join("\n")
    );
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        kept, text,
        "run this test with LAB_COVERAGE_UPDATE=1 to write {DOCUMENT} anew"
    );
}
