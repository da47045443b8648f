//! Who is trusted, and who is let in.

use crate::sshd::{Sshd, host, keygen, own_name, sshd, sshd_with_rsa};
use infra::providers::{
    shell::{Command, Shell, ShellError},
    ssh::{HostKey, Person, SshHost, Target},
};
use std::{
    fs,
    path::Path,
    process::{Child, Command as Process, Stdio},
};

async fn refusal(target: Target) -> ShellError {
    SshHost::new(target)
        .run(Command::new(["true"]))
        .await
        .expect_err("refused")
}

async fn works(target: Target) {
    let output = SshHost::new(target)
        .demand(Command::new(["echo", "in"]))
        .await;
    assert_eq!(output.expect("let in").text(), "in\n");
}

fn pin(sshd: &Sshd, target: &Target, key: &HostKey) {
    sshd.known_hosts()
        .pin(&target.pin_names(), key)
        .expect("pinned");
}

#[tokio::test]
async fn an_unknown_host_is_refused_with_its_fingerprint_and_what_to_run() {
    let Some(sshd) = sshd("") else { return };
    let ShellError::HostKey { why, .. } = refusal(sshd.target()).await else {
        panic!("not a host key error");
    };
    assert!(
        why.contains(&sshd.public("host_ed25519.pub").fingerprint()),
        "{why}"
    );
    let accept = format!(
        "ssh-keyscan -t ed25519 -p {} 127.0.0.1 >> {}",
        sshd.port,
        sshd.path("known_hosts").display()
    );
    assert!(why.contains(&accept), "{why}");
    // What it says to run, it means.
    let done = Process::new("sh")
        .args(["-c", &accept])
        .stderr(Stdio::null())
        .status()
        .expect("sh runs");
    assert!(done.success());
    works(sshd.target()).await;
}

#[tokio::test]
async fn a_changed_key_is_refused_with_the_place_where_the_old_one_is_pinned() {
    let Some(sshd) = sshd("") else { return };
    let target = sshd.target();
    let old = sshd.public("id.pub");
    fs::write(
        sshd.path("known_hosts"),
        format!("# first line\nbox {old}\n"),
    )
    .expect("written");
    let ShellError::HostKey { why, .. } = refusal(target).await else {
        panic!("not a host key error");
    };
    assert!(
        why.contains(&format!("{}:2", sshd.path("known_hosts").display())),
        "{why}"
    );
    assert!(why.contains(&old.fingerprint()), "{why}");
    assert!(
        why.contains(&sshd.public("host_ed25519.pub").fingerprint()),
        "{why}"
    );
}

#[tokio::test]
async fn a_host_that_is_known_by_its_rsa_key_is_asked_for_that_one() {
    let Some(sshd) = sshd_with_rsa("") else {
        return;
    };
    let target = sshd.target();
    pin(&sshd, &target, &sshd.public("host_rsa.pub"));
    works(target).await;
}

#[tokio::test]
async fn a_host_that_no_longer_has_the_pinned_kind_of_key_is_a_changed_host() {
    let Some(sshd) = sshd_with_rsa("HostKeyAlgorithms ssh-ed25519") else {
        return;
    };
    let target = sshd.target();
    pin(&sshd, &target, &sshd.public("host_rsa.pub"));
    let ShellError::HostKey { why, .. } = refusal(target).await else {
        panic!("not a host key error");
    };
    assert!(
        why.contains(&sshd.public("host_ed25519.pub").fingerprint()),
        "{why}"
    );
}

