//! A world on loopback, and a guest's client.

use infra::lab::images::{World, WorldSpec, forwarder::Upstreams};
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
    World::start(spec(cache, mirrors)).expect("a world")
}

pub(crate) fn spec(cache: &Path, mirrors: Upstreams) -> WorldSpec {
    let known = [
        ("pve.home.arpa", [192, 168, 1, 10]),
        ("*.home.arpa", [10, 10, 10, 2]),
    ];
    WorldSpec {
        netns: None,
        dns: vec![any_port()],
        http: any_port(),
        https: any_port(),
        outside: OUTSIDE,
        names: known
            .into_iter()
            .map(|(name, octets)| (name.to_owned(), Ipv4Addr::from(octets)))
            .collect(),
        mirrors,
        proxy: None,
        packages: None,
        cache: cache.to_owned(),
    }
}

/// A client without TLS; it insists on having a provider all the same.
pub(crate) fn plain_client() -> reqwest::Client {
    let tls = trusting(rustls::RootCertStore::empty());
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    client
        .tls_backend_preconfigured(tls)
        .build()
        .expect("a client")
}

fn trusting(roots: rustls::RootCertStore) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A client that finds these names at `https` and trusts an authority, like a guest.
pub(crate) fn guest(ca_pem: &str, https: SocketAddr, names: &[&str]) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls::pki_types::pem::PemObject::pem_slice_iter(ca_pem.as_bytes()) {
        roots
            .add(certificate.expect("a certificate"))
            .expect("an authority");
    }
    let tls = trusting(roots);
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
