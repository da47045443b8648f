//! One packet for every question, and what arrived.
//!
//! A closed door says nothing, so the only way to know one is to wait. Everything is sent first and waited for together:
//! what is open answers at once and at the same time as its neighbours, so the wait ends a moment after the last of
//! those that should answer has done so, and after the patience when one of them does not.

use super::{
    echo::{self, Echo},
    error::ProveError,
};
use crate::firewall::analysis::Packet;
use crate::lab::netns::inside;
use crate::model::address::Proto;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{AddressFamily, SocketFlags, SocketType, bind, connect, ipproto, socket_with, sockopt},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// Sockets that ask at the same time, for each namespace: together far below what a process may have open.
const AT_ONCE: usize = 3000;

/// How much longer than for everything that should answer is waited for what should not.
const GRACE: Duration = Duration::from_millis(150);

/// A packet that is to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    /// By which its answer is known again.
    pub(super) number: usize,
    pub(super) packet: Packet,
    /// Whether it should arrive.
    pub(super) expected: bool,
}

/// Says when it is dropped that everything of one namespace was sent.
pub(super) struct Asking<'a>(pub(super) &'a AtomicUsize);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sends everything from one namespace, and says which TCP ports and echo requests were answered.
pub(super) fn ask(
    space: &Path,
    questions: &[Question],
    round: u16,
    patience: Duration,
    asking: Asking<'_>,
) -> Result<Vec<usize>, ProveError> {
    let of = |proto: Proto| -> Vec<Question> {
        let of_proto = questions.iter().filter(|q| q.packet.port.proto == proto);
        of_proto.copied().collect()
    };
    let (tcp, udp, icmp) = (of(Proto::Tcp), of(Proto::Udp), of(Proto::Icmp));
    let work = || -> io::Result<Vec<usize>> {
        datagrams(&udp, round)?;
        let mut echoes = echoes(&icmp, round)?;
        let (mut out, mut asking) = (Vec::new(), Some(asking));
        let mut parts = tcp.chunks(AT_ONCE).peekable();
        loop {
            let part = parts.next().unwrap_or_default();
            let calling = calls(part, &mut out)?;
            drop(asking.take());
            let echoes = std::mem::take(&mut echoes);
            wait(calling, &echoes, &icmp, patience, &mut out)?;
            if parts.peek().is_none() {
                return Ok(out);
            }
        }
    };
    inside(Some(space), work).map_err(ProveError::io("send packets"))
}

/// A socket that waits for its connection.
struct Call {
    socket: OwnedFd,
    question: Question,
}

/// Begins a connection for every question; those that stood at once are out.
fn calls(questions: &[Question], out: &mut Vec<usize>) -> io::Result<Vec<Call>> {
    let mut waiting = Vec::with_capacity(questions.len());
    for question in questions {
        let packet = question.packet;
        let family = if packet.from.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        bind(&socket, &SocketAddr::new(packet.from, 0))?;
        let target = SocketAddr::new(packet.to, packet.port.range.first);
        match connect(&socket, &target) {
            Ok(()) => out.push(question.number),
            Err(rustix::io::Errno::INPROGRESS) => waiting.push(Call {
                socket,
                question: *question,
            }),
            // Dropped or refused by the rules on the way out of the machine itself.
            Err(_) => {}
        }
    }
    Ok(waiting)
}

/// Echo requests, from a socket for each source.
fn echoes(questions: &[Question], round: u16) -> io::Result<Vec<Echo>> {
    let mut by_source: BTreeMap<IpAddr, Vec<(u16, IpAddr)>> = BTreeMap::new();
    for (at, question) in questions.iter().enumerate() {
        let at = u16::try_from(at).map_err(io::Error::other)?;
        let packet = question.packet;
        by_source
            .entry(packet.from)
            .or_default()
            .push((at, packet.to));
    }
    let sent = by_source
        .iter()
        .map(|(from, targets)| echo::send(*from, targets, round));
    sent.collect()
}

