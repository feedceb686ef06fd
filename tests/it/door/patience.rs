//! Bodies that are giant, broken or slow.

use std::time::Duration;

use futures_util::future::join_all;
use pairbot::gateway::Api;
use secrecy::ExposeSecret as _;
use tokio::io::AsyncWriteExt as _;

use super::stage::{ALL, DOLLAR, Stage, ask, ask_bytes, body, bytes, message};
use super::wire;

#[tokio::test]
async fn a_giant_body_is_refused_before_it_is_read() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    let token = door.token().expose_secret();
    let head = |length: &str| {
        format!(
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {token}\r\n{length}\r\n\r\n"
        )
    };
    let announced = wire::begin(door.socket(), head("content-length: 99999999999").as_bytes()).await;
    let answer = wire::hear(announced).await;
    assert_eq!((answer.status, answer.json()["error"]["type"].as_str()), (413, Some("request_too_large")));

    let mut unannounced = wire::begin(door.socket(), head("transfer-encoding: chunked").as_bytes()).await;
    let piece = [b"100000\r\n".as_slice(), &vec![b'x'; 0x10_0000], b"\r\n"].concat();
    for _ in 0..20 {
        if unannounced.write_all(&piece).await.is_err() {
            break;
        }
    }
    assert_eq!(wire::hear(unannounced).await.status, 413);
    assert_eq!(stage.asked(), 0);
}

#[tokio::test]
async fn garbage_gets_a_clean_answer_in_the_apis_words() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    let deep = format!("{{\"messages\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let garbage: [&[u8]; 8] =
        [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{\"model\":7}", b"{} trailing", deep.as_bytes()];
    for (api, _) in ALL {
        for bytes in garbage {
            let answer = ask_bytes(&door, api, bytes).await;
            assert!(matches!(answer.status, 400 | 404), "{api}: {answer:?}");
            assert!(!message(&answer).is_empty());
        }
    }
    assert_eq!(stage.asked(), 0);
}

#[tokio::test]
async fn a_body_that_is_compressed_is_refused() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    let asked = body(Api::Responses, true, "go", None).to_string();
    let request = bytes(Api::Responses, door.token().expose_secret(), asked.as_bytes());
    let request = String::from_utf8(request).unwrap().replacen("\r\n", "\r\ncontent-encoding: zstd\r\n", 1);
    let answer = wire::hear(wire::begin(door.socket(), request.as_bytes()).await).await;
    assert_eq!(answer.status, 400);
    assert!(message(&answer).contains("compressed"));
}

#[tokio::test]
async fn a_slow_client_is_sent_away_and_holds_up_no_other() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    let asked = body(Api::Chat, false, "go", None).to_string();
    let request = bytes(Api::Chat, door.token().expose_secret(), asked.as_bytes());
    let slow = wire::begin(door.socket(), &request[..request.len() - 10]).await;
    assert_eq!(ask(&door, Api::Chat, &body(Api::Chat, false, "go", None)).await.status, 200);
    while stage.clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    stage.clock.advance(Duration::from_mins(3));
    let answer = wire::hear(slow).await;
    assert_eq!(answer.status, 408, "{answer:?}");
    assert_eq!(stage.asked(), 1);
}

/// An agent has 64 seats: who comes beyond them waits, and nobody is turned away.
#[tokio::test]
async fn an_agent_that_opens_many_connections_waits_for_its_own_seats() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    let mut idle = Vec::new();
    for _ in 0..64 {
        idle.push(wire::begin(door.socket(), b"").await);
    }
    let asked = body(Api::Chat, false, "go", None);
    let mut waiting = Box::pin(ask(&door, Api::Chat, &asked));
    // Another task has a door, and seats, of its own: it is answered often while this one waits.
    let elsewhere = stage.door().await;
    for _ in 0..10 {
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert_eq!(ask(&elsewhere, Api::Chat, &asked).await.status, 200);
    }
    assert!(futures_util::poll!(&mut waiting).is_pending());
    idle.clear();
    assert_eq!(waiting.await.status, 200);
    let many = join_all((0..100).map(|_| ask(&door, Api::Chat, &asked))).await;
    assert!(many.iter().all(|answer| answer.status == 200));
}
