//! Where GitHub is: github.com, an Enterprise server below `/api/v3`, or a port of this machine.

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// The base of REST calls (`GITHUB_API_URL`) and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAddress {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end; empty for github.com, `/api/v3` for an Enterprise server.
    prefix: String,
}

/// The base of pages and of git (`GITHUB_SERVER_URL`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress(ApiAddress);

/// A URL that no server of GitHub's can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is not the address of a GitHub server ({problem}); expected e.g. `{example}`")]
pub struct AddressError {
    /// What was given.
    pub url: String,
    /// What is wrong with it.
    pub problem: &'static str,
    /// What a right one looks like.
    pub example: &'static str,
}

impl ApiAddress {
    /// Reads `https://api.github.com`, `https://HOST/api/v3`, `http://127.0.0.1:1234/api/v3`.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        Self::read(url, "https://api.github.com or https://HOST/api/v3")
    }

    fn read(url: &str, example: &'static str) -> Result<Self, AddressError> {
        let wrong = |problem| AddressError { url: url.to_owned(), problem, example };
        let parts = url.trim().parse::<Uri>().map_err(|_| wrong("it is not a URL"))?.into_parts();
        let scheme = parts.scheme.ok_or_else(|| wrong("the scheme is missing"))?;
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(wrong("the scheme is neither http nor https"));
        }
        let authority = parts.authority.ok_or_else(|| wrong("the host is missing"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it holds credentials"));
        }
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if path.query().is_some() {
            return Err(wrong("it holds a query"));
        }
        Ok(Self { scheme, authority, prefix: path.path().trim_end_matches('/').to_owned() })
    }

    /// The absolute URI of a route such as `/repos/o/r`. An absolute URI is taken only if it is on this server: our
    /// credentials go nowhere else.
    pub fn resolve(&self, route: &Uri) -> Option<Uri> {
        let path = route.path_and_query()?;
        if route.authority().is_some() {
            return self.owns(route).then(|| route.clone());
        }
        self.absolute(&format!("{}{path}", self.prefix))
    }

    /// Where GraphQL is spoken: beside REST on github.com, at `/api/graphql` on an Enterprise server.
    pub fn graphql(&self) -> Option<Uri> {
        let base = self.prefix.strip_suffix("/v3").unwrap_or(&self.prefix);
        self.absolute(&format!("{base}/graphql"))
    }

    /// Whether a URI is on this server (scheme, host and port).
    pub fn owns(&self, uri: &Uri) -> bool {
        uri.scheme() == Some(&self.scheme) && uri.authority() == Some(&self.authority)
    }

    /// The path of a URI of this server as its routes are written, without the prefix.
    pub fn route<'a>(&self, uri: &'a Uri) -> &'a str {
        uri.path().strip_prefix(self.prefix.as_str()).unwrap_or(uri.path())
    }

    fn absolute(&self, path: &str) -> Option<Uri> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .ok()
    }

    fn text(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

impl ServerAddress {
    /// Reads `https://github.com`, `https://HOST`, `http://127.0.0.1:1234`.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        ApiAddress::read(url, "https://github.com").map(Self)
    }

    /// Where git clones a repository from.
    pub fn clone_url(&self, owner: &str, name: &str) -> String {
        format!("{}/{owner}/{name}.git", self.0.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn enterprise_paths_are_kept_in_every_call() {
        let address = ApiAddress::parse("http://127.0.0.1:1234/api/v3/").unwrap();
        assert_eq!(address.resolve(&uri("/app?a=b")), Some(uri("http://127.0.0.1:1234/api/v3/app?a=b")));
        assert_eq!(address.graphql(), Some(uri("http://127.0.0.1:1234/api/graphql")));
        assert_eq!(address.route(&uri("http://127.0.0.1:1234/api/v3/app")), "/app");
    }

    #[test]
    fn github_com_speaks_graphql_beside_rest() {
        let address = ApiAddress::parse("https://api.github.com").unwrap();
        assert_eq!(address.resolve(&uri("/app")), Some(uri("https://api.github.com/app")));
        assert_eq!(address.graphql(), Some(uri("https://api.github.com/graphql")));
    }

    #[test]
    fn no_other_server_is_called() {
        let address = ApiAddress::parse("https://api.github.com").unwrap();
        assert_eq!(address.resolve(&uri("https://evil.example/app")), None);
        assert_eq!(address.resolve(&uri("http://api.github.com/app")), None);
        assert!(address.resolve(&uri("https://api.github.com/app")).is_some());
    }

    #[test]
    fn a_wrong_address_is_refused_with_its_reason() {
        for wrong in ["", "api.github.com", "ftp://x", "https://u:p@host", "https://h/?q=1", "/api/v3"] {
            assert!(ApiAddress::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn clone_urls_follow_the_server_address() {
        let server = ServerAddress::parse("http://127.0.0.1:99/").unwrap();
        assert_eq!(server.clone_url("octo", "hello"), "http://127.0.0.1:99/octo/hello.git");
    }
}
