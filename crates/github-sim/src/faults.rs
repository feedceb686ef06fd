//! What goes wrong on purpose: rules that meet requests, and the record of every request.

use std::sync::Arc;

use tokio::sync::watch;

/// A rule: which requests, and what happens to them.
#[derive(Debug, Clone)]
pub struct Fault {
    method: Option<String>,
    path: String,
    says: String,
    skip: usize,
    times: usize,
    effect: Effect,
}

/// What happens to a request that a rule meets.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// It is not executed; this is the answer.
    Answer { status: u16, headers: Vec<(String, String)>, body: String },
    /// It is not executed and never answered.
    Hang,
    /// It is not executed and the connection is cut.
    Cut,
    /// It is executed, but the answer is this status with no sense in it.
    LoseAnswer(u16),
    /// It is executed, but the connection is cut instead of an answer.
    CutAfter,
    /// It is executed, but the body of the answer breaks off.
    Malformed,
    /// It waits before it is executed.
    PauseBefore(Arc<PausePoint>),
    /// It is executed, and waits before it is answered.
    PauseAfter(Arc<PausePoint>),
}

/// A request that stands still.
#[derive(Debug)]
pub(crate) struct PausePoint {
    reached: watch::Sender<bool>,
    resumed: watch::Sender<bool>,
}

/// The test's end of a request that stands still.
#[derive(Debug, Clone)]
pub struct Pause(Arc<PausePoint>);

impl Pause {
    /// Returns once the request has arrived where it waits.
    pub async fn reached(&self) {
        let mut reached = self.0.reached.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        drop(reached.wait_for(|reached| *reached).await);
    }

    /// Lets the request go on.
    pub fn resume(&self) {
        self.0.resumed.send_replace(true);
    }
}

impl PausePoint {
    fn new() -> Arc<Self> {
        Arc::new(Self { reached: watch::Sender::new(false), resumed: watch::Sender::new(false) })
    }

    /// Stands still until resumed.
    pub(crate) async fn wait(&self) {
        self.reached.send_replace(true);
        let mut resumed = self.resumed.subscribe();
        drop(resumed.wait_for(|resumed| *resumed).await);
    }
}

impl Fault {
    /// Requests of `method` (`*` for any) whose path matches `path`, where `*` stands for any characters.
    /// The path is without `/api/v3`. One request is met unless told otherwise.
    pub fn on(method: &str, path: &str) -> Self {
        Self {
            method: (method != "*").then(|| method.to_owned()),
            path: path.to_owned(),
            says: String::new(),
            skip: 0,
            times: 1,
            effect: Effect::Hang,
        }
    }

    /// Only requests whose body contains `text`: GraphQL has one path for everything.
    #[must_use]
    pub fn saying(mut self, text: &str) -> Self {
        text.clone_into(&mut self.says);
        self
    }

    /// Lets the first `count` matching requests pass.
    #[must_use]
    pub fn after(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// Meets `count` requests.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.times = count;
        self
    }

