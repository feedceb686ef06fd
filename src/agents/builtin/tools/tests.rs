mod fuzz;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use proptest::prelude::*;
use serde_json::json;

use super::place::components;
use super::*;
use crate::ports::{CommandSpec, Ending, Finished, SpawnError, Spawner};
use crate::sandbox::Uncaged;

#[derive(Debug, Default)]
struct FakeSpawner(Mutex<Vec<CommandSpec>>);

#[async_trait]
impl Spawner for FakeSpawner {
    async fn run(&self, command: CommandSpec) -> Result<Finished, SpawnError> {
        self.0.lock().unwrap().push(command);
        let stdout = format!("start\u{1b}[31m{}end", "x".repeat(100_000)).into_bytes();
        Ok(Finished { ending: Ending::Exited(3), stdout, stderr: Vec::new(), truncated: false })
    }
}

struct Tree {
    _all: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
    scratch: PathBuf,
    spawner: Arc<FakeSpawner>,
}

impl Tree {
    fn of(files: &[(&str, &str)]) -> Self {
        let all = tempfile::tempdir().unwrap();
        let place = |name: &str| all.path().join(name);
        let (root, outside, scratch) = (place("root"), place("outside"), place("scratch"));
        for directory in [&root, &outside, &scratch] {
            fs::create_dir(directory).unwrap();
        }
        fs::write(outside.join("secret"), "the secret").unwrap();
        for (path, content) in files {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), content).unwrap();
        }
        Self { _all: all, root, outside, scratch, spawner: Arc::default() }
    }

    fn toolbox(&self) -> Toolbox {
        let spawner = Arc::clone(&self.spawner) as Arc<dyn Spawner>;
        let sandbox = Arc::new(Uncaged::accepted(spawner));
        let access =
            WriteAccess { scratch: self.scratch.clone(), commands: Some((sandbox, Duration::from_mins(1))) };
        Toolbox::writing(Root::open(&self.root).unwrap(), access)
    }

    async fn run(&self, name: &str, arguments: Value) -> Said {
        self.toolbox().run(name, arguments, Duration::from_mins(10)).await
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }
}

fn calls_on(path: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("list_files", json!({ "path": path })),
        ("search", json!({ "pattern": "secret", "path": path })),
        ("read_file", json!({ "path": path })),
        ("edit_file", json!({ "path": path, "old": "secret", "new": "x" })),
        ("write_file", json!({ "path": path, "content": "x" })),
        ("delete_file", json!({ "path": path })),
    ]
}

#[tokio::test]
async fn no_tool_reaches_outside_the_worktree() {
    let tree = Tree::of(&[("a/b", "x"), (".git/config", "secret")]);
    symlink(tree.outside.join("secret"), tree.root.join("link")).unwrap();
    symlink(&tree.outside, tree.root.join("dir")).unwrap();
    symlink("../../outside", tree.root.join("a/up")).unwrap();
    symlink("a", tree.root.join("inside")).unwrap();
    let absolute = tree.outside.join("secret").display().to_string();
    for path in [
        "../outside/secret",
        "a/../../outside/secret",
        absolute.as_str(),
        "dir/secret",
        "a/up/secret",
        "inside/b",
        ".git/config",
        ".GIT/config",
        "a/.git/hooks/x",
        "a\0b",
        "a/\u{202e}b",
    ] {
        for (tool, arguments) in calls_on(path) {
            let said = tree.run(tool, arguments).await;
            assert!(said.is_err(), "{tool} {path}: {said:?}");
        }
    }
    for (tool, arguments) in calls_on("link").into_iter().filter(|(tool, _)| *tool != "delete_file") {
        let said = tree.run(tool, arguments).await;
        assert!(said.is_err(), "{tool} link: {said:?}");
    }
    let found = tree.run("search", json!({"pattern": "secret", "path": "."})).await.unwrap();
    assert_eq!(found, "(no line matches)");
    tree.run("delete_file", json!({"path": "link"})).await.unwrap();
    assert_eq!(fs::read_to_string(tree.outside.join("secret")).unwrap(), "the secret");
    assert_eq!(tree.read(".git/config"), "secret");
    assert_eq!(fs::read_dir(&tree.outside).unwrap().count(), 1);
}

