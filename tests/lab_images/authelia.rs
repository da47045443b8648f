//! The stand-in for Authelia decides by the configuration that it is given. Needs python3 with `PyYAML` on this machine.

#![expect(clippy::print_stdout, reason = "says why it is skipped")]

use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

const CONFIGURATION: &str = "
server: {address: 'tcp://127.0.0.1:PORT/'}
log: {file_path: FOLDER/authelia.log}
authentication_backend: {file: {path: FOLDER/users.yml}}
access_control:
  default_policy: deny
  rules:
    - {domain: open.example.org, policy: bypass}
    - {domain: half.example.org, resources: ['^/public/'], policy: bypass}
    - {domain: half.example.org, networks: 192.168.1.0/24, policy: one_factor}
    - {domain: ['*.apps.example.org', films.example.org], policy: one_factor}
    - {domain: admin.example.org, subject: 'group:admins', policy: two_factor}
session:
  cookies: [{domain: example.org, authelia_url: 'https://auth.example.org'}]
storage: {local: {path: FOLDER/db.sqlite3}}
notifier: {filesystem: {filename: FOLDER/notification.txt}}
";
/// `correct horse`, PBKDF2 with SHA-512.
const USERS: &str = "
users:
  mum: {displayname: Mum, email: mum@example.org, groups: [admins], password: 'HASH'}
  kid: {displayname: Kid, email: kid@example.org, groups: [], password: 'HASH'}
";
const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

pub(crate) struct Authelia {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
    child: Option<Child>,
    client: reqwest::Client,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lab/images/stand_ins")
}

