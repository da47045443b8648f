//! On real guests: up from nothing, every check green, nothing left to change; then one mistake after the other, each red.

#![expect(
    clippy::print_stdout,
    reason = "tells how long a system takes, what was broken and which check saw it"
)]

use super::mutation::{self, Mutation};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Instant,
};
use tempfile::TempDir;

/// Keys as a provider would give them; worth nothing outside a lab.
const OWNERS: &[(&str, &str)] = &[
    (
        "NORDVPN_WG_PRIVATE_KEY",
        "wGBbV2nWRVYd4n7u1bTPXhUWn8VbnJTsxLO8Gs6sZ3M=",
    ),
    (
        "CLOUDFLARE_TUNNEL_CREDENTIALS",
        r#"{"AccountTag":"0","TunnelID":"00000000-0000-0000-0000-000000000000","TunnelSecret":"AAAA"}"#,
    ),
    (
        "VPN_PRIVATE_KEY",
        "wGBbV2nWRVYd4n7u1bTPXhUWn8VbnJTsxLO8Gs6sZ3M=",
    ),
    ("STORAGEBOX_PASSWORD", "films"),
    ("BACKUPBOX_PASSWORD", "backups"),
    ("TAILSCALE_AUTH_KEY", "tskey-auth-lab"),
];

struct Lab {
    system: &'static str,
    folder: PathBuf,
    temporary: Option<TempDir>,
}

impl Lab {
    /// Init, lab, up.
    fn with(system: &'static str) -> Option<Self> {
        if std::env::var_os("INFRA_SYSTEMS").is_none() {
            println!("skipped: INFRA_SYSTEMS is not set");
            return None;
        }
        let missing = infra::lab::namespace::missing();
        if !missing.is_empty() {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            println!("skipped: this machine lacks {}", missing.join(", "));
            return None;
        }
        let kept = std::env::var_os("INFRA_SYSTEMS_FOLDER").map(PathBuf::from);
        let temporary = kept
            .is_none()
            .then(|| tempfile::tempdir().expect("a folder"));
        let folder = match (&temporary, kept) {
            (Some(temporary), _) => temporary.path().to_owned(),
            (None, Some(kept)) => kept.join(system),
            (None, None) => return None,
        };
        for name in ["inventory", "templates"] {
            let _ = fs::remove_dir_all(folder.join(name));
        }
        fs::create_dir_all(folder.join("home")).expect("a folder");
        let lab = Self {
            system,
            folder,
            temporary,
        };
        lab.demand(&["init", system]);
        if !lab.folder.join("lab/state.json").exists() {
            lab.demand(&["lab", "up"]);
        }
        Some(lab)
    }

