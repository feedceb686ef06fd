//! The creator breaks the tests, each round in another way, until a person helps.

use super::{Story, all_fixed, satisfied, step};
use crate::conversation::Conversation;
use crate::reply::Reply;

pub(super) const STORY: Story = Story {
    name: "stubborn",
    about: "the creator never passes the tests, the breaker opens, and `/retry` by a maintainer helps",
    issue_title: "Group the thousands of large amounts",
    issue_body: "`1234567.89` is hard to read on paper. Please print `1,234,567.89` in the text output.\n",
    creator,
    reviewer,
};

const MONEY: &str = "lib/money.awk";
const PRINT: &str = "lib/print.awk";
const TEST: &str = "tests/test-grouping.sh";
/// Rounds of the demo's policy. After them only a person's `/retry` asks again.
const ROUNDS_MAX: u32 = 3;
/// A person who writes this gives the solution away.
const HINT: &str = "minus sign";

const TEST_TEXT: &str = ". tests/check.sh
check \"a large amount is grouped\" \"1,234,567.89\" \"$(amount_of Total tests/data/server.csv)\"
";

const TO_CENTS: &str = "# Money is counted in whole cents, so that sums are exact.

# \"12.5\" or \"12.50\" to 1250; the caller has checked the form.
function to_cents(text,    negative, parts) {
    negative = sub(/^-/, \"\", text)
    split(text, parts, \".\")
    return (negative ? -1 : 1) * (parts[1] * 100 + substr(parts[2] \"00\", 1, 2))
}
";

/// Groups everywhere: the export for programs breaks.
const GROUP_ALL: &str = "
# 123450 to \"1,234.50\".
function format_cents(cents,    sign, whole, grouped) {
    sign = cents < 0 ? \"-\" : \"\"
    if (cents < 0)
        cents = -cents
    whole = sprintf(\"%d\", int(cents / 100))
    while (length(whole) > 3) {
        grouped = \",\" substr(whole, length(whole) - 2) grouped
        whole = substr(whole, 1, length(whole) - 3)
    }
    return sprintf(\"%s%s%s.%02d\", sign, whole, grouped, cents % 100)
}
";
/// Groups everywhere and quotes the export: still not the plain amounts that programs read.
const GROUP_AND_QUOTE: &str = "
# A text field of CSV, in quotes because of the commas.
function quoted(text) {
    return \"\\\"\" text \"\\\"\"
}
";
/// Keeps the export, but counts the minus sign as a digit: -120.00 becomes -,120.00.
const GROUP_WITH_SIGN: &str = "
# 1250 to \"12.50\".
function format_cents(cents,    sign) {
    sign = cents < 0 ? \"-\" : \"\"
    if (cents < 0)
        cents = -cents
    return sprintf(\"%s%d.%02d\", sign, int(cents / 100), cents % 100)
}

# 123450 to \"1,234.50\", for people.
function format_grouped(cents,    whole, rest, grouped) {
    whole = format_cents(cents)
    rest = substr(whole, length(whole) - 2)
    whole = substr(whole, 1, length(whole) - 3)
    while (length(whole) > 3) {
        grouped = \",\" substr(whole, length(whole) - 2) grouped
        whole = substr(whole, 1, length(whole) - 3)
    }
    return whole grouped rest
}
";
/// Right: the minus sign is set aside before the digits are grouped.
const GROUP_RIGHT: &str = "
# 1250 to \"12.50\".
function format_cents(cents,    sign) {
    sign = cents < 0 ? \"-\" : \"\"
    if (cents < 0)
        cents = -cents
    return sprintf(\"%s%d.%02d\", sign, int(cents / 100), cents % 100)
}

# 123450 to \"1,234.50\", for people. The minus sign is no digit.
function format_grouped(cents,    whole, rest, grouped) {
    if (cents < 0)
        return \"-\" format_grouped(-cents)
    whole = format_cents(cents)
    rest = substr(whole, length(whole) - 2)
    whole = substr(whole, 1, length(whole) - 3)
    while (length(whole) > 3) {
        grouped = \",\" substr(whole, length(whole) - 2) grouped
        whole = substr(whole, 1, length(whole) - 3)
    }
    return whole grouped rest
}
";

/// Which functions print amounts in the text and in the export.
struct Printing {
    text: &'static str,
    csv: &'static str,
}

/// One state of the branch, in the order in which the creator gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    GroupAll,
    GroupAndQuote,
    GroupWithSign,
    Right,
}

impl Attempt {
    /// What the creator tries after what it finds in the branch.
    fn next(found: &str, round: u32, helped: bool) -> Self {
        if helped || round > ROUNDS_MAX || found.contains("format_grouped") {
            Self::Right
        } else if found.contains("function quoted") {
            Self::GroupWithSign
        } else if found.contains("grouped = ") {
            Self::GroupAndQuote
        } else {
            Self::GroupAll
        }
    }

    fn money(self) -> String {
        match self {
            Self::GroupAll => format!("{TO_CENTS}{GROUP_ALL}"),
            Self::GroupAndQuote => format!("{TO_CENTS}{GROUP_ALL}{GROUP_AND_QUOTE}"),
            Self::GroupWithSign => format!("{TO_CENTS}{GROUP_WITH_SIGN}"),
            Self::Right => format!("{TO_CENTS}{GROUP_RIGHT}"),
        }
    }

    fn printing(self) -> Printing {
        match self {
            Self::GroupAll => Printing { text: "format_cents(%)", csv: "format_cents(%)" },
            Self::GroupAndQuote => Printing { text: "format_cents(%)", csv: "quoted(format_cents(%))" },
            Self::GroupWithSign | Self::Right => {
                Printing { text: "format_grouped(%)", csv: "format_cents(%)" }
            }
        }
    }

    /// What the creator believes it did.
    fn summary(self) -> &'static str {
        match self {
            Self::GroupAll => "`format_cents` groups the thousands, so every amount is readable.",
            Self::GroupAndQuote => "The amounts of the export are quoted, so that the commas do no harm.",
            Self::GroupWithSign => "The export is as it was; only the text output groups the thousands.",
            Self::Right => {
                "Only the text output groups the thousands, and a minus sign is set aside before the digits are \
                 counted. The export is as it was."
            }
        }
    }
}

fn print_awk(printing: &Printing) -> String {
    let text = |amount: &str| printing.text.replace('%', amount);
    let csv = |amount: &str| printing.csv.replace('%', amount);
    format!(
        "# Prints what was read: text for people, CSV for programs.

function print_text(    i) {{
    for (i = 1; i <= count; i++)
        printf \"%-20s %5d x %10s %12s\\n\", name[i], quantity[i], {unit_text}, {total_text}
    printf \"%-20s %5s   %10s %12s\\n\", \"Total\", \"\", \"\", {sum_text}
}}

function print_csv(    i) {{
    print \"name,quantity,price,total\"
    for (i = 1; i <= count; i++)
        print name[i] \",\" quantity[i] \",\" {unit_csv} \",\" {total_csv}
}}

END {{
    if (failed)
        exit 1
    if (format == \"csv\")
        print_csv()
    else
        print_text()
}}
",
        unit_text = text("unit[i]"),
        total_text = text("total[i]"),
        sum_text = text("sum"),
        unit_csv = csv("unit[i]"),
        total_csv = csv("total[i]"),
    )
}

fn creator(round: u32, turn: u32, conversation: &Conversation) -> Reply {
    let found = conversation.read_result(MONEY).unwrap_or_default();
    let helped = conversation.first_text().to_lowercase().contains(HINT);
    let attempt = Attempt::next(found, round, helped);
    step(
        turn,
        &[
            Reply::read_file(MONEY).saying("I look at what formats amounts now."),
            Reply::write_file(MONEY, &attempt.money())
                .and(Reply::write_file(PRINT, &print_awk(&attempt.printing())))
                .and(Reply::write_file(TEST, TEST_TEXT))
                .saying("This should do it."),
            // It does not run the tests: that is its fault, and the gate's reason to be.
            Reply::hand_in(
                "Group the thousands of large amounts",
                attempt.summary(),
                all_fixed(conversation, "Taken up in this round."),
            ),
        ],
    )
}

fn reviewer(name: &str, _round: u32, turn: u32, conversation: &Conversation) -> Reply {
    let summary = "The change reads well; whether it works is for the tests to say.";
    step(turn, &[Reply::read_file(MONEY), satisfied(name, conversation, summary, true)])
}