    fn with(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// Not executed, answered with this status and GitHub's usual body.
    #[must_use]
    pub fn answer(self, status: u16, message: &str) -> Self {
        let body = serde_json::json!({"message": message}).to_string();
        self.with(Effect::Answer { status, headers: Vec::new(), body })
    }

    /// Not executed, answered with this status, headers and body.
    #[must_use]
    pub fn answer_with(self, status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.with(Effect::Answer { status, headers, body: body.to_owned() })
    }

    /// Not executed, never answered.
    #[must_use]
    pub fn hang(self) -> Self {
        self.with(Effect::Hang)
    }

    /// Not executed, connection cut.
    #[must_use]
    pub fn cut(self) -> Self {
        self.with(Effect::Cut)
    }

    /// Executed, but answered with this status: the write was applied and its answer lost.
    #[must_use]
    pub fn lose_answer(self, status: u16) -> Self {
        self.with(Effect::LoseAnswer(status))
    }

    /// Executed, but the connection is cut instead of an answer.
    #[must_use]
    pub fn cut_after(self) -> Self {
        self.with(Effect::CutAfter)
    }

    /// Executed, but the answer's body breaks off.
    #[must_use]
    pub fn malformed(self) -> Self {
        self.with(Effect::Malformed)
    }

    /// Stands still before it is executed.
    pub fn pause_before(self) -> (Self, Pause) {
        let point = PausePoint::new();
        (self.with(Effect::PauseBefore(point.clone())), Pause(point))
    }

    /// Executed, then stands still before it is answered.
    pub fn pause_after(self) -> (Self, Pause) {
        let point = PausePoint::new();
        (self.with(Effect::PauseAfter(point.clone())), Pause(point))
    }

    fn matches(&self, method: &str, path: &str, body: &[u8]) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && glob(&self.path, path)
            && (self.says.is_empty() || String::from_utf8_lossy(body).contains(&self.says))
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any characters.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(previous) = last.replace(part) {
            let Some((_, after)) = rest.split_once(previous) else { return false };
            rest = after;
        }
    }
    match last {
        None => rest.is_empty(),
        Some(last) => rest.ends_with(last),
    }
}

/// The rules that wait.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The effect of the first rule that meets this request.
    pub(crate) fn meet(&mut self, method: &str, path: &str, body: &[u8]) -> Option<Effect> {
        let index = self.0.iter_mut().position(|fault| {
            let meets = fault.times > 0 && fault.matches(method, path, body);
            if meets && fault.skip > 0 {
                fault.skip -= 1;
                return false;
            }
            meets
        })?;
        let fault = self.0.get_mut(index)?;
        fault.times -= 1;
        let effect = fault.effect.clone();
        self.0.retain(|fault| fault.times > 0);
        Some(effect)
    }
}

/// One request as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// When it was answered, in milliseconds since 1970-01-01 UTC of the simulated clock.
    pub at_ms: u64,
    /// `GET`, `POST` …
    pub method: String,
    /// The path without query and without `/api/v3`.
    pub path: String,
    /// The query, without its `?`.
    pub query: String,
    /// Who asked: a login, `app/SLUG` for an app's own token, or `anonymous`.
    pub who: String,
    /// The status that was sent; 0 if nothing was.
    pub status: u16,
    /// The body that was sent to us, as text, at most 64 KiB of it; empty for git.
    pub body: String,
}

impl RecordedRequest {
    /// Whether it asked for a change.
    pub fn is_write(&self) -> bool {
        let fetch = self.path.ends_with("/git-upload-pack");
        !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS") && !fetch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_nothing_else_does() {
        assert!(glob("/repos/*/issues/*/comments", "/repos/a/b/issues/7/comments"));
        assert!(!glob("/repos/*/issues/*/comments", "/repos/a/b/issues/7/comments/9"));
        assert!(glob("*", "/x"));
        assert!(glob("/app*", "/app/installations"));
        assert!(!glob("/app", "/app/installations"));
        assert!(glob("*.git/*", "/a/b.git/info/refs"));
        assert!(!glob("/a*ab", "/a"));
    }

    #[test]
    fn a_rule_meets_the_nth_request_and_then_no_more() {
        let mut faults = Faults::default();
        faults.add(Fault::on("POST", "/x").after(1).answer(502, "Bad Gateway"));
        assert!(faults.meet("POST", "/x", b"").is_none());
        assert!(faults.meet("GET", "/x", b"").is_none());
        assert!(faults.meet("POST", "/x", b"").is_some());
        assert!(faults.meet("POST", "/x", b"").is_none());
        faults.add(Fault::on("POST", "/x").saying("resolve").answer(502, "Bad Gateway"));
        assert!(faults.meet("POST", "/x", b"query").is_none());
        assert!(faults.meet("POST", "/x", b"mutation { resolve }").is_some());
    }
}
