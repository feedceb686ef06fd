//! What a push may not do: the hook that refuses it, and GitHub's words in the answer.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Runs inside git for each ref. It only runs the checks that need the pushed objects; which of them apply
/// comes in its environment, which is empty when the simulator itself moves a ref.
const UPDATE_HOOK: &str = r#"#!/bin/sh
ref=$1 old=$2 new=$3
[ -n "$SIM_VERDICTS" ] || exit 0
zero=0000000000000000000000000000000000000000
tab=$(printf '\t')
refuse() { printf '%s\t%s\n' "$ref" "$1" >>"$SIM_VERDICTS"; exit 1; }
protected() {
  echo "error: GH006: Protected branch update failed for $ref." >&2
  echo "error: $1" >&2
  refuse "protected branch hook declined"
}
while IFS="$tab" read -r name code message; do
  if [ "$name" = "$ref" ]; then
    if [ "$code" = GH006 ]; then protected "$message"; fi
    echo "error: $code: $message" >&2
    refuse "push declined due to repository rule violations"
  fi
done <"$SIM_RULES"
case " $SIM_PROTECTED " in
*" $ref "*)
  if [ "$new" = $zero ]; then protected "Cannot delete this branch"; fi
  if [ "$old" != $zero ] && ! git merge-base --is-ancestor "$old" "$new"; then
    protected "Cannot force-push to this branch"
  fi ;;
esac
[ "$new" != $zero ] || exit 0
if [ "$SIM_WORKFLOWS" = refused ]; then
  file=$(git log --format= --name-only "$new" --not --branches -- .github/workflows | head -n 1)
  if [ -n "$file" ]; then
    refuse "refusing to allow a GitHub App to create or update workflow \`$file\` without \`workflows\` permission"
  fi
fi
if [ "$SIM_SIGNATURES" = required ]; then
  for commit in $(git rev-list "$new" --not --branches); do
    git cat-file commit "$commit" | sed '/^$/q' | grep -q '^gpgsig' ||
      protected "Commits must have verified signatures."
  done
fi
exit 0
"#;

/// Puts the hook into a bare repository.
pub(crate) fn install_hook(repository: &Path) -> io::Result<()> {
    let hooks = repository.join("hooks");
    std::fs::create_dir_all(&hooks)?;
    let hook = hooks.join("update");
    std::fs::write(&hook, UPDATE_HOOK)?;
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))
}

/// One ref update that a push asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefCommand {
    pub(crate) name: String,
    pub(crate) new: String,
}

/// Splits the first pkt-line off: its content (`None` for a flush) and the rest.
fn packet(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = bytes.split_at_checked(4)?;
    let length = usize::from_str_radix(std::str::from_utf8(length).ok()?, 16).ok()?;
    if length < 4 {
        return Some((None, rest));
    }
    let (content, rest) = rest.split_at_checked(length - 4)?;
    Some((Some(content), rest))
}

/// The ref updates at the head of a `git-receive-pack` request.
pub(crate) fn commands(mut body: &[u8]) -> Vec<RefCommand> {
    let mut commands = Vec::new();
    while let Some((Some(line), rest)) = packet(body) {
        body = rest;
        let text = String::from_utf8_lossy(line);
        let command = text.split('\0').next().unwrap_or_default().trim_end();
        let mut words = command.splitn(3, ' ');
        if let (Some(_old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) {
            commands.push(RefCommand { name: name.to_owned(), new: new.to_owned() });
        }
    }
    commands
}

fn append(out: &mut Vec<u8>, content: &[u8]) {
    out.extend_from_slice(format!("{:04x}", content.len() + 4).as_bytes());
    out.extend_from_slice(content);
}

/// Puts GitHub's reasons in place of git's "hook declined" in the report of a push.
pub(crate) fn with_reasons(response: &[u8], reasons: &BTreeMap<String, String>) -> Vec<u8> {
    let (mut out, mut report, mut rest) = (Vec::new(), Vec::new(), response);
    while let Some((content, after)) = packet(rest) {
        rest = after;
        match content.and_then(<[u8]>::split_first) {
            Some((1, data)) => report.extend_from_slice(data),
            Some((_, _)) => append(&mut out, content.unwrap_or_default()),
            None => {}
        }
    }
    let (mut rewritten, mut lines) = (vec![1_u8], report.as_slice());
    while let Some((content, after)) = packet(lines) {
        lines = after;
        let Some(content) = content else {
            rewritten.extend_from_slice(b"0000");
            continue;
        };
        let line = String::from_utf8_lossy(content);
        let refused = line.strip_prefix("ng ").and_then(|rest| rest.split_once(' '));
        match refused.and_then(|(name, _)| reasons.get(name).map(|reason| (name, reason))) {
            Some((name, reason)) => append(&mut rewritten, format!("ng {name} {reason}\n").as_bytes()),
            None => append(&mut rewritten, content),
        }
    }
    append(&mut out, &rewritten);
    out.extend_from_slice(b"0000");
    out
}
