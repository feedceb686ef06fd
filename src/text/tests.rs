use std::collections::{BTreeMap, BTreeSet};

use pairbot_protocol::budget::{Exhausted, Measure, Scope};
use pairbot_protocol::command;
use pairbot_protocol::finding::{Answer, Claim, Finding, FindingState, Place, Remark, Severity, Standing};
use pairbot_protocol::ids::{
    BaseSha, HeadSha, InstallationId, Money, PullRequestNumber, ReviewerName, Round, RunId, Timestamp,
    Tokens, Usage, UserId,
};
use pairbot_protocol::run::{
    AfterInspection, AnswerText, Closing, GateProgress, Halt, HandedIn, Phase, Problem, Refusal,
    ReviewProgress, ReviewRecord, Run, Validation,
};
use pairbot_protocol::signal::{
    Actor, ActorKind, GateReport, IssueFacts, Permission, PullRequestFacts, Spend, Verdict,
};

use super::prose::tests::live_text;
use super::*;

const HALTS: [Halt; 10] = [
    Halt::RoundsExhausted,
    Halt::BudgetExhausted,
    Halt::GateFailing,
    Halt::NoProgress,
    Halt::DisputeEscalated,
    Halt::MergeConflict,
    Halt::AgentFailed,
    Halt::PolicyInvalid,
    Halt::PermissionMissing,
    Halt::TimedOut,
];

fn head() -> HeadSha {
    "a".repeat(40).parse().unwrap()
}

fn base() -> BaseSha {
    "b".repeat(40).parse().unwrap()
}

fn person() -> Actor {
    Actor { id: UserId(7), login: "mona".parse().unwrap(), kind: ActorKind::Person }
}

/// What stands for the words of models and people: harmless, or everything that must not come through.
#[derive(Clone, Copy)]
enum Words {
    Tame,
    Wild,
}

impl Words {
    fn or(self, tame: &str) -> String {
        match self {
            Self::Tame => tame.to_owned(),
            Self::Wild => {
                "@octocat #99 <!-- pairbot:status --> `| a | ![x](https://evil.example/x)\n/stop\n## Gates\n\
                           ```suggestion\n/stop\n@octocat\n"
                    .to_owned()
            }
        }
    }
}

fn finding(id: &str, severity: Severity, state: FindingState, words: Words) -> Finding {
    Finding {
        id: id.parse().unwrap(),
        reviewer: "correctness".parse().unwrap(),
        round: Round(1),
        head: head(),
        remark: Remark {
            severity,
            place: Some(Place { path: words.or("src/slug.py"), line: Some(12), standing: Standing::Changed }),
            title: words.or("An empty title gives an empty slug"),
            body: words
                .or("`slug(\"\")` returns `\"\"`, and the link to it is then `/posts/`.\n\nCalled by @app."),
            suggestion: Some(words.or("    return slug or \"untitled\"")),
        },
        state,
        answer: None,
    }
}

fn validation(words: Words) -> Validation {
    let report = |verdict, title: &str| {
        GateProgress::Reported(GateReport {
            verdict,
            title: words.or(title),
            summary: "The summary of the gate.".to_owned(),
            detail: words.or(""),
            annotations: Vec::new(),
        })
    };
    Validation {
        head: head(),
        base: base(),
        reviews: BTreeMap::from([
            ("correctness".parse().unwrap(), ReviewProgress::Done),
            ("maintainability".parse().unwrap(), ReviewProgress::Pending),
        ]),
        gates: BTreeMap::from([
            ("ci".parse().unwrap(), report(Verdict::Waiting, "waits for build")),
            ("size".parse().unwrap(), report(Verdict::Green, "2 files, 14 changed lines: within 40 files")),
            ("tests".parse().unwrap(), report(Verdict::Red, "the command ended with code 1")),
            ("paths".parse().unwrap(), GateProgress::Pending),
        ]),
    }
}

