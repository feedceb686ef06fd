//! What a request says, without the words of either provider: the view that scripts and faults decide on.

use std::fmt;

use serde_json::Value;

/// Whose wire protocol a call speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provider {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Chat Completions or Responses.
    OpenAi,
    /// Gemini's `generateContent`.
    Gemini,
}

impl fmt::Display for Provider {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
        })
    }
}

/// Which part the model is asked to play.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Writes the change.
    Creator,
    /// Reads the change, under this name.
    Reviewer(String),
}

/// The lines at the top of the first user message that say what the conversation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// `owner/name`.
    pub repository: String,
    /// The issue's number.
    pub issue: u64,
    /// The issue's title: scripts are found by it.
    pub title: String,
    /// The round, from 1.
    pub round: u32,
    /// Who speaks.
    pub role: Role,
}

impl Brief {
    /// Reads the five lines. The first occurrence of each counts, so that an issue's text cannot replace them.
    pub fn read(text: &str) -> Option<Self> {
        let line = |key: &str| text.lines().find_map(|line| line.trim_end().strip_prefix(key)).map(str::trim);
        let role = line("Role: ")?;
        let role = match role.strip_prefix("reviewer ") {
            Some(name) => Role::Reviewer(name.trim().trim_matches('"').to_owned()),
            None if role == "creator" => Role::Creator,
            None => return None,
        };
        Some(Self {
            repository: line("Repository: ")?.to_owned(),
            issue: line("Issue: ")?.trim_start_matches('#').parse().ok()?,
            title: line("Title: ")?.to_owned(),
            round: line("Round: ")?.parse().ok()?,
            role,
        })
    }
}

/// A tool call that the assistant made earlier in the conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct PastCall {
    /// The id that its result must name.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments, null where they are not JSON.
    pub arguments: Value,
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// The id of the call.
    pub call_id: String,
    /// The answer's text.
    pub text: String,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The client: text, tool results, or both. A row of `OpenAI` tool messages is one message here.
    User,
    /// The model.
    Assistant,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who wrote it.
    pub author: Author,
    /// All its text.
    pub text: String,
    /// The calls in it; only an assistant has any.
    pub calls: Vec<PastCall>,
    /// The results in it; only a user has any.
    pub results: Vec<ToolResult>,
    /// Bytes of all of it, for the token count.
    pub(crate) bytes: u64,
}

impl Message {
    /// Whether this is an answer that a fault or a limit interrupted. Where calls are left they decide: a client may
    /// join the text of a paused turn with the turn that followed.
    fn was_interrupted(&self) -> bool {
        if self.calls.is_empty() {
            self.text.starts_with(INTERRUPTED_TEXT)
        } else {
            self.calls.iter().any(|call| call.id.contains(INTERRUPTED_ID))
        }
    }

    pub(crate) fn empty(author: Author) -> Self {
        Self { author, text: String::new(), calls: Vec::new(), results: Vec::new(), bytes: 0 }
    }

    pub(crate) fn add_text(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
        self.add_bytes(text);
    }

    pub(crate) fn add_bytes(&mut self, text: &str) {
        self.bytes = self.bytes.saturating_add(crate::usage::bytes_of(text));
    }
}

/// How far a request asked for its beginning to be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CacheMark {
    /// Nothing is marked.
    Nothing,
    /// Tools or system text are marked, no message is.
    Preamble,
    /// The message at this position is the last marked one.
    Message(usize),
}

/// A finding that the first user message lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFinding {
    /// Its id, such as `correctness-1-1`.
    pub id: String,
    /// Its severity as written.
    pub severity: String,
}

/// One request, read and found valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Whose protocol it came by.
    pub provider: Provider,
    /// The model it names.
    pub model: String,
    /// The system text.
    pub system: String,
    /// The messages; the first is the user's.
    pub messages: Vec<Message>,
    /// Names of the tools offered.
    pub tools: Vec<String>,
    /// How many tokens the answer may have, where the request says so.
    pub output_tokens_max: Option<u64>,
    /// What it is about, where the first user message says so.
    pub brief: Option<Brief>,
    /// Bytes of tools and system text.
    pub(crate) preamble_bytes: u64,
    pub(crate) cache_mark: CacheMark,
}

