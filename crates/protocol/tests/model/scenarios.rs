//! The small worlds.

use pairbot_protocol::command::{Command, RetryStage};
use pairbot_protocol::signal::CheckButton;

use crate::act::{Act, raise};
use crate::house::Scenario;
use crate::names::{Gate, Rules, Who};
use crate::worker::Chances;

/// Nobody disturbs the run, and everything can go wrong in it.
pub(crate) fn undisturbed() -> Scenario {
    Scenario {
        name: "undisturbed",
        issues: 1,
        labelled_by: Who::Mona,
        rules: Rules { reviewers: 2, gate: Gate::Size, rounds_max: 2, budget: None },
        chances: Chances { failures: true, findings: true, red: true },
        acts: Vec::new(),
        acts_max: 0,
        crashes: 0,
        redelivery: false,
        ghosts: false,
        one_by_one: false,
        bug: None,
    }
}

const MONA: Who = Who::Mona;
const EVE: Who = Who::Eve;

fn retry(stage: RetryStage) -> Command {
    Command::Retry { stage: Some(stage) }
}

/// What every task comes to is what one hopes for.
const NO_TROUBLE: Chances = Chances { failures: false, findings: false, red: false };

/// One reviewer, nothing fails: what happens around the run is what is looked at.
fn calm() -> Scenario {
    Scenario {
        rules: Rules { reviewers: 1, ..undisturbed().rules },
        chances: Chances { failures: false, findings: true, red: true },
        ..undisturbed()
    }
}

/// A maintainer and a stranger give every command, at any time.
pub(crate) fn commands() -> Scenario {
    let commands = [
        Command::Retry { stage: None },
        retry(RetryStage::Create),
        retry(RetryStage::Review),
        retry(RetryStage::Gate),
        Command::Pause,
        Command::Resume,
        Command::Stop,
    ];
    let mut acts: Vec<Act> = commands.map(|command| Act::Say(0, MONA, command)).into();
    acts.extend([Act::Say(0, EVE, Command::Retry { stage: None }), Act::Deadline(0)]);
    Scenario { name: "commands", acts, acts_max: 2, chances: NO_TROUBLE, ..calm() }
}

/// The branch and the base move under everybody, and creators push whose work was withdrawn.
pub(crate) fn heads() -> Scenario {
    let acts = vec![
        Act::Push(0),
        Act::Push(0),
        Act::MoveBase,
        Act::Say(0, MONA, Command::Pause),
        Act::Say(0, MONA, Command::Resume),
        Act::Say(0, MONA, Command::Retry { stage: None }),
        Act::Deadline(0),
    ];
    let rules = Rules { gate: Gate::None, ..calm().rules };
    Scenario { name: "heads", rules, acts, acts_max: 2, ghosts: true, chances: NO_TROUBLE, ..calm() }
}

/// Money for little more than one round, and workers that die with money set aside.
pub(crate) fn money() -> Scenario {
    let rules = Rules { reviewers: 1, gate: Gate::None, rounds_max: 2, budget: Some(4) };
    let acts = vec![
        Act::Say(0, MONA, raise()),
        Act::Say(0, MONA, Command::Retry { stage: None }),
        Act::Say(0, MONA, Command::Retry { stage: None }),
        Act::Say(0, MONA, Command::Stop),
    ];
    let chances = Chances { findings: true, ..NO_TROUBLE };
    Scenario { name: "money", rules, chances, acts, acts_max: 2, crashes: 1, ..calm() }
}

/// Every way in which a run ends from outside, and begins again; workers die with their effect brought about.
pub(crate) fn endings() -> Scenario {
    let acts = vec![
        Act::Unlabel(0),
        Act::Label(0, MONA),
        Act::CloseIssue(0),
        Act::ClosePull(0),
        Act::Merge(0),
        Act::Push(0),
        Act::Say(0, MONA, Command::Help),
    ];
    Scenario {
        name: "endings",
        acts,
        acts_max: 2,
        crashes: 1,
        redelivery: true,
        chances: NO_TROUBLE,
        ..calm()
    }
}

/// Other apps report, or do not; buttons are pressed; somebody asks for changes.
pub(crate) fn checks() -> Scenario {
    let acts = vec![
        Act::ForeignCheck(0),
        Act::ForeignCheck(0),
        Act::Press(0, MONA, "ci", CheckButton::Rerun),
        Act::Press(0, MONA, "ready", CheckButton::Rerun),
        Act::Press(0, MONA, "review", CheckButton::Rerun),
        Act::Press(0, EVE, "ready", CheckButton::Retry),
        Act::AskForChanges(0, MONA),
        Act::AskForChanges(0, EVE),
    ];
    let rules = Rules { reviewers: 1, gate: Gate::Ci, rounds_max: 2, budget: None };
    Scenario { name: "checks", rules, acts, acts_max: 1, chances: NO_TROUBLE, ..calm() }
}

/// The same where a policy only observes what other apps say.
pub(crate) fn observed() -> Scenario {
    let rules = Rules { gate: Gate::ObservedCi, ..checks().rules };
    Scenario { name: "observed checks", rules, acts_max: 1, ..checks() }
}

/// Publications one at a time, so that anything can come between two of them.
pub(crate) fn slow_publisher() -> Scenario {
    let rules = Rules { reviewers: 1, gate: Gate::None, rounds_max: 2, budget: None };
    let acts = vec![
        Act::Push(0),
        Act::Say(0, MONA, retry(RetryStage::Review)),
        Act::Say(0, MONA, Command::Help),
        Act::Say(0, EVE, Command::Status),
        Act::Merge(0),
    ];
    Scenario {
        name: "slow publisher",
        rules,
        acts,
        acts_max: 2,
        crashes: 1,
        one_by_one: true,
        chances: NO_TROUBLE,
        ..calm()
    }
}

/// Two issues side by side.
pub(crate) fn two_issues() -> Scenario {
    let rules = Rules { reviewers: 1, gate: Gate::None, rounds_max: 1, budget: None };
    let acts = vec![
        Act::Push(0),
        Act::Say(1, MONA, Command::Stop),
        Act::Unlabel(1),
        Act::Say(0, MONA, Command::Retry { stage: None }),
    ];
    Scenario { name: "two issues", issues: 2, rules, chances: NO_TROUBLE, acts, acts_max: 1, ..calm() }
}

/// Somebody labels who may not.
pub(crate) fn stranger() -> Scenario {
    let acts = vec![
        Act::Say(0, EVE, Command::Retry { stage: None }),
        Act::Say(0, MONA, Command::Retry { stage: None }),
        Act::Unlabel(0),
        Act::Label(0, MONA),
    ];
    Scenario { name: "stranger", labelled_by: EVE, acts, acts_max: 2, chances: NO_TROUBLE, ..calm() }
}
