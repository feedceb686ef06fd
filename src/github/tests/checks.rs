use pairbot_protocol::ids::CheckRunId;
use pairbot_protocol::signal::Annotation;
use serde_json::{Value, json};

use super::script::{SHA, Stage, TestLicence, ok, status};
use crate::github::{CheckAction, CheckRun, CheckState, Conclusion, ForeignState};

const CREATE: &str = "POST /repos/octo/hello/check-runs";
const UPDATE: &str = "PATCH /repos/octo/hello/check-runs/8000000000";
const READ: &str = "GET /repos/octo/hello/check-runs/8000000000";
const ID: CheckRunId = CheckRunId(8_000_000_000);

fn annotation(number: u32) -> Annotation {
    Annotation {
        path: "src/a.rs".to_owned(),
        line_start: number + 1,
        line_end: number,
        message: format!("wrong {number}"),
    }
}

fn run(annotations: u32) -> CheckRun {
    CheckRun {
        name: "pairbot / size".to_owned(),
        head: SHA.parse().unwrap(),
        external_id: "9-3-1:size:abc".to_owned(),
        state: CheckState::Completed(Conclusion::Failure),
        title: "too large".to_owned(),
        summary: "x".repeat(70_000),
        text: None,
        annotations: (0..annotations).map(annotation).collect(),
        actions: (0..5)
            .map(|number| CheckAction {
                label: format!("Label number {number} is long"),
                description: "d".repeat(50),
                identifier: format!("a{number}"),
            })
            .collect(),
        details_url: None,
    }
}

fn wire(id: u64, app: u64, external_id: &str, annotations: usize) -> Value {
    json!({
        "id": id, "name": "pairbot / size", "status": "completed", "conclusion": "failure",
        "external_id": external_id, "html_url": "https://h/c", "app": { "id": app, "slug": "x" },
        "output": { "annotations_count": annotations },
    })
}

fn written() -> super::script::Reply {
    ok(&json!({ "id": ID }))
}

#[tokio::test]
async fn annotations_go_fifty_at_a_time_and_the_conclusion_with_the_last() {
    let stage = Stage::new();
    stage.script.on(CREATE, written()).on(UPDATE, written()).on(UPDATE, written());
    assert_eq!(stage.repository().put_check_run(&TestLicence, &run(120), None, false).await, Ok(ID));
    let sent: Vec<_> = stage
        .script
        .seen()
        .iter()
        .map(|seen| {
            let count = seen.body["output"]["annotations"].as_array().unwrap().len();
            (count, seen.body["status"].clone(), seen.body["conclusion"].clone())
        })
        .collect();
    assert_eq!(
        sent,
        [
            (50, json!("in_progress"), Value::Null),
            (50, json!("in_progress"), Value::Null),
            (20, json!("completed"), json!("failure"))
        ]
    );
}

