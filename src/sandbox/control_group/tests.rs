use super::place::trees;
use super::*;
use crate::sandbox::Limit;

/// What `/proc/self` says on a machine with these groups and mounts.
fn process(groups: &str, mounts: &str) -> tempfile::TempDir {
    let process = tempfile::tempdir().unwrap();
    fs::write(process.path().join("cgroup"), groups).unwrap();
    fs::write(process.path().join("mountinfo"), mounts).unwrap();
    process
}

fn limits() -> CageLimits {
    CageLimits { memory_bytes: 4096, processes: 7, ..CageLimits::default() }
}

#[test]
fn in_version_1_each_controller_is_found_in_its_own_tree() {
    let process = process(
        "8:pids:/a\n4:memory:/ci/job\n1:cpu:/\n0::/\n",
        "30 25 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
         31 25 0:28 /ci /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
         32 25 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
         33 25 0:30 / /nowhere rw - cgroup2 cgroup2 rw\n",
    );
    let tree = |own: &str, limit| Tree { version: Version::One, own: own.into(), limits: vec![limit] };
    assert_eq!(
        trees(process.path()).unwrap(),
        [
            tree("/sys/fs/cgroup/pids/a", Controller::Processes),
            tree("/sys/fs/cgroup/memory/job", Controller::Memory)
        ]
    );
}

/// A folder that looks like a group of version 2 with these controllers.
fn version_2(controllers: &str) -> tempfile::TempDir {
    let own = tempfile::tempdir().unwrap();
    fs::write(own.path().join("cgroup.controllers"), controllers).unwrap();
    fs::write(own.path().join("cgroup.subtree_control"), "").unwrap();
    own
}

#[test]
fn in_version_2_only_the_controllers_that_are_handed_down_to_us_count() {
    let own = version_2("cpu memory");
    let mounts = format!("33 25 0:30 / {} rw - cgroup2 cgroup2 rw\n", own.path().display());
    let found = trees(process("0::/\n", &mounts).path()).unwrap();
    let wanted = Tree { version: Version::Two, own: own.path().to_owned(), limits: vec![Controller::Memory] };
    assert_eq!(found, [wanted]);
    let none = version_2("cpu io");
    let mounts = format!("33 25 0:30 / {} rw - cgroup2 cgroup2 rw\n", none.path().display());
    assert_eq!(trees(process("0::/\n", &mounts).path()).unwrap(), []);
}

#[test]
fn what_cannot_be_bounded_is_told_with_the_reason() {
    let groups = ControlGroups::under(Vec::new(), "test");
    let gaps: Vec<Limit> = groups.gaps().iter().map(|gap| gap.limit).collect();
    assert_eq!(gaps, [Limit::Memory, Limit::Processes]);
    let own = PathBuf::from("/nowhere/at/all");
    let tree = Tree { version: Version::One, own, limits: vec![Controller::Memory] };
    let groups = ControlGroups::under(vec![tree], "test");
    assert!(groups.gaps().iter().any(|gap| gap.why.contains("/nowhere/at/all")), "{groups:?}");
}

#[test]
fn a_limit_that_the_kernel_does_not_know_is_an_error_and_no_silence() {
    // A folder that is no control group has none of the files that limits are written to.
    let own = tempfile::tempdir().unwrap();
    let tree =
        Tree { version: Version::One, own: own.path().to_owned(), limits: vec![Controller::Processes] };
    let groups = ControlGroups::under(vec![tree], "test");
    assert!(groups.group(&limits()).is_err());
    drop(groups);
    assert_eq!(fs::read_dir(own.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn folders_of_servers_that_are_gone_are_removed_and_of_living_ones_kept() {
    let own = tempfile::tempdir().unwrap();
    let living = format!("{FOLDER_PREFIX}{}-one", std::process::id());
    // Process ids end far below this.
    for name in ["pairbot-999999999-two/cage-3", living.as_str(), "other"] {
        fs::create_dir_all(own.path().join(name)).unwrap();
    }
    sweep(own.path());
    let mut left: Vec<_> =
        fs::read_dir(own.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["other", living.as_str()]);
}