fn run_with(phase: Phase, words: Words) -> Run {
    let open = finding("correctness-1-1", Severity::Blocking, FindingState::Open, words);
    let mut disputed = finding("correctness-1-2", Severity::Major, FindingState::Open, words);
    disputed.answer = Some(Answer {
        finding: disputed.id.clone(),
        claim: Claim::Rebutted,
        reason: words.or("The caller never passes an empty title."),
    });
    let fixed = finding("correctness-1-3", Severity::Minor, FindingState::Fixed { head: head() }, words);
    let follow_up = finding("correctness-1-4", Severity::Nit, FindingState::FollowUp, words);
    let findings = [open, disputed, fixed, follow_up];
    let raised: Vec<_> = findings.iter().map(|finding| finding.id.clone()).collect();
    Run {
        id: "10-7-1".parse::<RunId>().unwrap(),
        installation: InstallationId(1),
        labelled_by: person(),
        issue: IssueFacts {
            repository_name: "octo/demo".to_owned(),
            title: words.or("Slugs of empty titles"),
        },
        opened_at: Timestamp::from_unix_ms(0),
        deadline: Timestamp::from_unix_ms(7_200_000),
        policy: Some(crate::policy::default_policy()),
        phase,
        paused: false,
        base: Some(base()),
        head: Some(head()),
        pull_request: Some(PullRequestFacts {
            number: PullRequestNumber(8),
            node_id: "PR_8".to_owned(),
            draft: true,
        }),
        round: Round(2),
        attempt: 1,
        rounds_allowed: Round(3),
        budget: Money::from_cents(500),
        budget_tokens: None,
        spent: Spend::default(),
        trees: BTreeSet::new(),
        examined: BTreeSet::new(),
        handed_in: Some(HandedIn {
            round: Round(2),
            title: words.or("Give empty titles a slug"),
            summary: words
                .or("An empty title now becomes `untitled`.\n\n- `src/slug.py`: the fallback\n- a test"),
        }),
        findings: findings.into_iter().map(|finding| (finding.id.clone(), finding)).collect(),
        reviews: vec![ReviewRecord {
            reviewer: "correctness".parse::<ReviewerName>().unwrap(),
            round: Round(1),
            head: head(),
            base: base(),
            summary: words.or("One case is missing."),
            raised,
            fixed: vec!["correctness-1-3".parse().unwrap()],
        }],
        feedback: Vec::new(),
        requests: BTreeMap::new(),
        unpublished: Vec::new(),
    }
}

fn run(phase: Phase) -> Run {
    run_with(phase, Words::Tame)
}

fn validating() -> Run {
    run(Phase::Validating(validation(Words::Tame)))
}

fn halted(reason: Halt, words: Words) -> Run {
    let detail = if reason == Halt::PolicyInvalid {
        "3:1: gate: unknown key; did you mean `gates`?\n4:9: rounds: `many` is not a number"
    } else {
        "What the one who met it said."
    };
    let (detail, last) = (words.or(detail), Some(validation(words)));
    run_with(Phase::Halted { reason, detail, exhausted: None, last }, words)
}

/// A run that halted because a budget was used up.
fn exhausted(exhausted: Exhausted) -> Run {
    let mut run = halted(Halt::BudgetExhausted, Words::Tame);
    if let Phase::Halted { exhausted: why, .. } = &mut run.phase {
        *why = Some(exhausted);
    }
    run
}

/// A run on which every rule holds.
fn ready() -> Run {
    let mut clean = validation(Words::Tame);
    for progress in clean.reviews.values_mut() {
        *progress = ReviewProgress::Done;
    }
    for progress in clean.gates.values_mut() {
        *progress = GateProgress::Reported(GateReport {
            verdict: Verdict::Green,
            title: "fine".to_owned(),
            summary: String::new(),
            detail: String::new(),
            annotations: Vec::new(),
        });
    }
    let mut run = run(Phase::AwaitingHuman(clean));
    for finding in run.findings.values_mut() {
        finding.state = FindingState::Fixed { head: head() };
    }
    run
}

fn facts() -> RunFacts {
    let usage =
        Usage { input_tokens: 1000, cache_read_tokens: 8000, cache_write_tokens: 500, output_tokens: 700 };
    let line = |round, agent: &str, model: Option<&str>, cents| SpendLine {
        round: Some(Round(round)),
        agent: agent.to_owned(),
        model: model.map(str::to_owned),
        cost: Money::from_cents(cents),
        usage,
        calls: 3,
    };
    RunFacts {
        home: Home { url: "https://github.com/octo/demo".to_owned() },
        run_url: None,
        budget: Budget {
            limit: Money::from_cents(500),
            spent: Money::from_cents(42),
            reserved: Money::from_cents(10),
            usage,
            calls: 6,
            ..Budget::default()
        },
        forecast: None,
        spend: vec![line(1, "creator", Some("claude-sonnet-4-5"), 30), line(1, "correctness", None, 12)],
        notices: vec![Notice::CommandsWithoutSandbox],
    }
}