#[tokio::test]
async fn texts_and_buttons_stay_within_githubs_limits() {
    let stage = Stage::new();
    stage.script.on(CREATE, written());
    stage.repository().put_check_run(&TestLicence, &run(1), None, false).await.unwrap();
    let sent = &stage.script.seen()[0].body;
    assert!(sent["output"]["summary"].as_str().unwrap().len() <= 65_535);
    let actions = sent["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 3);
    assert!(actions.iter().all(|action| action["label"].as_str().unwrap().len() <= 20));
    assert!(actions.iter().all(|action| action["description"].as_str().unwrap().len() <= 40));
    let first = &sent["output"]["annotations"][0];
    assert_eq!(
        (&first["start_line"], &first["end_line"]),
        (&json!(1), &json!(1)),
        "it cannot end before its start"
    );
}

#[tokio::test]
async fn an_earlier_attempt_is_found_by_external_id_among_our_own() {
    let stage = Stage::new();
    let list = format!(
        "GET /repos/octo/hello/commits/{SHA}/check-runs?check_name=pairbot%20%2F%20size&app_id=77&filter=latest&per_page=100"
    );
    let runs = json!({ "total_count": 3, "check_runs": [
        wire(1, 78, "9-3-1:size:abc", 0), wire(2, 77, "9-3-2:size:abc", 0), wire(ID.0, 77, "9-3-1:size:abc", 0),
    ] });
    stage.script.on(&list, ok(&runs)).on(UPDATE, written());
    assert_eq!(stage.repository().put_check_run(&TestLicence, &run(0), None, true).await, Ok(ID));
    stage.script.on(&list, ok(&json!({ "check_runs": [wire(1, 78, "9-3-1:size:abc", 0)] })));
    stage.script.on(CREATE, status(201, &json!({ "id": 5 })));
    let made = stage.repository().put_check_run(&TestLicence, &run(0), None, true).await;
    assert_eq!(made, Ok(CheckRunId(5)), "another app's check run is not ours");
}

#[tokio::test]
async fn a_check_run_that_took_anothers_place_is_found_though_its_answer_was_lost() {
    let stage = Stage::new();
    let list = format!(
        "GET /repos/octo/hello/commits/{SHA}/check-runs?check_name=pairbot%20%2F%20size&app_id=77&filter=latest&per_page=100"
    );
    let runs = json!({ "check_runs": [wire(ID.0, 77, "9-3-1:size:abc", 2), wire(8_000_000_001, 77, "9-3-1:size:abc", 0)] });
    stage
        .script
        .on(&list, ok(&runs))
        .on("PATCH /repos/octo/hello/check-runs/8000000001", ok(&json!({ "id": 8_000_000_001_u64 })));
    let known = Some(ID);
    let filled = stage.repository().put_check_run(&TestLicence, &run(0), known, true).await;
    assert_eq!(filled, Ok(CheckRunId(8_000_000_001)), "not a third one, and not the one that was replaced");
}

fn shown(numbers: std::ops::Range<u32>) -> Value {
    numbers
        .map(|number| {
            json!({ "path": "src/a.rs", "start_line": number + 1, "end_line": number + 1,
                    "annotation_level": "failure", "message": format!("wrong {number}"), "title": null })
        })
        .collect::<Vec<_>>()
        .into()
}

#[tokio::test]
async fn annotations_that_are_shown_already_are_not_added_again() {
    let stage = Stage::new();
    let list = "GET /repos/octo/hello/check-runs/8000000000/annotations?per_page=100";
    stage.script.on(READ, ok(&wire(ID.0, 77, "x", 2))).on(list, ok(&shown(0..2))).on(UPDATE, written());
    assert_eq!(stage.repository().put_check_run(&TestLicence, &run(3), Some(ID), false).await, Ok(ID));
    let sent = stage.script.seen().pop().unwrap().body;
    assert_eq!(
        sent["output"]["annotations"],
        json!([{ "path": "src/a.rs", "start_line": 3, "end_line": 3,
        "annotation_level": "failure", "message": "wrong 2" }])
    );
}

#[tokio::test]
async fn a_check_run_with_outdated_annotations_is_replaced() {
    let stage = Stage::new();
    let list = "GET /repos/octo/hello/check-runs/8000000000/annotations?per_page=100";
    stage.script.on(READ, ok(&wire(ID.0, 77, "x", 1))).on(list, ok(&shown(7..8)));
    stage.script.on(CREATE, status(201, &json!({ "id": 5 })));
    let mut again = run(0);
    again.state = CheckState::InProgress;
    let put = stage.repository().put_check_run(&TestLicence, &again, Some(ID), false).await;
    assert_eq!(put, Ok(CheckRunId(5)));
    let sent = stage.script.seen().pop().unwrap().body;
    assert_eq!((&sent["status"], sent.get("conclusion")), (&json!("in_progress"), None));
}

#[tokio::test]
async fn others_are_heard_with_their_newest_word_and_we_are_not() {
    let stage = Stage::new();
    let runs = format!("GET /repos/octo/hello/commits/{SHA}/check-runs?filter=latest&per_page=100");
    let statuses = format!("GET /repos/octo/hello/commits/{SHA}/status?per_page=100");
    let other = |id: u64, name: &str, status: &str, conclusion: Value| {
        json!({ "id": id, "name": name, "status": status, "conclusion": conclusion, "app": { "id": 1, "slug": "ci" },
                "html_url": "https://h/c" })
    };
    let first = json!({ "check_runs": [
        wire(1, 77, "ours", 0),
        other(3, "build", "completed", json!("success")),
        other(2, "build", "completed", json!("failure")),
    ] });
    let second = json!({ "check_runs": [
        other(4, "lint", "completed", json!("skipped")),
        other(5, "slow", "queued", Value::Null),
        other(6, "e2e", "completed", json!("timed_out")),
    ] });
    let link = format!(
        "<https://api.github.com/repositories/1/commits/{SHA}/check-runs?filter=latest&per_page=100&page=2>; rel=\"next\""
    );
    stage.script.on(&runs, ok(&first).with("link", &link)).on(&format!("{runs}&page=2"), ok(&second));
    let contexts = json!({ "state": "failure", "statuses": [
        { "context": "ci/old", "state": "error", "target_url": null },
        { "context": "ci/new", "state": "pending", "target_url": "https://h/s" },
    ] });
    stage.script.on(&statuses, ok(&contexts));
    let checks = stage.repository().list_foreign_checks(&SHA.parse().unwrap()).await.unwrap();
    let states: Vec<_> = checks.into_iter().map(|check| (check.name, check.state)).collect();
    assert_eq!(
        states,
        [
            ("build".to_owned(), ForeignState::Passed),
            ("e2e".to_owned(), ForeignState::Failed),
            ("lint".to_owned(), ForeignState::Unclear("skipped".to_owned())),
            ("slow".to_owned(), ForeignState::Pending),
            ("ci/old".to_owned(), ForeignState::Failed),
            ("ci/new".to_owned(), ForeignState::Pending),
        ]
    );
}
