//! A world on loopback, and a guest's client.

use infra::lab::images::{Sites, World, WorldSpec, forwarder::Upstreams};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

pub(crate) fn world(cache: &Path, mirrors: Upstreams) -> World {
    let known = [
        ("pve.home.arpa", [192, 168, 1, 10]),
        ("*.home.arpa", [10, 10, 10, 2]),
    ];
    World::start(WorldSpec {
        netns: None,
        dns: vec![any_port()],
        http: any_port(),
        https: any_port(),
        tunnels: None,
        outside: OUTSIDE,
        names: known
            .into_iter()
            .map(|(name, octets)| (name.to_owned(), Ipv4Addr::from(octets)))
            .collect(),
        sites: Sites::default(),
        mirrors,
        proxy: None,
        packages: None,
        cache: cache.to_owned(),
    })
    .expect("a world")
}

/// A client that finds these names at `https` and trusts an authority, like a guest.
pub(crate) fn guest(ca_pem: &str, https: SocketAddr, names: &[&str]) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls::pki_types::pem::PemObject::pem_slice_iter(ca_pem.as_bytes()) {
        roots
            .add(certificate.expect("a certificate"))
            .expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tls);
    for name in names {
        client = client.resolve(name, https);
    }
    client.build().expect("a client")
}

pub(crate) fn mirrors(pairs: &[(&str, SocketAddr)]) -> Upstreams {
    let origin = |addr: &SocketAddr| format!("http://{addr}");
    pairs
        .iter()
        .map(|(host, addr)| ((*host).to_owned(), origin(addr)))
        .collect::<BTreeMap<_, _>>()
}