fn every_phase(words: Words) -> Vec<Run> {
    let by = person();
    let last = Some(validation(words));
    let mut phases = vec![
        Phase::Queued { then: AfterInspection::Create, last: None },
        Phase::Queued { then: AfterInspection::Validate, last: last.clone() },
        Phase::Creating { last },
        Phase::Opening { head: head(), base: base() },
        Phase::Validating(validation(words)),
        Phase::AwaitingHuman(validation(words)),
        Phase::Refused { reason: Refusal::NotPermitted { found: Permission::Read } },
        Phase::Merged { by: by.clone(), head: head(), last: Some(validation(words)) },
    ];
    let closings =
        [Closing::LabelRemoved, Closing::IssueClosed, Closing::PullRequestClosed, Closing::Stopped];
    phases.extend(closings.map(|closing| Phase::Closed { closing, by: by.clone(), last: None }));
    let runs = phases.into_iter().map(|phase| run_with(phase, words));
    runs.chain(HALTS.map(|reason| halted(reason, words))).collect()
}

/// Every text of a run that is Markdown.
fn every_text(run: &Run) -> Vec<String> {
    let facts = facts();
    let mut texts = vec![
        status_comment(run, &facts),
        pull_request_body(run, &facts),
        answer(&AnswerText::Help, &run.labelled_by.login),
    ];
    let findings: Vec<&Finding> = run.findings.values().collect();
    texts.extend(findings.iter().map(|finding| finding_comment(finding, &facts)));
    texts.extend(run.reviews.iter().map(|record| review_body(run, record, &findings, &facts)));
    for gate in ["size", "tests", "paths", "ci", "review", "ready"] {
        texts.push(check(run, &gate.parse().unwrap(), &head(), &facts).summary);
    }
    texts
}

#[test]
fn the_status_comment_of_a_head_under_review() {
    insta::assert_snapshot!(status_comment(&validating(), &facts()));
}

#[test]
fn the_status_comment_of_a_run_that_just_began() {
    let mut run = run(Phase::Queued { then: AfterInspection::Create, last: None });
    (run.findings, run.reviews) = (BTreeMap::new(), Vec::new());
    (run.head, run.base, run.policy, run.pull_request, run.handed_in) = (None, None, None, None, None);
    insta::assert_snapshot!(status_comment(&run, &facts()));
}

#[test]
fn the_status_comment_of_a_ready_head() {
    insta::assert_snapshot!(status_comment(&ready(), &facts()));
}

#[test]
fn the_status_comment_of_an_invalid_policy() {
    let mut run = halted(Halt::PolicyInvalid, Words::Tame);
    (run.findings, run.reviews) = (BTreeMap::new(), Vec::new());
    insta::assert_snapshot!(status_comment(&run, &facts()));
}

