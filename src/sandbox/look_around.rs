//! What a program in a cage can see and do, tried by our own binary from inside: the other half of the probes.
//!
//! Each attempt is one that must fail. What succeeded is told, so that a layer that does not hold is not taken for one.

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a connection is waited for. A service that can be reached answers at once.
const CONNECT_WITHIN: Duration = Duration::from_millis(300);
/// Where clouds give a machine its credentials.
const METADATA: &str = "169.254.169.254:80";
/// More processes than a probe's cage has.
const PROCESSES_MAX: usize = 8;
/// Files of a kernel or a system, which nobody in a cage may write.
const NOT_TO_BE_WRITTEN: [&str; 7] = [
    "/pairbot-probe",
    "/etc/pairbot-probe",
    "/usr/pairbot-probe",
    "/dev/pairbot-probe",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/proc/sysrq-trigger",
];

/// What was within reach that must not be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Files that could be read or written.
    pub files: Vec<String>,
    /// Processes of the host that could be seen.
    pub processes: Vec<String>,
    /// Services that could be reached, and network devices.
    pub network: Vec<String>,
}

/// Tries what must fail. `canary` is a file of the host, `listener` a service that listens on its loopback, and
/// `socket` the name of one without a file.
pub fn look_around(canary: &Path, listener: SocketAddr, socket: &str) -> Seen {
    Seen { files: files(canary), processes: processes(), network: network(listener, socket) }
}

fn files(canary: &Path) -> Vec<String> {
    let mut seen = Vec::new();
    for file in [canary, Path::new("/etc/shadow"), Path::new("/proc/kcore")] {
        if readable(file) {
            seen.push(format!("read {}", file.display()));
        }
    }
    let beside: PathBuf = canary.with_extension("written");
    for file in NOT_TO_BE_WRITTEN.iter().map(Path::new).chain([beside.as_path()]) {
        // Opened and not written to: where it can be done, nothing must come of it.
        let new = !file.exists();
        if OpenOptions::new().write(true).create(new).truncate(false).open(file).is_ok() {
            seen.push(format!("write {}", file.display()));
        }
    }
    seen
}

/// An empty answer is one that the cage put there.
fn readable(file: &Path) -> bool {
    use io::Read as _;
    File::open(file).and_then(|mut file| file.read(&mut [0; 1])).is_ok_and(|count| count > 0)
}

fn processes() -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let count = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).count();
    if count > PROCESSES_MAX { vec![format!("{count} processes")] } else { Vec::new() }
}

fn network(listener: SocketAddr, socket: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for address in [Some(listener), METADATA.parse().ok()].into_iter().flatten() {
        if TcpStream::connect_timeout(&address, CONNECT_WITHIN).is_ok() {
            seen.push(format!("{address} answered"));
        }
    }
    if abstract_socket(socket) {
        seen.push("a socket without a file answered".to_owned());
    }
    let devices = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let names = devices.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    seen.extend(names.filter(|name| *name != "lo").map(|name| format!("there is the network device {name}")));
    seen
}

#[cfg(target_os = "linux")]
fn abstract_socket(name: &str) -> bool {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixStream};
    SocketAddr::from_abstract_name(name).and_then(|address| UnixStream::connect_addr(&address)).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn abstract_socket(_name: &str) -> bool {
    false
}

/// Leaves the session, as a process does that means to outlive its task, says `ready`, and stays.
pub fn linger(mut say: impl Write) -> io::Result<()> {
    rustix::process::setsid()?;
    say.write_all(b"ready\n")?;
    say.flush()?;
    loop {
        std::thread::park();
    }
}

/// Takes memory and uses it; returns if it was all given, or keeps it as long as it is let.
pub fn hog(bytes: usize, stay: bool) {
    let taken = black_box(vec![1_u8; bytes]);
    if stay {
        loop {
            std::thread::park();
        }
    }
    drop(taken);
}

/// Starts threads, each of which counts as a process, and says whether all of them were given. They end with the process.
pub fn swarm(threads: usize) -> bool {
    const STACK_BYTES: usize = 64 * 1024;
    (0..threads).all(|_| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        thread
            .spawn(|| {
                loop {
                    std::thread::park();
                }
            })
            .is_ok()
    })
}
