//! Promises that every page keeps, whatever is on it.

use pairbot::demo::{REPOSITORY, Stage};
use serde_json::json;

use super::driver::{Browser, in_browser};
use super::stories::{ask_for_a_pull_request, demo};

/// Fields without a name that is read out, ids that occur twice, and elements wider than the window.
const FAULTS: &str = "
const faults = [];
for (const field of document.querySelectorAll('input:not([type=hidden]), select, textarea'))
  if (!field.labels.length) faults.push('no label: ' + field.id);
for (const button of document.querySelectorAll('button, a'))
  if (!button.textContent.trim()) faults.push('no words: ' + button.outerHTML);
const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) faults.push('id twice: ' + id);
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
if (wide > 0) faults.push('the page is ' + wide + ' px wider than its window');
return faults;";

/// Every page of the repository once the issue's pull request waits for a person.
async fn pages(browser: &Browser, stage: &Stage, issue: u64) -> Vec<String> {
    ask_for_a_pull_request(browser, stage, issue).await;
    browser.see("//*[@id='merge'][not(@disabled)]").await;
    let pull = stage.github.pulls(REPOSITORY).unwrap()[0].number;
    let root = format!("{}/{REPOSITORY}", stage.github.url());
    let repository = ["issues", "pulls"].map(|page| format!("{root}/{page}"));
    let parts = ["", "/commits", "/checks", "/files"].map(|part| format!("{root}/pull/{pull}{part}"));
    let issue = format!("{root}/issues/{issue}");
    repository.into_iter().chain(parts).chain([issue, stage.github.url().to_owned()]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_narrow_window_and_names_what_can_be_pressed() {
    in_browser("narrow_window", async |browser| {
        let (stage, issue) = demo("findings").await;
        let pages = pages(browser, &stage, issue).await;
        for width in [1200, 600] {
            browser.widen(width).await;
            for page in &pages {
                browser.go(page).await;
                // What is folded must fit as well.
                browser
                    .script("document.querySelectorAll('details').forEach((part) => part.open = true)")
                    .await;
                assert_eq!(browser.script(FAULTS).await, json!([]), "{page} at {width} px");
            }
        }
    })
    .await;
}
