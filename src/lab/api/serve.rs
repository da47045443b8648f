//! The listening socket: TLS, HTTP/1.1, and connections that close as the real server closes them.

use super::{certificate::Certificate, error::ApiError, http, world::World};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

/// Idle connections are closed after five real seconds, as pveproxy does; clients keep that time whatever the clock.
const IDLE: Duration = Duration::from_secs(5);

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    tasks: Vec<tokio::task::AbortHandle>,
}

impl Handle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Answers for a cluster on a socket, and runs its daemons. Must be called inside a tokio runtime.
///
/// # Errors
/// [`ApiError::Listen`] or [`ApiError::Tls`].
pub fn serve(
    listener: std::net::TcpListener,
    world: World,
    certificate: &Certificate,
) -> Result<Handle, ApiError> {
    listener.set_nonblocking(true).map_err(ApiError::Listen)?;
    let address = listener.local_addr().map_err(ApiError::Listen)?;
    let listener = TcpListener::from_std(listener).map_err(ApiError::Listen)?;
    let acceptor = TlsAcceptor::from(Arc::new(certificate.server()?));
    world.show(certificate);
    let rounds = tokio::spawn(world.clone().rounds());
    let server = tokio::spawn(accept(listener, acceptor, world));
    Ok(Handle {
        address,
        tasks: vec![rounds.abort_handle(), server.abort_handle()],
    })
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, world: World) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // A connection that cannot be accepted is the client's trouble; the server goes on.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (acceptor, world) = (acceptor.clone(), world.clone());
        connections.spawn(async move {
            let Ok(Ok(stream)) = tokio::time::timeout(IDLE, acceptor.accept(stream)).await else {
                return;
            };
            let service =
                service_fn(move |request: Request<Incoming>| http::answer(world.clone(), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE)
                .max_headers(64)
                .serve_connection(TokioIo::new(stream), service);
            // A dropped connection is an ordinary end.
            let _ = connection.await;
        });
    }
}
