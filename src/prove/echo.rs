//! ICMP echo through raw sockets.

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, ipproto, recv, sendto,
    socket_with,
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

/// Requests that are on their way from one address.
pub(super) struct Echo {
    socket: OwnedFd,
    from: IpAddr,
    round: u16,
}

/// Sends a request to every address. Must run in the namespace of the address that asks.
pub(super) fn send(from: IpAddr, targets: &[(u16, IpAddr)], round: u16) -> io::Result<Echo> {
    let (family, protocol) = if from.is_ipv4() {
        (AddressFamily::INET, ipproto::ICMP)
    } else {
        (AddressFamily::INET6, ipproto::ICMPV6)
    };
    let socket: OwnedFd = socket_with(
        family,
        SocketType::RAW,
        SocketFlags::NONBLOCK,
        Some(protocol),
    )?;
    bind(&socket, &SocketAddr::new(from, 0))?;
    for (number, target) in targets {
        let packet = request(*target, round, *number);
        // A packet that this machine's own rules drop on the way out is "not permitted": it did not pass.
        match sendto(
            &socket,
            &packet,
            SendFlags::empty(),
            &SocketAddr::new(*target, 0),
        ) {
            Ok(_) | Err(rustix::io::Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Echo {
        socket,
        from,
        round,
    })
}

impl Echo {
    /// For `poll`.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The numbers that were answered since the last call.
    pub(super) fn answers(&self) -> io::Result<Vec<u16>> {
        let mut answered = Vec::new();
        let mut buffer = [0_u8; 512];
        loop {
            match recv(&self.socket, &mut buffer, RecvFlags::empty()) {
                Ok((_, length)) => {
                    let bytes = buffer.get(..length);
                    answered.extend(bytes.and_then(|bytes| reply(bytes, self.from, self.round)));
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(answered),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn request(to: IpAddr, ident: u16, number: u16) -> Vec<u8> {
    let kind = if to.is_ipv4() { 8 } else { 128 };
    let mut out = vec![kind, 0, 0, 0];
    out.extend(ident.to_be_bytes());
    out.extend(number.to_be_bytes());
    out.extend(*b"infra prove");
    // The kernel fills in the checksum of ICMPv6.
    let sum = checksum(&out).to_be_bytes();
    out[2..4].copy_from_slice(&sum);
    out
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([pair[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The number of our request that a packet answers. IPv4 raw sockets see the IP header too.
fn reply(bytes: &[u8], own: IpAddr, ident: u16) -> Option<u16> {
    let (bytes, kind) = if own.is_ipv4() {
        let header = usize::from(bytes.first()? & 0x0f) * 4;
        (bytes.get(header..)?, 0)
    } else {
        (bytes, 129)
    };
    let [found, _, _, _, a, b, c, d, ..] = *bytes else {
        return None;
    };
    (found == kind && u16::from_be_bytes([a, b]) == ident).then(|| u16::from_be_bytes([c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_request_has_a_sum_that_cancels_out_and_its_reply_is_recognised() {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let packet = request(here, 7, 513);
        assert_eq!(checksum(&packet), 0);
        let mut answer = vec![0x45; 20];
        answer.extend([0, 0, 0, 0, 0, 7, 2, 1]);
        assert_eq!(reply(&answer, here, 7), Some(513));
        assert_eq!(reply(&answer, here, 8), None);
        assert_eq!(reply(&answer[..24], here, 7), None);
    }
}
