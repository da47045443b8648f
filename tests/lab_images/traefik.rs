//! The stand-in for Traefik routes by the files that it is given, and asks before it does. Needs python3 with `PyYAML` here.

#![expect(clippy::print_stdout, reason = "says why it is skipped")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Answers every request with what `answer` makes of its head.
fn site(answer: fn(&str) -> String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut head = String::new();
            let mut lines = BufReader::new(stream.try_clone().expect("a stream"));
            while lines.read_line(&mut head).expect("a line") > 2 {}
            let _gone = stream.write_all(answer(&head).as_bytes());
        }
    });
    port
}

/// 200 with a name for whoever has the cookie; everybody else is led to the sign-in.
fn decide(head: &str) -> String {
    if head.contains("session=good") {
        return "HTTP/1.1 200 OK\r\nX-authentik-username: kim\r\nContent-Length: 0\r\n\r\n"
            .to_owned();
    }
    "HTTP/1.1 302 Found\r\nLocation: https://auth.example.org/\r\nContent-Length: 0\r\n\r\n"
        .to_owned()
}

/// Says what it was sent.
fn echo(head: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}",
        head.len()
    )
}

struct Traefik {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Drop for Traefik {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

impl Traefik {
    /// With this file for its file provider; none where python3 cannot run it.
    fn new(apps: &str) -> Option<Self> {
        let able = Command::new("python3")
            .args(["-c", "import yaml"])
            .stderr(Stdio::null())
            .status();
        if !able.is_ok_and(|status| status.success()) {
            println!("skipped: python3 with PyYAML is not installed");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let free = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let (web, own) = (free(), free());
        let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
        let (port, own_port) = (port(&web), port(&own));
        drop((web, own));
        let files = folder.path().join("dynamic");
        fs::create_dir(&files).expect("a folder");
        fs::write(files.join("apps.yml"), apps).expect("written");
        let configuration = folder.path().join("traefik.yml");
        let text = format!(
            "entryPoints: {{web: {{address: ':{port}'}}, traefik: {{address: ':{own_port}'}}}}\n\
             providers: {{file: {{directory: {}, watch: true}}}}\nping: {{}}\n",
            files.display()
        );
        fs::write(&configuration, text).expect("written");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/lab/images/stand_ins/traefik/root/usr/local");
        let child = Command::new("python3")
            .arg(root.join("bin/traefik"))
            .arg(format!("--configFile={}", configuration.display()))
            .env("PYTHONPATH", root.join("lib/infra-lab"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3");
        let started = Self {
            folder,
            port,
            child,
        };
        started.until(|traefik| TcpStream::connect(("127.0.0.1", traefik.port)).is_ok());
        Some(started)
    }

    /// Waits for something that the program does by itself.
    fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < Duration::from_secs(30), "it never came");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ask(&self, host: &str, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

fn apps(middlewares: &str) -> String {
    let (auth, app) = (site(decide), site(echo));
    format!(
        "http:
  middlewares:
    sso: {{forwardAuth: {{address: 'http://127.0.0.1:{auth}/ask', authResponseHeaders: [X-authentik-username]}}}}
  routers:
    app: {{rule: 'Host(`app.example.org`)', entryPoints: [web], middlewares: {middlewares}, service: app}}
    open: {{rule: 'Host(`app.example.org`) && PathPrefix(`/open/`)', service: app}}
    lost: {{rule: 'Host(`lost.example.org`)', service: nowhere}}
  services:
    app: {{loadBalancer: {{servers: [{{url: 'http://127.0.0.1:{app}'}}]}}}}
"
    )
}

#[test]
fn a_stranger_is_led_to_the_sign_in_and_nobody_names_himself() {
    let Some(traefik) = Traefik::new(&apps("[sso]")) else {
        return;
    };
    let stranger = traefik.ask("app.example.org", "/", "X-authentik-username: admin\r\n");
    assert!(stranger.starts_with("HTTP/1.1 302 "), "{stranger}");
    assert!(
        stranger.contains("Location: https://auth.example.org/"),
        "{stranger}"
    );
    let headers = "Cookie: session=good\r\nX-authentik-username: admin\r\n";
    let known = traefik.ask("app.example.org", "/films", headers);
    assert!(known.contains("GET /films "), "{known}");
    assert!(known.contains("X-authentik-username: kim"), "{known}");
    assert!(!known.contains("admin"), "{known}");
    // The longer rule wins.
    let open = traefik.ask("app.example.org", "/open/x", "");
    assert!(open.contains("GET /open/x "), "{open}");
    for host in ["other.example.org", "lost.example.org"] {
        assert!(traefik.ask(host, "/", "").starts_with("HTTP/1.1 404 "));
    }
}

#[test]
fn a_changed_file_is_read_again() {
    let Some(traefik) = Traefik::new(&apps("[sso]")) else {
        return;
    };
    let file = traefik.folder.path().join("dynamic/apps.yml");
    fs::write(file, apps("[]")).expect("written");
    traefik.until(|traefik| {
        traefik
            .ask("app.example.org", "/", "")
            .starts_with("HTTP/1.1 200 ")
    });
}
