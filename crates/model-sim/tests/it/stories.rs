//! The stories, played on real files: the tests fail and pass as told, and findings name the lines they mean.

use pairbot_model_sim::{
    DEFAULT_STORY, DEMO_POLICY, ModelSim, Provider, STORIES, SimConfig, Story, demo_repository, story,
};
use serde_json::{Value, json};

use crate::client::opening;
use crate::player::Checkout;

const BOTH: [Provider; 2] = [Provider::Anthropic, Provider::OpenAi];
const REVIEWERS: [&str; 2] = ["correctness", "maintainability"];

struct Stage {
    sim: ModelSim,
    provider: Provider,
    story: &'static Story,
    checkout: Checkout,
}

impl Stage {
    async fn new(name: &str, provider: Provider) -> Self {
        let sim = ModelSim::start(SimConfig::default()).await.unwrap();
        Self {
            sim,
            provider,
            story: story(name).unwrap(),
            checkout: Checkout::new(provider == Provider::Anthropic),
        }
    }

    async fn create(&self, round: u32, more: &str) -> Value {
        let opening =
            format!("{}{}\n{more}", opening(self.story.issue_title, "creator", round), self.story.issue_body);
        self.checkout.play(&self.sim, self.provider, &opening).await
    }

    async fn review(&self, reviewer: &str, round: u32, findings: &str) -> Value {
        let opening = opening(self.story.issue_title, &format!("reviewer {reviewer}"), round);
        let opening = format!("{opening}{findings}\n````diff\n{}````\n", self.checkout.diff());
        self.checkout.play(&self.sim, self.provider, &opening).await
    }

    /// The text of the line that a finding names.
    fn line(&self, finding: &Value) -> String {
        let line = usize::try_from(finding["line"].as_u64().unwrap()).unwrap();
        let content = self.checkout.read(finding["path"].as_str().unwrap());
        content.lines().nth(line - 1).unwrap().to_owned()
    }

    /// Every call was taken: the player keeps to the protocol, so a refusal is the server's fault.
    fn nothing_refused(&self) {
        assert!(self.sim.ledger().iter().all(|call| call.refusal.is_none()));
    }
}

#[test]
fn the_demo_repository_starts_green() {
    let (passed, output) = Checkout::new(true).tests();
    assert!(passed && output.ends_with("4 tests, 0 failed\n"), "{output}");
    assert!(demo_repository().contains(&(".github/pairbot.yml", DEMO_POLICY)));
    assert!(demo_repository().is_sorted());
}

#[test]
fn every_file_of_the_demo_folder_is_in_the_demo_repository() {
    fn walk(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("demo-repository");
    let mut found = Vec::new();
    walk(&root, &mut found);
    let mut found: Vec<&str> =
        found.iter().map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap()).collect();
    found.sort_unstable();
    let listed: Vec<&str> = demo_repository().into_iter().map(|(path, _)| path).collect();
    assert_eq!(listed, found);
}

#[test]
fn stories_have_names_and_titles_of_their_own() {
    for key in [|story: &Story| story.name, |story: &Story| story.issue_title] {
        let mut keys: Vec<&str> = STORIES.iter().map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), STORIES.len());
    }
    assert!(story(DEFAULT_STORY).is_some() && story("nonesuch").is_none());
}

#[tokio::test]
async fn smooth_is_green_in_one_round_with_nothing_but_a_nit() {
    for provider in BOTH {
        let stage = Stage::new("smooth", provider).await;
        let handed_in = stage.create(1, "").await;
        assert!(handed_in["title"].as_str().unwrap().starts_with("Name the file"));
        assert!(stage.checkout.tests().0);
        let review = stage.review("correctness", 1, "").await;
        assert_eq!(review["findings"], json!([]));
        let review = stage.review("maintainability", 1, "").await;
        let nit = &review["findings"][0];
        assert_eq!((review["findings"].as_array().unwrap().len(), &nit["severity"]), (1, &json!("nit")));
        assert!(stage.line(nit).contains("a malformed line is named"));
        stage.nothing_refused();
    }
}

