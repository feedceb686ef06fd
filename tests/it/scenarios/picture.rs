//! What a person sees of an issue and its pull request, in lines short enough to stand in a story.
//!
//! Commits are called `c1`, `c2` … in the order of the pull request, so that pictures do not depend on hashes.

use std::fmt::Write as _;

use pairbot_github_sim::{GitHubSim, PullSeen, ReactionSeen};

/// Looks at everything, and draws it.
pub(crate) fn of(github: &GitHubSim, repository: &str, issue: u64) -> String {
    let mut out = String::new();
    let seen = github.issue(repository, issue).unwrap();
    let state = if seen.open { "open" } else { "closed" };
    let labels = seen.labels.join(",");
    let reactions = reactions(&github.issue_reactions(repository, issue).unwrap());
    writeln!(out, "issue {state} [{labels}]{reactions}").unwrap();
    conversation(&mut out, github, repository, issue);
    let branch = format!("pairbot/issue-{issue}");
    for pull in github.pulls(repository).unwrap().iter().filter(|pull| pull.head_branch == branch) {
        pull_request(&mut out, github, repository, pull);
    }
    named(out, github, repository, issue)
}

/// The picture with commits called by their place instead of their hash.
fn named(mut out: String, github: &GitHubSim, repository: &str, issue: u64) -> String {
    let branch = format!("pairbot/issue-{issue}");
    for pull in github.pulls(repository).unwrap().iter().filter(|pull| pull.head_branch == branch) {
        for (position, commit) in commits(github, repository, pull).iter().enumerate() {
            out = out.replace(&commit[..7], &format!("c{}", position + 1));
        }
    }
    out
}

fn reactions(seen: &[ReactionSeen]) -> String {
    seen.iter().fold(String::new(), |out, reaction| format!("{out} :{}:", reaction.content))
}

fn conversation(out: &mut String, github: &GitHubSim, repository: &str, number: u64) {
    for comment in github.comments(repository, number).unwrap() {
        let first = comment.body.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let reactions = reactions(&github.comment_reactions(repository, comment.id).unwrap());
        writeln!(out, "  {}: {first}{reactions}", comment.author).unwrap();
    }
}

fn pull_request(out: &mut String, github: &GitHubSim, repository: &str, pull: &PullSeen) {
    let state = match (pull.merged, pull.open, pull.draft) {
        (true, _, _) => "merged",
        (false, false, _) => "closed",
        (false, true, true) => "draft",
        (false, true, false) => "ready",
    };
    writeln!(out, "pull {state}: {}", pull.title).unwrap();
    conversation(out, github, repository, pull.number);
    let commits = commits(github, repository, pull);
    let name = |sha: &str| {
        let position = commits.iter().position(|commit| commit == sha);
        position.map_or_else(|| "c?".to_owned(), |position| format!("c{}", position + 1))
    };
    let mut reviews = github.reviews(repository, pull.number).unwrap();
    // Reviewers read side by side; which of them hands in first is no part of the story.
    reviews.sort_by_key(|review| (name(&review.commit_sha), review.author.clone(), review.body.clone()));
    for review in reviews {
        let first = review.body.lines().next().unwrap_or_default().replace(&review.commit_sha, "");
        let what = first.trim_start_matches("### ").split(" of ").next().unwrap_or_default();
        writeln!(out, "  {} {} on {}: {what}", review.author, review.state, name(&review.commit_sha))
            .unwrap();
        for comment in review.comments {
            let line = comment.original_line.unwrap_or_default();
            let outdated = if comment.outdated { " outdated" } else { "" };
            let resolved = if comment.resolved { " resolved" } else { "" };
            let reactions = reactions(&github.review_comment_reactions(repository, comment.id).unwrap());
            writeln!(out, "    {}:{line}{outdated}{resolved}{reactions}", comment.path).unwrap();
        }
    }
    for commit in &commits {
        let mut checks = github.check_runs(repository, commit).unwrap();
        checks.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let words: Vec<String> = checks
            .iter()
            .map(|check| {
                let name = check.name.trim_start_matches("pairbot / ");
                format!("{name}={}", check.conclusion.as_deref().unwrap_or(&check.status))
            })
            .collect();
        writeln!(out, "  {} {}", name(commit), words.join(" ")).unwrap();
    }
}

/// Every commit that the pull request ever showed, in order.
fn commits(github: &GitHubSim, repository: &str, pull: &PullSeen) -> Vec<String> {
    let mut commits = Vec::new();
    for delivery in github.deliveries() {
        let payload = &delivery.payload;
        if payload["repository"]["full_name"] == repository
            && payload["pull_request"]["number"] == pull.number
        {
            let sha = payload["pull_request"]["head"]["sha"].as_str().unwrap_or_default().to_owned();
            if !commits.contains(&sha) {
                commits.push(sha);
            }
        }
    }
    commits
}
