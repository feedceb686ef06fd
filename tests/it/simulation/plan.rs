//! What happens in one world: who lives in it, what they ask for, when they meddle, and what goes wrong. All of it
//! follows from the seed.

use pairbot_model_sim::{Answer, Finding, Reply, Script, Verdict};

use super::chance::Chance;
use super::github::GITHUB_KINDS;
use super::weather::Rates;

const MINUTE_MS: u64 = 60_000;

/// One repository.
#[derive(Debug)]
pub(super) struct RepositoryPlan {
    pub(super) name: String,
    pub(super) policy: String,
}

/// What the agents make of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tale {
    /// The change is right at once.
    Smooth,
    /// A reviewer finds something, and the next round mends it.
    Mended,
    /// The command gate is red, and the next round mends it.
    RedThenGreen,
    /// A reviewer is never content.
    NeverContent,
    /// The creator says that the finding is wrong.
    Rebutted,
    /// The second round hands in what the first did.
    NothingNew,
    /// The creator talks and hands nothing in.
    Talker,
    /// The creator changes a workflow file.
    Workflow,
    /// The creator changes a protected file.
    Protected,
}

const TALES: [Tale; 12] = [
    Tale::Smooth,
    Tale::Smooth,
    Tale::Smooth,
    Tale::Mended,
    Tale::Mended,
    Tale::RedThenGreen,
    Tale::NeverContent,
    Tale::Rebutted,
    Tale::NothingNew,
    Tale::Talker,
    Tale::Workflow,
    Tale::Protected,
];

/// One issue.
#[derive(Debug)]
pub(super) struct IssuePlan {
    pub(super) repository: usize,
    pub(super) title: String,
    pub(super) tale: Tale,
}

/// What a person, or fate, does to an issue.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    Label,
    Unlabel,
    Comment(&'static str),
    CommentOnPull(&'static str),
    StrangerComments(&'static str),
    EditComment,
    DeleteComment,
    Close,
    Reopen,
    ClosePull,
    ReopenPull,
    Merge,
    Push,
    ForcePush,
    PushToMain,
    DeleteBranch,
    RequestChanges,
    SetDraft(bool),
    PressButton,
    RunCheckAgain,
    TokensExpire,
    ClockBehind(u64),
    Leap(u64),
}

/// One world.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) repositories: Vec<RepositoryPlan>,
    pub(super) issues: Vec<IssuePlan>,
    /// When, to which issue, what; in order.
    pub(super) deeds: Vec<(u64, usize, Deed)>,
    pub(super) rates: Rates,
    /// Numbers of calls between power cuts, the last first.
    pub(super) cuts: Vec<u64>,
    /// When nothing goes wrong any more.
    pub(super) calm_at_ms: u64,
}

/// How much of everything there is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    /// As the seed has it.
    Any,
    /// None: the same people and tales, and nothing goes wrong.
    None,
}

impl Plan {
    /// The world of a seed.
    pub(super) fn of(seed: u64, trouble: Trouble) -> Self {
        let chance = Chance::of(seed, 1);
        let (repositories, issues) = match chance.below(100) {
            0..84 => (1, chance.between(1, 2)),
            84..99 => (chance.between(1, 2), chance.between(2, 5)),
            _ => (chance.between(3, 5), chance.between(12, 24)),
        };
        let owners = chance.between(1, repositories);
        let repositories: Vec<RepositoryPlan> = (0..repositories)
            .map(|position| RepositoryPlan {
                name: format!("owner-{}/repo-{position}", position % owners),
                policy: policy(&chance),
            })
            .collect();
        let issues: Vec<IssuePlan> = (0..issues)
            .map(|number| {
                let repository = usize::try_from(chance.below(repositories.len() as u64)).unwrap();
                let tale = *chance.pick(&TALES);
                IssuePlan { repository, tale, title: format!("{tale:?} {number}") }
            })
            .collect();
        let (rates, cuts, calm_at_ms) = match trouble {
            Trouble::Any => weather(&chance),
            Trouble::None => (Rates::default(), Vec::new(), 0),
        };
        let deeds = deeds(&chance, issues.len(), trouble);
        Self { repositories, issues, deeds, rates, cuts, calm_at_ms }
    }
}

