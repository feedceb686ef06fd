//! The reviewers find a real bug, the creator mends it.

use super::{Story, satisfied, step, try_tests};
use crate::conversation::Conversation;
use crate::diff::added_line;
use crate::reply::{Answer, Finding, Reply};

pub(super) const STORY: Story = Story {
    name: "findings",
    about: "a reviewer finds an off-by-one in the first round, the creator mends it in the second",
    issue_title: "Give a volume discount",
    issue_body: "Our terms of sale say: *whoever takes 10 or more of one item gets 5 percent off that line*. The \
        invoice does not know about it yet.\n\nRound to the cent, half up. Credits get no discount.\n",
    creator,
    reviewer,
};

const PRICE: &str = "lib/price.awk";
const TEST: &str = "tests/test-volume.sh";
const DATA: &str = "tests/data/volume.csv";

const PLAIN: &str = "function line_total(quantity, unit_cents) {
    return quantity * unit_cents
}
";
/// The bug: "10 or more" is written as more than 10.
const BUGGY: &str = "function line_total(quantity, unit_cents,    total) {
    total = quantity * unit_cents
    if (quantity > 10)
        total = int(total * 95 / 100 + 0.5)
    return total
}
";
const MENDED: &str = "function line_total(quantity, unit_cents,    total) {
    total = quantity * unit_cents
    if (quantity >= VOLUME_QUANTITY)
        total = int(total * (100 - VOLUME_PERCENT) / 100 + 0.5)
    return total
}
";
const COMPARISON_WRONG: &str = "    if (quantity > 10)";
const COMPARISON_RIGHT: &str = "    if (quantity >= 10)";
const COMPARISON_MENDED: &str = "if (quantity >= VOLUME_QUANTITY)";
const RATE_WRONG: &str = "total * 95 / 100";
const HEAD: &str = "# What a line of the invoice costs.\n";
const HEAD_MENDED: &str = "# What a line of the invoice costs.

# The volume discount of the terms of sale: from so many of one item on, so many percent off the line.
BEGIN {
    VOLUME_QUANTITY = 10
    VOLUME_PERCENT = 5
}
";

const DATA_FIRST: &str = "Pencil,12,0.75\nRuler,9,1.15\nReturned pencil,-12,0.75\n";
const DATA_MENDED: &str = "Pencil,12,0.75\nRuler,9,1.15\nReturned pencil,-12,0.75\nMarker,10,2.01\n";
const TEST_FIRST: &str = ". tests/check.sh
check \"a dozen gets the discount\" \"8.55\" \"$(amount_of Pencil tests/data/volume.csv)\"
check \"nine of an item get none\" \"10.35\" \"$(amount_of Ruler tests/data/volume.csv)\"
check \"a credit gets none\" \"-9.00\" \"$(amount_of Returned tests/data/volume.csv)\"
";
const TEST_LAST_LINE: &str =
    "check \"a credit gets none\" \"-9.00\" \"$(amount_of Returned tests/data/volume.csv)\"\n";
const TEST_LAST_LINES: &str =
    "check \"a credit gets none\" \"-9.00\" \"$(amount_of Returned tests/data/volume.csv)\"
check \"exactly ten get it, rounded half up\" \"19.10\" \"$(amount_of Marker tests/data/volume.csv)\"
";

fn creator(_round: u32, turn: u32, conversation: &Conversation) -> Reply {
    let reading = Reply::read_file(PRICE);
    let found = conversation.read_result(PRICE).unwrap_or_default();
    if found.contains(COMPARISON_MENDED) {
        let done =
            Reply::hand_in("Give a volume discount", "The branch has it already.", answers(conversation));
        return step(turn, &[reading, done]);
    }
    if found.contains(COMPARISON_WRONG) {
        return step(
            turn,
            &[
                reading.saying("I look at the line that the review names."),
                Reply::edit_file(PRICE, BUGGY, MENDED)
                    .saying("Right: the terms say 10 *or more*. I name both numbers on the way."),
                Reply::edit_file(PRICE, HEAD, HEAD_MENDED),
                Reply::write_file(DATA, DATA_MENDED)
                    .and(Reply::edit_file(TEST, TEST_LAST_LINE, TEST_LAST_LINES))
                    .saying("The test that was missing: exactly ten, with half a cent to round."),
                try_tests(conversation),
                Reply::hand_in(
                    "Give a volume discount",
                    "The discount now begins at exactly 10, and the terms have names in `lib/price.awk`. \
                     `tests/test-volume.sh` covers 9, 10, 12 and credits.",
                    answers(conversation),
                ),
            ],
        );
    }
    step(
        turn,
        &[
            reading.saying("The price of a line is made in one place. I read it first."),
            Reply::edit_file(PRICE, PLAIN, BUGGY).saying("The discount belongs into `line_total`."),
            Reply::write_file(DATA, DATA_FIRST).and(Reply::write_file(TEST, TEST_FIRST)),
            try_tests(conversation),
            Reply::hand_in(
                "Give a volume discount",
                "`line_total` takes 5 percent off a line of large quantity, rounded half up in whole cents. Credits \
                 are left alone. `tests/test-volume.sh` covers it.",
                [],
            ),
        ],
    )
}

fn answers(conversation: &Conversation) -> Vec<Answer> {
    let listed = conversation.listed_findings();
    let answer = |id: &str| {
        let reason = if id.starts_with("correctness-") {
            "The comparison includes 10 now, and a test covers exactly 10."
        } else {
            "Both numbers have names now."
        };
        Answer::fixed(id, reason)
    };
    listed.iter().map(|finding| answer(&finding.id)).collect()
}

fn reviewer(name: &str, round: u32, turn: u32, conversation: &Conversation) -> Reply {
    let reading = Reply::read_file(PRICE);
    let mended = conversation.read_result(PRICE).is_some_and(|text| text.contains(COMPARISON_MENDED));
    if round > 1 || !conversation.listed_findings_of(name).is_empty() {
        let summary = "I looked at what changed since my last review and at my own remarks only.";
        return step(turn, &[reading, satisfied(name, conversation, summary, mended)]);
    }
    let review = match name {
        "correctness" => Reply::submit_review(
            "Rounding and credits are right. The discount begins one item too late.",
            added_line(conversation, PRICE, COMPARISON_WRONG).map(off_by_one),
            [],
        ),
        "maintainability" => Reply::submit_review(
            "In the right place and tested. One remark.",
            added_line(conversation, PRICE, RATE_WRONG).map(bare_numbers),
            [],
        ),
        other => Reply::submit_review(&format!("Read for {other}: nothing to remark."), [], []),
    };
    step(turn, &[reading, review])
}

fn off_by_one(line: u32) -> Finding {
    Finding::new(
        "blocking",
        "Exactly 10 items get no discount",
        "The issue quotes the terms of sale: *10 or more of one item*. `quantity > 10` begins at 11, so a customer \
         who takes exactly 10 is charged 5 percent too much. The tests try 9 and 12 and miss it; please add 10.",
    )
    .at(PRICE, line)
    .suggest(COMPARISON_RIGHT)
}

fn bare_numbers(line: u32) -> Finding {
    Finding::new(
        "minor",
        "The terms of sale are bare numbers",
        "`AGENTS.md` asks for names. Next year's terms will be easier to enter if `10` and `95` are named once at the \
         top of the file.",
    )
    .at(PRICE, line)
}
