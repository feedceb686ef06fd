//! A reviewer sees something beside the change.

use super::{Story, all_fixed, satisfied, step};
use crate::conversation::Conversation;
use crate::demo_repository::line_of;
use crate::reply::{Finding, Reply};

pub(super) const STORY: Story = Story {
    name: "outside",
    about: "a reviewer remarks on a line outside the change; it holds nothing up and costs no round",
    issue_title: "Explain the fields of an item",
    issue_body: "The README says `name,quantity,price` and leaves open what may be in them. Please add a short list.\n",
    creator,
    reviewer,
};

const README: &str = "README.md";
const OLD: &str = "`--csv` prints the lines for other programs instead";
const NEW: &str = "- `name` is any text without a comma.
- `quantity` is a whole number.
- `price` is an amount with at most two decimals, such as `12.50`; the decimal point is a point.

`--csv` prints the lines for other programs instead";
const COMMAND: &str = "bin/invoice";
const UNQUOTED: &str = "if [ ! -r $1 ]; then";

fn creator(_round: u32, turn: u32, conversation: &Conversation) -> Reply {
    step(
        turn,
        &[
            Reply::read_file(README)
                .and(Reply::read_file("lib/items.awk"))
                .saying("The README says what is missing, the reader of items says what is true."),
            Reply::edit_file(README, OLD, NEW).saying("A list after the sentence about items."),
            Reply::hand_in(
                "Explain the fields of an item",
                "The README lists what name, quantity and price may be, as `lib/items.awk` checks it.",
                all_fixed(conversation, "Done as asked."),
            ),
        ],
    )
}

fn reviewer(name: &str, round: u32, turn: u32, conversation: &Conversation) -> Reply {
    if name != "correctness" || round > 1 {
        let summary = "The list says what the code checks.";
        return step(turn, &[Reply::read_file(README), satisfied(name, conversation, summary, true)]);
    }
    let beside = line_of(COMMAND, UNQUOTED).map(|line| {
        let body = "Not of this change, but seen on the way: without quotes a path with a space is two words here, \
                    and a readable file is reported as unreadable.";
        Finding::new("minor", "An unquoted path", body)
            .at(COMMAND, line)
            .suggest("if [ ! -r \"$1\" ]; then")
    });
    let summary = "The list is right. One remark on a line that this change does not touch.";
    step(turn, &[Reply::read_file(COMMAND), Reply::submit_review(summary, beside, [])])
}
