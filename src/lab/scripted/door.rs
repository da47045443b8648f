//! A host's SSH: a loopback port that belongs to it for life, open while it runs.

use super::{answer::answer, error::ScriptedError, machine::Machine};
use russh::{
    Channel, ChannelMsg, MethodKind, MethodSet,
    keys::{PrivateKey, PublicKey},
    server::{self, Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey},
};
use std::{
    collections::BTreeMap,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Connections that wait to be let in.
const BACKLOG: u32 = 64;

/// A machine that its visitors share.
pub(super) type Shared = Arc<Mutex<Machine>>;

/// The port of one host.
#[derive(Debug)]
pub(super) struct Door {
    address: SocketAddr,
    /// Bound and not listening: whoever knocks is refused, and nobody else gets the port.
    reserved: Option<TcpSocket>,
    open: Option<Open>,
    terms: watch::Sender<Terms>,
}

/// How visitors are received right now.
#[derive(Debug, Clone)]
struct Terms {
    config: Arc<server::Config>,
    /// A fault: nobody comes in, though the host runs.
    is_shut: bool,
}

/// What goes on behind an open door.
#[derive(Debug)]
pub(super) struct Open {
    /// Aborted when dropped.
    porter: JoinSet<()>,
    connections: Connections,
}

/// A second handle on every connection's socket, by which it is cut: a session that was told to end would still answer.
#[derive(Debug, Clone, Default)]
struct Connections(Arc<Mutex<BTreeMap<u64, OwnedFd>>>);

impl Connections {
    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, OwnedFd>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn cut(&self) {
        for socket in self.all().values() {
            // A socket that the visitor closed first is closed.
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.cut();
    }
}

impl Door {
    /// Reserves a port.
    pub(super) fn new() -> Result<Self, ScriptedError> {
        let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self {
            address: socket.local_addr().map_err(ScriptedError::Listen)?,
            reserved: Some(socket),
            open: None,
            terms: watch::Sender::new(Terms {
                config: Arc::default(),
                is_shut: false,
            }),
        })
    }

    /// Shows this host key from the next connection on.
    pub(super) fn show(&self, key: PrivateKey) {
        let mut methods = MethodSet::empty();
        methods.push(MethodKind::PublicKey);
        let config = Arc::new(server::Config {
            keys: vec![key],
            methods,
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            nodelay: true,
            inactivity_timeout: None,
            ..server::Config::default()
        });
        self.terms.send_modify(|terms| terms.config = config);
    }

    /// Cuts and refuses everybody, or lets people in again.
    pub(super) fn shut(&self, is_shut: bool) {
        self.terms.send_modify(|terms| terms.is_shut = is_shut);
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Lets people in after a delay.
    pub(super) fn open(
        &mut self,
        machine: Shared,
        key: PrivateKey,
        delay: Duration,
    ) -> Result<(), ScriptedError> {
        let socket = match self.reserved.take() {
            Some(socket) => socket,
            None => bind(self.address)?,
        };
        self.show(key);
        let mut porter = JoinSet::new();
        let connections = Connections::default();
        let house = House {
            address: self.address,
            machine,
            terms: self.terms.subscribe(),
            connections: connections.clone(),
        };
        if delay.is_zero() {
            let listener = socket.listen(BACKLOG).map_err(ScriptedError::Listen)?;
            porter.spawn(house.receive(listener));
        } else {
            porter.spawn(async move {
                tokio::time::sleep(delay).await;
                // The port is ours since the host was made.
                if let Ok(listener) = socket.listen(BACKLOG) {
                    house.receive(listener).await;
                }
            });
        }
        self.open = Some(Open {
            porter,
            connections,
        });
        Ok(())
    }

    /// What is to be closed with [`Open::cut`], before the port is reserved again.
    pub(super) fn close(&mut self) -> Option<Open> {
        self.open.take()
    }

    /// Takes the port back: those who knock are refused again.
    pub(super) fn reserve(&mut self, socket: TcpSocket) {
        self.reserved = Some(socket);
    }
}

impl Open {
    /// Cuts every connection, stops listening, and binds the port anew.
    pub(super) async fn cut(mut self, address: SocketAddr) -> Result<TcpSocket, ScriptedError> {
        self.porter.shutdown().await;
        bind_again(address).await
    }
}

/// A process that is being started holds a copy of every socket for a moment.
async fn bind_again(address: SocketAddr) -> Result<TcpSocket, ScriptedError> {
    for _ in 0..100 {
        match bind(address) {
            Err(ScriptedError::Listen(error)) if error.kind() == ErrorKind::AddrInUse => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            bound => return bound,
        }
    }
    bind(address)
}

fn bind(address: SocketAddr) -> Result<TcpSocket, ScriptedError> {
    let socket = TcpSocket::new_v4().map_err(ScriptedError::Listen)?;
    socket.set_reuseaddr(true).map_err(ScriptedError::Listen)?;
    socket.bind(address).map_err(ScriptedError::Listen)?;
    Ok(socket)
}

/// Who is behind a door.
struct House {
    address: SocketAddr,
    machine: Shared,
    terms: watch::Receiver<Terms>,
    connections: Connections,
}

impl House {
    /// Lets visitors in for as long as the host runs; while the door is shut, they are refused.
    async fn receive(self, mut listener: TcpListener) {
        let mut number = 0;
        loop {
            let visitor = tokio::select! {
                visitor = listener.accept() => visitor.ok(),
                () = until(self.terms.clone(), true) => None,
            };
            // One that cannot be accepted is no trouble of the host's.
            if let Some((stream, _)) = visitor {
                self.welcome(number, stream);
                number += 1;
            } else if self.terms.borrow().is_shut {
                drop(listener);
                self.connections.cut();
                // Bound and not listening: whoever knocks is refused.
                let Ok(socket) = bind_again(self.address).await else {
                    return;
                };
                until(self.terms.clone(), false).await;
                let Ok(again) = socket.listen(BACKLOG) else {
                    return;
                };
                listener = again;
            }
        }
    }

    fn welcome(&self, number: u64, stream: TcpStream) {
        // Without it every answer waits for an acknowledgement.
        let Ok(socket) = stream
            .set_nodelay(true)
            .and_then(|()| stream.as_fd().try_clone_to_owned())
        else {
            return;
        };
        self.connections.all().insert(number, socket);
        self.machine
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .visits
            .connections += 1;
        let visitor = Visitor {
            machine: Arc::clone(&self.machine),
            login: String::new(),
        };
        let config = Arc::clone(&self.terms.borrow().config);
        let connections = self.connections.clone();
        tokio::spawn(async move {
            // A visitor that leaves in the middle is no trouble of the host's.
            if let Ok(session) = server::run_stream(config, stream, visitor).await {
                let _ = session.await;
            }
            connections.all().remove(&number);
        });
    }
}

/// Waits until the door is shut, or open again.
async fn until(mut terms: watch::Receiver<Terms>, shut: bool) {
    let is_so = terms.wait_for(|terms| terms.is_shut == shut).await.is_ok();
    if !is_so {
        // The host is gone, and this task with it.
        std::future::pending::<()>().await;
    }
}

/// One connection.
struct Visitor {
    machine: Shared,
    login: String,
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: server::PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        Ok(self.verdict(user, offer.public_key))
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        user.clone_into(&mut self.login);
        Ok(self.verdict(user, key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        let (machine, login) = (Arc::clone(&self.machine), self.login.clone());
        tokio::spawn(async move {
            // The same: nobody is left to tell.
            let _ = converse(channel, machine, login).await;
        });
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: russh::ChannelId,
        _data: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(channel)
    }
}

impl Visitor {
    fn verdict(&self, user: &str, key: &PublicKey) -> Auth {
        let machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let login = machine.logins.iter().find(|login| login.name == user);
        let known = login.into_iter().flat_map(|login| &login.keys).any(|line| {
            PublicKey::from_openssh(line).is_ok_and(|known| known.key_data() == key.key_data())
        });
        if known { Auth::Accept } else { Auth::reject() }
    }
}

/// Takes a command and its input, and answers once the input has ended.
async fn converse(
    mut channel: Channel<Msg>,
    machine: Shared,
    login: String,
) -> Result<(), russh::Error> {
    let (mut line, mut input) = (None, Vec::new());
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Exec { command, .. }) => line = Some(command),
            Some(ChannelMsg::Data { data }) => input.extend_from_slice(&data),
            Some(ChannelMsg::Eof) => break,
            Some(ChannelMsg::Close) | None => return Ok(()),
            Some(_) => {}
        }
    }
    let Some(line) = line else {
        return channel.close().await;
    };
    let line = String::from_utf8_lossy(&line).into_owned();
    let slowness = machine
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .slowness;
    tokio::time::sleep(slowness).await;
    let reply = {
        let mut machine = machine.lock().unwrap_or_else(PoisonError::into_inner);
        answer(&mut machine, &login, &line, &input, jiff::Timestamp::now())
    };
    if !reply.stdout.is_empty() {
        channel.data_bytes(reply.stdout).await?;
    }
    if !reply.stderr.is_empty() {
        channel.extended_data_bytes(1, reply.stderr).await?;
    }
    channel.exit_status(u32::from(reply.code)).await?;
    channel.eof().await?;
    channel.close().await
}
