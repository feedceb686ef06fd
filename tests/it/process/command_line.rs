//! The commands that need no GitHub.

use pairbot_model_sim::STORIES;

use super::server::{ended, pairbot};

#[tokio::test]
async fn a_server_without_settings_names_every_one_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = pairbot(&["serve"], &[]);
    command.current_dir(folder.path());
    let refused = ended(command).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for name in ["APP_ID", "PRIVATE_KEY", "WEBHOOK_SECRET"] {
        assert!(refused.stderr.contains(name), "{name} is not named: {refused:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it left something behind");
}

#[tokio::test]
async fn the_demo_plays_the_second_story_to_the_merge_and_sums_it_up_as_json() {
    let played = ended(pairbot(&["demo", "--once", "--json"], &[])).await;
    assert_eq!(played.code, Some(0), "{played:?}");
    let summary: serde_json::Value = serde_json::from_str(&played.stdout).unwrap();
    assert_eq!(summary["outcome"], "merged");
    assert_eq!(summary["rounds"], 2);
    assert!(summary["run"].is_string() && summary["issue"].is_u64() && summary["pull_request"].is_u64());
    assert_eq!(summary["reviews"].as_array().unwrap().len(), 4);
    let findings = summary["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 2);
    for finding in findings {
        assert!(finding["id"].is_string() && finding["severity"].is_string(), "{finding}");
        assert_eq!(finding["state"], "fixed");
    }
    let checks = summary["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 5);
    for check in checks {
        assert!(check["name"].as_str().unwrap().starts_with("pairbot / "), "{check}");
        assert_eq!(check["conclusion"], "success");
        assert_eq!(check["head_sha"], checks[0]["head_sha"]);
    }
    assert!(summary["cost"]["usd"].as_f64().unwrap() > 0.0);
    assert!(summary["cost"]["input_tokens"].as_u64().unwrap() > 0);
    assert!(summary["cost"]["output_tokens"].as_u64().unwrap() > 0);
    assert!(summary["deliveries"].as_u64().unwrap() > 0 && summary["events"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn an_unknown_story_is_refused_with_a_list_of_those_there_are() {
    let refused = ended(pairbot(&["demo", "--once", "--story", "nonesuch"], &[])).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for story in STORIES {
        assert!(refused.stderr.contains(story.name), "{} is not listed: {refused:?}", story.name);
    }
}

#[tokio::test]
async fn a_policy_is_checked_and_what_is_wrong_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yml");
    let file = path.to_str().unwrap();
    std::fs::write(&path, pairbot_model_sim::DEMO_POLICY).unwrap();
    let valid = ended(pairbot(&["check-policy", file], &[])).await;
    assert_eq!(valid.code, Some(0), "{valid:?}");
    assert!(valid.stdout.contains("valid"), "{valid:?}");
    std::fs::write(&path, "version: 1\nronds: 3\n").unwrap();
    let invalid = ended(pairbot(&["check-policy", file], &[])).await;
    assert_eq!(invalid.code, Some(1), "{invalid:?}");
    assert!(invalid.stdout.contains("policy.yml:2") && invalid.stdout.contains("ronds"), "{invalid:?}");
    let absent = ended(pairbot(&["check-policy", "/nowhere/policy.yml"], &[])).await;
    assert_eq!(absent.code, Some(2), "{absent:?}");
}
