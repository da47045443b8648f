//! One packet for every question, and what arrived.

use super::{echo, error::ProveError};
use crate::firewall::analysis::Packet;
use crate::lab::netns::inside;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{AddressFamily, SocketFlags, SocketType, bind, connect, ipproto, socket_with, sockopt},
};
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

/// Sockets that ask at the same time, for each namespace: together far below what a process may have open.
const AT_ONCE: usize = 3000;

/// Connects from every `from` inside its namespace; the answer has a verdict for each packet, in their order.
pub(super) fn tcp(
    space: &Path,
    packets: &[Packet],
    patience: Duration,
) -> Result<Vec<bool>, ProveError> {
    let work = || -> io::Result<Vec<bool>> {
        let mut out = Vec::with_capacity(packets.len());
        for some in packets.chunks(AT_ONCE) {
            out.extend(connect_all(some, patience)?);
        }
        Ok(out)
    };
    inside(Some(space), work).map_err(ProveError::io("probe TCP ports"))
}

fn connect_all(packets: &[Packet], patience: Duration) -> io::Result<Vec<bool>> {
    let mut open = vec![false; packets.len()];
    let mut waiting: Vec<(usize, OwnedFd)> = Vec::new();
    for (number, packet) in packets.iter().enumerate() {
        let family = if packet.from.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        bind(&socket, &SocketAddr::new(packet.from, 0))?;
        match connect(
            &socket,
            &SocketAddr::new(packet.to, packet.port.range.first),
        ) {
            Ok(()) => open[number] = true,
            Err(rustix::io::Errno::INPROGRESS) => waiting.push((number, socket)),
            // Dropped or refused by the rules on the way out of the machine itself.
            Err(_) => {}
        }
    }
    let end = Instant::now() + patience;
    while !waiting.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let mut fds: Vec<PollFd<'_>> = waiting
            .iter()
            .map(|(_, socket)| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::OUT))
            .collect();
        let timeout = Timespec::try_from(left).unwrap_or(Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        });
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        let mut rest = Vec::with_capacity(waiting.len());
        for (number, socket) in waiting {
            if ready.next().unwrap_or(false) {
                open[number] = matches!(sockopt::socket_error(&socket), Ok(Ok(())));
            } else {
                rest.push((number, socket));
            }
        }
        waiting = rest;
    }
    Ok(open)
}

/// Echo requests, likewise.
pub(super) fn icmp(
    space: &Path,
    packets: &[Packet],
    ident: u16,
    patience: Duration,
) -> Result<Vec<bool>, ProveError> {
    let mut by_source: BTreeMap<IpAddr, Vec<(u16, IpAddr)>> = BTreeMap::new();
    for (number, packet) in packets.iter().enumerate() {
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        by_source
            .entry(packet.from)
            .or_default()
            .push((number, packet.to));
    }
    let mut open = vec![false; packets.len()];
    for (from, targets) in by_source {
        let answered = inside(Some(space), || echo::ask(from, &targets, ident, patience))
            .map_err(ProveError::io("probe with echo requests"))?;
        for number in answered {
            open[usize::from(number)] = true;
        }
    }
    Ok(open)
}

/// A datagram for every packet; each carries its number, by which whoever listens knows it again.
pub(super) fn udp_send(space: &Path, packets: &[(u64, Packet)]) -> Result<(), ProveError> {
    inside(Some(space), || {
        let mut sockets: BTreeMap<IpAddr, UdpSocket> = BTreeMap::new();
        for (number, packet) in packets {
            let socket = match sockets.entry(packet.from) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(new) => {
                    new.insert(UdpSocket::bind(SocketAddr::new(packet.from, 0))?)
                }
            };
            let target = SocketAddr::new(packet.to, packet.port.range.first);
            match socket.send_to(&number.to_be_bytes(), target) {
                Ok(_) => {}
                // Dropped on the way out, or told about an earlier one that was refused.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::PermissionDenied | io::ErrorKind::ConnectionRefused
                    ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })
    .map_err(ProveError::io("probe UDP ports"))
}

/// Collects the numbers that arrive at any of the sockets until the patience runs out.
pub(super) fn udp_receive(sockets: &[UdpSocket], patience: Duration) -> Vec<u64> {
    let mut arrived = Vec::new();
    let end = Instant::now() + patience;
    let mut buffer = [0_u8; 64];
    loop {
        for socket in sockets {
            while let Ok((length, _)) = socket.recv_from(&mut buffer) {
                let number = buffer.get(..length).and_then(|bytes| bytes.try_into().ok());
                arrived.extend(number.map(u64::from_be_bytes));
            }
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return arrived;
        }
        std::thread::park_timeout(Duration::from_millis(10).min(left));
    }
}
