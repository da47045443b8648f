//! From a target to a session that is trusted and logged in. Blocking; runs on the host's own thread.

use super::{
    auth::Login,
    error::ConnectError,
    host_key::HostKey,
    jump::{JumpProcess, by_proxy_command, through, through_user_jump},
    known_hosts::{KnownHosts, KnownKey, entry_name},
    target::Target,
    trust::{Distrust, judge, preferred_algorithms},
    user_config::UserConfig,
};
use ssh2::{ErrorCode, MethodType, Session};
use std::{
    net::{Shutdown, TcpStream, ToSocketAddrs},
    os::fd::OwnedFd,
    path::PathBuf,
    time::Duration,
};

/// A host on the same network answers in milliseconds; one that does not is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Milliseconds for each blocking step of the handshake and of authentication.
const STEP_TIMEOUT: u32 = 15_000;

/// Seconds between keepalives.
pub(super) const KEEPALIVE: u32 = 15;

/// Milliseconds after which the kernel gives up on a peer that no longer acknowledges.
const USER_TIMEOUT: u32 = 30_000;

/// Attempts while sshd turns connections away unauthenticated (`MaxStartups` drops them before its banner).
const ATTEMPTS: u32 = 4;

/// A live session with the socket beneath it.
pub(super) struct Connection {
    /// Non-blocking from here on.
    pub(super) session: Session,
    /// A second handle on the socket, to wait on.
    pub(super) socket: OwnedFd,
    /// The program that carries it, if any.
    _carrier: Option<JumpProcess>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // libssh2 frees channels by talking to the server; on a closed socket it fails at once instead.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }
}

/// How a session failed before it was logged in.
enum Failure {
    /// The server hung up before it said anything: try again.
    TurnedAway(ConnectError),
    /// It offers none of the key types that are pinned: its key changed.
    OtherKeyTypes(ConnectError),
    Final(ConnectError),
}

/// Connects, checks the host key, logs in.
pub(super) fn connect(target: &Target) -> Result<Connection, ConnectError> {
    let config = UserConfig::of(target);
    let known = known_keys(target, &config)?;
    let mut preferred = preferred_algorithms(&known);
    let mut attempt = 0;
    loop {
        attempt += 1;
        match attempt_connection(target, &config, &known, preferred.as_deref()) {
            Ok(connection) => return Ok(connection),
            Err(Failure::TurnedAway(_)) if attempt < ATTEMPTS => {
                std::thread::sleep(Duration::from_millis(50 << attempt));
            }
            // Once more without a preference, to be able to show the key that it does present.
            Err(Failure::OtherKeyTypes(_)) if preferred.is_some() => preferred = None,
            Err(Failure::TurnedAway(e) | Failure::OtherKeyTypes(e) | Failure::Final(e)) => {
                return Err(e);
            }
        }
    }
}

fn attempt_connection(
    target: &Target,
    config: &UserConfig,
    known: &[KnownKey],
    preferred: Option<&str>,
) -> Result<Connection, Failure> {
    let place = target.place();
    let broken = |source| ConnectError::Handshake {
        address: place.clone(),
        source,
    };
    let (stream, carrier) = open_stream(target, config).map_err(Failure::Final)?;
    let socket = stream.try_clone().map_err(|source| {
        Failure::Final(ConnectError::Local {
            what: "a second handle on the socket",
            source,
        })
    })?;
    let mut session = Session::new().map_err(|e| Failure::Final(broken(e)))?;
    session.set_timeout(STEP_TIMEOUT);
    session.set_tcp_stream(stream);
    if let Some(preferred) = preferred {
        session
            .method_pref(MethodType::HostKey, preferred)
            .map_err(|e| Failure::Final(broken(e)))?;
    }
    if let Err(error) = session.handshake() {
        let code = error.code();
        return Err(match (code, carrier) {
            // -13, -43 and -2: closed, or not even a banner. -5 and -8: no algorithm in common.
            (ErrorCode::Session(-2 | -13 | -43), Some(carrier)) => {
                Failure::Final(ConnectError::Jump {
                    address: place,
                    jump: jump_name(target, config),
                    why: carrier.complaint(),
                })
            }
            (ErrorCode::Session(-2 | -13 | -43), None) => Failure::TurnedAway(broken(error)),
            (ErrorCode::Session(-5 | -8), _) => Failure::OtherKeyTypes(broken(error)),
            (ErrorCode::Session(_) | ErrorCode::SFTP(_), _) => Failure::Final(broken(error)),
        });
    }
    check_host_key(&session, target, known).map_err(Failure::Final)?;
    login(target, config)
        .perform(&session, &place)
        .map_err(Failure::Final)?;
    session.set_keepalive(true, KEEPALIVE);
    session.set_blocking(false);
    Ok(Connection {
        session,
        socket,
        _carrier: carrier,
    })
}

