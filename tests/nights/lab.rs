//! A lab with the flagship in it, and hands that know nothing of infra.

use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Instant,
};
use tempfile::TempDir;

/// Where somebody works by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// As root on the guest in the LAN.
    Intranet,
    /// As root on the guest in the DMZ.
    Extranet,
    /// There, as the one who logs in.
    ExtranetUser,
    /// As root on the node.
    Node,
    /// At the owner's desk, with `pve METHOD PATH ...`: the API by curl. `task` waits for the one that was answered.
    Desk,
}

/// Whether the nights may run here; prints why not.
pub(crate) fn ready() -> bool {
    if std::env::var_os("INFRA_NIGHTLY").is_none() {
        println!("skipped: INFRA_NIGHTLY is not set");
        return false;
    }
    let missing = infra::lab::namespace::missing();
    if missing.is_empty() {
        return true;
    }
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    println!("skipped: this machine lacks {}", missing.join(", "));
    false
}

/// Whether this part was asked for.
pub(crate) fn is_chosen(name: &str) -> bool {
    std::env::var("INFRA_NIGHTLY_ONLY").map_or(true, |only| name.contains(&only))
}

/// The lab; it goes when this is dropped, unless its folder was named.
pub(crate) struct Lab {
    folder: PathBuf,
    temporary: Option<TempDir>,
    netns: String,
    desk: PathBuf,
}

impl Lab {
    /// A lab with the whole flagship up and nothing left to change.
    pub(crate) fn with_flagship() -> Self {
        let lab = Self::unbegun();
        let begun = Instant::now();
        demand(&lab.up(&[]));
        println!("flagship up in {:.1} s", begun.elapsed().as_secs_f64());
        lab
    }

    /// A lab for the flagship in which nothing has been made yet.
    pub(crate) fn unbegun() -> Self {
        let temporary = match std::env::var_os("INFRA_NIGHTLY_FOLDER") {
            Some(_) => None,
            None => Some(tempfile::tempdir().expect("folder")),
        };
        let folder = temporary.as_ref().map_or_else(
            || PathBuf::from(std::env::var_os("INFRA_NIGHTLY_FOLDER").expect("named")),
            |folder| folder.path().to_owned(),
        );
        fs::create_dir_all(folder.join("home")).expect("folder");
        let mut lab = Self {
            desk: folder.join("desk.sh"),
            folder,
            temporary,
            netns: String::new(),
        };
        if !lab.folder.join("inventory").exists() {
            demand(&lab.infra(&["init", "media-server-home"]));
        }
        if !lab.folder.join("lab/state.json").exists() {
            demand(&lab.infra(&["-i", INVENTORY, "lab", "up"]));
        }
        lab.open_desk();
        lab
    }

    /// What the owner has on the desk: the lab's network and a token.
    fn open_desk(&mut self) {
        let state = fs::read(self.folder.join("lab/state.json")).expect("the lab is up");
        let state: Value = serde_json::from_slice(&state).expect("JSON");
        let text = |key: &str| state[key].as_str().expect("there").to_owned();
        let netns = text("operator_netns");
        self.netns = Path::new(&netns)
            .file_name()
            .expect("name")
            .to_string_lossy()
            .into_owned();
        let (id, secret, api) = (text("token_id"), text("token_secret"), text("api"));
        let key = self.operator_key();
        let key = key.display();
        let tools = format!(
            "set -eu\n\
             pve() {{ m=$1 p=$2; shift 2; printf 'header = \"Authorization: PVEAPIToken={id}={secret}\"' |\n\
             \x20 curl -sS --fail-with-body -k -K - -X \"$m\" \"https://{api}/api2/json$p\" \"$@\"; echo; }}\n\
             task() {{ upid=$(sed -n 's/.*\"data\":\"\\(UPID[^\"]*\\)\".*/\\1/p'); [ -n \"$upid\" ]\n\
             \x20 until pve GET \"/nodes/pve/tasks/$upid/status\" | grep -q '\"status\":\"stopped\"'; do sleep 0.2; done; }}\n\
             on_node() {{ ssh -i {key} {SSH_OPTIONS} root@192.168.1.10 \"$@\"; }}\n\
             key() {{ pve GET \"/nodes/pve/qemu/$1/config\" | grep -o \"\\\"$2\\\":[^}}]*\" |\n\
             \x20 sed -e 's/^\"[^\"]*\":\"\\([^\"]*\\)\".*/\\1/;t' -e 's/^\"[^\"]*\":\\([^,}}]*\\).*/\\1/'; }}\n"
        );
        fs::write(&self.desk, tools).expect("written");
        fs::set_permissions(&self.desk, fs::Permissions::from_mode(0o600)).expect("closed");
    }

