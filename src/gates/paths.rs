//! `paths`: the change stays away from protected paths.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use pairbot_protocol::signal::{GateReport, Verdict};

use super::{ANNOTATIONS_MAX, ChangedFile, and_more, annotation, report, unknown};
use crate::text::{counted, untrusted};

/// Compiles one glob of a policy. `*` and `?` stop at `/`, `**` does not; a glob that ends in `/` means everything
/// below. Letters match in either case: on many machines `.Claude/` is `.claude/`.
///
/// Errors: what is wrong with it and what is allowed, in words for the policy's author.
pub fn compile(glob: &str) -> Result<GlobSet, String> {
    if glob.starts_with('/') || glob.starts_with("./") {
        return Err("globs start at the root of the repository: leave out the leading `/` or `./`".to_owned());
    }
    let whole = if glob.ends_with('/') { format!("{glob}**") } else { glob.to_owned() };
    let built = GlobBuilder::new(&whole)
        .literal_separator(true)
        .case_insensitive(true)
        .backslash_escape(true)
        .build()
        .and_then(|glob| GlobSetBuilder::new().add(glob).build());
    built.map_err(|error| {
        format!("is not a glob: {}; `*`, `?`, `**`, `[a-z]` and `{{a,b}}` are special", error.kind())
    })
}

/// Holds the paths of a change against protected globs. A moved file counts with both of its paths.
pub fn examine(files: &[ChangedFile], protected: &[String]) -> GateReport {
    let mut globs = Vec::new();
    for glob in protected {
        match compile(glob) {
            Ok(set) => globs.push((glob.as_str(), set)),
            Err(complaint) => {
                let glob = untrusted::code(glob, 200);
                return unknown(
                    "a protected path cannot be read",
                    format!("{glob} {complaint}. No path was examined; mend the policy file."),
                );
            }
        }
    }
    let touched: Vec<(&str, &str)> = files
        .iter()
        .flat_map(|file| [Some(file.path.as_str()), file.old_path.as_deref()])
        .flatten()
        .filter_map(|path| {
            let hit = globs.iter().find(|(_, set)| set.is_match(path))?;
            Some((path, hit.0))
        })
        .collect();
    if touched.is_empty() {
        let title = format!("none of {} is protected", counted(files.len(), "changed path"));
        return report(Verdict::Green, title, "The change touches no protected path.");
    }
    let mut summary =
        "These paths are protected by the repository's policy. Put them back as they are on the \
                       base branch; a person can change them in a pull request of their own.\n"
            .to_owned();
    let item = |(path, glob): &(&str, &str)| {
        format!("\n- {}, protected by {}", untrusted::code(path, 200), untrusted::code(glob, 200))
    };
    summary.extend(touched.iter().take(ANNOTATIONS_MAX).map(item));
    summary.push_str(&and_more(touched.len(), ANNOTATIONS_MAX));
    let annotations = touched
        .iter()
        .take(ANNOTATIONS_MAX)
        .map(|(path, glob)| annotation(path, 1, format!("protected by the policy's `{glob}`")))
        .collect();
    let title = format!("{} changed", counted(touched.len(), "protected path"));
    GateReport { annotations, ..report(Verdict::Red, title, summary) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(path: &str, old_path: Option<&str>) -> ChangedFile {
        let old_path = old_path.map(str::to_owned);
        ChangedFile { path: path.to_owned(), old_path, additions: 1, deletions: 0, binary: false }
    }

    fn verdict(path: &str) -> Verdict {
        examine(&[changed(path, None)], &crate::policy::protected_by_default()).verdict
    }

    #[test]
    fn rules_workflows_and_agent_configuration_are_protected_by_default() {
        for path in [
            ".github/workflows/ci.yml",
            ".github/pairbot.yml",
            ".GitHub/CODEOWNERS",
            "CODEOWNERS",
            "docs/CODEOWNERS",
            "AGENTS.md",
            "crates/core/AGENTS.md",
            "web/.claude/settings.json",
            ".Claude/settings.json",
            ".mcp.json",
            ".aider.conf.yml",
            "tools/lint/action.yml",
            ".gitmodules",
            "src/.gitattributes",
        ] {
            assert_eq!(verdict(path), Verdict::Red, "{path}");
        }
        for path in ["src/main.rs", "docs/agents.txt", "github/x", "src/action.rs", "README.md"] {
            assert_eq!(verdict(path), Verdict::Green, "{path}");
        }
    }

    #[test]
    fn a_moved_file_counts_with_both_paths() {
        let protected = ["secret/**".to_owned()];
        let out = examine(&[changed("open/a", Some("secret/a"))], &protected);
        let into = examine(&[changed("secret/a", Some("open/a"))], &protected);
        assert_eq!((out.verdict, into.verdict), (Verdict::Red, Verdict::Red));
        assert_eq!(out.annotations.len(), 1);
    }

    #[test]
    fn a_star_stays_in_its_directory_and_a_trailing_slash_means_everything_below() {
        let red = |glob: &str, path: &str| {
            examine(&[changed(path, None)], &[glob.to_owned()]).verdict == Verdict::Red
        };
        assert!(red("*.lock", "Cargo.lock") && !red("*.lock", "a/Cargo.lock"));
        assert!(red("migrations/", "migrations/1/a.sql") && !red("migrations/", "src/migrations/a.sql"));
        assert!(red("**/*.lock", "a/b/Cargo.lock"));
    }

    #[test]
    fn a_glob_that_cannot_be_read_is_never_green() {
        let report = examine(&[changed("a", None)], &["[".to_owned()]);
        assert_eq!(report.verdict, Verdict::Unknown);
        assert!(compile("/abs").is_err() && compile("{a").is_err());
    }

    #[test]
    fn no_more_is_said_than_a_check_run_takes() {
        let files: Vec<_> = (0..500).map(|index| changed(&format!(".github/{index}"), None)).collect();
        let report = examine(&files, &crate::policy::protected_by_default());
        assert_eq!(report.annotations.len(), ANNOTATIONS_MAX);
        assert_eq!(report.title, "500 protected paths changed");
        assert!(report.summary.contains("- and 450 more"));
    }
}
