//! Sockets inside another network namespace.
//!
//! A namespace belongs to a thread, so a thread of its own enters it, binds, and hands the socket over; the socket
//! stays in the namespace where it was made, whoever holds it. A process must be root in its user namespace for that.
//!
//! Invariant: no thread of the runtime ever changes its namespace.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::{
    fs::File,
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::AsFd,
    path::Path,
};

/// A listening TCP socket, ready for an async runtime (non-blocking); `None` binds in the namespace of the process.
///
/// # Errors
/// When the namespace cannot be entered, or the address is taken or not there.
pub fn bind_tcp(netns: Option<&Path>, addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = inside(netns, move || TcpListener::bind(addr))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A UDP socket, ready for an async runtime (non-blocking); `None` binds in the namespace of the process.
///
/// # Errors
/// When the namespace cannot be entered, or the address is taken or not there.
pub fn bind_udp(netns: Option<&Path>, addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = inside(netns, move || UdpSocket::bind(addr))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Runs `work` on a thread that lives in the namespace, and waits for it. `None` runs it here.
///
/// # Errors
/// When the namespace cannot be opened or entered, and whatever `work` reports.
pub fn inside<T: Send>(
    netns: Option<&Path>,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let Some(path) = netns else { return work() };
    let namespace = File::open(path)?;
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                work()
            })
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn without_a_namespace_it_binds_here() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = bind_tcp(None, any).expect("bound");
        let taken = bind_tcp(None, listener.local_addr().expect("address"));
        assert_eq!(taken.expect_err("taken").kind(), io::ErrorKind::AddrInUse);
        bind_udp(None, any).expect("bound");
    }

    #[test]
    fn a_namespace_that_is_not_there_is_an_error() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let missing = bind_tcp(Some(Path::new("/run/netns/infra-no-such")), any);
        assert_eq!(
            missing.expect_err("missing").kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn a_file_that_is_not_a_namespace_is_an_error_and_work_does_not_run() {
        let outcome: io::Result<()> = inside(Some(Path::new("/proc/self/ns/pid")), || {
            unreachable!("the namespace was never entered")
        });
        outcome.expect_err("not a network namespace, or not root");
    }
}