fn open_stream(
    target: &Target,
    config: &UserConfig,
) -> Result<(OwnedFd, Option<JumpProcess>), ConnectError> {
    let place = target.place();
    let argv = match (&target.jump, &config.proxy_jump, &config.proxy_command) {
        (Some(jump), _, _) => through(jump, &place),
        (None, Some(spec), _) => through_user_jump(spec, &place),
        (None, None, Some(command)) => by_proxy_command(command, target),
        (None, None, None) => return open_tcp(target).map(|stream| (stream.into(), None)),
    };
    JumpProcess::start(&argv).map(|(carrier, stream)| (stream, Some(carrier)))
}

fn jump_name(target: &Target, config: &UserConfig) -> String {
    match (&target.jump, &config.proxy_jump, &config.proxy_command) {
        (Some(jump), _, _) => jump.host.to_string(),
        (None, Some(spec), _) => spec.clone(),
        (None, None, Some(command)) => command.clone(),
        (None, None, None) => target.place(),
    }
}

fn open_tcp(target: &Target) -> Result<TcpStream, ConnectError> {
    let unresolved = |source| ConnectError::Resolve {
        name: target.address.clone(),
        source,
    };
    let addresses = (target.address.as_str(), target.port)
        .to_socket_addrs()
        .map_err(unresolved)?;
    let mut last = std::io::ErrorKind::NotFound.into();
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                // Without it every command costs 40 ms: Nagle waits for a delayed acknowledgement.
                let set = stream.set_nodelay(true);
                let limit = rustix::net::sockopt::set_tcp_user_timeout(&stream, USER_TIMEOUT);
                match set.and(limit.map_err(Into::into)) {
                    Ok(()) => return Ok(stream),
                    Err(error) => {
                        let _ = stream.shutdown(Shutdown::Both);
                        last = error;
                    }
                }
            }
            Err(error) => last = error,
        }
    }
    Err(ConnectError::Tcp {
        address: target.place(),
        source: last,
    })
}

/// What is pinned for the host: infra's own file decides when it speaks of the host at all, else the user's files.
fn known_keys(target: &Target, config: &UserConfig) -> Result<Vec<KnownKey>, ConnectError> {
    for name in target.pin_names() {
        let keys = target
            .known_hosts
            .lookup(&name)
            .map_err(ConnectError::KnownHosts)?;
        if !keys.is_empty() {
            return Ok(keys);
        }
    }
    let name = config
        .host_key_alias
        .clone()
        .unwrap_or_else(|| entry_name(&target.address, target.port));
    let mut keys = Vec::new();
    for file in &config.known_hosts {
        // The user's own file may be unreadable for reasons that are not ours; it then knows nobody.
        keys.extend(KnownHosts::at(file).lookup(&name).unwrap_or_default());
    }
    Ok(keys)
}

fn check_host_key(
    session: &Session,
    target: &Target,
    known: &[KnownKey],
) -> Result<(), ConnectError> {
    let distrusted = |why| ConnectError::HostKey {
        address: target.place(),
        why,
    };
    let presented = session
        .host_key()
        .and_then(|(blob, _)| HostKey::from_blob(blob))
        .ok_or_else(|| ConnectError::Handshake {
            address: target.place(),
            source: ssh2::Error::new(ErrorCode::Session(-8), "the server presented no host key"),
        })?;
    let unknown = || Distrust::Unknown {
        presented: presented.clone(),
        names: target.pin_names(),
        compare: format!(
            "ssh-keygen -lf /etc/ssh/ssh_host_{}_key.pub",
            presented.family().to_lowercase()
        ),
        accept: format!(
            "ssh-keyscan -t {} -p {} {} >> {}",
            presented.family().to_lowercase(),
            target.port,
            target.address,
            target.known_hosts.path().display()
        ),
    };
    judge(&presented, known, unknown).map_err(distrusted)
}

fn login<'a>(target: &'a Target, config: &'a UserConfig) -> Login<'a> {
    let files: &[PathBuf] = match &target.identity {
        Some(identity) => std::slice::from_ref(identity),
        None => &config.identities,
    };
    let agent = match config.agent.as_deref() {
        Some("none") => None,
        Some(socket) if socket.starts_with('/') => Some(std::path::Path::new(socket)),
        Some(_) | None => target.person.agent.as_deref(),
    };
    Login {
        user: &target.user,
        files,
        only_files: target.identity.is_some(),
        agent,
    }
}