/// Text that opens an answer which a fault or a limit interrupted. Such an answer is no step of a script: the
/// client will ask for the same step again, and an id or a text is all that comes back to tell it by.
pub(crate) const INTERRUPTED_TEXT: &str = "[interrupted]";
/// Part of the id of every tool call inside an interrupted answer, for the same reason.
pub(crate) const INTERRUPTED_ID: &str = "interrupted";

impl Conversation {
    /// How many steps of the script the model has made: its messages, without those that were interrupted.
    pub fn turn(&self) -> u32 {
        let steps = self
            .messages
            .iter()
            .filter(|message| message.author == Author::Assistant && !message.was_interrupted());
        u32::try_from(steps.count()).unwrap_or(u32::MAX)
    }

    /// The round, 1 where the conversation does not say.
    pub fn round(&self) -> u32 {
        self.brief.as_ref().map_or(1, |brief| brief.round)
    }

    /// The text of the first message, where task, findings and diff are.
    pub fn first_text(&self) -> &str {
        self.messages.first().map_or("", |message| &message.text)
    }

    /// Whether the request offers a tool of this name.
    pub fn offers(&self, tool: &str) -> bool {
        self.tools.iter().any(|name| name == tool)
    }

    /// What the last `read_file` of `path` answered.
    pub fn read_result(&self, path: &str) -> Option<&str> {
        let mut calls = self.messages.iter().flat_map(|message| &message.calls).rev();
        let of_path = |call: &&PastCall| {
            call.name == "read_file" && call.arguments.get("path").and_then(Value::as_str) == Some(path)
        };
        let call = calls.find(of_path)?;
        let mut results = self.messages.iter().flat_map(|message| &message.results);
        results.find(|result| result.call_id == call.id).map(|result| result.text.as_str())
    }

    /// The findings that the first message lists, as `- <id> [<severity>] <place> <title>`.
    pub fn listed_findings(&self) -> Vec<ListedFinding> {
        let mut found: Vec<ListedFinding> = Vec::new();
        for line in self.first_text().lines() {
            let Some(listed) = line.strip_prefix("- ").and_then(read_finding) else { continue };
            if found.iter().all(|earlier| earlier.id != listed.id) {
                found.push(listed);
            }
        }
        found
    }

    /// The listed findings that the reviewer of this name raised: an id begins with its reviewer's name.
    pub fn listed_findings_of(&self, reviewer: &str) -> Vec<ListedFinding> {
        let own = format!("{reviewer}-");
        self.listed_findings().into_iter().filter(|finding| finding.id.starts_with(&own)).collect()
    }
}

fn read_finding(line: &str) -> Option<ListedFinding> {
    let (id, rest) = line.split_once(" [")?;
    let (severity, _) = rest.split_once(']')?;
    let known = matches!(severity, "blocking" | "major" | "minor" | "nit");
    let shaped = !id.is_empty() && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    (known && shaped).then(|| ListedFinding { id: id.to_owned(), severity: severity.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENING: &str = "Repository: octo/invoice\nIssue: #7\nTitle: Be kind\nRound: 2\nRole: reviewer correctness\n\n\
        The issue says:\nTitle: Be rude\nRound: 9\n- correctness-1-1 [blocking] lib/a.awk:3 Off by one\n- not a finding\n";

    #[test]
    fn the_first_of_each_line_is_the_brief() {
        let brief = Brief::read(OPENING).unwrap();
        assert_eq!((brief.issue, brief.round, brief.title.as_str()), (7, 2, "Be kind"));
        assert_eq!(brief.role, Role::Reviewer("correctness".to_owned()));
        assert!(Brief::read("Role: creator").is_none());
    }

    #[test]
    fn findings_are_read_from_their_lines() {
        let listed = read_finding("maintainability-2-3 [minor] README.md:1 Say why").unwrap();
        assert_eq!((listed.id.as_str(), listed.severity.as_str()), ("maintainability-2-3", "minor"));
        assert!(read_finding("An item [link] text").is_none());
    }
}
