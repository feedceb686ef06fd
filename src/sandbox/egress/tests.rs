use proptest::prelude::*;
use tokio::net::TcpListener;

use super::request::asked;
use super::rules::is_elsewhere;
use super::*;

fn rules(text: &str) -> EgressRules {
    text.parse().unwrap()
}

/// A host that says what it hears, loudly.
async fn host() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _closed = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    port
}

/// Asks, and gives the connection with the first line of the answer.
async fn ask(egress: &Egress, request: &str) -> (UnixStream, String) {
    let mut stream = UnixStream::connect(egress.socket()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    (stream, head.lines().next().unwrap().to_owned())
}

#[tokio::test]
async fn a_host_of_the_list_is_reached_and_what_passed_is_told() {
    let place = tempfile::tempdir().unwrap();
    let port = host().await;
    let egress = Egress::open(place.path(), Arc::new(rules(&format!("127.0.0.1:{port}")))).unwrap();
    let (mut stream, answer) =
        ask(&egress, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert_eq!(answer, "HTTP/1.1 200 Connection established");
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "hello");
    while egress.records().is_empty() {
        tokio::task::yield_now().await;
    }
    let asked = format!("127.0.0.1:{port}");
    assert_eq!(egress.records(), [EgressRecord { asked, refused: None, times: 1, sent: 5, received: 5 }]);
}

#[tokio::test]
async fn a_connection_that_its_host_never_ends_is_told_all_the_same() {
    let place = tempfile::tempdir().unwrap();
    let port = host().await;
    let egress = Egress::open(place.path(), Arc::new(rules(&format!("127.0.0.1:{port}")))).unwrap();
    let (mut stream, _) = ask(&egress, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n")).await;
    assert_eq!(egress.records().len(), 1);
    stream.write_all(b"secret").await.unwrap();
    stream.read_exact(&mut [0; 6]).await.unwrap();
    while egress.records().first().is_none_or(|record| (record.sent, record.received) != (6, 6)) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn connections_beyond_those_that_are_remembered_are_told_together() {
    let place = tempfile::tempdir().unwrap();
    let port = host().await;
    let egress = Egress::open(place.path(), Arc::new(rules(&format!("127.0.0.1:{port}")))).unwrap();
    for number in 0..RECORDS_MAX + 2 {
        ask(&egress, &format!("CONNECT noise-{number}.example:443 HTTP/1.1\r\n\r\n")).await;
    }
    let (mut stream, _) = ask(&egress, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n")).await;
    stream.write_all(b"secret").await.unwrap();
    stream.shutdown().await.unwrap();
    stream.read_to_string(&mut String::new()).await.unwrap();
    let records = egress.records();
    assert_eq!(records.iter().map(|record| record.times).sum::<u32>(), 203);
    let made: Vec<_> = records.iter().filter(|record| record.refused.is_none()).collect();
    let asked = FURTHER.to_owned();
    assert_eq!(made, [&EgressRecord { asked, refused: None, times: 1, sent: 6, received: 6 }]);
}

#[tokio::test]
async fn no_other_host_is_reached_and_the_refusal_is_told() {
    let place = tempfile::tempdir().unwrap();
    let port = host().await;
    let allowed = format!("registry.example localhost:{port} 127.0.0.1:1");
    let egress = Egress::open(place.path(), Arc::new(rules(&allowed))).unwrap();
    for (request, status) in [
        (format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n"), 403),
        ("CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n".to_owned(), 403),
        ("CONNECT registry.example:80 HTTP/1.1\r\n\r\n".to_owned(), 403),
        ("CONNECT registry.example.evil:443 HTTP/1.1\r\n\r\n".to_owned(), 403),
        // A name of the list that leads back here.
        (format!("CONNECT localhost:{port} HTTP/1.1\r\n\r\n"), 403),
        ("CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n".to_owned(), 502),
        ("GET http://registry.example/ HTTP/1.1\r\n\r\n".to_owned(), 400),
    ] {
        let (_stream, answer) = ask(&egress, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
    assert_eq!(egress.records().iter().filter(|record| record.refused.is_some()).count(), 7);
}

#[tokio::test]
async fn what_leaves_a_cage_is_bounded_over_all_its_connections() {
    let place = tempfile::tempdir().unwrap();
    let port = host().await;
    let egress = Egress::open(place.path(), Arc::new(rules(&format!("127.0.0.1:{port}")))).unwrap();
    let chunk = vec![0_u8; 1024 * 1024];
    for _ in 0..3 {
        let (mut stream, _) = ask(&egress, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n")).await;
        let (mut from, mut to) = stream.split();
        let write = async {
            for _ in 0..4 {
                // Cut off in the middle, once the bound is reached.
                let _cut = to.write_all(&chunk).await;
            }
            let _cut = to.shutdown().await;
        };
        let read = async { tokio::io::copy(&mut from, &mut tokio::io::sink()).await };
        let _ended = tokio::join!(write, read);
    }
    while egress.records().len() < 3 {
        tokio::task::yield_now().await;
    }
    let sent: u64 = egress.records().iter().map(|record| record.sent).sum();
    assert!(sent <= SENT_BYTES_MAX && sent > SENT_BYTES_MAX / 2, "{sent}");
}

#[tokio::test]
async fn a_way_out_that_was_closed_is_closed_for_open_connections_too() {
    let place = tempfile::tempdir().unwrap();
    let port = host().await;
    let egress = Egress::open(place.path(), Arc::new(rules(&format!("127.0.0.1:{port}")))).unwrap();
    let (mut stream, _) = ask(&egress, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n")).await;
    drop(egress);
    assert!(stream.read_u8().await.is_err());
}

#[test]
fn a_rule_names_a_host_and_nothing_wider() {
    let list = rules("registry.npmjs.org, *.pythonhosted.org\nmirror.example:8443");
    for (host, port, allowed) in [
        ("registry.npmjs.org", 443, true),
        ("REGISTRY.npmjs.org", 443, true),
        ("registry.npmjs.org", 80, false),
        ("evil-registry.npmjs.org", 443, false),
        ("files.pythonhosted.org", 443, true),
        ("pythonhosted.org", 443, false),
        ("evilpythonhosted.org", 443, false),
        ("mirror.example", 8443, true),
        ("mirror.example", 443, false),
    ] {
        assert_eq!(list.allow(host, port), allowed, "{host}:{port}");
    }
    for wrong in ["*", "*.org", "https://registry.npmjs.org", "a b:0", "x:99999", "a..b", "a/b"] {
        assert!(wrong.parse::<EgressRules>().is_err(), "{wrong}");
    }
    assert!(rules(" ,\n").is_empty());
}

#[test]
fn this_machine_and_its_link_are_not_elsewhere() {
    for back in [
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "0.0.0.0",
        "::1",
        "fe80::1",
        "::ffff:127.0.0.1",
        "fd00:ec2::254",
    ] {
        assert!(!is_elsewhere(back.parse().unwrap()), "{back}");
    }
    for away in ["104.16.0.1", "10.0.0.7", "2606:4700::1"] {
        assert!(is_elsewhere(away.parse().unwrap()), "{away}");
    }
}

proptest! {
    #[test]
    fn no_request_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), target in ".{0,40}") {
        let _read = asked(&bytes);
        if let Some(asked) = asked(format!("CONNECT {target} HTTP/1.1\r\n\r\n").as_bytes()) {
            prop_assert!(!asked.host.is_empty() && asked.port > 0 && !asked.host.contains(' '));
        }
    }
}
