//! The outside world of one lab, running.

use super::{
    dns::{self, Names},
    error::ImagesError,
    forwarder::{self, Mirrors, Upstreams},
    registry,
    sites::Sites,
    store::Builder,
    tls::{Authority, server_config},
};
use crate::lab::netns::{bind_tcp, bind_udp};
use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use std::{
    collections::BTreeMap,
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::JoinHandle;

/// What the outside world of a lab is made of.
#[derive(Debug, Clone)]
pub struct WorldSpec {
    /// Namespace in which it listens; none for that of the process.
    pub netns: Option<PathBuf>,
    /// Addresses of the name server, port 53 each, UDP and TCP. One by one, since an answer must come from the address
    /// that was asked.
    pub dns: Vec<SocketAddr>,
    /// Where mirrors answer, port 80.
    pub http: SocketAddr,
    /// Where registries answer, port 443.
    pub https: SocketAddr,
    /// Where tunnels are taken, port 7844: TLS, and nothing to ask for.
    pub tunnels: Option<SocketAddr>,
    /// The address to which every public name leads.
    pub outside: Ipv4Addr,
    /// Names with an address of their own; `*.suffix` names everything below a suffix.
    pub names: BTreeMap<String, Ipv4Addr>,
    /// What port 443 answers beside registries.
    pub sites: Sites,
    /// The mirrors that guests may reach: [`forwarder::hosts`] of the machine and of the base image.
    pub mirrors: Upstreams,
    /// HTTP proxy through which this machine reaches them.
    pub proxy: Option<String>,
    /// Mirror that images are built from; none for the default of this machine's mmdebstrap.
    pub packages: Option<String>,
    /// The cache that labs share.
    pub cache: PathBuf,
}

/// A running outside world. It ends when this is dropped.
#[derive(Debug)]
pub struct World {
    authority: Arc<Authority>,
    mirrors: Arc<Mirrors>,
    images: Arc<Builder>,
    dns: Vec<SocketAddr>,
    http: SocketAddr,
    https: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl World {
    /// Binds its sockets in the namespace and answers on them from then on. Needs a tokio runtime.
    ///
    /// # Errors
    /// When an address is taken, or the cache cannot be used.
    pub fn start(spec: WorldSpec) -> Result<Self, ImagesError> {
        let authority = Arc::new(Authority::load_or_make(&spec.cache.join("authority"))?);
        let images = Arc::new(
            Builder::new(&spec.cache.join("images"), spec.packages)?.trusting(authority.pem()),
        );
        let mirrors = Mirrors::new(
            &spec.cache.join("mirrors"),
            spec.mirrors,
            spec.proxy.as_deref(),
        )?;
        let tls = server_config(Arc::clone(&authority))?;
        let tunnel_tls = tls.clone();
        let netns = spec.netns.as_deref();
        let names = Names::new(&spec.names, spec.outside);
        let mut world = Self {
            authority,
            mirrors: Arc::clone(&mirrors),
            images: Arc::clone(&images),
            dns: Vec::new(),
            http: spec.http,
            https: spec.https,
            tasks: Vec::new(),
        };
        for addr in spec.dns {
            world.answer_names(netns, addr, names.clone())?;
        }
        world.http = world.serve_plain(netns, spec.http, forwarder::routes(mirrors))?;
        world.https =
            world.serve_tls(netns, spec.https, tls, registry::routes(images, spec.sites))?;
        if let Some(addr) = spec.tunnels {
            world.serve_tls(netns, addr, tunnel_tls, Router::new())?;
        }
        Ok(world)
    }

    /// The certificate of the lab's authority, which guests must trust to pull images.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// The images that its registries serve, to build them ahead of the first pull.
    pub fn images(&self) -> &Arc<Builder> {
        &self.images
    }

    /// Adds mirrors, those of a base image that was built since.
    pub fn learn_mirrors(&self, more: Upstreams) {
        self.mirrors.learn(more);
    }

    /// Where the name server really listens.
    pub fn dns(&self) -> &[SocketAddr] {
        &self.dns
    }

    /// Where mirrors really answer.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where registries really answer.
    pub fn https(&self) -> SocketAddr {
        self.https
    }

    fn answer_names(
        &mut self,
        netns: Option<&Path>,
        addr: SocketAddr,
        names: Names,
    ) -> Result<(), ImagesError> {
        let failed = listen_error(netns, addr);
        let bound = bind_tcp(netns, addr).and_then(|tcp| {
            let addr = tcp.local_addr()?;
            Ok((bind_udp(netns, addr)?, tcp, addr))
        });
        let (udp, tcp, addr) = bound.map_err(failed)?;
        self.dns.push(addr);
        self.spawn(dns::serve(udp, tcp, names));
        Ok(())
    }

    fn serve_plain(
        &mut self,
        netns: Option<&Path>,
        addr: SocketAddr,
        routes: Router,
    ) -> Result<SocketAddr, ImagesError> {
        let started = bind_tcp(netns, addr).and_then(|listener| {
            let addr = listener.local_addr()?;
            Ok((axum_server::from_tcp(listener)?, addr))
        });
        let (server, addr) = started.map_err(listen_error(netns, addr))?;
        self.spawn(server.serve(routes.into_make_service()));
        Ok(addr)
    }

    fn serve_tls(
        &mut self,
        netns: Option<&Path>,
        addr: SocketAddr,
        tls: rustls::ServerConfig,
        routes: Router,
    ) -> Result<SocketAddr, ImagesError> {
        let tls = RustlsConfig::from_config(Arc::new(tls));
        let started = bind_tcp(netns, addr).and_then(|listener| {
            let addr = listener.local_addr()?;
            Ok((axum_server::from_tcp_rustls(listener, tls)?, addr))
        });
        let (server, addr) = started.map_err(listen_error(netns, addr))?;
        self.spawn(server.serve(routes.into_make_service_with_connect_info::<SocketAddr>()));
        Ok(addr)
    }

    fn spawn(&mut self, server: impl Future<Output = io::Result<()>> + Send + 'static) {
        self.tasks.push(tokio::spawn(async move {
            let _serves_until_the_world_ends = server.await;
        }));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn listen_error(netns: Option<&Path>, addr: SocketAddr) -> impl FnOnce(io::Error) -> ImagesError {
    let netns = netns.map(Path::to_owned);
    move |source| ImagesError::Listen {
        addr,
        netns,
        source,
    }
}