#[tokio::test]
async fn keys_that_do_not_work_are_named_with_the_reason() {
    let Some(sshd) = sshd("") else { return };
    sshd.host();
    let with = |name: &str| {
        let mut target = sshd.target();
        target.identity = Some(sshd.path(name));
        target
    };
    let why = |error: ShellError| {
        let ShellError::Refused { why, user, .. } = error else {
            panic!("not a refusal: {error}");
        };
        assert_eq!(user, own_name());
        why
    };
    keygen(&sshd.path("stranger"), "ed25519", "");
    let stranger = why(refusal(with("stranger")).await);
    assert!(
        stranger.contains("stranger: refused") && stranger.contains("publickey"),
        "{stranger}"
    );
    let missing = why(refusal(with("nothing")).await);
    assert!(missing.contains("nothing: No such file"), "{missing}");
    keygen(&sshd.path("locked"), "ed25519", "correct horse");
    let locked = why(refusal(with("locked")).await);
    assert!(
        locked.contains("it has a passphrase; run `ssh-add"),
        "{locked}"
    );
}

#[tokio::test]
async fn an_rsa_key_works() {
    let Some(sshd) = sshd_with_rsa("") else {
        return;
    };
    sshd.host();
    let mut target = sshd.target();
    fs::copy(sshd.path("host_rsa.pub"), sshd.path("authorized_keys")).expect("copied");
    target.identity = Some(sshd.path("host_rsa"));
    works(target).await;
}

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().expect("ours to end");
        self.0.wait().expect("ours to wait for");
    }
}

fn agent(socket: &Path, key: &Path) -> Agent {
    let mut child = Process::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(socket)
        .stdout(Stdio::piped())
        .spawn()
        .expect("ssh-agent runs");
    // It says where it listens once it does.
    let mut line = String::new();
    let mut said = std::io::BufReader::new(child.stdout.take().expect("piped"));
    std::io::BufRead::read_line(&mut said, &mut line).expect("it speaks");
    let added = Process::new("ssh-add")
        .arg("-q")
        .arg(key)
        .env("SSH_AUTH_SOCK", socket)
        .status()
        .expect("ssh-add runs");
    assert!(added.success());
    Agent(child)
}

#[tokio::test]
async fn the_agents_keys_work() {
    let Some(sshd) = sshd("") else { return };
    sshd.host();
    let _agent = agent(&sshd.path("agent"), &sshd.path("id"));
    let mut target = sshd.target();
    target.identity = None;
    let why = refusal(target.clone()).await.to_string();
    assert!(why.contains("no key to offer"), "{why}");
    target.person = Person {
        agent: Some(sshd.path("agent")),
        ..Person::default()
    };
    works(target).await;
}

#[tokio::test]
async fn a_jump_host_leads_to_a_host_that_only_it_can_name() {
    let (Some(near), Some(far)) = (sshd(""), sshd("")) else {
        return;
    };
    let mut jump = near.target();
    jump.host = host("near");
    jump.known_hosts = far.known_hosts();
    let mut target = far.target();
    target.host = host("far");
    far.known_hosts()
        .pin(&["near".into()], &near.public("host_ed25519.pub"))
        .expect("pinned");
    far.known_hosts()
        .pin(&["far".into()], &far.public("host_ed25519.pub"))
        .expect("pinned");
    target.jump = Some(Box::new(jump.clone()));
    works(target.clone()).await;

    far.known_hosts()
        .pin(&["near".into()], &near.public("id.pub"))
        .expect("pinned");
    let ShellError::Unreachable { source, .. } = refusal(target.clone()).await else {
        panic!("an untrusted jump host must not be used");
    };
    assert!(
        source.to_string().contains("Host key verification failed"),
        "{source}"
    );
    far.known_hosts()
        .pin(&["near".into()], &near.public("host_ed25519.pub"))
        .expect("pinned");
    far.known_hosts()
        .pin(&["far".into()], &far.public("id.pub"))
        .expect("pinned");
    assert!(
        matches!(refusal(target).await, ShellError::HostKey { .. }),
        "the far key is checked too"
    );
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let Some(sshd) = sshd("") else { return };
    let target = sshd.target();
    drop(sshd);
    let error = refusal(target).await;
    let ShellError::Unreachable { source, .. } = &error else {
        panic!("{error}");
    };
    assert!(
        source.to_string().starts_with("connect to 127.0.0.1:"),
        "{source}"
    );
}
