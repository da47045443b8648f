//! Names over UDP and TCP.

use crate::support::{OUTSIDE, mirrors, world};
use std::{io::Write as _, net::SocketAddr, process::Command};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

fn query(name: &str) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).expect("short"));
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}

async fn over_udp(server: SocketAddr, name: &str) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.send_to(&query(name), server).await.expect("sent");
    let mut reply = vec![0; 512];
    let (length, _) = socket.recv_from(&mut reply).await.expect("a reply");
    reply.truncate(length);
    reply
}

#[tokio::test]
async fn a_guest_asks_over_udp_and_over_tcp_and_hears_the_same() {
    let cache = tempfile::tempdir().expect("folder");
    let world = world(cache.path(), mirrors(&[]));
    let server = world.dns()[0];
    let known = over_udp(server, "photos.home.arpa").await;
    assert_eq!(known[known.len() - 4..], [10, 10, 10, 2]);
    let public = over_udp(server, "ghcr.io").await;
    assert_eq!(public[public.len() - 4..], OUTSIDE.octets());
    let absent = over_udp(server, "databse").await;
    assert_eq!(absent[3] & 0xf, 3, "NXDOMAIN");

    let mut stream = TcpStream::connect(server).await.expect("connected");
    for (name, expected) in [("photos.home.arpa", known), ("ghcr.io", public)] {
        let message = query(name);
        let length = u16::try_from(message.len()).expect("short");
        stream.write_u16(length).await.expect("sent");
        stream.write_all(&message).await.expect("sent");
        let length = stream.read_u16().await.expect("a reply");
        let mut reply = vec![0; usize::from(length)];
        stream.read_exact(&mut reply).await.expect("a reply");
        assert_eq!(reply, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_resolver_understands_the_answers() {
    if Command::new("dig").arg("-v").output().is_err() {
        writeln!(
            std::io::stderr(),
            "SKIPPED: dig (bind9-dnsutils) is not installed"
        )
        .expect("stderr");
        return;
    }
    let cache = tempfile::tempdir().expect("folder");
    let world = world(cache.path(), mirrors(&[]));
    let port = world.dns()[0].port().to_string();
    let dig = |words: &[&str]| {
        let output = Command::new("dig")
            .args([
                "@127.0.0.1",
                "-p",
                &port,
                "+tries=1",
                "+time=5",
                "+noall",
                "+answer",
                "+comments",
            ])
            .args(words)
            .output()
            .expect("dig");
        String::from_utf8(output.stdout).expect("text")
    };
    let address = dig(&["Registry-1.Docker.io"]);
    assert!(address.contains("status: NOERROR"), "{address}");
    assert!(
        address.contains("Registry-1.Docker.io.\t60\tIN\tA\t203.0.113.10"),
        "{address}"
    );
    let tcp = dig(&["+tcp", "pve.home.arpa"]);
    assert!(tcp.contains("IN\tA\t192.168.1.10"), "{tcp}");
    let v6 = dig(&["ghcr.io", "AAAA"]);
    assert!(
        v6.contains("status: NOERROR") && v6.contains("ANSWER: 0"),
        "{v6}"
    );
    let reverse = dig(&["-x", "192.168.1.20"]);
    assert!(reverse.contains("status: NXDOMAIN"), "{reverse}");
    for text in [address, tcp, v6, reverse] {
        assert!(!text.contains("WARNING"), "{text}");
    }
}
