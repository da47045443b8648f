//! Bad days: what breaks on real guests while infra works, what it says, and that the next run gets there.

use crate::lab::{
    Lab,
    Place::{self, Desk, Extranet, ExtranetUser, Intranet},
    addresses, is_chosen, ready, said,
};
use std::{
    fs,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// A name and what happens.
type Day = (&'static str, fn(&Lab));

const DAYS: &[Day] = &[
    ("a guest with another host key", another_host_key),
    ("a sudo that wants a password", sudo_wants_a_password),
    ("no room for a stack's files", no_room_for_files),
    ("no room for packages", no_room_for_packages),
    ("an image that cannot be pulled", no_image),
    ("a release that never gets well", never_well),
    ("another package manager at work", apt_is_busy),
    ("killed while packages are installed", killed_in_apt),
    ("killed while dpkg was killed too", killed_with_dpkg),
    ("killed while images are pulled", killed_in_pull),
    ("a guest that reboots in the middle", reboot_in_the_middle),
    ("both guests reboot", both_reboot),
];

#[test]
fn bad_days_are_told_and_survived() {
    if !ready() {
        return;
    }
    let lab = Lab::with_flagship();
    let days: Vec<&Day> = DAYS.iter().filter(|(name, _)| is_chosen(name)).collect();
    assert!(!days.is_empty(), "nothing was chosen");
    for (name, happens) in days {
        let begun = Instant::now();
        happens(&lab);
        converged(&lab, name);
        println!("ok    {name}: {:.0} s", begun.elapsed().as_secs_f64());
    }
    let verify = lab.run(&["verify"]);
    assert!(verify.status.success(), "{}", said(&verify));
}

/// One more run gets everything right, and then there is nothing left to do.
fn converged(lab: &Lab, name: &str) {
    let up = lab.up(&["--no-verify"]);
    assert!(up.status.success(), "{name}: {}", said(&up));
    assert!(
        addresses(&lab.plan()).is_empty(),
        "{name}: {}",
        lab.plan_text()
    );
}

/// A run that must fail with this code and these words.
fn fails(lab: &Lab, code: i32, words: &[&str]) -> String {
    let up = lab.up(&["--no-verify"]);
    let text = said(&up);
    assert_eq!(up.status.code(), Some(code), "{text}");
    for words in words {
        assert!(text.contains(words), "it does not say {words:?}:\n{text}");
    }
    text
}

fn another_host_key(lab: &Lab) {
    lab.at(
        Extranet,
        "mkdir /root/keys && cp -p /etc/ssh/ssh_host_* /root/keys && rm /etc/ssh/ssh_host_*\n\
         ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key && systemctl restart ssh",
    );
    fails(
        lab,
        5,
        &[
            "nothing was changed",
            "failed to trust extranet",
            "it presents",
            "pins",
            "someone may be in between",
        ],
    );
    lab.at(
        Extranet,
        "rm /etc/ssh/ssh_host_* && cp -p /root/keys/* /etc/ssh && rm -r /root/keys && systemctl restart ssh",
    );
}

fn sudo_wants_a_password(lab: &Lab) {
    // Who locks everybody out leaves somebody inside who opens again.
    lab.at(
        Extranet,
        "rm -f /var/tmp/sorry\n\
         systemd-run -q --collect sh -c 'until [ -e /var/tmp/sorry ]; do sleep 0.1; done; mv /root/sudoers.d/* /etc/sudoers.d; rmdir /root/sudoers.d'\n\
         mkdir /root/sudoers.d && mv /etc/sudoers.d/* /root/sudoers.d",
    );
    fails(
        lab,
        5,
        &[
            "nothing was changed",
            "become root on extranet",
            "a password is required",
            "Allow passwordless sudo on extranet",
        ],
    );
    lab.at(ExtranetUser, "touch /var/tmp/sorry");
    answers(lab, Extranet);
}

fn no_room_for_files(lab: &Lab) {
    // A filesystem of its own for the stacks, full to the last byte. What runs has its files open in the one below.
    lab.at(
        Intranet,
        "mkdir -p /run/small && mount -t tmpfs -o size=2m,mode=0700 small /run/small\n\
         cp -a /opt/infra/stacks/. /run/small/ && mount --bind /run/small /opt/infra/stacks\n\
         echo '# edited' >> /opt/infra/stacks/jellyfin/current/compose.yaml\n\
         ! dd if=/dev/zero of=/opt/infra/stacks/ballast bs=4k 2>/dev/null",
    );
    let text = fails(
        lab,
        1,
        &[
            "stack jellyfin",
            "which is full",
            "No space left on device",
            "What runs there was left alone",
        ],
    );
    assert!(text.contains("infra") && text.contains("up"), "{text}");
    assert_eq!(
        lab.at(
            Intranet,
            "docker inspect -f '{{.State.Status}}' jellyfin-jellyfin-1"
        ),
        "running"
    );
    lab.at(Intranet, "umount /opt/infra/stacks && umount /run/small");
}

fn no_room_for_packages(lab: &Lab) {
    lab.at(
        Extranet,
        "DEBIAN_FRONTEND=noninteractive apt-get -y -q purge fail2ban >/dev/null 2>&1; apt-get clean\n\
         mount -t tmpfs -o size=64k full /var/cache/apt/archives && mkdir -p /var/cache/apt/archives/partial",
    );
    fails(lab, 1, &["extranet: packages", "the disk is full"]);
    lab.at(Extranet, "umount /var/cache/apt/archives");
}

/// Changes a template, runs, and puts the template back.
fn with_template(lab: &Lab, file: &str, edit: impl Fn(&str) -> String, run: impl FnOnce()) {
    let path = lab.folder().join("templates").join(file);
    let kept = fs::read_to_string(&path).expect("readable");
    let edited = edit(&kept);
    assert_ne!(kept, edited, "nothing was edited in {file}");
    fs::write(&path, edited).expect("written");
    run();
    fs::write(&path, kept).expect("written");
}

fn no_image(lab: &Lab) {
    let edit = |text: &str| {
        text.replace(
            "docker.io/jellyfin/jellyfin:",
            "docker.io/jellyfin/nobody-has-this:",
        )
    };
    with_template(lab, "images.yaml", edit, || {
        fails(
            lab,
            1,
            &["stack jellyfin", "docker.io/jellyfin/nobody-has-this"],
        );
        assert_eq!(
            lab.at(
                Intranet,
                "docker inspect -f '{{.State.Health.Status}}' jellyfin-jellyfin-1"
            ),
            "healthy"
        );
    });
}

fn never_well(lab: &Lab) {
    let release = "readlink /opt/infra/stacks/jellyfin/current";
    let before = lab.at(Intranet, release);
    let edit = |text: &str| {
        let lines = text.lines().map(|line| {
            let indent = &line[..line.len() - line.trim_start().len()];
            let key = line.trim_start().split(':').next().unwrap_or_default();
            let value = match key {
                "test" => "[\"CMD\", \"false\"]",
                "interval" => "1s",
                "retries" => "1",
                "start_period" => "0s",
                _ => return line.to_owned(),
            };
            format!("{indent}{key}: {value}")
        });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    };
    with_template(lab, "jellyfin/compose.yaml", edit, || {
        fails(
            lab,
            10,
            &["stack jellyfin", "its healthcheck fails", "rolled back"],
        );
        assert_eq!(lab.at(Intranet, release), before);
        assert_eq!(
            lab.at(
                Intranet,
                "docker inspect -f '{{.State.Health.Status}}' jellyfin-jellyfin-1"
            ),
            "healthy"
        );
        assert_eq!(
            lab.at(
                Extranet,
                "curl -s -o /dev/null -w '%{http_code}' http://192.168.1.20:8096/health"
            ),
            "200"
        );
    });
    // The release before runs as if nothing had happened.
    assert!(addresses(&lab.plan()).is_empty(), "{}", lab.plan_text());
}

/// Takes a package away whose installation takes a moment.
fn take_packages(lab: &Lab, place: Place) {
    lab.at(
        place,
        "DEBIAN_FRONTEND=noninteractive apt-get -y -q purge fail2ban unattended-upgrades python3-systemd docker-compose >/dev/null 2>&1",
    );
}

fn apt_is_busy(lab: &Lab) {
    take_packages(lab, Extranet);
    // As long as a person's own apt would hold it.
    lab.at(
        Extranet,
        "cat > /run/hold.py <<'END'\n\
         import fcntl, time\n\
         lock = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(lock, fcntl.LOCK_EX); open('/run/held', 'w'); time.sleep(15)\n\
         END\n\
         rm -f /run/held; systemd-run -q --collect python3 /run/hold.py\n\
         until [ -e /run/held ]; do sleep 0.1; done",
    );
    let begun = Instant::now();
    let up = lab.up(&["--no-verify"]);
    assert!(up.status.success(), "{}", said(&up));
    assert!(
        begun.elapsed() > Duration::from_secs(10),
        "it did not wait for the lock"
    );
}

/// A run in the background.
fn start(lab: &Lab) -> Child {
    lab.command(&[
        "-i",
        "inventory/media-server-home",
        "--lab",
        "up",
        "--yes",
        "--no-verify",
    ])
    .stdout(Stdio::null())
    .stderr(Stdio::null())
    .spawn()
    .expect("starts")
}

/// Waits until a script at a place succeeds while a run is going on.
fn when(lab: &Lab, run: &mut Child, place: Place, script: &str) {
    let begun = Instant::now();
    while !lab.try_at(place, script).status.success() {
        assert!(
            run.try_wait().expect("asked").is_none(),
            "the run ended before `{script}`"
        );
        assert!(
            begun.elapsed() < Duration::from_mins(3),
            "`{script}` did not come true"
        );
    }
}

fn kill(mut run: Child) {
    run.kill().expect("killed");
    run.wait().expect("gone");
}

fn killed_in_apt(lab: &Lab) {
    take_packages(lab, Intranet);
    let mut run = start(lab);
    when(lab, &mut run, Intranet, "pgrep -x dpkg");
    kill(run);
}

fn killed_with_dpkg(lab: &Lab) {
    take_packages(lab, Intranet);
    let mut run = start(lab);
    when(
        lab,
        &mut run,
        Intranet,
        "grep -q 'status half-configured fail2ban' /var/log/dpkg.log && pkill -KILL -x dpkg && pkill -KILL -x apt-get",
    );
    kill(run);
    assert_ne!(
        lab.at(Intranet, "dpkg --audit"),
        "",
        "dpkg has nothing to finish"
    );
}

fn killed_in_pull(lab: &Lab) {
    lab.at(
        Intranet,
        "docker rm -f monitoring-grafana-1 monitoring-prometheus-1 >/dev/null; docker rmi -f grafana/grafana:12.0.2 prom/prometheus:v3.5.0 >/dev/null",
    );
    let mut run = start(lab);
    when(lab, &mut run, Intranet, "pgrep -f 'compose.* pull'");
    kill(run);
}

fn reboot_in_the_middle(lab: &Lab) {
    take_packages(lab, Extranet);
    let mut run = start(lab);
    when(lab, &mut run, Extranet, "pgrep -x dpkg");
    lab.at(Desk, "pve POST /nodes/pve/qemu/111/status/stop | task; pve POST /nodes/pve/qemu/111/status/start | task");
    let ended = run.wait().expect("ended");
    assert!(
        !ended.success(),
        "a run whose guest lost its power succeeded"
    );
    answers(lab, Extranet);
}

fn both_reboot(lab: &Lab) {
    for place in [Intranet, Extranet] {
        // The connection may or may not live to tell.
        let _ = lab.try_at(
            place,
            "cp /proc/sys/kernel/random/boot_id /root/boot-before; systemctl reboot",
        );
    }
    for place in [Intranet, Extranet] {
        let begun = Instant::now();
        let other = "! cmp -s /proc/sys/kernel/random/boot_id /root/boot-before && systemctl is-system-running --wait | grep -Eq 'running|degraded'";
        while !lab.try_at(place, other).status.success() {
            assert!(
                begun.elapsed() < Duration::from_mins(3),
                "{place:?} does not come back"
            );
        }
    }
    // Nothing has to be repaired: what runs at boot is all that is wanted. Healthchecks need their moment.
    let begun = Instant::now();
    while !addresses(&lab.plan()).is_empty() {
        assert!(
            begun.elapsed() < Duration::from_mins(3),
            "{}",
            lab.plan_text()
        );
    }
    let verify = lab.run(&["verify"]);
    assert!(verify.status.success(), "{}", said(&verify));
}

/// Waits until a guest answers.
fn answers(lab: &Lab, place: Place) {
    let begun = Instant::now();
    while !lab.try_at(place, "true").status.success() {
        assert!(
            begun.elapsed() < Duration::from_mins(3),
            "{place:?} does not come back"
        );
    }
}
