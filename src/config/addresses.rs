//! Addresses of other servers.

use reqwest::Url;

use super::problem::Problems;
use super::source::Source;

/// Reads a base address.
pub(super) fn url(text: &str, name: &str, source: &Source, problems: &mut Problems) -> Option<Url> {
    let wrong = match Url::parse(text) {
        Err(error) => format!("is not a URL: {error}"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            "must begin with http:// or https://".to_owned()
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "must not hold a user name or password; they would end up in logs".to_owned()
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            "must end before any `?` or `#`".to_owned()
        }
        Ok(url) => return Some(url),
    };
    problems.add(source, name, &wrong)
}

/// The base of pages and git that belongs to an API: github.com's own, a GitHub Enterprise Server's (`/api/v3`), or a
/// GitHub Enterprise Cloud with data residency (`api.<name>.ghe.com`).
pub(super) fn server_url_of(api_url: &Url) -> Option<Url> {
    let host = api_url.host_str()?;
    let mut server_url = api_url.clone();
    if let Some(base) = api_url.path().trim_end_matches('/').strip_suffix("/api/v3") {
        server_url.set_path(base);
    } else if host == "api.github.com" || (host.starts_with("api.") && host.ends_with(".ghe.com")) {
        server_url.set_host(Some(host.strip_prefix("api.")?)).ok()?;
        server_url.set_path("");
    } else {
        return None;
    }
    Some(server_url)
}
