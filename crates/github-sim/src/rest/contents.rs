//! Files and folders.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::call::{Call, Route, percent_encoded};
use crate::git::tree::TreeEntry;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};
use crate::state::Repo;

/// Above this GitHub gives no content in the object form.
const INLINE_BYTES_MAX: usize = 1_000_000;

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    match (call.request.method.as_str(), path) {
        ("GET", ["contents", path @ ..]) => Some(get(call, repo, &path.join("/"))),
        _ => None,
    }
}

fn get(call: &Call, repo: u64, path: &str) -> Outcome {
    call.need(repo, &["contents"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let name = call.request.query("ref").unwrap_or(&found.default_branch);
    let missing = || match call.request.query("ref") {
        Some(name) => Reply::refuse(404, &format!("No commit found for the ref {name}")),
        None => Reply::refuse(404, "This repository is empty."),
    };
    let sha = found.commit_of(name).ok_or_else(missing)?;
    let path = path.trim_matches('/');
    let entry = if path.is_empty() { None } else { found.git.entry(&sha, path)? };
    match entry {
        Some(entry) if entry.kind == "blob" => file(call, found, &entry, name),
        Some(entry) if entry.kind == "tree" => folder(call, found, &entry.path, &sha, name),
        Some(_) => Err(Reply::not_found()),
        None if path.is_empty() => folder(call, found, "", &sha, name),
        None => Err(Reply::not_found()),
    }
}

fn item(call: &Call, repo: &Repo, entry: &TreeEntry, name: &str) -> Value {
    let path = entry.path.split('/').map(percent_encoded).collect::<Vec<_>>().join("/");
    let url = format!("{}/contents/{path}?ref={}", call.state.repo_url(repo), percent_encoded(name));
    let git_url = format!("{}/git/blobs/{}", call.state.repo_url(repo), entry.sha);
    let html = format!("{}/blob/{name}/{path}", call.state.repo_html(repo));
    let kind = if entry.kind == "tree" { "dir" } else { "file" };
    json!({
        "name": entry.path.rsplit('/').next(), "path": entry.path, "sha": entry.sha, "size": entry.size,
        "url": url, "html_url": html, "git_url": git_url, "type": kind,
        "download_url": format!("{}/raw/{name}/{path}", call.state.repo_html(repo)),
        "_links": {"self": url, "git": git_url, "html": html},
    })
}

fn file(call: &Call, repo: &Repo, entry: &TreeEntry, name: &str) -> Outcome {
    let bytes = repo.git.blob(&entry.sha)?;
    if call.request.header("accept").contains("raw") {
        return Ok(Reply::raw("application/vnd.github.raw+json; charset=utf-8", bytes));
    }
    let mut json = item(call, repo, entry, name);
    let (encoding, content) =
        if bytes.len() > INLINE_BYTES_MAX { ("none", String::new()) } else { ("base64", wrapped(&bytes)) };
    if let Some(object) = json.as_object_mut() {
        object.insert("encoding".to_owned(), encoding.into());
        object.insert("content".to_owned(), content.into());
    }
    Ok(Reply::ok(json))
}

/// Base64 in lines of 60, as GitHub sends it.
fn wrapped(bytes: &[u8]) -> String {
    bytes.chunks(45).map(|chunk| STANDARD.encode(chunk) + "\n").collect()
}

fn folder(call: &Call, repo: &Repo, path: &str, sha: &str, name: &str) -> Outcome {
    let entries = repo.git.folder(sha, path)?;
    Ok(Reply::ok(entries.iter().map(|entry| item(call, repo, entry, name)).collect()))
}
