//! The power is cut at every call of a model: as it arrives, in the middle of its answer, and as it is answered. No
//! crash pays for more than the calls that were under way.
//!
//! A few calls are sampled; with `PAIRBOT_CRASH_ALL` set it is every one.

use std::sync::Arc;

use pairbot_model_sim::{Fault, Role, When};
use tokio::sync::{Notify, OnceCell};

use super::bill::Bill;
use super::world::World;
use pairbot::demo::REPOSITORY;

/// The story that nobody disturbs.
struct Undisturbed {
    picture: String,
    bill: Bill,
    /// Every call: whose, in which round, at which step.
    calls: Vec<(Role, u32, u32)>,
}

static UNDISTURBED: OnceCell<Undisturbed> = OnceCell::const_new();

async fn undisturbed() -> &'static Undisturbed {
    let tell = || async {
        let world = World::start().await;
        let issue = world.issue("findings");
        world.label(issue).await;
        world.merge(issue).await;
        let calls = world.models().ledger().into_iter().map(|call| {
            let brief = call.brief.unwrap();
            (brief.role, brief.round, call.turn)
        });
        let calls = calls.collect();
        Undisturbed {
            picture: world.picture(issue),
            bill: Bill::of(world.models(), world.store().as_ref()).await,
            calls,
        }
    };
    UNDISTURBED.get_or_init(tell).await
}

/// Where in a call the power is cut.
#[derive(Debug, Clone, Copy)]
enum At {
    /// The model has the question and has said nothing.
    Asked,
    /// Half of the answer is out.
    HalfAnswered,
    /// The answer is on its way: it may or may not be stored.
    Answered,
}

async fn cut_at(call: &(Role, u32, u32), at: At) {
    let (role, round, turn) = call;
    let mut world = World::start().await;
    let issue = world.issue("findings");
    let reached = Arc::new(Notify::new());
    let tell = reached.clone();
    let when = When::next_call().round(*round).turn(*turn);
    let when = match role {
        Role::Creator => when.creator(),
        Role::Reviewer(name) => when.reviewer(name),
    };
    let (fault, hits) = match at {
        At::Asked => (Fault::Hang, true),
        At::HalfAnswered => (Fault::HangInStream, true),
        At::Answered => (Fault::Hang, false),
    };
    let when = when.matching(move |_| {
        tell.notify_one();
        hits
    });
    world.models().inject(when, fault);
    world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
    reached.notified().await;
    world.power_cut().await;
    world.quiet().await;
    world.merge(issue).await;
    let told = format!("{at:?}: {call:?}");
    assert_eq!(world.picture(issue), undisturbed().await.picture, "{told}: {}", world.trace().await);
    let bill = Bill::of(world.models(), world.store().as_ref()).await;
    bill.survived(1, &undisturbed().await.bill, &told);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_and_the_models_agree_to_the_token_on_what_an_undisturbed_run_has_cost() {
    undisturbed().await.bill.is_exact();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_at_any_call_pays_again_for_no_more_than_the_calls_under_way() {
    let all = std::env::var_os("PAIRBOT_CRASH_ALL").is_some();
    let moments = [At::Asked, At::HalfAnswered, At::Answered];
    for (place, call) in undisturbed().await.calls.iter().enumerate() {
        for (way, at) in moments.into_iter().enumerate() {
            // Every fourth call, in one way each.
            if all || (place % 4 == 1 && place / 4 % 3 == way) {
                cut_at(call, at).await;
            }
        }
    }
}
