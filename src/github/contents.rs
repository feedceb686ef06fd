//! Files of a repository, read without a clone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde::Deserialize;

use super::error::{GitHubError, Outcome, found, request_name};
use super::repository::RepositoryClient;
use super::route::{path as path_route, segment};
use super::transport::BodyLimit;

/// A file, or a list of files where the path is a directory.
#[derive(Deserialize)]
#[serde(untagged)]
enum ContentWire {
    File {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        size: usize,
        #[serde(default)]
        encoding: String,
        #[serde(default)]
        content: String,
    },
    Directory(serde::de::IgnoredAny),
}

impl RepositoryClient {
    /// The bytes of a file at a commit, branch or tag. None if there is no such file there.
    pub async fn read_file(
        &self,
        path: &str,
        reference: &str,
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, GitHubError> {
        // URLs resolve dots away, so such a path would ask for something else.
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Ok(None);
        }
        let route = format!("/contents/{}?ref={}", path_route(path), segment(reference));
        let request = || request_name(&Method::GET, &format!("/contents/{path}"));
        let (size, encoding, content) = match found(self.get(&route).await)? {
            Some(ContentWire::File { kind, size, encoding, content }) if kind == "file" => {
                (size, encoding, content)
            }
            Some(ContentWire::File { .. } | ContentWire::Directory(_)) | None => return Ok(None),
        };
        if size > bytes_max {
            return Err(GitHubError::TooLarge { request: request(), bytes_max });
        }
        if encoding != "base64" {
            // Files above one megabyte come without their content.
            let route = self.route(&route).await?;
            let raw = self
                .client
                .raw(&route, "application/vnd.github.raw+json", Some(BodyLimit { bytes_max }))
                .await?;
            return Ok(Some(raw.into_body().to_vec()));
        }
        let packed: String = content.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        STANDARD.decode(packed).map(Some).map_err(|error| GitHubError::Malformed {
            request: request(),
            detail: format!("`content` is not Base64: {error}"),
            outcome: Outcome::NotApplied,
        })
    }
}
