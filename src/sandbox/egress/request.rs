//! A request for a connection: `CONNECT host:port HTTP/1.1` (RFC 9110, section 9.3.6), and why it is refused.

use std::fmt;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How long the head of a request may be.
const HEAD_BYTES_MAX: usize = 8 * 1024;
const END: &[u8] = b"\r\n\r\n";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Asked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.host, self.port)
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no such request.
    Malformed,
    /// The host is not on the operator's list.
    NotAllowed,
    /// The name leads back to this machine.
    LeadsBack,
    /// Nobody answers there.
    Unreachable,
}

impl Refusal {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "only CONNECT host:port is understood",
            Self::NotAllowed => "the server's operator has not allowed this host",
            Self::LeadsBack => "the name leads back to the server's own machine",
            Self::Unreachable => "nobody answers there",
        }
    }

    /// The answer, with the reason where people read it.
    pub(super) fn answer(self) -> String {
        let status = match self {
            Self::Malformed => "400 Bad Request",
            Self::NotAllowed | Self::LeadsBack => "403 Forbidden",
            Self::Unreachable => "502 Bad Gateway",
        };
        let reason = self.reason();
        let length = reason.len();
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{reason}")
    }
}

/// Reads the head of a request and not a byte more: what follows belongs to the connection.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Asked, Refusal> {
    let mut head = Vec::new();
    while !head.ends_with(END) {
        if head.len() == HEAD_BYTES_MAX {
            return Err(Refusal::Malformed);
        }
        head.push(from.read_u8().await.map_err(|_| Refusal::Malformed)?);
    }
    asked(&head).ok_or(Refusal::Malformed)
}

pub(super) fn asked(head: &[u8]) -> Option<Asked> {
    let line = std::str::from_utf8(head).ok()?.lines().next()?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if method != "CONNECT" || !version.starts_with("HTTP/1.") || words.next().is_some() {
        return None;
    }
    let (host, port) = target.rsplit_once(':')?;
    let plain = !host.is_empty() && host.len() <= 253 && host.bytes().all(|byte| byte.is_ascii_graphic());
    Some(Asked { host: plain.then(|| host.to_owned())?, port: port.parse().ok().filter(|port| *port > 0)? })
}
