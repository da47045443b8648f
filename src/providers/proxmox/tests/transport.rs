//! Trust, broken connections, and what is sent again.

use super::server::{Reply, Server, client, hasty};
use crate::model::{
    desired::TlsTrust,
    firewall::{PveRule, PveRuleKind},
    ids::Vmid,
    observed::ObservedGuest,
};
use crate::providers::proxmox::{
    Client, Delivery, Fingerprint, FirewallScope, ProxmoxError, ProxmoxRead, ProxmoxWrite,
};
use std::collections::{BTreeMap, BTreeSet};

const NOTHING: &str = "[]";
const TASK: &str = "\"UPID:pve:000000DD:000938FA:6B008433:qmcreate:110:root@pam!infra:\"";

fn vmid() -> Vmid {
    Vmid::new(110).expect("valid")
}

/// A question: where is guest 110?
async fn read(client: &Client) -> Result<Option<ObservedGuest>, ProxmoxError> {
    client.guest(vmid()).await
}

/// A write that would make two of something if it were sent twice.
async fn create(client: &Client) -> Result<(), ProxmoxError> {
    client
        .create_vm("pve", vmid(), &BTreeMap::new())
        .await
        .map(drop)
}

/// A write that may well be sent twice.
async fn set_options(client: &Client) -> Result<(), ProxmoxError> {
    let set = BTreeMap::from([("enable".to_owned(), "1".to_owned())]);
    client
        .set_options(&FirewallScope::Cluster, &set, &BTreeSet::new())
        .await
}

/// A write that would make two of something if it were carried out twice, all of it under one lock.
async fn insert_rule(client: &Client) -> Result<(), ProxmoxError> {
    let rule = PveRule {
        kind: PveRuleKind::In,
        action: "ACCEPT".to_owned(),
        enable: true,
        proto: None,
        source: None,
        dest: None,
        sport: None,
        dport: None,
        icmp_type: None,
        r#macro: None,
        iface: None,
        log: None,
        comment: None,
    };
    client.insert_rule(&FirewallScope::Cluster, &rule).await
}

