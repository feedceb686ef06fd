//! Where an agent's program is, and what of this machine it has to see to run.

use std::path::{Component, Path, PathBuf};

/// The full path of a program, if it is there and can be executed.
pub fn find(program: &str, search_path: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_absolute() && is_executable(path));
    }
    let folders = std::env::split_paths(search_path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(program)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

/// The folders that a program lives in: its own, that of the file it is a link to, and all of the `node_modules` that
/// either lies in. Never more than that: a folder above may be somebody's home.
pub(super) fn folders(program: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in [Some(program.to_owned()), std::fs::canonicalize(program).ok()].into_iter().flatten() {
        let folder = in_node_modules(&path).or_else(|| path.parent().map(Path::to_owned));
        // The system is there anyway.
        let folder = folder.filter(|folder| !folder.starts_with("/usr") && folder != Path::new("/bin"));
        found.extend(folder.filter(|folder| folder != Path::new("/")));
    }
    found.sort();
    found.dedup();
    found
}

fn in_node_modules(path: &Path) -> Option<PathBuf> {
    let parts: Vec<Component<'_>> = path.components().collect();
    let at = parts.iter().position(|part| part.as_os_str() == "node_modules")?;
    Some(parts.get(..=at)?.iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_sees_the_folder_it_lives_in_and_nothing_above() {
        let folder = tempfile::tempdir().unwrap();
        let top = std::fs::canonicalize(folder.path()).unwrap();
        let bin = top.join("home/bin");
        let modules = top.join("home/lib/node_modules");
        std::fs::create_dir_all(modules.join("agent/dist")).unwrap();
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(modules.join("agent/dist/cli.js"), "").unwrap();
        std::os::unix::fs::symlink(modules.join("agent/dist/cli.js"), bin.join("agent")).unwrap();
        assert_eq!(folders(&bin.join("agent")), [bin, modules]);
        assert!(folders(Path::new("/usr/bin/env")).is_empty());
    }

    #[test]
    fn a_program_is_found_on_the_path_only_if_it_can_be_executed() {
        assert_eq!(find("sh", "/nowhere:/bin").as_deref(), Some(Path::new("/bin/sh")));
        assert_eq!(find("/bin/sh", "").as_deref(), Some(Path::new("/bin/sh")));
        assert_eq!(find("passwd", "/etc"), None);
        assert_eq!(find("./sh", "/bin"), None);
    }
}
