//! What of this machine programs in a cage may see: its programs and libraries, and a few files of `/etc`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Probe, Unavailable};

/// Top-level folders that programs and their libraries are in; on merged systems all but `/usr` are links into it.
const SYSTEM: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What programs need of `/etc`, and holds no secret: `/etc/ssl/private` must not come along.
const ETC: [&str; 19] = [
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "fonts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "pki/ca-trust",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];
/// Folders of `/etc` of language runtimes, by how their names begin.
const ETC_BEGINNINGS: [&str; 5] = ["java", "maven", "perl", "php", "python"];

/// Says that a layer lacks something on this machine.
pub(super) fn missing(why: String) -> Unavailable {
    Unavailable { probe: Probe::Present, why }
}

/// Whether a file is a program.
pub(super) fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

/// Our own binary: the one that is named, or the one that runs.
pub(super) fn own_program(named: Option<PathBuf>) -> Result<PathBuf, Unavailable> {
    let program = named.map_or_else(std::env::current_exe, Ok);
    let program = program.map_err(|error| missing(format!("our own binary is nowhere: {error}")))?;
    if !is_executable(&program) {
        return Err(missing(format!("our own binary {} is not there any more", program.display())));
    }
    Ok(program)
}

/// Where programs and libraries may be. Not every system has all of them, and some are links.
pub(super) fn folders() -> impl Iterator<Item = PathBuf> {
    SYSTEM.into_iter().map(|name| Path::new("/").join(name))
}

/// The files and folders of `/etc` that are there.
pub(super) fn configuration() -> Vec<PathBuf> {
    let etc = Path::new("/etc");
    let mut names: Vec<PathBuf> = ETC.iter().map(PathBuf::from).collect();
    let listed = fs::read_dir(etc).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.extend(
        listed
            .filter(|name| {
                let name = name.to_string_lossy();
                ETC_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
            })
            .map(PathBuf::from),
    );
    names.iter().map(|name| etc.join(name)).filter(|path| path.exists()).collect()
}
