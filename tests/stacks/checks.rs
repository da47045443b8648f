//! Checks asked of a real HTTPS server: headers, days that a certificate has left, and which TLS is spoken.

use axum::{Router, routing::get};
use axum_server::tls_rustls::RustlsConfig;
use infra::{
    model::{
        check::{Check, Probe},
        flow::Endpoint,
        ids::HostName,
    },
    providers::local::LocalShell,
    verify::{self, Local, Verdict},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, TcpListener},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NAME: &str = "films.home.arpa";
/// Days until the server's certificate ends. It ends at midnight, so one less is left.
const DAYS: i64 = 20;

/// A server with a certificate that ends in [`DAYS`]; its port.
fn serve(versions: &[&'static rustls::SupportedProtocolVersion]) -> u16 {
    let ends = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
        .saturating_add(jiff::Span::new().days(DAYS));
    let mut params = rcgen::CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
    params.not_after = rcgen::date_time_ymd(
        i32::from(ends.year()),
        u8::try_from(ends.month()).expect("a month"),
        u8::try_from(ends.day()).expect("a day"),
    );
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("signed");
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .expect("a pair");
    let listener = TcpListener::bind((HERE, 0)).expect("a port");
    listener.set_nonblocking(true).expect("not blocking");
    let port = listener.local_addr().expect("an address").port();
    let page = || async { ([("strict-transport-security", "max-age=31536000")], "Films") };
    let routes = Router::new().route("/", get(page));
    let server = axum_server::from_tcp_rustls(listener, RustlsConfig::from_config(Arc::new(tls)))
        .expect("a server");
    tokio::spawn(server.serve(routes.into_make_service()));
    port
}

async fn asked(probe: Probe) -> Verdict {
    let check = Check {
        name: "a check".to_owned(),
        from: Endpoint::Any,
        probe,
    };
    let shell = LocalShell::new(HostName::new("here").expect("valid"));
    let local = Local {
        shell: &shell,
        address: None,
        nobody: None,
    };
    let hosts: BTreeMap<HostName, LocalShell> = BTreeMap::new();
    let desired = super::desired();
    let mut results = verify::run(&desired, &[check], &hosts, &local, Duration::ZERO).await;
    results.remove(0).verdict
}

fn page(port: u16, header: (&str, &str), status: u16) -> Probe {
    Probe::Http {
        url: format!("https://{NAME}:{port}/"),
        connect: Some(HERE),
        status,
        location: None,
        body: Some("Films".to_owned()),
        header: Some((header.0.to_owned(), header.1.to_owned())),
        self_signed: true,
    }
}

fn failed(seen: &str) -> Verdict {
    Verdict::Failed {
        seen: seen.to_owned(),
    }
}

#[tokio::test]
async fn a_header_of_a_real_answer_is_read() {
    let port = serve(&[&rustls::version::TLS13]);
    let wanted = ("Strict-Transport-Security", "max-age=");
    assert_eq!(asked(page(port, wanted, 200)).await, Verdict::Passed);
    assert_eq!(
        asked(page(port, ("Strict-Transport-Security", "preload"), 200)).await,
        failed("the header `Strict-Transport-Security` is `max-age=31536000`")
    );
    assert_eq!(
        asked(page(port, ("X-Frame-Options", ""), 200)).await,
        failed("there is no header `X-Frame-Options`")
    );
    assert_eq!(
        asked(page(port, wanted, 302)).await,
        failed("status 200, not 302")
    );
    let Probe::Http { url, .. } = page(port, wanted, 200) else {
        return;
    };
    let distrusting = Probe::Http {
        url,
        connect: Some(HERE),
        status: 200,
        location: None,
        body: None,
        header: None,
        self_signed: false,
    };
    assert!(matches!(asked(distrusting).await, Verdict::Failed { .. }));
}

#[tokio::test]
async fn a_real_certificate_has_days_left_and_a_real_server_speaks_what_it_speaks() {
    let openssl = Command::new("openssl")
        .arg("version")
        .stdout(Stdio::null())
        .status();
    if !openssl.is_ok_and(|status| status.success()) {
        println!("skipped: openssl is not installed");
        return;
    }
    let (modern, both) = (
        serve(&[&rustls::version::TLS13]),
        serve(&[&rustls::version::TLS12, &rustls::version::TLS13]),
    );
    let tls = |port, days, only_tls13| Probe::Tls {
        name: NAME.to_owned(),
        connect: Some(HERE),
        port,
        days,
        only_tls13,
    };
    assert_eq!(asked(tls(both, 14, false)).await, Verdict::Passed);
    assert_eq!(
        asked(tls(both, 30, false)).await,
        failed("the certificate ends in 19 days")
    );
    assert_eq!(asked(tls(modern, 14, true)).await, Verdict::Passed);
    assert_eq!(
        asked(tls(both, 14, true)).await,
        failed("a TLS older than 1.3 is spoken")
    );
}

/// Who asks a check from a zone: this machine when it stands there, else a guest or host that does and is not the one asked.
#[tokio::test]
async fn a_zone_is_spoken_for_by_who_stands_in_it() {
    let desired = super::desired();
    let asked_by = async |zone: &str, address: IpAddr, here: Option<IpAddr>| {
        let check = Check {
            name: "a check".to_owned(),
            from: Endpoint::Zone(zone.parse().expect("valid")),
            probe: Probe::Tcp {
                address,
                port: 1,
                open: false,
            },
        };
        let names = ["intranet", "extranet"].map(|name| HostName::new(name).expect("valid"));
        let hosts: BTreeMap<HostName, LocalShell> = names
            .into_iter()
            .map(|name| (name.clone(), LocalShell::new(name)))
            .collect();
        let shell = LocalShell::new(HostName::new("here").expect("valid"));
        let local = Local {
            shell: &shell,
            address: here,
            nobody: None,
        };
        let mut results = verify::run(&desired, &[check], &hosts, &local, Duration::ZERO).await;
        let result = results.remove(0);
        (result.asked_by, result.verdict)
    };
    let operator: IpAddr = [192, 168, 1, 50].into();
    let (who, verdict) = asked_by("lan", HERE, Some(operator)).await;
    assert_eq!((who.as_str(), verdict), ("here", Verdict::Passed));
    let (who, verdict) = asked_by("lan", HERE, None).await;
    assert_eq!((who.as_str(), verdict), ("intranet", Verdict::Passed));
    // Nights run on the node: its own packets pass by other rules, and into the DMZ they come from there.
    let node: IpAddr = [192, 168, 1, 10].into();
    let (who, _) = asked_by("lan", HERE, Some(node)).await;
    assert_eq!(who, "intranet");
    let (who, verdict) = asked_by("dmz", HERE, Some(operator)).await;
    assert_eq!((who.as_str(), verdict), ("extranet", Verdict::Passed));
    let (who, verdict) = asked_by("dmz", [10, 10, 10, 2].into(), Some(operator)).await;
    assert_eq!(who, "nobody");
    assert!(matches!(verdict, Verdict::NotAsked { .. }), "{verdict:?}");
}
