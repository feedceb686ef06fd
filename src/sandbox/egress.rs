//! The one way out of a cage, where an operator opens it: to hosts that are named, and nowhere else.
//!
//! A Unix socket is bound into the cage, and whoever connects to it asks with HTTP's `CONNECT` for a host of the
//! operator's list. The name is looked up here, outside; nothing in a cage resolves names or reaches an address. What
//! goes out is bounded, since an allowed host is still a way for what an agent read to leave, and each connection is told.

mod request;
mod rules;
#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use self::request::Refusal;
pub use self::rules::{EgressRules, MalformedRule};

/// What all connections of one cage may send together, and receive.
const SENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
const RECEIVED_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// How many connections there are at a time; more wait.
const CONNECTIONS_MAX: usize = 32;
/// How many connections are remembered one by one.
const RECORDS_MAX: usize = 200;
/// What the further ones are remembered as, together. Nobody can ask for a host of this name.
const FURTHER: &str = "further connections";
/// How long a request and a connection may take to come.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
const CHUNK_BYTES: usize = 32 * 1024;

/// A connection that was asked for, or all those beyond the first [`RECORDS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressRecord {
    /// `host:port` as it was asked for, or what was wrong with the request.
    pub asked: String,
    /// Why it was refused; nothing if it was made.
    pub refused: Option<&'static str>,
    /// How many connections this is.
    pub times: u32,
    /// Bytes that went out.
    pub sent: u64,
    /// Bytes that came in.
    pub received: u64,
}

/// An open way out of one cage. Dropping it closes it, connections included.
#[derive(Debug)]
pub struct Egress {
    socket: PathBuf,
    log: Arc<Log>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Log {
    records: Mutex<Vec<EgressRecord>>,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Egress {
    /// Opens it under a name in a directory that only this server can reach.
    pub fn open(directory: &Path, rules: Arc<EgressRules>) -> io::Result<Self> {
        let socket = directory.join("egress.sock");
        let listener = UnixListener::bind(&socket)?;
        let log = Arc::<Log>::default();
        let serving = AbortOnDropHandle::new(tokio::spawn(serve(listener, rules, Arc::clone(&log))));
        Ok(Self { socket, log, _serving: serving })
    }

    /// The socket to bind into the cage.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What was asked for so far. A connection is here before its first byte passes, and whether or not it has ended: a
    /// host that keeps its end open is not left out.
    pub fn records(&self) -> Vec<EgressRecord> {
        self.log.records().clone()
    }
}

async fn serve(listener: UnixListener, rules: Arc<EgressRules>, log: Arc<Log>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Connections end with this set, and it with the one that opened the way.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let Ok((client, _)) = listener.accept().await else { return };
        let (rules, log) = (Arc::clone(&rules), Arc::clone(&log));
        connections.spawn(async move {
            let _held = place;
            connection(client, &rules, &log).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(mut client: UnixStream, rules: &EgressRules, log: &Log) {
    let asked = match tokio::time::timeout(REQUEST_WITHIN, request::read(&mut client)).await {
        Ok(Ok(asked)) => asked,
        Ok(Err(refusal)) => return refuse(client, refusal, "a request that is none", log).await,
        Err(_elapsed) => return,
    };
    let name = asked.to_string();
    if !rules.allow(&asked.host, asked.port) {
        return refuse(client, Refusal::NotAllowed, &name, log).await;
    }
    let connected = tokio::time::timeout(CONNECT_WITHIN, connect(&asked.host, asked.port)).await;
    let mut server = match connected {
        Ok(Ok(server)) => server,
        Ok(Err(refusal)) => return refuse(client, refusal, &name, log).await,
        Err(_elapsed) => return refuse(client, Refusal::Unreachable, &name, log).await,
    };
    let record = log.note(&name, None);
    if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_err() {
        return;
    }
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let sent = |bytes| log.count(record, |record| record.sent += bytes);
    let received = |bytes| log.count(record, |record| record.received += bytes);
    tokio::join!(
        pass(&mut from_client, &mut to_server, &log.sent, SENT_BYTES_MAX, sent),
        pass(&mut from_server, &mut to_client, &log.received, RECEIVED_BYTES_MAX, received),
    );
}

/// A name that leads back to this machine or to what is only reachable from it is refused: who owns the name decides
/// where it points, and the operator meant a host elsewhere. An address that the operator named is taken at its word.
async fn connect(host: &str, port: u16) -> Result<TcpStream, Refusal> {
    let named = host.parse::<IpAddr>().is_ok();
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|_| Refusal::Unreachable)?;
    let mut refusal = Refusal::Unreachable;
    for address in addresses {
        if !named && !rules::is_elsewhere(address.ip()) {
            refusal = Refusal::LeadsBack;
            continue;
        }
        if let Ok(stream) = TcpStream::connect(address).await {
            return Ok(stream);
        }
    }
    Err(refusal)
}

async fn refuse(mut client: UnixStream, refusal: Refusal, asked: &str, log: &Log) {
    log.note(asked, Some(refusal.reason()));
    let _gone = client.write_all(refusal.answer().as_bytes()).await;
}

/// Passes bytes on until either side ends or all connections together have had `most`. Then the receiving side sees an
/// end, and so does the other in turn. What passed is told to `passed`.
async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    all: &AtomicU64,
    most: u64,
    passed: impl Fn(u64),
) {
    let mut chunk = vec![0_u8; CHUNK_BYTES];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        let bytes = u64::try_from(count).unwrap_or(u64::MAX);
        if all.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > most {
            break;
        }
        if to.write_all(chunk.get(..count).unwrap_or_default()).await.is_err() {
            break;
        }
        passed(bytes);
    }
    let _gone = to.shutdown().await;
}

impl Log {
    /// Remembers a connection. Gives the place of its record, in which others may be counted too.
    fn note(&self, asked: &str, refused: Option<&'static str>) -> usize {
        let mut records = self.records();
        let alone = records.len() < RECORDS_MAX;
        let asked = if alone { asked } else { FURTHER };
        let of_others = |record: &EgressRecord| record.asked == FURTHER && record.refused == refused;
        let place = records.iter().position(of_others).unwrap_or(records.len());
        match records.get_mut(place) {
            Some(record) => record.times += 1,
            None => records.push(EgressRecord {
                asked: asked.to_owned(),
                refused,
                times: 1,
                sent: 0,
                received: 0,
            }),
        }
        place
    }

    fn count(&self, place: usize, add: impl FnOnce(&mut EgressRecord)) {
        self.records().get_mut(place).map(add);
    }

    fn records(&self) -> MutexGuard<'_, Vec<EgressRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
