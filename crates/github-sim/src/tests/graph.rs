//! What exists only in GraphQL.

use serde_json::{Value, json};

use super::stage::{REPO, Stage};

async fn ask(stage: &Stage, token: &str, query: &str, variables: Value) -> Value {
    let body = json!({"query": query, "variables": variables});
    let answer = stage.send(token, "POST", "/graphql", body).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    answer.json
}

#[tokio::test]
async fn a_draft_is_made_ready_and_a_thread_resolved() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    let (pull, head) = stage.pull(&token).await;
    let comment = json!({"path": "src/cart.txt", "line": 3, "side": "RIGHT", "body": "loud"});
    let body = json!({"commit_id": head, "event": "COMMENT", "comments": [comment]});
    stage.send(&token, "POST", &format!("/repos/{REPO}/pulls/{pull}/reviews"), body).await;
    let query = "query($o:String!,$n:String!,$p:Int!){repository(owner:$o,name:$n){pullRequest(number:$p){id isDraft
        reviewThreads(first:1){nodes{id isResolved isOutdated path line comments(first:5){nodes{databaseId body}}}
        pageInfo{hasNextPage endCursor}}}}}";
    let variables = json!({"o": "acme", "n": "SHOP", "p": pull});
    let before = ask(&stage, &token, query, variables.clone()).await;
    let found = &before["data"]["repository"]["pullRequest"];
    assert_eq!(found["isDraft"], json!(true));
    let thread = &found["reviewThreads"]["nodes"][0];
    assert_eq!((&thread["line"], &thread["isResolved"]), (&json!(3), &json!(false)));
    assert_eq!(thread["comments"]["nodes"][0]["body"], json!("loud"));
    assert_eq!(found["reviewThreads"]["pageInfo"]["hasNextPage"], json!(false));
    let ready =
        "mutation($id:ID!){markPullRequestReadyForReview(input:{pullRequestId:$id}){pullRequest{isDraft}}}";
    let answer = ask(&stage, &token, ready, json!({"id": found["id"]})).await;
    assert_eq!(answer["data"]["markPullRequestReadyForReview"]["pullRequest"]["isDraft"], json!(false));
    let resolve =
        "mutation R($in:ResolveReviewThreadInput!){done:resolveReviewThread(input:$in){thread{isResolved}}}";
    let answer = ask(&stage, &token, resolve, json!({"in": {"threadId": thread["id"]}})).await;
    assert_eq!(answer["data"]["done"]["thread"]["isResolved"], json!(true), "{answer}");
    let reply = "mutation($t:ID!){addPullRequestReviewThreadReply(input:{pullRequestReviewThreadId:$t,body:\"ok\"}){comment{databaseId replyTo{body}}}}";
    let answer = ask(&stage, &token, reply, json!({"t": thread["id"]})).await;
    assert_eq!(
        answer["data"]["addPullRequestReviewThreadReply"]["comment"]["replyTo"]["body"],
        json!("loud")
    );
    let seen = stage.sim.reviews(REPO, pull).expect("reviews");
    assert!(seen[0].comments[0].resolved);
    assert!(!stage.sim.pull(REPO, pull).expect("it").draft);
    let back =
        "mutation($id:ID!){convertPullRequestToDraft(input:{pullRequestId:$id}){pullRequest{isDraft}}}";
    let answer = ask(&stage, &token, back, json!({"id": found["id"]})).await;
    assert_eq!(answer["data"]["convertPullRequestToDraft"]["pullRequest"]["isDraft"], json!(true));
}

#[tokio::test]
async fn a_comment_is_hidden_and_a_node_found_by_its_id() {
    let stage = Stage::new().await;
    let issue = stage.alice.open_issue(REPO, "One", "", &[]).expect("an issue");
    let token = stage.token().await;
    let path = format!("/repos/{REPO}/issues/{issue}/comments");
    let comment = stage.send(&token, "POST", &path, json!({"body": "old"})).await;
    let id = comment.json["node_id"].clone();
    let hide = "mutation($id:ID!){minimizeComment(input:{subjectId:$id,classifier:OUTDATED}){minimizedComment{isMinimized minimizedReason}}}";
    let answer = ask(&stage, &token, hide, json!({"id": id})).await;
    assert_eq!(answer["data"]["minimizeComment"]["minimizedComment"]["isMinimized"], json!(true), "{answer}");
    let query = "query($id:ID!){node(id:$id){__typename ...on IssueComment{body} ...on PullRequest{title}}}";
    let answer = ask(&stage, &token, query, json!({"id": id})).await;
    assert_eq!(answer["data"]["node"], json!({"__typename": "IssueComment", "body": "old"}));
    assert!(stage.sim.comments(REPO, issue).expect("comments")[0].minimized);
}

#[tokio::test]
async fn errors_come_inside_a_200() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    for (query, words) in [
        (
            "{repository(owner:\"acme\",name:\"shop\"){nonsense}}",
            "Field 'nonsense' doesn't exist on type 'Repository'",
        ),
        ("{repository(owner:\"acme\",name:\"none\"){id}}", "Could not resolve to a Repository"),
        ("{node(id:\"PR_1\"){id}}", "Could not resolve to a node"),
        ("mutation{explode(input:{}){x}}", "Field 'explode' doesn't exist on type 'Mutation'"),
        ("{repository(owner:\"acme\",name:\"shop\"){pullRequests{nodes{id}}}}", "You must provide a `first`"),
        ("{repository(", "Unexpected end of document"),
    ] {
        let answer = ask(&stage, &token, query, Value::Null).await;
        let message = answer["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(message.contains(words), "{query}: {answer}");
    }
    assert_eq!(stage.send("", "POST", "/graphql", json!({"query": "{x}"})).await.status, 401);
}
