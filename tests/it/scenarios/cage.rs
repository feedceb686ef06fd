//! Commands of gates and agents in the sandbox, seen from GitHub.

use pairbot::config::Sandbox;
use pairbot::demo::{Models, REPOSITORY, StageSettings};
use pairbot_model_sim::{Reply, Script};
use pairbot_protocol::event::Event;
use pairbot_protocol::signal::Contact;

use super::world::{World, set_file, writes};
use crate::cage::stage::Layer;

fn caged(settings: &mut StageSettings) {
    settings.sandbox = Sandbox::Auto;
    settings.tuning.program = Some(env!("CARGO_BIN_EXE_pairbot").into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_in_the_sandbox_is_red_at_the_place_it_names_and_says_where_it_ran() {
    let policy = "rounds: 1\ngates: { lint: { command: \"echo $PWD/one.txt:2: boom; exit 1\" } }\n";
    let world = World::with(|settings| {
        caged(settings);
        set_file(settings, ".github/pairbot.yml", policy);
    })
    .await;
    let issue = world.issue_of(writes("Caged", &[("one.txt", "1\n2\n")]));
    world.label(issue).await;
    let check = world.check(issue, "lint");
    assert!(check.summary.as_deref().is_some_and(|text| text.contains("/work/one.txt:2: boom")), "{check:?}");
    assert!(check.summary.as_deref().is_some_and(|text| text.contains("in a sandbox")), "{check:?}");
    let place = check.annotations.first().map(|note| (note["path"].clone(), note["start_line"].clone()));
    assert_eq!(place, Some(("one.txt".into(), 2.into())), "{check:?}");
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: a gate does not pass: lint
pull draft: Caged
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 lint=failure paths=success ready=action_required review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_command_runs_in_the_sandbox_and_what_it_wrote_is_the_change() {
    let command = "pwd >where.txt; echo $HOME >>where.txt; cat /etc/hostname >>where.txt; sh run-tests.sh";
    let turns = vec![Reply::run_command(command), Reply::hand_in("Tell where", "As asked.", [])];
    let world = World::with(|settings| {
        caged(settings);
        let script = Script::for_title("Where").creator(vec![turns]);
        settings.models = Models::Scripted { extra: vec![script] };
    })
    .await;
    let issue = world.stage.open_issue("Where", "Please.").unwrap();
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "awaiting-human");
    let head = world.pull(issue).head_sha;
    let written = world.stage.github.file(REPOSITORY, &head, "where.txt").unwrap();
    assert_eq!(written.as_deref(), Some("/work\n/home/agent\n"));
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
pull ready: Tell where
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

/// Asks for a connection as a package manager does, says a word, and prints what comes back.
const REACH: &str = r#"use IO::Socket::INET;
my ($proxy) = $ENV{HTTPS_PROXY} =~ m{//(.*)} or die "no way out";
my $out = IO::Socket::INET->new($proxy) or die "no relay: $!";
print $out "CONNECT $ARGV[0] HTTP/1.1\r\n\r\n";
my $answer = <$out>;
$answer =~ / 200 / or die $answer;
while (<$out>) { last if $_ eq "\r\n" }
print $out "please\n";
print scalar <$out>;
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_set_up_reaches_the_hosts_that_the_operator_named_and_nothing_else_reaches_any() {
    let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = registry.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::{BufRead as _, Write as _};
        for stream in registry.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = String::new();
            std::io::BufReader::new(stream.try_clone().unwrap()).read_line(&mut asked).unwrap();
            if asked == "please\n" {
                stream.write_all(b"a package\n").unwrap();
            }
        }
    });
    let reach = format!("perl reach.pl 127.0.0.1:{port}");
    let line = format!("{reach} >deps && {{ ! perl reach.pl 169.254.169.254:80; }}");
    let policy = format!(
        "rounds: 1\nsetup: {{ command: \"{line}\" }}\ngates: {{ fetch: {{ command: \"! {reach} && cat deps\" }} }}\n"
    );
    let agent = format!("{reach}; cat deps >one.txt");
    let turns = vec![Reply::run_command(&agent), Reply::hand_in("Fetched", "As asked.", [])];
    let world = World::with(|settings| {
        caged(settings);
        settings.egress = format!("127.0.0.1:{port}").parse().unwrap();
        set_file(settings, "reach.pl", REACH);
        set_file(settings, ".gitignore", "deps\n");
        set_file(settings, ".github/pairbot.yml", &policy);
        let script = Script::for_title("Fetch").creator(vec![turns]);
        settings.models = Models::Scripted { extra: vec![script] };
    })
    .await;
    let issue = world.stage.open_issue("Fetch", "Please.").unwrap();
    world.label(issue).await;
    let check = world.check(issue, "fetch");
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:?}");
    let summary = check.summary.unwrap_or_default();
    for said in [
        "no way out",
        "a package",
        &format!("`127.0.0.1:{port}`: 1 times, 7 bytes out, 10 bytes in"),
        "`169.254.169.254:80`: refused 1 times, the server's operator has not allowed this host",
        "but for the set-up hosts that its operator named",
    ] {
        assert!(summary.contains(said), "{said}: {summary}");
    }
    let head = world.pull(issue).head_sha;
    let written = world.stage.github.file(REPOSITORY, &head, "one.txt").unwrap();
    assert_eq!(written.as_deref(), Some("a package\n"));
    assert_eq!(world.phase(issue).await, "awaiting-human");
    // What the creator's set-up reached is in the ledger, as a gate's is.
    let ledger = world.store().ledger(world.run(issue).await.id).await.unwrap();
    let mut told = Vec::new();
    for entry in &ledger {
        if let Event::SetUpRan { contacts, .. } = &entry.event {
            let seen = |contact: &Contact| {
                (contact.asked.clone(), contact.refused.is_some(), contact.sent, contact.received)
            };
            told.extend(contacts.iter().map(seen));
        }
    }
    let refused = ("169.254.169.254:80".to_owned(), true, 0, 0);
    assert_eq!(told, [(format!("127.0.0.1:{port}"), false, 7, 10), refused]);
}

