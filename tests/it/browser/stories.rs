//! The main job as a person does it: with the mouse.

use pairbot::demo::{REPOSITORY, STRANGER, Stage, StageSettings};
use pairbot_model_sim::story;

use super::driver::{Browser, in_browser};

/// The demo as `pairbot demo` sets it, with the issue of one story.
pub(super) async fn demo(name: &str) -> (Stage, u64) {
    let stage = Stage::set(StageSettings::default()).await.unwrap();
    let story = story(name).unwrap();
    let issue = stage.open_issue(story.issue_title, story.issue_body).unwrap();
    (stage, issue)
}

/// Opens the issue list, chooses the issue, sets the label, and follows the link to the pull request.
pub(super) async fn ask_for_a_pull_request(browser: &Browser, stage: &Stage, issue: u64) {
    browser.go(&format!("{}/{REPOSITORY}/issues", stage.github.url())).await;
    browser.press(&format!("#item-{issue} a")).await;
    browser.press("#label-set").await;
    browser.see("#opening .reaction[aria-label^=eyes]").await;
    browser.press("#linked a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_takes_an_issue_from_label_to_merge_in_the_browser() {
    in_browser("from_label_to_merge", async |browser| {
        let (stage, issue) = demo("findings").await;
        ask_for_a_pull_request(browser, &stage, issue).await;
        browser.see("#state .open").await;
        browser.press("#pull-tab-files").await;
        browser.see(".diff tr.add").await;
        browser.press("#pull-tab-checks").await;
        browser.read("main", "every rule holds for this commit; a person may merge").await;
        browser.press("#pull-tab").await;
        browser.read("main", "Review by correctness of").await;
        browser.read("checks-summary", "pairbot / ready").await;
        browser.see("//*[@id='merge'][not(@disabled)]").await;
        browser.press("#merge").await;
        browser.read("merged", "Merged by mona").await;
        browser.read("opening", "State: merged at").await;
        browser.press("#closes a").await;
        browser.see("#state .done").await;
        browser.read("main", "Done. Merged by mona").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_draft_merges_only_after_the_maintainer_wrote_retry() {
    in_browser("halted_draft", async |browser| {
        let (stage, issue) = demo("stubborn").await;
        ask_for_a_pull_request(browser, &stage, issue).await;
        browser.read("checks-summary", "gate-failing").await;
        browser.see("#state .draft").await;
        browser.see("//*[@id='merge'][@disabled]").await;
        browser.read("merge-reason", "still a draft").await;
        browser.press(&format!("//select[@id='person']/option[contains(., '{STRANGER}')]")).await;
        browser.read("merge-reason", "Only people with write access").await;
        browser.write("#comment-body", "/retry").await;
        browser.press("#comment-submit").await;
        browser.read("main", "Commands are taken from people with write access").await;
        browser.press("//select[@id='person']/option[contains(., 'mona')]").await;
        browser.write("#comment-body", "/retry").await;
        browser.press("#comment-submit").await;
        browser.see("#state .open").await;
        browser.see("//*[@id='merge'][not(@disabled)]").await;
        browser.press("#merge").await;
        browser.read("merged", "Merged by mona").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_that_the_visitor_writes_is_worked_on_too() {
    in_browser("own_issue", async |browser| {
        let (stage, _) = demo("smooth").await;
        browser.go(&format!("{}/{REPOSITORY}/issues", stage.github.url())).await;
        browser.write("#issue-title", "Say which currency the amounts are in").await;
        browser.write("#issue-body", "The README does not say it.").await;
        browser.press("#open-issue").await;
        browser.press("#label-set").await;
        browser.press("#linked a").await;
        browser.see("//*[@id='merge'][not(@disabled)]").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_and_opened_survives_the_refresh() {
    in_browser("typed_text", async |browser| {
        let (stage, issue) = demo("smooth").await;
        browser.go(&format!("{}/{REPOSITORY}/issues/{issue}", stage.github.url())).await;
        browser.write("#comment-body", "half a sentence").await;
        stage.github.person(STRANGER).comment(REPOSITORY, issue, "something new").unwrap();
        browser.read("main", "something new").await;
        browser.write("#comment-body", ", and the other half").await;
        let typed = browser.script("return document.getElementById('comment-body').value").await;
        assert_eq!(typed, "half a sentence, and the other half");
        let stranger = stage.github.person(STRANGER);
        let folded =
            |cost: u64| format!("<details><summary>Cost: ${cost}</summary>\n\nper call\n\n</details>");
        let comment = stranger.comment(REPOSITORY, issue, &folded(1)).unwrap();
        let id = format!("comment-{comment}");
        browser.press(&format!("#{id} summary")).await;
        stranger.edit_comment(REPOSITORY, comment, &folded(2)).unwrap();
        browser.read(&id, "Cost: $2").await;
        assert!(browser.see(&format!("#{id} .markdown")).await.contains("per call"));
    })
    .await;
}