/// Budgets that some runs do not get along with: their own, and those that they share.
const BUDGETS: [&str; 4] = [
    "budget: { run: 0.60 }\n",
    "budget: { day: 0.80 }\n",
    "budget: { run: 0.60, day: 1.00 }\n",
    "budget: { tokens: { run: 50k, day: 80k } }\n",
];

fn policy(chance: &Chance) -> String {
    let rounds = chance.between(1, 3);
    let mut text = format!("version: 1\nrounds: {rounds}\n");
    if chance.per_mille(250) {
        text += chance.pick::<&'static str>(&BUDGETS);
    }
    if chance.per_mille(150) {
        text += "time: { run: 20m, task: 10m }\n";
    }
    text += match chance.below(4) {
        0 => "gates:\n  size: { files: 40, lines: 1500 }\n",
        1 => "gates:\n  works: { command: \"! grep -rq wrong notes\", timeout: 2m }\n",
        _ => {
            "gates:\n  works: { command: \"! grep -rq wrong notes\", timeout: 2m }\n  paths: { also: [\"locked/**\"] }\n"
        }
    };
    if chance.per_mille(30) {
        text += "this is: [not, a, policy\n";
    }
    text
}

/// How bad it is: some worlds have trouble of one kind, some of all, some none but the people.
fn weather(chance: &Chance) -> (Rates, Vec<u64>, u64) {
    let calm_at_ms = chance.between(1, 40) * MINUTE_MS;
    let rate = |most: u64| if chance.per_mille(450) { chance.between(1, most) } else { 0 };
    let mut rates = Rates {
        store: rate(40),
        github: rate(120),
        github_kind: None,
        github_writes_only: false,
        models: rate(250),
        programs: rate(60),
        webhooks: rate(300),
        slow: rate(200),
    };
    if chance.per_mille(300) {
        // One way to fail, and often.
        rates.github = chance.between(50, 400);
        rates.github_kind = Some(chance.below(GITHUB_KINDS));
        rates.github_writes_only = chance.per_mille(700);
    }
    if chance.per_mille(100) {
        rates = Rates::default();
    }
    let cuts = match chance.below(10) {
        0..5 => 0,
        5..9 => chance.between(1, 3),
        _ => chance.between(4, 9),
    };
    let cuts = (0..cuts).map(|_| chance.below(*chance.pick(&[40, 300, 900]))).collect();
    (rates, cuts, calm_at_ms)
}

const COMMANDS: [&str; 13] = [
    "/retry",
    "/retry create",
    "/retry review",
    "/retry gate",
    "/stop",
    "/pause",
    "/resume",
    "/review",
    "/budget +1.00",
    "/budget +50k tokens",
    "/status",
    "/help",
    "Please say why.\n/retry\n/budget +nonsense",
];

fn deeds(chance: &Chance, issues: usize, trouble: Trouble) -> Vec<(u64, usize, Deed)> {
    let mut deeds = Vec::new();
    let busy = match trouble {
        Trouble::None => 0,
        // Most people set a label and wait.
        Trouble::Any => *chance.pick(&[0, 1, 2, 4, 8, 16]),
    };
    // In half of the worlds people do few different things, and those again and again: what only comes of a thing done
    // twice at the wrong moment is too rare among many others.
    let few: Vec<Deed> = (0..chance.between(1, 3)).map(|_| deed(chance)).collect();
    let few = chance.per_mille(500).then_some(few);
    for issue in 0..issues {
        deeds.push((chance.below(2 * MINUTE_MS), issue, Deed::Label));
        for _ in 0..chance.below(busy + 1) {
            // Half of it in the first minutes, where most of the work is done.
            let span_ms = *chance.pick(&[MINUTE_MS, 3 * MINUTE_MS, 10 * MINUTE_MS, 40 * MINUTE_MS]);
            let deed = few.as_ref().map_or_else(|| deed(chance), |few| *chance.pick::<Deed>(few));
            deeds.push((chance.below(span_ms), issue, deed));
        }
    }
    deeds.sort_by_key(|(at_ms, issue, _)| (*at_ms, *issue));
    deeds
}

