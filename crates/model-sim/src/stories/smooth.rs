//! Approved at once.

use super::{Story, all_fixed, satisfied, step, try_tests};
use crate::conversation::Conversation;
use crate::diff::added_line;
use crate::reply::{Finding, Reply};

pub(super) const STORY: Story = Story {
    name: "smooth",
    about: "the reviewers find nothing but a nit, and a person merges after one round",
    issue_title: "Say which line of a malformed file is wrong",
    issue_body: "With a file of a few hundred items, `invoice: expected name,quantity,price` leaves me searching.\n\n\
        Please name the file and the line, as compilers do: `invoice: items.csv:17: expected name,quantity,price`.\n",
    creator,
    reviewer,
};

const ITEMS: &str = "lib/items.awk";
const TEST: &str = "tests/test-place.sh";
const OLD: &str = "    print \"invoice: \" reason > \"/dev/stderr\"\n";
const NEW: &str = "    print \"invoice: \" FILENAME \":\" FNR \": \" reason > \"/dev/stderr\"\n";
const TEST_TEXT: &str = ". tests/check.sh
check \"a malformed line is named\" \\
    \"invoice: tests/data/broken.csv:3: expected name,quantity,price\" \\
    \"$(sh bin/invoice tests/data/broken.csv 2>&1)\"
";

fn creator(_round: u32, turn: u32, conversation: &Conversation) -> Reply {
    step(
        turn,
        &[
            Reply::read_file(ITEMS)
                .saying("All complaints about the file go through `fail`. I read it first."),
            Reply::edit_file(ITEMS, OLD, NEW).saying("awk knows the place: FILENAME and FNR."),
            Reply::write_file(TEST, TEST_TEXT).saying("A test that pins the form."),
            try_tests(conversation),
            Reply::hand_in(
                "Name the file and line of a malformed item",
                "`fail` in `lib/items.awk` now begins its message with `FILE:LINE:`, so editors can jump there. \
                 `tests/test-place.sh` pins the form.",
                all_fixed(conversation, "Done as asked."),
            ),
        ],
    )
}

fn reviewer(name: &str, round: u32, turn: u32, conversation: &Conversation) -> Reply {
    let reading = Reply::read_file(ITEMS);
    if name != "maintainability" || round > 1 {
        let summary = "The message names the place for every way a line can be wrong; a test pins it.";
        return step(turn, &[reading, satisfied(name, conversation, summary, true)]);
    }
    let nit = added_line(conversation, TEST, "a malformed line is named").map(|line| {
        let body = "The check is about the place, not about the line being malformed.";
        Finding::new("nit", "Say what the check promises", body)
            .at(TEST, line)
            .suggest("check \"a complaint names file and line\" \\")
    });
    step(turn, &[reading, Reply::submit_review("Small and in the right place.", nit, [])])
}