    fn infra(&self, words: &[&str]) -> Output {
        let home = std::env::var_os("HOME").expect("HOME");
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map_or_else(|| Path::new(&home).join(".cache"), PathBuf::from);
        let mut command = Command::new(env!("CARGO_BIN_EXE_infra"));
        if words[0] != "init" {
            let inventory = format!("inventory/{}", self.system);
            command.args(["-i", &inventory]);
        }
        command
            .args(words)
            .current_dir(&self.folder)
            .env("HOME", self.folder.join("home"))
            .env("XDG_STATE_HOME", self.folder.join("state"))
            .env("XDG_CONFIG_HOME", self.folder.join("config"))
            .env("XDG_CACHE_HOME", cache)
            .env("INFRA_LAB_DIR", self.folder.join("lab"))
            .envs(OWNERS.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("runs")
    }

    fn demand(&self, words: &[&str]) -> String {
        let output = self.infra(words);
        assert!(
            output.status.success(),
            "{}: {words:?} ended with {:?}\n{}{}",
            self.system,
            output.status.code(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Verdicts by check: whether it passed, or what was seen instead.
    fn verdicts(&self) -> BTreeMap<String, Value> {
        let output = self.infra(&["--lab", "verify", "--json"]);
        let answer: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        let checks = answer["checks"].as_array().expect("checks");
        let entry = |check: &Value| {
            let name = check["name"].as_str().expect("a name").to_owned();
            (name, check["verdict"].clone())
        };
        checks.iter().map(entry).collect()
    }

    fn is_settled(&self) {
        let bad: BTreeMap<String, Value> = self
            .verdicts()
            .into_iter()
            .filter(|(_, verdict)| verdict != "passed")
            .collect();
        assert!(bad.is_empty(), "{}: {bad:#?}", self.system);
        // Exit code 4 would be changes.
        self.demand(&["--lab", "plan", "--exit-code"]);
    }

    /// Makes a mistake, rolls it out, looks, and takes it back in the files.
    fn suffers(&self, mutation: &Mutation) {
        let mut before = BTreeMap::new();
        for edit in &mutation.edits {
            let path = self.folder.join(&edit.file);
            let text = fs::read_to_string(&path).expect("a file of the system");
            assert!(text.contains(&edit.from), "{}: {}", edit.file, edit.from);
            fs::write(&path, text.replacen(&edit.from, &edit.to, 1)).expect("written");
            before.entry(path).or_insert(text);
        }
        let rolled = self.infra(&["--lab", "up", "--yes"]);
        let mut verdicts = self.verdicts();
        // A program that is cut off tells it when it notices.
        for _ in 0..if mutation.late { 10 } else { 0 } {
            if verdicts[&mutation.red] == "passed" {
                verdicts = self.verdicts();
            }
        }
        for (path, text) in before {
            fs::write(path, text).expect("written");
        }
        let told = String::from_utf8_lossy(&rolled.stderr);
        assert!(
            mutation.late || !rolled.status.success(),
            "{}, {}: `infra up` says that all is well",
            self.system,
            mutation.what
        );
        let seen = &verdicts[&mutation.red]["failed"]["seen"];
        assert!(
            seen.is_string(),
            "{}, {}: `{}` is {}\n{told}",
            self.system,
            mutation.what,
            mutation.red,
            verdicts[&mutation.red]
        );
        println!(
            "{}: {} -> {} is red: {seen}",
            self.system, mutation.what, mutation.red
        );
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.temporary.is_some() {
            let _ = self.infra(&["lab", "reset"]);
        }
    }
}

fn comes_up_and_sees_mistakes(system: &'static str) {
    if let Some(lab) = comes_up(system) {
        sees_mistakes(&lab);
    }
}

fn comes_up(system: &'static str) -> Option<Lab> {
    let lab = Lab::with(system)?;
    let begun = Instant::now();
    lab.demand(&["--lab", "up", "--yes"]);
    println!("{system}: up in {:.0} s", begun.elapsed().as_secs_f64());
    lab.is_settled();
    Some(lab)
}

fn sees_mistakes(lab: &Lab) {
    let (system, begun) = (lab.system, Instant::now());
    for mutation in mutation::of(system) {
        lab.suffers(&mutation);
    }
    lab.demand(&["--lab", "up", "--yes"]);
    lab.is_settled();
    println!(
        "{system}: whole again after {:.0} s",
        begun.elapsed().as_secs_f64()
    );
}

#[test]
fn the_media_server_at_home() {
    comes_up_and_sees_mistakes("media-server-home");
}

#[test]
fn the_mediatheque_on_a_raspberry_pi() {
    comes_up_and_sees_mistakes("mediatheque-raspberry-pi");
}

#[test]
fn the_gateway_with_single_sign_on() {
    comes_up_and_sees_mistakes("gateway-sso-booxstream");
}

#[test]
fn the_personal_cloud() {
    comes_up_and_sees_mistakes("personal-cloud-stack");
}

/// What CrowdSec has decided, Caddy does: the operator's own address is shut out, and let in again.
fn whoever_crowdsec_bans_stays_out(lab: &Lab) {
    let decisions = |words: &[&str]| {
        let crowdsec = ["--lab", "stack", "exec", "crowdsec", "crowdsec"];
        lab.demand(&[&crowdsec[..], &["cscli", "decisions"], words].concat());
    };
    let jellyfin = || lab.verdicts()["Jellyfin answers through Caddy"].clone();
    decisions(&["add", "--ip", "198.51.100.50", "--duration", "10m"]);
    assert_eq!(jellyfin()["failed"]["seen"], "status 403, not 200");
    decisions(&["delete", "--ip", "198.51.100.50"]);
    assert_eq!(jellyfin(), "passed");
}

#[test]
fn the_secure_homelab_server() {
    let system = "secure-homelab-server";
    let Some(lab) = comes_up(system) else { return };
    whoever_crowdsec_bans_stays_out(&lab);
    sees_mistakes(&lab);
}