#[tokio::test]
async fn a_pipe_or_an_endless_device_holds_nobody() {
    let tree = Tree::of(&[("src/a", "x")]);
    let fifo = |name: &str| {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, tree.root.join(name), rustix::fs::FileType::Fifo, mode, 0)
            .unwrap();
    };
    fifo("pipe");
    fifo("src/.gitignore");
    symlink("/dev/zero", tree.root.join(".gitignore")).unwrap();
    assert!(tree.run("read_file", json!({"path": "pipe"})).await.unwrap_err().contains("neither"));
    assert!(tree.run("write_file", json!({"path": "pipe", "content": ""})).await.is_err());
    assert_eq!(tree.run("list_files", json!({"path": "."})).await.unwrap(), ".gitignore\nsrc/a");
}

#[tokio::test]
async fn ignored_files_are_not_listed() {
    let tree = Tree::of(&[
        (".gitignore", "*.log\n/build/\n"),
        ("a.log", ""),
        ("build/out", ""),
        ("src/build/kept", ""),
        ("src/.gitignore", "!keep.log\nlocal\n"),
        ("src/keep.log", ""),
        ("src/local", ""),
        ("src/z/other.log", ""),
        (".github/workflows/ci.yml", ""),
    ]);
    let all = tree.run("list_files", json!({"path": "."})).await.unwrap();
    assert_eq!(all, ".github/workflows/ci.yml\n.gitignore\nsrc/.gitignore\nsrc/build/kept\nsrc/keep.log");
    let below = tree.run("list_files", json!({"path": "./src/z/"})).await.unwrap();
    assert_eq!(below, "(no files)", "patterns above the start count");
}

#[tokio::test]
async fn an_edit_hits_exactly_one_place() {
    let tree = Tree::of(&[("f", "one\ntwo\none\n"), ("dos", "a\r\nb\r\n")]);
    let edit = |path: &'static str, old: &'static str, new: &'static str| {
        tree.run("edit_file", json!({"path": path, "old": old, "new": new}))
    };
    assert!(edit("f", "one", "1").await.unwrap_err().contains("occurs 2 times"));
    assert!(edit("f", "three", "1").await.unwrap_err().contains("does not occur"));
    assert!(edit("f", "", "1").await.is_err());
    edit("f", "two\none", "2").await.unwrap();
    assert_eq!(tree.read("f"), "one\n2\n");
    assert!(edit("f", "two\none", "2").await.unwrap_err().contains("already there"));
    edit("dos", "a\nb", "a\nc").await.unwrap();
    assert_eq!(tree.read("dos"), "a\r\nc\r\n");
}

#[tokio::test]
async fn writing_keeps_the_mode_and_leaves_other_links_alone() {
    let tree = Tree::of(&[("run.sh", "old")]);
    let path = tree.root.join("run.sh");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::hard_link(&path, tree.outside.join("twin")).unwrap();
    tree.run("write_file", json!({"path": "run.sh", "content": "new"})).await.unwrap();
    tree.run("write_file", json!({"path": "deep/er/file", "content": "x"})).await.unwrap();
    assert_eq!(tree.read("run.sh"), "new");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::metadata(tree.root.join("deep/er/file")).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_to_string(tree.outside.join("twin")).unwrap(), "old");
    assert_eq!(fs::read_dir(&tree.scratch).unwrap().count(), 0, "no draft is left");
}

#[tokio::test]
async fn text_is_shown_numbered_bounded_and_without_anything_hidden() {
    let long = (1..=3_000).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n") + "\n";
    let tree = Tree::of(&[("long", &long), ("bidi", "a\u{202e}b"), ("empty", ""), ("bin", "a\0b")]);
    fs::write(tree.root.join("latin"), [b'f', 0xfc, b'r']).unwrap();
    let read = |arguments: Value| async { tree.run("read_file", arguments).await };
    let shown = read(json!({"path": "long"})).await.unwrap();
    assert!(shown.starts_with("1\tline 1\n"));
    assert!(shown.ends_with("[lines 1001 to 3000 of 3000 are not shown; read them with start_line=1001]\n"));
    let part = read(json!({"path": "long", "start_line": 2999, "end_line": 9999})).await.unwrap();
    assert_eq!(part, "2999\tline 2999\n3000\tline 3000\n");
    assert!(read(json!({"path": "long", "start_line": 5000})).await.is_err());
    assert_eq!(read(json!({"path": "bidi"})).await.unwrap(), "1\ta⟨U+202E⟩b\n");
    assert_eq!(read(json!({"path": "latin"})).await.unwrap(), "1\tf\u{fffd}r\n");
    assert!(read(json!({"path": "bin"})).await.unwrap_err().contains("binary"));
    assert!(read(json!({"path": "no/such"})).await.unwrap_err().contains("list_files"));
    assert!(read(json!({"path": "."})).await.unwrap_err().contains("directory"));
    assert_eq!(read(json!({"path": "empty"})).await.unwrap(), "(the file is empty)");
    assert!(tree.run("edit_file", json!({"path": "latin", "old": "f", "new": "g"})).await.is_err());
}