#[test]
fn the_headline_and_the_next_step_of_every_phase() {
    let mut lines: Vec<String> = every_phase(Words::Tame)
        .iter()
        .map(|run| format!("{}\n  {}", phase::headline(run), phase::next(run)))
        .collect();
    let mut paused = validating();
    paused.paused = true;
    lines.push(format!("{}\n  {}", phase::headline(&paused), phase::next(&paused)));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn every_halt_has_a_text_and_a_way_out_of_its_own() {
    let titles: BTreeSet<_> = HALTS.iter().map(|reason| halts::halt(*reason, None).title).collect();
    let ways: BTreeSet<_> = HALTS.iter().map(|reason| halts::halt(*reason, None).next).collect();
    assert_eq!((titles.len(), ways.len()), (HALTS.len(), HALTS.len()));
    for reason in HALTS {
        let run = halted(reason, Words::Tame);
        let text = check(&run, &"ready".parse().unwrap(), &head(), &facts());
        assert!(text.title.starts_with(reason.as_str()), "{}", text.title);
        let next = halts::halt(reason, None).next;
        assert!(text.summary.contains(next.as_ref()), "{}", text.summary);
        assert!(status_comment(&run, &facts()).contains(next.as_ref()), "{reason:?}");
    }
}

#[test]
fn every_budget_that_is_used_up_says_whose_it_is_and_when_it_opens_again() {
    // 2026-01-05T08:00:00Z.
    let now = Timestamp::from_unix_ms(1_767_600_000_000);
    let mut texts = Vec::new();
    for scope in [Scope::Run, Scope::RepositoryDay, Scope::InstallationMonth] {
        for measure in [Measure::Money, Measure::Tokens] {
            let run = exhausted(Exhausted::at(scope, measure, now));
            let check = check(&run, &"ready".parse().unwrap(), &head(), &facts());
            assert!(check.title.starts_with("budget-exhausted: "), "{}", check.title);
            texts.push(format!("{}\n  {}\n  {}", check.title, phase::headline(&run), phase::next(&run)));
            assert!(!status_comment(&run, &facts()).contains("of this run's budget"), "it is told already");
        }
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn the_status_comment_warns_when_half_and_four_fifths_of_the_budget_are_spent() {
    let told = |cents, tokens| {
        let mut facts = facts();
        facts.budget.spent = Money::from_cents(cents);
        (facts.budget.limit_tokens, facts.budget.spent_tokens) = (Some(Tokens(100_000)), Tokens(tokens));
        status_comment(&validating(), &facts)
    };
    let quoted =
        |text: &str| text.lines().find(|line| line.contains("of this run's budget")).map(str::to_owned);
    assert_eq!(quoted(&told(249, 49_999)), None);
    let lines = [told(250, 0), told(399, 10), told(400, 0), told(0, 80_000)];
    let lines = lines.map(|text| quoted(&text).unwrap());
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_status_comment_foretells_the_cost_only_while_it_is_ahead() {
    let costs = [30, 20, 40, 110, 50].map(Money::from_cents).to_vec();
    let facts = RunFacts { forecast: Forecast::of(costs), ..facts() };
    let line = "Runs here cost $0.40 in the median, 9 of 10 at most $1.10 (of the last 5 runs that ended).";
    assert!(status_comment(&validating(), &facts).contains(line));
    assert!(!status_comment(&ready(), &facts).contains("Runs here"));
}

#[test]
fn the_pull_request_says_what_was_done_found_settled_and_paid() {
    insta::assert_snapshot!(format!(
        "{}\n\n{}",
        pull_request_title(&ready()),
        pull_request_body(&ready(), &facts())
    ));
}

#[test]
fn a_merged_pull_request_does_not_lose_its_evidence() {
    let mut merged = ready();
    let Phase::AwaitingHuman(last) = merged.phase else { panic!("not ready") };
    merged.phase = Phase::Merged { by: person(), head: head(), last: Some(last) };
    let body = pull_request_body(&merged, &facts());
    for row in ["| `size` | passed: fine |", "| `review` | passed |"] {
        assert!(body.contains(row), "{row} in {body}");
    }
    merged.phase = Phase::Merged { by: person(), head: head(), last: None };
    let body = pull_request_body(&merged, &facts());
    assert!(!body.contains("Nothing has been checked"), "{body}");
    assert!(body.contains(&format!("on `{}`, the commit that was merged", head())), "{body}");
}

#[test]
fn what_a_failed_gate_said_is_quoted() {
    let mut run = validating();
    if let Phase::Validating(validation) = &mut run.phase {
        let report = GateReport {
            verdict: Verdict::Unknown,
            title: "This gate could not be examined".to_owned(),
            summary: String::new(),
            detail: "fatal: @octocat\n/stop".to_owned(),
            annotations: Vec::new(),
        };
        validation.gates.insert("tests".parse().unwrap(), GateProgress::Reported(report));
    }
    let summary = check(&run, &"tests".parse().unwrap(), &head(), &facts()).summary;
    assert!(summary.starts_with("```text\nfatal: @octocat\n /stop\n```\n"), "{summary}");
}

#[test]
fn a_review_with_a_finding_outside_the_diff() {
    let run = validating();
    let mut outside = run.findings.values().next().unwrap().clone();
    if let Some(place) = &mut outside.remark.place {
        place.standing = Standing::Outside;
    }
    insta::assert_snapshot!(review_body(&run, &run.reviews[0], &[&outside], &facts()));
}

#[test]
fn a_comment_at_a_line_offers_its_suggestion_only_where_it_can_be_applied() {
    let run = validating();
    let mut finding = run.findings.values().next().unwrap().clone();
    insta::assert_snapshot!(finding_comment(&finding, &facts()));
    finding.remark.suggestion = Some("<!-- pairbot:status -->".to_owned());
    assert!(!finding_comment(&finding, &facts()).contains("```suggestion"));
    finding.remark.suggestion = Some("a ``` b".to_owned());
    assert!(finding_comment(&finding, &facts()).contains("````suggestion\na ``` b\n````"));
    finding.remark.place = None;
    assert!(!finding_comment(&finding, &facts()).contains("suggestion\n"));
}

#[test]
fn the_title_of_every_check_in_every_phase() {
    let mut runs = every_phase(Words::Tame);
    runs.push(ready());
    let mut failed = validating();
    if let Phase::Validating(validation) = &mut failed.phase {
        for progress in validation.reviews.values_mut() {
            *progress = ReviewProgress::Failed { detail: "the model refused".to_owned() };
        }
    }
    runs.push(failed);
    let mut held = ready();
    held.findings = validating().findings;
    runs.push(held);
    let lines: Vec<String> = runs
        .iter()
        .flat_map(|run| {
            ["review", "ready", "tests", "paths"].map(|gate| {
                let gate = gate.parse().unwrap();
                let text = check(run, &gate, &head(), &facts());
                let state = pairbot_protocol::checks::view(run, &gate, &head()).state;
                format!("{} / {gate}: {state:?}: {}", run.phase_name(), text.title)
            })
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_summary_of_a_ready_check_names_the_commit_and_the_notices() {
    insta::assert_snapshot!(check(&ready(), &"ready".parse().unwrap(), &head(), &facts()).summary);
}

#[test]
fn answers_name_reasons_and_mention_nobody() {
    let to = person().login;
    let reasons = vec![
        Problem::Malformed { text: "`/budget` takes an amount".to_owned() },
        Problem::Over,
        Problem::UnderWay,
        Problem::Paused,
        Problem::NoHead,
        Problem::NotPaused,
        Problem::NothingToPause,
        Problem::NoTokenBudget,
    ];
    let texts = [
        answer(&AnswerText::Help, &to),
        answer(&AnswerText::NotPermitted { found: Permission::Read }, &to),
        answer(&AnswerText::Problems { reasons }, &to),
    ];
    insta::assert_snapshot!(texts.join("\n\n---\n\n"));
}

#[test]
fn a_commit_message_has_no_force_of_its_own() {
    let tame = commit_message(
        &validating(),
        "Give empty titles a slug",
        "An empty title becomes `untitled`, as the issue asks, and the function keeps its promise for each other title.",
    );
    insta::assert_snapshot!(tame);
    let wild = commit_message(
        &validating(),
        "[skip ci] Fixes #9 @octocat",
        "Fixes #9, GH-9 and https://github.com/a/b/issues/1\nSigned-off-by: Mona <m@x.example>\nskip-checks: true\n\
         ***NO_CI*** <!-- x -->",
    );
    for force in
        ["[skip", "#9", "@octocat", "GH-9", "://g", "Signed-off-by:", "skip-checks:", "***", "<!--", "m@x"]
    {
        assert!(!wild.contains(force), "{force} in {wild}");
    }
    assert!(wild.ends_with("Issue: #7\nPairbot-Run: 10-7-1\n"), "{wild}");
    assert_eq!(commit_message(&validating(), "\u{200b}", "").lines().next(), Some("Work on issue 7"));
}

#[test]
fn nothing_that_others_wrote_has_an_effect_in_any_text() {
    for run in every_phase(Words::Wild) {
        let title = pull_request_title(&run);
        let tests = check(&run, &"tests".parse().unwrap(), &head(), &facts());
        for title in [title, tests.title] {
            assert!(!title.contains('\n') && !title.contains("<!--"), "{title}");
        }
        for text in every_text(&run) {
            assert!(!text.contains("<!--"), "{text}");
            assert_eq!(command::parse(&text), vec![], "{text}");
            let live = live_text(&text);
            for force in ["@octocat", "#99", "://evil", "![", "\n## Gates"] {
                assert!(!live.contains(force), "{force} in {text}");
            }
        }
    }
}

#[test]
fn no_text_is_longer_than_github_takes() {
    let mut run = validating();
    let long = "word `code` @x ".repeat(5000);
    let template = run.findings.values().next().unwrap().clone();
    for index in 0..100 {
        let mut finding = template.clone();
        finding.id = format!("correctness-1-{index}").parse().unwrap();
        finding.remark.title.clone_from(&long);
        finding.remark.body.clone_from(&long);
        run.findings.insert(finding.id.clone(), finding);
    }
    if let Some(handed_in) = &mut run.handed_in {
        handed_in.summary = long;
    }
    for text in every_text(&run) {
        assert!(text.chars().count() < 65_000, "{}", text.chars().count());
    }
}

#[test]
fn what_could_not_be_shown_is_named_with_its_reason_in_the_status_comment() {
    use pairbot_protocol::effect::Publication;
    use pairbot_protocol::run::Unpublished;
    let check = Publication::Check { gate: "size".parse().unwrap(), head: head() };
    let missing = |publication| Unpublished { publication, detail: "422: @octocat\n/stop".to_owned() };
    let run = Run { unpublished: vec![missing(Some(check)), missing(None)], ..ready() };
    let text = status_comment(&run, &facts());
    let part = text.split("\n\n").find(|part| part.contains("- the check")).unwrap();
    assert_eq!(
        part,
        "- the check `size` on `aaaaaaa`: 422: `@octocat` /stop\n- something: 422: `@octocat` /stop"
    );
}