#[tokio::test]
async fn the_pinned_certificate_is_believed_and_no_other() {
    let server = Server::start(|_, _| Reply::data(NOTHING));
    assert!(read(&server.client()).await.expect("believed").is_none());

    let mut api = server.api();
    api.tls = TlsTrust::Fingerprint([7; 32]);
    let error = create(&client(&api, hasty()))
        .await
        .expect_err("another certificate");
    let ProxmoxError::PinMismatch { want, got, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((*want, *got), (Fingerprint([7; 32]), server.fingerprint));
    assert_eq!(error.delivery(), Delivery::NeverSent);
    assert_eq!(
        server.asked().len(),
        1,
        "nothing was sent to a server that is not believed"
    );
}

#[tokio::test]
async fn a_ca_vouches_for_its_own_certificates_only() {
    let (server, other) = (
        Server::start(|_, _| Reply::data(NOTHING)),
        Server::start(|_, _| Reply::data(NOTHING)),
    );
    let mut api = server.api();
    api.tls = TlsTrust::CaPem(server.ca_pem.clone());
    assert!(
        read(&client(&api, hasty()))
            .await
            .expect("signed by it")
            .is_none()
    );

    api.tls = TlsTrust::CaPem(other.ca_pem.clone());
    let error = read(&client(&api, hasty()))
        .await
        .expect_err("signed by another");
    assert!(matches!(error, ProxmoxError::Untrusted { .. }), "{error:?}");
    assert_eq!(error.delivery(), Delivery::NeverSent);

    api.tls = TlsTrust::CaPem(server.ca_pem.clone());
    api.host = "localhost".to_owned();
    let error = read(&client(&api, hasty()))
        .await
        .expect_err("another name");
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn the_reason_phrase_of_a_refused_token_is_told_and_the_token_is_not() {
    let server =
        Server::start(|_, _| Reply::Bare(401, "no such token 'infra' for user 'root@pam'"));
    let client = server.client();
    let error = read(&client).await.expect_err("refused");
    assert_eq!(
        error.to_string(),
        "log in to Proxmox for GET /cluster/resources: no such token 'infra' for user 'root@pam'"
    );
    assert_eq!(error.delivery(), Delivery::Refused);
    assert_eq!(
        server.asked().len(),
        1,
        "each refusal costs three seconds: asked once"
    );
    let header = &server.asked()[0].headers["authorization"];
    assert_eq!(header, "PVEAPIToken=root@pam!infra=s3cr3t-value");
    for shown in [format!("{error:?}"), format!("{client:?}")] {
        assert!(!shown.contains("s3cr3t-value"), "{shown}");
    }
}

#[tokio::test]
async fn a_server_that_is_off_was_never_sent_anything() {
    let mut api = Server::start(|_, _| Reply::data(NOTHING)).api();
    // Nobody listens on port 1.
    api.port = 1;
    let error = create(&client(&api, hasty())).await.expect_err("off");
    assert!(
        matches!(error, ProxmoxError::Unreachable { .. }),
        "{error:?}"
    );
    assert_eq!(error.delivery(), Delivery::NeverSent);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_never_sent_again() {
    let server = Server::start(|_, _| Reply::HangUp);
    for error in [
        create(&server.client()).await.expect_err("lost"),
        set_options(&server.client()).await.expect_err("lost"),
    ] {
        assert!(
            matches!(error, ProxmoxError::Interrupted { .. }),
            "{error:?}"
        );
        assert_eq!(error.delivery(), Delivery::MaybeApplied);
    }
    assert_eq!(
        server.lines(),
        ["POST /nodes/pve/qemu", "PUT /cluster/firewall/options"]
    );
}

#[tokio::test]
async fn a_question_whose_answer_is_lost_is_asked_again() {
    let server = Server::start(|_, before| {
        if before < 2 {
            Reply::HangUp
        } else {
            Reply::data(NOTHING)
        }
    });
    assert!(read(&server.client()).await.expect("third time").is_none());
    assert_eq!(server.asked().len(), 3);

    let deaf = Server::start(|_, _| Reply::HangUp);
    assert!(read(&deaf.client()).await.is_err());
    assert_eq!(deaf.asked().len(), 4, "and not for ever");
}

#[tokio::test]
async fn writes_never_go_over_a_connection_that_idled_and_questions_may() {
    let server =
        Server::start(|asked, _| Reply::data(if asked.method == "GET" { NOTHING } else { TASK }));
    let client = server.client();
    for _ in 0..3 {
        create(&client).await.expect("made");
        read(&client).await.expect("answered");
    }
    let of = |method: &str| {
        let asked = server
            .asked()
            .into_iter()
            .filter(|asked| asked.method == method);
        asked
            .map(|asked| asked.connection)
            .collect::<BTreeSet<usize>>()
            .len()
    };
    assert_eq!((of("POST"), of("GET")), (3, 1));
}

#[tokio::test]
async fn a_server_that_closes_idle_connections_costs_no_write() {
    let server = Server::start(|_, _| Reply::AnswerAndHangUp(format!("{{\"data\":{TASK}}}")));
    let client = server.client();
    for _ in 0..5 {
        create(&client)
            .await
            .expect("each on a connection of its own");
    }
    assert_eq!(server.asked().len(), 5);
}

#[tokio::test]
async fn a_gateway_that_could_not_connect_is_tried_again_and_one_that_lost_the_answer_is_not() {
    let refused = Server::start(|_, before| match before {
        0 => Reply::Bare(595, "Connection refused"),
        _ => Reply::data(TASK),
    });
    create(&refused.client())
        .await
        .expect("the daemon was restarting");
    assert_eq!(refused.asked().len(), 2);

    let slow = Server::start(|_, _| Reply::Bare(596, "Connection timed out"));
    let error = create(&slow.client()).await.expect_err("no answer");
    assert_eq!(
        error.to_string(),
        "pass POST /nodes/pve/qemu on inside the cluster: 596 Connection timed out"
    );
    assert_eq!(error.delivery(), Delivery::MaybeApplied);
    assert_eq!(slow.asked().len(), 1);
}

#[tokio::test]
async fn a_lock_is_waited_for_only_where_a_second_try_does_no_harm() {
    const LOCK: &str = "cfs-lock 'file-firewall' error: got lock request timeout\n";
    let server = Server::start(|_, before| {
        if before == 0 {
            Reply::message(500, LOCK)
        } else {
            Reply::data("null")
        }
    });
    set_options(&server.client()).await.expect("second time");
    assert_eq!(server.asked().len(), 2);
    // A rule that was not written for want of the lock is not there twice.
    let server = Server::start(|_, before| {
        if before == 0 {
            Reply::message(500, LOCK)
        } else {
            Reply::data("null")
        }
    });
    insert_rule(&server.client()).await.expect("second time");
    assert_eq!(server.asked().len(), 2);

    let server = Server::start(|_, _| Reply::message(500, LOCK));
    let error = create(&server.client()).await.expect_err("not again");
    assert!(error.is_lock_timeout(), "{error:?}");
    assert_eq!(
        (error.delivery(), server.asked().len()),
        (Delivery::Refused, 1)
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_page_is_not_an_answer() {
    let server = Server::start(|_, _| Reply::Bare(302, "Found"));
    assert!(matches!(
        read(&server.client()).await,
        Err(ProxmoxError::Refused { status: 302, .. })
    ));
    let page = Server::start(|_, _| Reply::Answer(200, "OK", "<html>".to_owned()));
    assert!(matches!(
        read(&page.client()).await,
        Err(ProxmoxError::Garbled { .. })
    ));
}
