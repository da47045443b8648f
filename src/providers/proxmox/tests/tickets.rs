//! Logging in by password.

use super::server::{Asked, Reply, Server, client, hasty};
use crate::model::{desired::ApiAuth, ids::Vmid};
use crate::providers::proxmox::{Client, ClientOptions, ProxmoxError, ProxmoxRead, ProxmoxWrite};
use std::{collections::BTreeMap, time::Duration};

/// Gives out tickets `PVE:1`, `PVE:2` ... and answers everything else with nothing.
fn office(asked: &Asked, before: usize) -> Reply {
    if asked.target == "/access/ticket" {
        Reply::data(&format!(
            r#"{{"ticket":"PVE:{before}::+/=","CSRFPreventionToken":"csrf:{before}"}}"#
        ))
    } else if asked.method == "GET" {
        Reply::data("[]")
    } else {
        Reply::data("\"UPID:pve:000000DD:000938FA:6B008433:qmcreate:110:root@pam:\"")
    }
}

fn by_password(server: &Server, ticket_lifetime: Duration) -> Client {
    let mut api = server.api();
    api.auth = ApiAuth::Password {
        user: "root@pam".to_owned(),
        password: "password".parse().expect("valid"),
    };
    client(
        &api,
        ClientOptions {
            ticket_lifetime,
            ..hasty()
        },
    )
}

const HOUR: Duration = Duration::from_hours(1);

fn vmid() -> Vmid {
    Vmid::new(110).expect("valid")
}

#[tokio::test]
async fn parallel_requests_share_one_login() {
    let server = Server::start(office);
    let client = by_password(&server, HOUR);
    let (first, second, third) = tokio::join!(
        client.guest(vmid()),
        client.guest(vmid()),
        client.guest(vmid())
    );
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    let asked = server.asked();
    assert_eq!(
        asked
            .iter()
            .filter(|asked| asked.target == "/access/ticket")
            .count(),
        1
    );
    assert_eq!(
        asked[0].text(),
        "username=root%40pam&password=pa55%3Bw%2Brd%3D%25"
    );
    assert_eq!(
        asked[1].headers["cookie"],
        "PVEAuthCookie=PVE%3A0%3A%3A%2B%2F%3D"
    );
}

#[tokio::test]
async fn writes_carry_the_csrf_token() {
    let server = Server::start(office);
    by_password(&server, HOUR)
        .create_vm("pve", vmid(), &BTreeMap::new())
        .await
        .expect("made");
    assert_eq!(server.asked()[1].headers["csrfpreventiontoken"], "csrf:0");
}

#[tokio::test]
async fn an_old_ticket_is_renewed_by_itself() {
    let server = Server::start(office);
    let client = by_password(&server, Duration::ZERO);
    client.guest(vmid()).await.expect("logged in");
    client.guest(vmid()).await.expect("renewed");
    let asked = server.asked();
    assert_eq!(
        asked[2].text(),
        "username=root%40pam&password=PVE%3A0%3A%3A%2B%2F%3D"
    );
    assert_eq!(
        asked[3].headers["cookie"],
        "PVEAuthCookie=PVE%3A2%3A%3A%2B%2F%3D"
    );
}

#[tokio::test]
async fn a_ticket_that_expired_in_the_meantime_is_replaced_by_password() {
    let server = Server::start(|asked, before| {
        if asked.text().contains("password=PVE") {
            Reply::message(401, "authentication failure\n")
        } else {
            office(asked, before)
        }
    });
    let client = by_password(&server, Duration::ZERO);
    client.guest(vmid()).await.expect("logged in");
    client.guest(vmid()).await.expect("logged in again");
    let asked = server.asked();
    let logins: Vec<bool> = asked
        .iter()
        .filter(|asked| asked.target == "/access/ticket")
        .map(|asked| asked.text().contains("pa55"))
        .collect();
    assert_eq!(logins, [true, false, true]);
}

#[tokio::test]
async fn a_refused_ticket_costs_one_more_login_even_for_a_write_and_only_one() {
    let server = Server::start(|asked, before| match asked.headers.get("cookie") {
        Some(cookie) if cookie.contains("PVE%3A0") => {
            Reply::Bare(401, "permission denied - invalid PVE ticket")
        }
        _ => office(asked, before),
    });
    let client = by_password(&server, HOUR);
    client
        .create_vm("pve", vmid(), &BTreeMap::new())
        .await
        .expect("with a new ticket");
    let lines = server.lines();
    assert_eq!(
        lines,
        [
            "POST /access/ticket",
            "POST /nodes/pve/qemu",
            "POST /access/ticket",
            "POST /nodes/pve/qemu"
        ]
    );

    let closed = Server::start(|asked, before| {
        if asked.headers.contains_key("cookie") {
            Reply::Bare(401, "No ticket")
        } else {
            office(asked, before)
        }
    });
    let error = by_password(&closed, HOUR)
        .guest(vmid())
        .await
        .expect_err("never");
    assert!(
        matches!(error, ProxmoxError::Unauthorized { .. }),
        "{error:?}"
    );
    assert_eq!(closed.asked().len(), 4);
}

#[tokio::test]
async fn a_wrong_password_is_told_once_and_not_shown() {
    let server = Server::start(|_, _| Reply::message(401, "authentication failure\n"));
    let error = by_password(&server, HOUR)
        .guest(vmid())
        .await
        .expect_err("refused");
    assert_eq!(
        error.to_string(),
        "log in to Proxmox for POST /access/ticket: authentication failure"
    );
    assert_eq!(server.asked().len(), 1);
    assert!(!format!("{error:?}").contains("pa55"));
}