fn wait(
    mut calling: Vec<Call>,
    echoes: &[Echo],
    icmp: &[Question],
    patience: Duration,
    out: &mut Vec<usize>,
) -> io::Result<()> {
    let begun = Instant::now();
    let asked = calling.iter().map(|call| &call.question);
    let asked = asked.chain(icmp.iter().filter(|_| !echoes.is_empty()));
    let awaited = asked.filter(|question| question.expected);
    let mut awaited: BTreeSet<usize> = awaited.map(|question| question.number).collect();
    let mut complete = None;
    loop {
        if awaited.is_empty() {
            complete.get_or_insert(Instant::now());
        }
        let end = complete.map_or(begun + patience, |at| (at + GRACE).min(begun + patience));
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || (calling.is_empty() && echoes.is_empty()) {
            return Ok(());
        }
        let mut fds: Vec<PollFd<'_>> = calling
            .iter()
            .map(|call| PollFd::from_borrowed_fd(call.socket.as_fd(), PollFlags::OUT))
            .collect();
        let raw = echoes.iter().map(Echo::as_fd);
        fds.extend(raw.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        sleep(&mut fds, left)?;
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut ready = ready.into_iter();
        let mut rest = Vec::with_capacity(calling.len());
        for call in calling {
            if !ready.next().unwrap_or(false) {
                rest.push(call);
            } else if matches!(sockopt::socket_error(&call.socket), Ok(Ok(()))) {
                awaited.remove(&call.question.number);
                out.push(call.question.number);
            }
        }
        calling = rest;
        for (echo, _) in echoes.iter().zip(ready).filter(|(_, ready)| *ready) {
            for at in echo.answers()? {
                if let Some(question) = icmp.get(usize::from(at)) {
                    awaited.remove(&question.number);
                    out.push(question.number);
                }
            }
        }
    }
}

/// Waits until one of them is ready.
fn sleep(fds: &mut [PollFd<'_>], limit: Duration) -> io::Result<()> {
    let limit = Timespec::try_from(limit).unwrap_or(Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    });
    match poll(fds, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A datagram for every question; each carries the round and the number, by which whoever listens knows it again.
fn datagrams(questions: &[Question], round: u16) -> io::Result<()> {
    let mut sockets: BTreeMap<IpAddr, UdpSocket> = BTreeMap::new();
    for Question { number, packet, .. } in questions {
        let socket = match sockets.entry(packet.from) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(UdpSocket::bind(SocketAddr::new(packet.from, 0))?)
            }
        };
        let target = SocketAddr::new(packet.to, packet.port.range.first);
        match socket.send_to(&written(round, *number), target) {
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
}

fn written(round: u16, number: usize) -> [u8; 10] {
    let mut out = [0; 10];
    out[..2].copy_from_slice(&round.to_be_bytes());
    out[2..].copy_from_slice(&(number as u64).to_be_bytes());
    out
}

fn read(bytes: &[u8], round: u16) -> Option<usize> {
    let (of, number) = bytes.split_first_chunk::<2>()?;
    let number = u64::from_be_bytes(number.try_into().ok()?);
    (u16::from_be_bytes(*of) == round).then(|| usize::try_from(number).ok())?
}

/// What listens in all machines.
#[derive(Clone, Copy)]
pub(super) struct Doors<'a> {
    pub(super) tcp: &'a [TcpListener],
    pub(super) udp: &'a [UdpSocket],
}

impl Doors<'_> {
    /// Collects the numbers of a round's datagrams, until a moment after all that should arrive have done so, or until
    /// the patience has run out since the last was sent.
    pub(super) fn gather(
        self,
        round: u16,
        mut awaited: BTreeSet<usize>,
        asking: &AtomicUsize,
        patience: Duration,
    ) -> io::Result<Vec<usize>> {
        let mut arrived = Vec::new();
        let (mut sent, mut complete) = (None, None);
        loop {
            for number in self.empty(round) {
                awaited.remove(&number);
                arrived.push(number);
            }
            let now = Instant::now();
            if asking.load(Ordering::SeqCst) == 0 {
                sent.get_or_insert(now);
                if awaited.is_empty() {
                    complete.get_or_insert(now);
                }
            }
            let over = |since: Option<Instant>, limit| since.is_some_and(|at| now - at >= limit);
            if over(sent, patience) || over(complete, GRACE) {
                return Ok(arrived);
            }
            let listeners = self.tcp.iter().map(|socket| socket.as_fd());
            let all = listeners.chain(self.udp.iter().map(|socket| socket.as_fd()));
            let mut fds: Vec<PollFd<'_>> = all
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
                .collect();
            sleep(&mut fds, Duration::from_millis(20))?;
        }
    }

    /// Reads what has arrived. Nobody speaks with who got through: they must not fill the queue in which the next ones
    /// wait.
    fn empty(self, round: u16) -> Vec<usize> {
        for listener in self.tcp {
            while listener.accept().is_ok() {}
        }
        let mut arrived = Vec::new();
        let mut buffer = [0_u8; 64];
        for socket in self.udp {
            while let Ok((length, _)) = socket.recv_from(&mut buffer) {
                arrived.extend(buffer.get(..length).and_then(|bytes| read(bytes, round)));
            }
        }
        arrived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_of_another_round_answers_nothing() {
        let bytes = written(7, 70_000);
        assert_eq!(read(&bytes, 7), Some(70_000));
        assert_eq!(read(&bytes, 8), None);
        assert_eq!(read(&bytes[..9], 7), None);
    }
}
