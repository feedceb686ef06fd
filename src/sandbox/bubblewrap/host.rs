//! What cages on this machine are made of: found once, the same for all of them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::adapters::on_disk;
use crate::ports::CommandSpec;
use crate::sandbox::system::{self, is_executable, missing};
use crate::sandbox::{SandboxPorts, SandboxSettings, Unavailable};

/// The oldest bubblewrap that takes all options we give it, and the first that can forbid further user namespaces.
const OLDEST: [u32; 2] = [0, 5];
const FORBIDS_NAMESPACES: [u32; 2] = [0, 8];

/// The user that everybody in a cage is.
const PASSWD: &str = "root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000:agent:/home/agent:/bin/sh\n";
const GROUP: &str = "root:x:0:\nagent:x:1000:\n";
const HOSTS: &str = "127.0.0.1 localhost pairbot\n::1 localhost\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files\n";
const OWN: [(&str, &str); 4] =
    [("passwd", PASSWD), ("group", GROUP), ("hosts", HOSTS), ("nsswitch.conf", NSSWITCH)];

/// This machine, as far as cages are made of it.
#[derive(Debug)]
pub(super) struct Host {
    /// `bwrap`.
    pub(super) bwrap: PathBuf,
    /// Whether it can forbid further user namespaces.
    pub(super) forbids_namespaces: bool,
    /// Our own binary.
    pub(super) program: PathBuf,
    /// The arguments that bind the system into a cage.
    pub(super) system: Vec<OsString>,
    /// The arguments that cover what root could change in `/proc`; none where we are not root.
    pub(super) covers: Vec<OsString>,
    /// Holds our own files of `/etc`.
    _etc: TempDir,
}

impl Host {
    pub(super) async fn look(ports: &SandboxPorts, settings: SandboxSettings) -> Result<Self, Unavailable> {
        let bwrap = on_path("bwrap", &settings.search_path)
            .ok_or_else(|| missing(format!("there is no `bwrap` in {}", settings.search_path)))?;
        let version = version(ports, &bwrap).await?;
        let program = system::own_program(settings.program)?;
        let scratch = settings.scratch_dir;
        let (etc, system, covers) = on_disk(move || {
            let etc = own_files(&scratch)?;
            let mut system = system();
            for path in &settings.read_only {
                system.extend(argument("--ro-bind", path, path));
            }
            system.extend(configuration(etc.path()));
            Ok((etc, system, covers()?))
        })
        .await
        .map_err(|error| missing(format!("this machine's system cannot be read: {error}")))?;
        Ok(Self {
            bwrap,
            forbids_namespaces: version >= FORBIDS_NAMESPACES,
            program,
            system,
            covers,
            _etc: etc,
        })
    }
}

fn on_path(name: &str, search_path: &str) -> Option<PathBuf> {
    let folders = std::env::split_paths(search_path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|file| is_executable(file))
}

async fn version(ports: &SandboxPorts, bwrap: &Path) -> Result<[u32; 2], Unavailable> {
    let asked = ports.spawner.run(CommandSpec {
        program: bwrap.to_string_lossy().into_owned(),
        arguments: vec!["--version".to_owned()],
        directory: "/".into(),
        environment: std::collections::BTreeMap::new(),
        stdin: Vec::new(),
        timeout: Duration::from_secs(10),
        output_bytes_max: 1_000,
    });
    let finished = asked.await.map_err(|error| missing(error.to_string()))?;
    let said = String::from_utf8_lossy(&finished.stdout).trim().to_owned();
    match read_version(&said) {
        Some(version) if version >= OLDEST => Ok(version),
        Some(_) => Err(missing(format!("{said} is older than {}.{}", OLDEST[0], OLDEST[1]))),
        None => Err(missing(format!("`bwrap --version` answered `{said}`"))),
    }
}

/// The first two numbers of `bubblewrap 0.8.0`.
fn read_version(said: &str) -> Option<[u32; 2]> {
    let mut numbers = said.strip_prefix("bubblewrap ")?.split('.').map(str::parse);
    Some([numbers.next()?.ok()?, numbers.next()?.ok()?])
}

/// Our own files of `/etc`: what the host's say about its users and its network is nobody's business in a cage.
fn own_files(scratch: &Path) -> io::Result<TempDir> {
    let etc = tempfile::Builder::new().prefix("cage-etc-").tempdir_in(scratch)?;
    for (name, content) in OWN {
        fs::write(etc.path().join(name), content)?;
    }
    Ok(etc)
}

fn argument(option: &str, from: impl Into<OsString>, to: impl Into<OsString>) -> [OsString; 3] {
    [option.into(), from.into(), to.into()]
}

/// Programs and libraries, as this system has laid them out.
fn system() -> Vec<OsString> {
    let mut arguments = Vec::new();
    for path in system::folders() {
        match fs::read_link(&path) {
            Ok(target) => arguments.extend(argument("--symlink", target, path)),
            Err(_) if path.is_dir() => arguments.extend(argument("--ro-bind", &path, &path)),
            Err(_) => {}
        }
    }
    arguments
}

/// `/etc`: a few things of the host, and our own files. `own` is where those are.
fn configuration(own: &Path) -> Vec<OsString> {
    let etc = Path::new("/etc");
    let mut arguments = Vec::new();
    for path in system::configuration() {
        arguments.extend(argument("--ro-bind", &path, &path));
    }
    for (name, _content) in OWN {
        arguments.extend(argument("--ro-bind", own.join(name), etc.join(name)));
    }
    arguments
}

/// Where the server is root, whoever is in a cage owns what root owns in `/proc`, capabilities or not, and could write
/// the kernel's settings, `core_pattern` among them, which names a program that the kernel runs as root. So all of it
/// but the processes is made read-only, and what only root may read is covered.
fn covers() -> io::Result<Vec<OsString>> {
    let mut arguments = Vec::new();
    if !rustix::process::geteuid().is_root() {
        return Ok(arguments);
    }
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let process = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()));
        // `self`, `net` and `mounts` are links to what belongs to the process that looks.
        let Ok(facts) = fs::symlink_metadata(&path) else { continue };
        if process || facts.is_symlink() {
            continue;
        }
        if facts.is_dir() || facts.mode() & 0o222 != 0 && facts.mode() & 0o004 != 0 {
            arguments.extend(argument("--ro-bind", &path, &path));
        } else if facts.mode() & 0o004 == 0 {
            arguments.extend(argument("--ro-bind", "/dev/null", &path));
        }
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_bubblewrap_is_read_from_what_it_says() {
        assert_eq!(read_version("bubblewrap 0.8.0"), Some([0, 8]));
        assert_eq!(read_version("bubblewrap 1.0"), Some([1, 0]));
        assert_eq!(read_version("sh: bwrap: not found"), None);
    }

    #[test]
    fn nothing_of_the_hosts_users_and_keys_is_bound() {
        let own = tempfile::tempdir().unwrap();
        let arguments = configuration(own.path());
        for secret in ["/etc", "/etc/ssl", "/etc/ssl/private", "/etc/shadow", "/etc/pki"] {
            assert!(!arguments.iter().any(|argument| argument == secret), "{secret}");
        }
        assert!(!arguments.windows(2).any(|pair| pair[0] == "--ro-bind" && pair[1] == "/etc/passwd"));
    }
}