#[tokio::test]
async fn a_search_is_bounded_and_a_bad_pattern_is_said() {
    let tree = Tree::of(&[("a", &"hit\n".repeat(500)), ("b/c", "one hit\n"), ("bin", "hit\0")]);
    let hits = tree.run("search", json!({"pattern": "^hit$", "path": "."})).await.unwrap();
    assert_eq!(hits.lines().count(), 201);
    let one = tree.run("search", json!({"pattern": "hit", "path": "b"})).await.unwrap();
    assert_eq!(one, "b/c:1: one hit");
    let same = tree.run("search", json!({"pattern": "hit", "path": "b/c"})).await.unwrap();
    assert_eq!(same, one);
    assert!(tree.run("search", json!({"pattern": "(", "path": "."})).await.is_err());
    assert!(tree.run("search", json!({"pattern": "(a{1000}){1000}", "path": "."})).await.is_err());
}

#[tokio::test]
async fn a_command_gets_an_empty_environment_and_its_output_is_bounded() {
    let tree = Tree::of(&[]);
    let said = tree.run("run_command", json!({"command": "make test"})).await.unwrap();
    assert!(said.starts_with("exit code 3\nstdout:\nstart⟨U+001B⟩[31m"), "{said:.80}");
    assert!(said.contains("bytes are not shown") && said.contains("end\n") && said.len() < 20_000);
    let asked = tree.spawner.0.lock().unwrap().pop().unwrap();
    let names: Vec<&str> = asked.environment.keys().map(String::as_str).collect();
    assert_eq!(names, ["HOME", "LANG", "PATH", "TERM", "TMPDIR"]);
    assert_eq!(asked.environment["HOME"], tree.scratch.join("home").display().to_string());
    assert_eq!(
        (asked.arguments.as_slice(), asked.directory.as_path()),
        (&["-c".to_owned(), "make test".to_owned()][..], tree.root.as_path())
    );
    assert_eq!(asked.timeout, Duration::from_mins(1));
}

#[tokio::test]
async fn only_what_is_granted_is_offered_and_done() {
    let tree = Tree::of(&[("a", "x")]);
    let names = |toolbox: &Toolbox| toolbox.specs().iter().map(|spec| spec.name).collect::<Vec<_>>();
    let reading = Toolbox::reading(Root::open(&tree.root).unwrap());
    assert_eq!(names(&reading), ["list_files", "search", "read_file"]);
    let access = WriteAccess { scratch: tree.scratch.clone(), commands: None };
    let quiet = Toolbox::writing(Root::open(&tree.root).unwrap(), access);
    assert!(!names(&quiet).contains(&"run_command"));
    for (toolbox, tool) in [(&reading, "write_file"), (&reading, "run_command"), (&quiet, "run_command")] {
        let arguments = json!({"path": "a", "content": "y", "command": "true"});
        assert!(toolbox.run(tool, arguments, Duration::from_secs(1)).await.is_err());
    }
    assert_eq!(tree.read("a"), "x");
    assert!(tree.spawner.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn arguments_of_any_shape_are_answered() {
    let tree = Tree::of(&[("a", "x")]);
    for spec in tree.toolbox().specs() {
        for arguments in
            [json!(null), json!([]), json!({"path": 3}), json!({"path": null}), json!({"pattern": []})]
        {
            let _ = tree.run(spec.name, arguments).await;
        }
    }
    assert!(tree.run("rm -rf", json!({})).await.unwrap_err().contains("list_files"));
}

proptest! {
    #[test]
    fn components_never_lead_outside(path in "(\\.{0,3}|/|[a-z]|\\.git|\u{200b}){0,8}") {
        if let Ok(parts) = components(&path) {
            prop_assert!(!path.starts_with('/'));
            for part in parts {
                prop_assert!(!part.is_empty() && part != "." && part != ".." && part != ".git");
                prop_assert_eq!(Path::new(part).components().count(), 1);
            }
        }
    }
}
