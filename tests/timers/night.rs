//! The flagship with nights, in a scripted lab.

use crate::{lab::Lab, server::Servers};
use std::{fs, path::Path};

/// Values that nobody may ever be told.
pub(crate) const SECRETS: [&str; 4] = [
    "canary-smtp-81c2",
    "canary-ntfy-77ab",
    "canary-gotify-1f0e",
    "canary-hook-5d5d",
];

/// The flagship with these nights and files beside its inventory, up and settled.
pub(crate) fn flagship(nights: &str, files: &[(&str, &str)]) -> Lab {
    let lab = Lab::empty();
    lab.run(&["init", "media-server-home"]).says(0, &[]);
    let folder = lab.path("inventory/media-server-home");
    fs::write(folder.join("nights.yaml"), nights).expect("written");
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("written");
    }
    // A scripted host has no restic: backups are for real guests.
    let storage = folder.join("storage.yaml");
    let text = fs::read_to_string(&storage).expect("the flagship's storage");
    let (kept, _) = text.split_once("\nbackups:").expect("backups come last");
    fs::write(&storage, kept).expect("written");
    lab.begin_lab();
    lab.up().says(0, &["Done."]);
    lab
}

/// Everybody whom one can tell, at these ports.
pub(crate) fn everybody(
    servers: &Servers,
    https: u16,
    smtp: u16,
) -> (String, Vec<(String, String)>) {
    let [password, ntfy, gotify, hook] = SECRETS;
    let text = format!(
        r#"
nights:
  host: pve
  metrics: intranet
  timers: {{night: daily 02:30, snapshot: hourly}}
  notify:
    mail: {{ca: ca.pem, email: {{server: "localhost:{smtp}", from: infra@example.org, to: [admin@example.org], user: infra, password: smtp_password}}}}
    phone: {{ca: ca.pem, about: failures, ntfy: {{url: "https://localhost:{https}/topic", token: ntfy_token}}}}
    push: {{ca: ca.pem, gotify: {{url: "https://localhost:{https}/gotify", token: gotify_token}}}}
    chat: {{ca: ca.pem, webhook: {{url: {{secret: hook_url}}}}}}
    silence: {{ca: ca.pem, healthchecks: {{url: "https://localhost:{https}/ping"}}}}
secrets:
  smtp_password: {{file: smtp}}
  ntfy_token: {{file: ntfy}}
  gotify_token: {{file: gotify}}
  hook_url: {{file: hook}}
"#
    );
    let files = [
        ("ca.pem", servers.ca.clone()),
        ("smtp", password.to_owned()),
        ("ntfy", ntfy.to_owned()),
        ("gotify", gotify.to_owned()),
        ("hook", format!("https://localhost:{https}/hook/{hook}")),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text));
    (text, files.to_vec())
}

/// A file of a guest, changed by hand.
pub(crate) fn by_hand(lab: &Lab, guest: &str, argv: &[&str]) {
    let args = [
        &["--lab", "vm", "ssh", guest, "--", "sudo", "-n", "--"],
        argv,
    ]
    .concat();
    lab.run(&args).says(0, &[]);
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
