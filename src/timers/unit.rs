//! One service and one timer for each thing that begins by itself.

use super::UNITS;
use crate::model::{
    calendar::Calendar,
    desired::Desired,
    nights::{Begins, Nights},
    resource::{FileResource, Reaction, Resource},
    secret::{Content, SecretSource},
};

/// The age key that the program needs where it runs, a file of root's. systemd hands it over by itself.
pub const KEY: &str = "/etc/infra/age.txt";
/// Secrets that come from the environment, a file of root's.
pub const ENVIRONMENT: &str = "/etc/infra/environment";

/// The name of a service.
pub fn service(desired: &Desired, begins: Begins) -> String {
    format!("infra-{}-{}.service", desired.system, begins.word())
}

/// The name of a timer.
pub fn timer(desired: &Desired, begins: Begins) -> String {
    format!("infra-{}-{}.timer", desired.system, begins.word())
}

/// The name of the service that tells that another one failed.
pub(super) fn failed_name(desired: &Desired) -> String {
    format!("infra-{}-failed@.service", desired.system)
}

/// Whether a path or unit on a host belongs to the nights of a system.
pub fn is_ours(desired: &Desired, name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    name == failed_name(desired)
        || Begins::all()
            .any(|begins| name == service(desired, begins) || name == timer(desired, begins))
}

/// A word of a unit file: quoted, and nothing in it means something to systemd.
fn quoted(word: &str) -> String {
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '%' | '$' => out.extend([c, c]),
            _ => out.push(c),
        }
    }
    out + "\""
}

fn file(name: &str, text: &str, purpose: String) -> Resource {
    Resource::File(FileResource {
        path: format!("{UNITS}/{name}"),
        content: Content::text(format!("# Made by infra; edits are replaced.\n{text}")),
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: 0o644,
        then: vec![Reaction::DaemonReload],
        purpose,
    })
}

/// What every service has in common. The age key is handed over as a credential, other secrets stand in a file of root's.
fn running(desired: &Desired, nights: &Nights, words: &[&str]) -> String {
    let is_encrypted = |source: &SecretSource| {
        matches!(source, SecretSource::Age { .. } | SecretSource::Sops { .. })
    };
    let key = if desired.secrets.values().any(is_encrypted) {
        format!("LoadCredential=age.txt:{KEY}\nEnvironment=INFRA_AGE_KEY_FILE=%d/age.txt\n")
    } else {
        String::new()
    };
    let argv: Vec<String> = [nights.program.as_str(), "-i", &nights.inventory]
        .iter()
        .chain(words)
        .map(|word| quoted(word))
        .collect();
    format!(
        "[Service]\n\
         Type=oneshot\n\
         User={user}\n\
         {key}\
         EnvironmentFile=-{ENVIRONMENT}\n\
         ExecStart={argv}\n\
         Nice=10\n\
         IOSchedulingClass=idle\n\
         NoNewPrivileges=yes\n\
         PrivateTmp=yes\n\
         ProtectSystem=full\n\
         ReadWritePaths={inventory}\n",
        inventory = quoted(&format!("-{}", nights.inventory)),
        user = nights.user,
        argv = argv.join(" "),
    )
}

/// The service that is started when another one failed, also when the program could not tell so itself.
pub(super) fn failed(desired: &Desired, nights: &Nights) -> [Resource; 1] {
    let text = format!(
        "[Unit]\n\
         Description=Tell that %i failed (infra, {system})\n\
         After=network-online.target\n\
         Wants=network-online.target\n\
         \n\
         {service}",
        system = desired.system,
        service = running(desired, nights, &["nightly", "--failed"]),
    );
    [file(
        &failed_name(desired),
        &text,
        "a timer that fails is told at once".to_owned(),
    )]
}

/// Service and timer, and that the timer runs.
pub(super) fn pair(
    desired: &Desired,
    nights: &Nights,
    begins: Begins,
    calendar: &Calendar,
) -> [Resource; 3] {
    let (title, words): (String, Vec<&str>) = match begins {
        Begins::Night => ("The night".to_owned(), vec!["nightly"]),
        Begins::Job(job) => (
            format!("Nightly job {job}"),
            vec!["nightly", "--job", job.word()],
        ),
    };
    let system = &desired.system;
    let on_failure = failed_name(desired).replace('@', "@%n");
    let unit = format!(
        "[Unit]\n\
         Description={title} (infra, {system})\n\
         After=network-online.target time-sync.target\n\
         Wants=network-online.target\n\
         OnFailure={on_failure}\n\
         \n\
         {service}",
        service = running(desired, nights, &words),
    );
    let when = format!(
        "[Unit]\n\
         Description={title} (infra, {system})\n\
         \n\
         [Timer]\n\
         OnCalendar={calendar}\n\
         RandomizedDelaySec={spread}\n\
         Persistent=true\n\
         Unit={service}\n\
         \n\
         [Install]\n\
         WantedBy=timers.target\n",
        calendar = calendar.systemd(),
        spread = nights.spread,
        service = service(desired, begins),
    );
    let name = timer(desired, begins);
    let mut timed = file(&name, &when, format!("{} begins by itself", begins.word()));
    if let Resource::File(file) = &mut timed {
        // A timer that runs goes on with its old schedule until it is started anew.
        let again = ["systemctl", "try-restart", &name];
        file.then
            .push(Reaction::Run(again.map(str::to_owned).to_vec()));
    }
    [
        file(
            &service(desired, begins),
            &unit,
            format!("what {} does", begins.word()),
        ),
        timed,
        Resource::Unit {
            name,
            enabled: true,
            active: true,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_nothing_to_systemd() {
        assert_eq!(quoted("/srv/my infra"), "\"/srv/my infra\"");
        assert_eq!(quoted("/a%b\"c\\d$e"), "\"/a%%b\\\"c\\\\d$$e\"");
    }
}