/// The sandbox of users of their own; nothing where only root could have it.
fn as_own_users(settings: &mut StageSettings) {
    caged(settings);
    settings.sandbox = Sandbox::UserSlot;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_an_agent_and_a_gate_run_as_users_of_their_own_and_every_check_says_so() {
    if !Layer::UserSlot.is_possible() {
        return;
    }
    let policy = "rounds: 1\ngates: { lint: { command: \"id -u; cat where.txt; test -w where.txt\" } }\n";
    let turns = vec![Reply::run_command("id -u >where.txt"), Reply::hand_in("Tell who", "As asked.", [])];
    let world = World::with(|settings| {
        as_own_users(settings);
        set_file(settings, ".github/pairbot.yml", policy);
        let script = Script::for_title("Who").creator(vec![turns]);
        settings.models = Models::Scripted { extra: vec![script] };
    })
    .await;
    let issue = world.stage.open_issue("Who", "Please.").unwrap();
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "awaiting-human", "{}", world.trace().await);
    let head = world.pull(issue).head_sha;
    let written = world.stage.github.file(REPOSITORY, &head, "where.txt").unwrap().unwrap();
    assert!(written.trim().parse::<u32>().unwrap() >= 200_000, "{written}");
    let summary = world.check(issue, "lint").summary.unwrap();
    for words in ["user-slot: users of their own", "not even a loopback", "without reading it"] {
        assert!(summary.contains(words), "{words}: {summary}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_that_had_no_way_out_is_no_fault_of_the_change() {
    if !Layer::UserSlot.is_possible() {
        return;
    }
    let policy = "rounds: 1\nsetup: { command: \"exit 4\" }\ngates: { tests: { command: \"true\" } }\n";
    let world = World::with(|settings| {
        as_own_users(settings);
        settings.egress = "registry.example".parse().unwrap();
        set_file(settings, ".github/pairbot.yml", policy);
    })
    .await;
    let issue = world.issue_of(writes("Fetch", &[("one.txt", "1\n")]));
    world.label(issue).await;
    let check = world.check(issue, "tests");
    assert_eq!(check.conclusion.as_deref(), Some("action_required"), "{check:?}");
    assert!(check.summary.unwrap().contains("are not reached from the sandbox of this server"));
}