#[tokio::test]
async fn findings_holds_a_real_bug_that_the_second_round_mends() {
    for provider in BOTH {
        let stage = Stage::new("findings", provider).await;
        stage.create(1, "").await;
        // The bug is one that the creator's own tests do not see.
        assert!(stage.checkout.tests().0);
        let found = stage.review("correctness", 1, "").await["findings"].clone();
        let bug = &found[0];
        assert_eq!((found.as_array().unwrap().len(), &bug["severity"]), (1, &json!("blocking")));
        assert_eq!(stage.line(bug), "    if (quantity > 10)");
        assert_eq!(bug["suggestion"], "    if (quantity >= 10)");
        let remark = stage.review("maintainability", 1, "").await["findings"][0].clone();
        assert_eq!(remark["severity"], "minor");
        assert!(stage.line(&remark).contains("total * 95 / 100"));

        let buggy = stage.checkout.read("lib/price.awk");
        let listed = "- correctness-1-1 [blocking] lib/price.awk:6 Exactly 10\n\
                      - maintainability-1-1 [minor] lib/price.awk:7 Bare numbers\n";
        let handed_in = stage.create(2, listed).await;
        let answers = handed_in["answers"].as_array().unwrap();
        assert_eq!(answers.len(), 2);
        assert!(answers.iter().all(|answer| answer["answer"] == "fixed"));
        assert!(stage.checkout.tests().0);
        for reviewer in REVIEWERS {
            let review = stage.review(reviewer, 2, listed).await;
            assert_eq!(review["findings"], json!([]));
            let verified = json!([review["verified"][0]["finding"], review["verified"][0]["state"]]);
            assert_eq!(verified, json!([format!("{reviewer}-1-1"), "fixed"]));
        }

        // The test that was added really is about the bug, and a reviewer is not satisfied by words.
        stage.checkout.write("lib/price.awk", &buggy);
        let (passed, output) = stage.checkout.tests();
        assert!(!passed && output.contains("exactly ten get it"), "{output}");
        let review = stage.review("correctness", 2, listed).await;
        assert_eq!(review["verified"][0]["state"], "open");
        stage.nothing_refused();
    }
}

#[tokio::test]
async fn stubborn_fails_differently_each_round_until_retried() {
    for provider in BOTH {
        let stage = Stage::new("stubborn", provider).await;
        let mut trees = vec![stage.checkout.tree()];
        for (round, broken) in [(1, "test-csv.sh"), (2, "test-csv.sh"), (3, "test-credit.sh")] {
            stage.create(round, "").await;
            let (passed, output) = stage.checkout.tests();
            assert!(!passed && output.contains(&format!("FAIL  tests/{broken}")), "round {round}: {output}");
            assert!(output.contains("5 tests, 1 failed"), "{output}");
            for reviewer in REVIEWERS {
                assert_eq!(stage.review(reviewer, round, "").await["findings"], json!([]));
            }
            trees.push(stage.checkout.tree());
        }
        stage.create(4, "").await;
        assert!(stage.checkout.tests().0);
        trees.push(stage.checkout.tree());
        let rounds = trees.len();
        trees.sort_unstable();
        trees.dedup();
        assert_eq!(trees.len(), rounds, "a tree came twice");
        stage.nothing_refused();
    }
}

#[tokio::test]
async fn stubborn_takes_a_persons_hint_and_survives_a_new_count_of_rounds() {
    let stage = Stage::new("stubborn", Provider::Anthropic).await;
    stage.create(1, "A maintainer says: mind the Minus Sign of credits.\n").await;
    assert!(stage.checkout.tests().0);
    let stage = Stage::new("stubborn", Provider::Anthropic).await;
    for _ in 1..=3 {
        stage.create(1, "").await;
        assert!(!stage.checkout.tests().0);
    }
    stage.create(1, "").await;
    assert!(stage.checkout.tests().0);
}

#[tokio::test]
async fn outside_remarks_on_a_line_that_the_change_leaves_alone() {
    for provider in BOTH {
        let stage = Stage::new("outside", provider).await;
        stage.create(1, "").await;
        assert!(stage.checkout.tests().0);
        assert!(!stage.checkout.diff().contains("bin/invoice\n"));
        let review = stage.review("correctness", 1, "").await;
        let remark = &review["findings"][0];
        assert_eq!((&remark["path"], &remark["severity"]), (&json!("bin/invoice"), &json!("minor")));
        assert_eq!(stage.line(remark), "if [ ! -r $1 ]; then");
        assert_eq!(stage.review("maintainability", 1, "").await["findings"], json!([]));
        stage.nothing_refused();
    }
}

#[tokio::test]
async fn all_stories_can_be_merged_one_after_the_other() {
    let sim = ModelSim::start(SimConfig::default()).await.unwrap();
    let checkout = Checkout::new(true);
    let rounds = [("outside", 1), ("stubborn", 4), ("findings", 1), ("findings", 2), ("smooth", 1)];
    for (name, round) in rounds {
        let opening = opening(story(name).unwrap().issue_title, "creator", round);
        checkout.play(&sim, Provider::Anthropic, &opening).await;
        let (passed, output) = checkout.tests();
        assert!(passed, "{name}: {output}");
    }
}

#[tokio::test]
async fn an_unknown_issue_is_recorded_in_every_round_and_nothing_is_found() {
    let sim = ModelSim::start(SimConfig::default()).await.unwrap();
    let checkout = Checkout::new(true);
    let mut trees = vec![checkout.tree()];
    for round in [1, 2] {
        let handed_in = checkout.play(&sim, Provider::OpenAi, &opening("Make tea", "creator", round)).await;
        assert!(handed_in["title"].as_str().unwrap().contains("Make tea"));
        assert!(checkout.read("docs/requests/issue-7.md").contains("Make tea"));
        trees.push(checkout.tree());
    }
    trees.dedup();
    assert_eq!(trees.len(), 3);
    let review = checkout.play(&sim, Provider::OpenAi, &opening("Make tea", "reviewer security", 1)).await;
    assert_eq!(review["findings"], json!([]));
}
