//! The lab's own programs, run as they are: they must read what infra renders, and fail when it is wrong.

use axum::{Json, Router, extract::Query, routing::get};
use base64::{Engine, engine::general_purpose::STANDARD};
use infra::lab::images::stand_ins::catalogue;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Debian's own interpreter, as in the images.
const PYTHON: &str = "/usr/bin/python3";

fn python_has(module: &str) -> bool {
    let import = Command::new(PYTHON)
        .args(["-c", &format!("import {module}")])
        .stderr(Stdio::null())
        .status();
    let there = import.is_ok_and(|status| status.success());
    if !there {
        println!("skipped: {PYTHON} with {module} is not installed");
    }
    there
}

/// Writes a stand-in's files below `folder`.
fn unpack(name: &str, folder: &Path) -> PathBuf {
    for (path, bytes) in &catalogue().stand_ins[name].files {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, bytes).expect("written");
    }
    folder.join("usr/local/bin").join(name)
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("ended");
    }
}

fn command(program: &Path, env: &[(&str, String)]) -> Command {
    let mut command = Command::new(PYTHON);
    command
        .arg("-u")
        .arg(program)
        .env_clear()
        .envs(env.iter().map(|(k, v)| (k, v)));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts it and waits until it says where it listens: the number behind `word`.
fn start(program: &Path, env: &[(&str, String)], word: &str) -> (Running, SocketAddr) {
    let mut child = command(program, env).spawn().expect("started");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    output.read_line(&mut line).expect("a line");
    let digits = line.split_once(word).map(|(_, rest)| {
        rest.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
    });
    let Some(port) = digits.and_then(|digits| digits.parse::<u16>().ok()) else {
        let mut errors = String::new();
        child
            .stderr
            .take()
            .expect("piped")
            .read_to_string(&mut errors)
            .expect("text");
        panic!("it did not start: {line}{errors}");
    };
    (Running(child), SocketAddr::from(([127, 0, 0, 1], port)))
}

/// What it says when it refuses to start.
fn refusal(program: &Path, env: &[(&str, String)]) -> String {
    let output = command(program, env).output().expect("started");
    assert!(!output.status.success(), "it must not start");
    String::from_utf8(output.stderr).expect("text")
}

async fn ask(addr: SocketAddr, path: &str, login: Option<&str>) -> (u16, Value) {
    let mut request = crate::support::plain_client().get(format!("http://{addr}{path}"));
    if let Some(login) = login {
        request = request.header("authorization", format!("Basic {}", STANDARD.encode(login)));
    }
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

fn text(path: &Path) -> String {
    path.to_str().expect("text").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jellyfin_is_the_same_server_as_long_as_its_configuration_is_kept() {
    if !python_has("http.server") {
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    let program = unpack("jellyfin", folder.path());
    let (config, media) = (folder.path().join("config"), folder.path().join("media"));
    fs::create_dir_all(&config).expect("made");
    let env = vec![
        ("JELLYFIN_CONFIG_DIR", text(&config)),
        ("JELLYFIN_CACHE_DIR", text(folder.path())),
        ("LAB_MEDIA_DIR", text(&media)),
        ("LAB_PORT", "0".to_owned()),
    ];
    let said = refusal(&program, &env);
    assert!(said.contains("media, and it is not there"), "{said}");

    fs::create_dir_all(media.join("films")).expect("made");
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (_running, addr) = start(&program, &env, "listens on ");
        assert_eq!(ask(addr, "/health", None).await, (200, json!("Healthy")));
        assert_eq!(
            ask(addr, "/Library/VirtualFolders", None).await.1[0]["Name"],
            "films"
        );
        ids.push(ask(addr, "/System/Info/Public", None).await.1["Id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    fs::remove_dir_all(&config).expect("removed");
    fs::create_dir(&config).expect("made");
    let (_running, addr) = start(&program, &env, "listens on ");
    assert_ne!(ask(addr, "/System/Info/Public", None).await.1["Id"], ids[0]);
    let mut lost = env.clone();
    lost[0].1 = text(&folder.path().join("nowhere"));
    let said = refusal(&program, &lost);
    assert!(said.contains("nowhere' is denied: No such file"), "{said}");
}

/// Answers like Prometheus for one expression.
async fn prometheus() -> SocketAddr {
    let query = get(|Query(asked): Query<BTreeMap<String, String>>| async move {
        Json(json!({"status": "success", "data": {"asked": asked["query"]}}))
    });
    let router = Router::new().route("/api/v1/query", query);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("bound");
    let addr = listener.local_addr().expect("address");
    tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
    addr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grafana_reads_its_provisioning_and_really_asks_its_data_sources() {
    if !python_has("yaml") {
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    let program = unpack("grafana", folder.path());
    let (data, provisioning) = (
        folder.path().join("data"),
        folder.path().join("provisioning"),
    );
    let (sources, dashboards) = (
        provisioning.join("datasources"),
        provisioning.join("dashboards"),
    );
    for made in [&data, &sources, &dashboards] {
        fs::create_dir_all(made).expect("made");
    }
    let password = folder.path().join("password");
    fs::write(&password, "right\n").expect("written");
    let env = [
        ("GF_PATHS_DATA", text(&data)),
        ("GF_PATHS_PROVISIONING", text(&provisioning)),
        ("GF_SERVER_HTTP_PORT", "0".to_owned()),
        ("GF_SECURITY_ADMIN_PASSWORD__FILE", text(&password)),
    ];
    let source = |name: &str, url: &str| {
        format!(
            "datasources:\n  - {{name: {name}, uid: {name}, type: prometheus, access: proxy, url: \"{url}\"}}\n"
        )
    };
    fs::write(
        sources.join("a.yaml"),
        source("real", &format!("http://{}", prometheus().await)),
    )
    .expect("written");
    fs::write(
        sources.join("b.yaml"),
        source("wrong", "http://127.0.0.1:1"),
    )
    .expect("written");
    fs::write(
        dashboards.join("d.yaml"),
        format!(
            "providers:\n  - {{name: x, folder: lab, options: {{path: \"{}\"}}}}\n",
            text(&dashboards)
        ),
    )
    .expect("written");
    fs::write(
        dashboards.join("d.json"),
        r#"{"uid": "hosts", "title": "Hosts"}"#,
    )
    .expect("written");

    let (running, addr) = start(&program, &env, "port=");
    let admin = Some("admin:right");
    assert_eq!(ask(addr, "/api/health", None).await.0, 200);
    assert_eq!(ask(addr, "/api/datasources", None).await.0, 401);
    assert_eq!(
        ask(addr, "/api/datasources", Some("admin:wrong")).await.0,
        401
    );
    assert_eq!(
        ask(addr, "/api/datasources", admin).await.1[0]["name"],
        "real"
    );
    assert_eq!(
        ask(addr, "/api/datasources/uid/real/health", admin).await.0,
        200
    );
    let (status, why) = ask(addr, "/api/datasources/uid/wrong/health", admin).await;
    assert_eq!(status, 400);
    assert!(
        why["message"].as_str().expect("text").contains("refused"),
        "{why}"
    );
    assert_eq!(
        ask(addr, "/api/datasources/uid/absent/health", admin)
            .await
            .0,
        404
    );
    let (status, answer) = ask(
        addr,
        "/api/datasources/proxy/uid/real/api/v1/query?query=up",
        admin,
    )
    .await;
    assert_eq!((status, &answer["data"]["asked"]), (200, &json!("up")));
    assert_eq!(
        ask(addr, "/api/search", admin).await.1[0]["folderTitle"],
        "lab"
    );
    assert_eq!(
        ask(addr, "/api/dashboards/uid/hosts", admin).await.1["dashboard"]["title"],
        "Hosts"
    );
    drop(running);

    fs::write(&password, "another").expect("written");
    let (running, addr) = start(&program, &env, "port=");
    assert_eq!(
        ask(addr, "/api/org", admin).await.0,
        200,
        "made once, like Grafana's own"
    );
    assert_eq!(ask(addr, "/api/org", Some("admin:another")).await.0, 401);
    drop(running);

    fs::write(sources.join("c.yaml"), "datasources: [").expect("written");
    let said = refusal(&program, &env);
    assert!(said.contains("failed to provision datasources"), "{said}");
}

/// The programs of a PostgreSQL server of this machine.
fn server_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let found = versions
        .map(|version| version.path().join("bin"))
        .find(|bin| bin.join("initdb").exists());
    if found.is_none() {
        println!("skipped: no PostgreSQL server is installed");
    }
    found
}

/// A server in a folder of its own.
fn postgres(bin: &Path, folder: &Path) -> (Running, SocketAddr) {
    let is_root = rustix::process::geteuid().is_root();
    let run = |program: &str| {
        let mut command = if is_root {
            // It refuses to run as root; any other number will do.
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                .arg(bin.join(program));
            command
        } else {
            Command::new(bin.join(program))
        };
        command
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    };
    if is_root {
        std::os::unix::fs::chown(folder, Some(65534), Some(65534)).expect("given away");
    }
    let password = folder.join("password");
    fs::write(&password, "right\n").expect("written");
    let data = folder.join("data");
    let made = run("initdb")
        .args([
            "--username=immich",
            "--auth=scram-sha-256",
            "--no-sync",
            "--no-locale",
            "--encoding=UTF8",
        ])
        .arg(format!("--pwfile={}", text(&password)))
        .arg(&data)
        .output()
        .expect("run");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let addr = free.local_addr().expect("address");
    drop(free);
    let child = run("postgres")
        .args([
            "-F",
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
        ])
        .arg("-p")
        .arg(addr.port().to_string())
        .arg("-D")
        .arg(&data)
        .spawn()
        .expect("started");
    let mut running = Running(child);
    let said = running.0.stderr.take().expect("piped");
    let is_ready = |line: &String| line.contains("ready to accept connections");
    let mut lines = BufReader::new(said).lines().map(|line| line.expect("text"));
    assert!(lines.any(|line| is_ready(&line)), "it ended too early");
    (running, addr)
}

#[test]
fn immich_really_logs_in_to_postgresql_and_says_why_when_it_cannot() {
    let folder = tempfile::tempdir().expect("folder");
    if !python_has("http.server") {
        return;
    }
    let program = unpack("immich-server", folder.path());
    let Some(bin) = server_programs() else {
        return;
    };
    let (_running, addr) = postgres(&bin, folder.path());
    let env = |password: &str, host: &str| {
        vec![
            (
                "PYTHONPATH",
                text(&folder.path().join("usr/local/lib/infra-lab")),
            ),
            ("IMMICH_MEDIA_LOCATION", text(folder.path())),
            ("DB_HOSTNAME", host.to_owned()),
            ("DB_PORT", addr.port().to_string()),
            ("DB_USERNAME", "immich".to_owned()),
            ("DB_DATABASE_NAME", "postgres".to_owned()),
            ("DB_PASSWORD", password.to_owned()),
            ("REDIS_HOSTNAME", "127.0.0.1".to_owned()),
            ("REDIS_PORT", "1".to_owned()),
        ]
    };
    let said = refusal(&program, &env("wrong", "127.0.0.1"));
    assert!(
        said.contains("password authentication failed for user \"immich\""),
        "{said}"
    );
    let said = refusal(&program, &env("right", "no-such-host.invalid"));
    assert!(said.contains("database no-such-host.invalid: "), "{said}");
    // Behind the login comes the extension, which this machine's server may lack, and then Redis, which is not there.
    let said = refusal(&program, &env("right", "127.0.0.1"));
    assert!(
        said.contains("extension \"vector\"") || said.contains("Redis 127.0.0.1: "),
        "{said}"
    );

    let rows = Command::new(PYTHON)
        .args(["-c", "import postgres, sys; c = postgres.Connection('127.0.0.1', int(sys.argv[1]), 'immich', 'right', 'postgres')
try: c.query('SELEC')
except postgres.PostgresError as e: print(e)
print(c.query(\"SELECT 1; SELECT 'é', NULL, 2\"))", &addr.port().to_string()])
        .env("PYTHONPATH", folder.path().join("usr/local/lib/infra-lab"))
        .env("PYTHONIOENCODING", "utf-8")
        .output()
        .expect("run");
    let printed =
        String::from_utf8_lossy(&rows.stdout).into_owned() + &String::from_utf8_lossy(&rows.stderr);
    assert_eq!(
        printed,
        "syntax error at or near \"SELEC\"\n[['é', None, '2']]\n"
    );
}