fn deed(chance: &Chance) -> Deed {
    match chance.below(34) {
        0..6 => Deed::Comment(chance.pick::<&'static str>(&COMMANDS)),
        6..10 => Deed::CommentOnPull(chance.pick::<&'static str>(&COMMANDS)),
        10 => Deed::StrangerComments(chance.pick::<&'static str>(&COMMANDS)),
        11 | 12 => Deed::CommentOnPull("Use shorter words."),
        13 => Deed::EditComment,
        14 => Deed::DeleteComment,
        15 => Deed::Close,
        16 => Deed::Reopen,
        17 => Deed::ClosePull,
        18 => Deed::ReopenPull,
        19 => Deed::Merge,
        20 | 21 => Deed::Push,
        22 => Deed::ForcePush,
        23 => Deed::PushToMain,
        24 => Deed::DeleteBranch,
        25 => Deed::RequestChanges,
        26 => Deed::SetDraft(chance.per_mille(500)),
        27 => Deed::PressButton,
        28 => Deed::RunCheckAgain,
        29 => Deed::Unlabel,
        30 => Deed::Label,
        31 => Deed::TokensExpire,
        32 => Deed::ClockBehind(chance.between(1, 300) * 1_000),
        _ => Deed::Leap(chance.between(1, 90) * MINUTE_MS),
    }
}

impl IssuePlan {
    /// What the models say about it.
    pub(super) fn script(&self) -> Script {
        let (tale, title) = (self.tale, self.title.clone());
        let file = format!("notes/{}.txt", title.to_lowercase().replace(' ', "-"));
        let creator_file = file.clone();
        Script::for_title(&self.title)
            .creator_with(move |conversation| {
                let round = conversation.round();
                let text = match tale {
                    Tale::NothingNew => format!("{title}\nnothing new\n"),
                    Tale::RedThenGreen if round == 1 => format!("{title}\nwrong\n"),
                    Tale::Smooth
                    | Tale::Mended
                    | Tale::RedThenGreen
                    | Tale::NeverContent
                    | Tale::Rebutted
                    | Tale::Talker
                    | Tale::Workflow
                    | Tale::Protected => format!("{title}\nround {round}\n"),
                };
                let path = match tale {
                    Tale::Workflow => ".github/workflows/ci.yml",
                    Tale::Protected => "CODEOWNERS",
                    Tale::Smooth
                    | Tale::Mended
                    | Tale::RedThenGreen
                    | Tale::NeverContent
                    | Tale::Rebutted
                    | Tale::NothingNew
                    | Tale::Talker => creator_file.as_str(),
                };
                let answers = conversation.listed_findings().into_iter().map(|finding| match tale {
                    Tale::Rebutted => Answer::rebutted(&finding.id, "It is right as it is."),
                    Tale::Smooth
                    | Tale::Mended
                    | Tale::RedThenGreen
                    | Tale::NeverContent
                    | Tale::NothingNew
                    | Tale::Talker
                    | Tale::Workflow
                    | Tale::Protected => Answer::fixed(&finding.id, "Mended."),
                });
                match (tale, conversation.turn()) {
                    (Tale::Talker, _) => Reply::say("I think about it."),
                    (_, 0) => Reply::write_file(path, &text),
                    (_, _) => Reply::hand_in(&title, "As asked.", answers),
                }
            })
            .other_reviewers_with(move |conversation| review(tale, &file, conversation))
    }
}

fn review(tale: Tale, file: &str, conversation: &pairbot_model_sim::Conversation) -> Reply {
    let name = match conversation.brief.as_ref().map(|brief| &brief.role) {
        Some(pairbot_model_sim::Role::Reviewer(name)) => name.clone(),
        Some(pairbot_model_sim::Role::Creator) | None => String::new(),
    };
    let listed = conversation.listed_findings_of(&name);
    let verdicts = listed.iter().map(|finding| match tale {
        Tale::NeverContent | Tale::Rebutted => Verdict::open(&finding.id, "It still shows."),
        Tale::Smooth
        | Tale::Mended
        | Tale::RedThenGreen
        | Tale::NothingNew
        | Tale::Talker
        | Tale::Workflow
        | Tale::Protected => Verdict::fixed(&finding.id, "Mended as asked."),
    });
    let raises = match tale {
        Tale::Mended | Tale::NeverContent | Tale::Rebutted | Tale::NothingNew => {
            name == "correctness" && conversation.round() == 1 && listed.is_empty()
        }
        Tale::Smooth | Tale::RedThenGreen | Tale::Talker | Tale::Workflow | Tale::Protected => false,
    };
    let finding = Finding::new("major", "This is not what was asked", "Say what was asked.").at(file, 2);
    Reply::submit_review("Read.", raises.then_some(finding), verdicts)
}
