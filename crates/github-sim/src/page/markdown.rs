//! Markdown as people wrote it, safe to show: HTML is text, but for foldable details; comments are hidden.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, html};

/// The only HTML that passes.
const ALLOWED: [&str; 6] = ["<details>", "<details open>", "</details>", "<summary>", "</summary>", "<br>"];

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Keeps the allowed tags, hides comments, and makes text of everything else.
fn safe_html(source: &str) -> String {
    let mut out = String::new();
    let mut rest = source;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(&escaped(before));
        let tag = format!("<{after}");
        if after.starts_with("!--") {
            rest = after.split_once("-->").map_or("", |(_, after)| after);
        } else if let Some(allowed) = ALLOWED.iter().find(|allowed| tag.starts_with(**allowed)) {
            out.push_str(allowed);
            rest = after.get(allowed.len() - 1..).unwrap_or_default();
        } else {
            out.push_str("&lt;");
            rest = after;
        }
    }
    out.push_str(&escaped(rest));
    out
}

/// Whether an address may be linked: the web, mail, or this page.
fn linkable(address: &str) -> bool {
    ["http://", "https://", "mailto:", "#", "/"].iter().any(|start| address.starts_with(start))
}

/// The text with every `#12` made a link, as GitHub does; `home` is the path of the repository's pages.
fn with_references<'a>(text: &CowStr<'a>, home: &str) -> Vec<Event<'a>> {
    let mut events = Vec::new();
    let mut plain = String::new();
    let mut rest: &str = text;
    while let Some((before, after)) = rest.split_once('#') {
        plain.push_str(before);
        let digits = after.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(after.len());
        let (number, following) = after.split_at(digits);
        let alone = !plain.ends_with(char::is_alphanumeric) && !following.starts_with(char::is_alphanumeric);
        if alone && !number.is_empty() {
            let link = Tag::Link {
                link_type: LinkType::Inline,
                dest_url: CowStr::from(format!("{home}/issues/{number}")),
                title: CowStr::from(""),
                id: CowStr::from(""),
            };
            events.push(Event::Text(CowStr::from(std::mem::take(&mut plain))));
            events.push(Event::Start(link));
            events.push(Event::Text(CowStr::from(format!("#{number}"))));
            events.push(Event::End(TagEnd::Link));
        } else {
            plain.push('#');
            plain.push_str(number);
        }
        rest = following;
    }
    plain.push_str(rest);
    events.push(Event::Text(CowStr::from(plain)));
    events
}

/// Markdown as HTML; `home` is the path of the repository's pages.
#[expect(clippy::wildcard_enum_match_arm, reason = "the parser's other events pass as they are")]
pub(crate) fn render(source: &str, home: &str) -> Markup {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut comment = false;
    let events = Parser::new_ext(source, options).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => {
            // A comment of several lines comes in several events.
            let mut text = text.into_string();
            if comment {
                let (_, after) = text.split_once("-->")?;
                text = after.to_owned();
                comment = false;
            }
            comment = text
                .rfind("<!--")
                .is_some_and(|start| !text.get(start..).unwrap_or_default().contains("-->"));
            Some(Event::Html(CowStr::from(safe_html(&text))))
        }
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = if linkable(&dest_url) { dest_url } else { CowStr::from("#") };
            Some(Event::Start(Tag::Link { link_type, dest_url, title, id }))
        }
        // Nothing is loaded from elsewhere: an image shows its description.
        Event::Start(Tag::Image { .. }) => Some(Event::Start(Tag::Emphasis)),
        Event::End(TagEnd::Image) => Some(Event::End(TagEnd::Emphasis)),
        other => Some(other),
    });
    // Code and links stay as they are.
    let mut untouched = 0_usize;
    let events = events.flat_map(|event| {
        match &event {
            Event::Start(Tag::Link { .. } | Tag::CodeBlock(_)) => untouched += 1,
            Event::End(TagEnd::Link | TagEnd::CodeBlock) => untouched = untouched.saturating_sub(1),
            Event::Text(text) if untouched == 0 => return with_references(text, home),
            _ => {}
        }
        vec![event]
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    PreEscaped(out)
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn html_is_text_but_for_details_and_comments_are_hidden() {
        let source = "a <b>x</b> <script>alert(1)</script>\n\n<!-- pairbot:\nstatus -->\n\n<details>\n<summary>More</summary>\n\n*in*\n\n</details>\n\n<img src=x onerror=alert(1)>\n";
        let html = render(source, "/o/r").into_string();
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<b>"), "{html}");
        assert!(!html.contains("pairbot"), "{html}");
        assert!(
            html.contains("<details>")
                && html.contains("<summary>More</summary>")
                && html.contains("<em>in</em>")
        );
    }

    #[test]
    fn a_script_is_no_link_and_an_image_loads_nothing() {
        let source = "[x](javascript:alert(1)) ![alt](http://elsewhere/x.png) <javascript:alert(1)>";
        let html = render(source, "/o/r").into_string();
        assert!(!html.contains("href=\"javascript"), "{html}");
        assert!(!html.contains("<img") && html.contains("alt"), "{html}");
    }

    #[test]
    fn a_number_sign_links_the_issue_but_not_in_code_or_words() {
        let html = render("Closes #7, see `#8` and a#9 and #1x\n\n    #3\n", "/o/r").into_string();
        assert_eq!(html.matches("<a ").count(), 1, "{html}");
        assert!(html.contains("Closes <a href=\"/o/r/issues/7\">#7</a>, see"), "{html}");
    }

    #[test]
    fn an_unfinished_tag_or_comment_harms_nothing() {
        for source in ["<", "<!--", "<!-- x", "<details", "a <!-- b --> c <", "<!-->"] {
            let html = render(source, "/o/r").into_string();
            assert!(!html.contains("<!--"), "{html}");
        }
    }
}