    /// The program, as the owner runs it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let home = std::env::var_os("HOME").expect("HOME");
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map_or_else(|| Path::new(&home).join(".cache"), PathBuf::from);
        let mut command = Command::new(env!("CARGO_BIN_EXE_infra"));
        command
            .args(args)
            .current_dir(&self.folder)
            .env("HOME", self.folder.join("home"))
            .env("XDG_STATE_HOME", self.folder.join("state"))
            .env("XDG_CONFIG_HOME", self.folder.join("config"))
            .env("XDG_CACHE_HOME", cache)
            .env("INFRA_LAB_DIR", self.folder.join("lab"))
            .stdin(Stdio::null());
        command
    }

    /// Where the owner works.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn operator_key(&self) -> PathBuf {
        self.folder.join("lab/operator_ed25519")
    }

    fn infra(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("runs")
    }

    /// `infra --lab` with these words.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.infra(&[&["-i", INVENTORY, "--lab"], args].concat())
    }

    /// `infra --lab up --yes`.
    pub(crate) fn up(&self, args: &[&str]) -> Output {
        self.run(&[&["up", "--yes"], args].concat())
    }

    /// The plan as a person reads it.
    pub(crate) fn plan_text(&self) -> String {
        said(&self.run(&["plan", "-v"]))
    }

    /// The plan as a program reads it.
    pub(crate) fn plan(&self) -> Value {
        let output = self.run(&["plan", "--json"]);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
    }

    /// A POSIX shell at a place.
    pub(crate) fn try_at(&self, place: Place, script: &str) -> Output {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns]);
        let login = match place {
            Place::Intranet => Some(("infra@192.168.1.20", "sudo -n sh -eu -s")),
            Place::Extranet => Some(("infra@10.10.10.2", "sudo -n sh -eu -s")),
            Place::ExtranetUser => Some(("infra@10.10.10.2", "sh -eu -s")),
            Place::Node => Some(("root@192.168.1.10", "sh -eu -s")),
            Place::Desk => None,
        };
        let mut input = Vec::new();
        if let Some((login, shell)) = login {
            command.args(["ssh", "-i"]).arg(self.operator_key());
            command.args(SSH_OPTIONS.split(' ')).args([login, shell]);
        } else {
            command.args(["sh", "-s"]);
            input = fs::read(&self.desk).expect("the desk is open");
        }
        input.extend_from_slice(script.as_bytes());
        input.push(b'\n');
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        // A shell that ended early does not read the rest: what it said tells more than the broken pipe.
        let _ = child.stdin.take().expect("piped").write_all(&input);
        child.wait_with_output().expect("ends")
    }

    /// A shell at a place, which must succeed; what it printed, without blanks around.
    pub(crate) fn at(&self, place: Place, script: &str) -> String {
        let output = self.try_at(place, script);
        assert!(
            output.status.success(),
            "{place:?}: {script}\n{}",
            said(&output)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.temporary.is_some() {
            println!("{}", said(&self.infra(&["-i", INVENTORY, "lab", "down"])));
        }
    }
}

/// The hands know the machines; what infra trusts is not theirs to test.
const SSH_OPTIONS: &str = "-o LogLevel=ERROR -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o ConnectTimeout=10";

const INVENTORY: &str = "inventory/media-server-home";

/// Both streams of a program.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn demand(output: &Output) {
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        said(output)
    );
}

/// The addresses of a plan's changes.
pub(crate) fn addresses(plan: &Value) -> BTreeSet<String> {
    let changes = plan["changes"].as_array().expect("a list");
    changes
        .iter()
        .map(|change| change["id"].as_str().expect("a text").to_owned())
        .collect()
}