pub(crate) fn python(words: &[&str]) -> Command {
    let lib = "usr/local/lib/infra-lab";
    let own = root().join("authelia/root").join(lib);
    let shared = root().join("shared/postgres").join(lib);
    let openid = root().join("shared/openid").join(lib);
    let mut command = Command::new("python3");
    command
        .args(words)
        .env(
            "PYTHONPATH",
            format!(
                "{}:{}:{}",
                own.display(),
                shared.display(),
                openid.display()
            ),
        )
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

pub(crate) fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Authelia {
    /// With this change to its configuration; none where python3 cannot run it.
    pub(crate) fn new(change: impl FnOnce(String) -> String) -> Option<Self> {
        let able = python(&["-c", "import yaml"])
            .stderr(Stdio::null())
            .status();
        if !able.is_ok_and(|status| status.success()) {
            println!("skipped: python3 with PyYAML is not installed");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let place = folder.path().display().to_string();
        let text = CONFIGURATION
            .replace("PORT", &port.to_string())
            .replace("FOLDER", &place);
        fs::write(folder.path().join("configuration.yml"), change(text)).expect("written");
        let hash = said(
            &python(&[
                "-c",
                "import base64, hashlib\nplain = lambda b: base64.b64encode(b).decode().rstrip('=').replace('+', '.')\n\
                 d = hashlib.pbkdf2_hmac('sha512', b'correct horse', b'0123456789abcdef', 1000)\n\
                 print(f'$pbkdf2-sha512$1000${plain(b\"0123456789abcdef\")}${plain(d)}')",
            ])
            .output()
            .expect("runs"),
        );
        fs::write(
            folder.path().join("users.yml"),
            USERS.replace("HASH", &hash),
        )
        .expect("written");
        for (name, value) in [
            ("session", "a session secret"),
            ("storage", "an encryption key of enough letters"),
            ("jwt", "a secret for tokens"),
        ] {
            fs::write(folder.path().join(name), value).expect("written");
        }
        let _another_test_was_first = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Some(Self {
            folder,
            port,
            child: None,
            client,
        })
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let program = root().join("authelia/root/app/authelia");
        let mut all = vec![program.to_str().expect("text")];
        all.extend(words);
        let mut command = python(&all);
        let file = |name: &str| self.folder.path().join(name);
        command
            .env("X_AUTHELIA_CONFIG", file("configuration.yml"))
            .env("X_AUTHELIA_CONFIG_FILTERS", "template")
            .env("AUTHELIA_SESSION_SECRET_FILE", file("session"))
            .env("AUTHELIA_STORAGE_ENCRYPTION_KEY_FILE", file("storage"))
            .env(
                "AUTHELIA_IDENTITY_VALIDATION_RESET_PASSWORD_JWT_SECRET_FILE",
                file("jwt"),
            );
        command
    }

    pub(crate) async fn start(&mut self) {
        self.child = Some(self.command(&[]).spawn().expect("runs"));
        let url = format!("http://127.0.0.1:{}/api/health", self.port);
        for _ in 0..1200 {
            if self.client.get(&url).send().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it does not listen");
    }

    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        self.client.request(method, url)
    }

    /// What a proxy asks before it lets somebody through: status, where to go, who it is.
    async fn asked(
        &self,
        method: &str,
        host: &str,
        path: &str,
        cookie: &str,
    ) -> (u16, String, String) {
        let answer = self
            .request(reqwest::Method::GET, "/api/authz/forward-auth")
            .header("X-Forwarded-Method", method)
            .header("X-Forwarded-Proto", "https")
            .header("X-Forwarded-Host", host)
            .header("X-Forwarded-Uri", path)
            .header("X-Forwarded-For", "203.0.113.9")
            .header("Accept", "*/*")
            .header("Cookie", cookie)
            .send()
            .await
            .expect("an answer");
        let header = |name: &str| {
            let value = answer.headers().get(name);
            value.map_or(String::new(), |v| v.to_str().expect("text").to_owned())
        };
        (
            answer.status().as_u16(),
            header("location"),
            header("remote-user"),
        )
    }

    /// Signs in; the cookie, or the status of the refusal.
    pub(crate) async fn signed(
        &self,
        path: &str,
        body: serde_json::Value,
        cookie: &str,
    ) -> Result<String, u16> {
        let answer = self
            .request(reqwest::Method::POST, path)
            .header("X-Forwarded-Host", "auth.example.org")
            .header("Cookie", cookie)
            .body(body.to_string())
            .send()
            .await
            .expect("an answer");
        let Some(set) = answer.headers().get("set-cookie") else {
            return Err(answer.status().as_u16());
        };
        let text = set.to_str().expect("text");
        assert!(text.contains("Domain=example.org") && text.contains("Secure"));
        Ok(text.split(';').next().expect("a cookie").to_owned())
    }

    pub(crate) fn password(user: &str, password: &str) -> serde_json::Value {
        json!({"username": user, "password": password})
    }
}

impl Drop for Authelia {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test]
async fn rules_decide_in_their_order_and_who_is_not_known_is_led_to_the_portal() {
    let Some(mut lab) = Authelia::new(|text| text) else {
        return;
    };
    lab.start().await;
    let status = |(status, _, _): (u16, String, String)| status;
    assert_eq!(
        status(lab.asked("GET", "open.example.org", "/", "").await),
        200
    );
    assert_eq!(
        status(lab.asked("GET", "half.example.org", "/public/x", "").await),
        200
    );
    let not_from_there = lab.asked("GET", "half.example.org", "/", "").await;
    assert_eq!(status(not_from_there), 403, "the default");
    let (code, location, _) = lab.asked("GET", "films.example.org", "/new?x=1", "").await;
    assert_eq!(code, 302);
    assert_eq!(
        location,
        "https://auth.example.org/?rd=https%3A%2F%2Ffilms.example.org%2Fnew%3Fx%3D1&rm=GET"
    );
    assert_eq!(
        status(lab.asked("POST", "films.example.org", "/", "").await),
        303
    );
    assert_eq!(
        status(lab.asked("GET", "x.apps.example.org", "/", "").await),
        302
    );
    assert_eq!(
        status(lab.asked("GET", "nobody.example.org", "/", "").await),
        403
    );
    assert_eq!(
        status(lab.asked("GET", "example.net", "/", "").await),
        400,
        "another domain"
    );
}

#[tokio::test]
async fn a_session_opens_what_its_level_opens() {
    let Some(mut lab) = Authelia::new(|text| text) else {
        return;
    };
    let registered = lab
        .command(&[
            "storage",
            "user",
            "totp",
            "generate",
            "mum",
            &format!("--secret={SECRET}"),
        ])
        .output()
        .expect("runs");
    assert!(said(&registered).contains("otpauth://totp/"));
    lab.start().await;
    let wrong = lab
        .signed("/api/firstfactor", Authelia::password("mum", "wrong"), "")
        .await;
    assert_eq!(wrong, Err(401));
    let log = fs::read_to_string(lab.folder.path().join("authelia.log")).expect("a log");
    assert!(
        log.contains("Unsuccessful 1FA authentication attempt by user 'mum'"),
        "{log}"
    );
    let mum = lab
        .signed(
            "/api/firstfactor",
            Authelia::password("mum", "correct horse"),
            "",
        )
        .await
        .expect("signed in");
    let films = lab.asked("GET", "films.example.org", "/", &mum).await;
    assert_eq!((films.0, films.2.as_str()), (200, "mum"));
    assert_eq!(
        lab.asked("GET", "admin.example.org", "/", &mum).await.0,
        302,
        "one factor is not two"
    );
    let code = format!(
        "import time\nfrom authelia_store import code\nprint(code('{SECRET}', int(time.time()) // 30))"
    );
    let token = said(&python(&["-c", &code]).output().expect("runs"));
    let body = json!({"token": token});
    let both = lab
        .signed("/api/secondfactor/totp", body.clone(), &mum)
        .await
        .expect("signed in");
    assert_eq!(
        lab.asked("GET", "admin.example.org", "/", &both).await.0,
        200
    );
    assert_eq!(
        lab.asked("GET", "films.example.org", "/", &mum).await.0,
        302,
        "the id is a new one"
    );
    assert_eq!(
        lab.signed("/api/secondfactor/totp", body, &both).await,
        Err(403),
        "a code is good once"
    );
    let kid = lab
        .signed(
            "/api/firstfactor",
            Authelia::password("kid", "correct horse"),
            "",
        )
        .await
        .expect("signed in");
    assert_eq!(
        lab.asked("GET", "admin.example.org", "/", &kid).await.0,
        403,
        "not of the group"
    );
}

#[tokio::test]
async fn a_configuration_that_authelia_would_refuse_is_refused() {
    let cases: [(&str, &str, &str); 5] = [
        (
            "policy: bypass}",
            "policy: open}",
            "option 'policy' must be one of",
        ),
        (
            "  default_policy: deny\n",
            "  default_polcy: deny\n",
            "key not expected: access_control.default_polcy",
        ),
        (
            "https://auth.example.org",
            "http://auth.example.org",
            "must be an https URL",
        ),
        ("users.yml", "user.yml", "No such file"),
        (
            "storage: {local",
            "storage: {encryption_key: short, local",
            "already defined",
        ),
    ];
    for (from, to, told) in cases {
        let Some(lab) = Authelia::new(|text| text.replace(from, to)) else {
            return;
        };
        let output = lab.command(&["validate-config"]).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{to}: {text}");
        assert!(text.contains(told), "{to}: {text}");
    }
}
