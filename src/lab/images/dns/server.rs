//! The name server's sockets.

use super::{Names, answer};
use std::{net, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

/// A resolver that keeps a TCP connection open without asking is cut off after this long.
const IDLE: Duration = Duration::from_secs(10);

/// Answers on both sockets, for as long as it is polled. Both are non-blocking.
///
/// # Errors
/// When a socket cannot join the runtime.
pub async fn serve(
    udp: net::UdpSocket,
    tcp: net::TcpListener,
    names: Names,
) -> std::io::Result<()> {
    let udp = UdpSocket::from_std(udp)?;
    let tcp = TcpListener::from_std(tcp)?;
    let names = Arc::new(names);
    tokio::join!(datagrams(&udp, &names), connections(&tcp, &names));
    Ok(())
}

async fn datagrams(socket: &UdpSocket, names: &Names) {
    let mut message = [0; 1500];
    loop {
        // An error here is a peer's ICMP answer to an earlier datagram; the socket itself goes on.
        let Ok((length, peer)) = socket.recv_from(&mut message).await else {
            continue;
        };
        if let Some(reply) = answer(&message[..length], names) {
            let _lost_like_any_datagram = socket.send_to(&reply, peer).await;
        }
    }
}

async fn connections(listener: &TcpListener, names: &Arc<Names>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: others must finish first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let names = Arc::clone(names);
        tokio::spawn(async move {
            let _ends_with_its_peer = conversation(stream, &names).await;
        });
    }
}

async fn conversation(mut stream: TcpStream, names: &Names) -> std::io::Result<()> {
    loop {
        let length = timeout(IDLE, stream.read_u16()).await??;
        let mut message = vec![0; usize::from(length)];
        timeout(IDLE, stream.read_exact(&mut message)).await??;
        let Some(reply) = answer(&message, names) else {
            return Ok(());
        };
        let mut framed = u16::try_from(reply.len())
            .expect("an answer repeats one question of at most 259 bytes")
            .to_be_bytes()
            .to_vec();
        framed.extend_from_slice(&reply);
        stream.write_all(&framed).await?;
    }
}
