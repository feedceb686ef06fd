//! What every store promises, as one suite that each backend runs. A bug found in one becomes a case for all.

mod budget;
mod bus;
mod dead_letters;
mod durability;
pub(crate) mod fixtures;
mod inbox;
mod ledger;
mod outbox;
mod retention;
mod samples;
mod shared_budget;
mod sqlite_file;
mod timers;
mod transcripts;

use std::sync::Arc;

use pairbot::store::Store;
use pairbot::store::sqlite::SqliteStore;

/// A place where a store's state lives on while the store is closed.
trait Backend {
    /// Opens the state, after whoever had it open has let go.
    fn open(&self) -> Arc<dyn Store>;
}

struct Sqlite {
    folder: tempfile::TempDir,
}

impl Sqlite {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("pairbot.db")
    }
}

impl Backend for Sqlite {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.path()).unwrap())
    }
}

macro_rules! promises {
    ($($subject:ident::$promise:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $promise() {
                    super::$subject::$promise(&super::Sqlite::new()).await;
                }
            )*
        }
    };
}

promises! {
    inbox::a_redelivered_guid_is_stored_once,
    inbox::the_same_meaning_under_a_new_guid_is_stored_once,
    inbox::an_ignored_delivery_is_recorded_and_waits_for_nobody,
    inbox::signals_come_oldest_first_and_as_they_went_in,
    inbox::an_installation_with_much_waiting_holds_up_no_other,
    inbox::a_settled_signal_is_settled_once,
    inbox::whoever_waits_hears_of_a_new_signal,
    ledger::a_decision_is_stored_whole,
    ledger::of_two_decisions_on_one_state_the_second_is_refused_whole,
    ledger::a_signal_is_decided_once,
    ledger::a_decision_for_nobody_settles_its_signal,
    ledger::a_decision_that_contradicts_itself_is_refused,
    ledger::hashes_chain_every_event_to_its_predecessor,
    ledger::a_target_names_its_runs,
    ledger::runs_are_listed_newest_first,
    outbox::a_lane_is_worked_in_order_and_one_at_a_time,
    outbox::publications_of_a_run_keep_their_order,
    outbox::lanes_and_runs_go_side_by_side,
    outbox::a_publication_that_waits_is_not_queued_again,
    outbox::a_publication_under_way_is_queued_again,
    outbox::only_wanted_kinds_are_claimed,
    outbox::installations_take_turns,
    outbox::an_expired_lease_is_granted_again_under_a_larger_fence,
    outbox::a_heartbeat_extends_a_lease,
    outbox::a_lost_lease_cannot_commit_anything,
    outbox::results_of_a_task_become_signals_once,
    outbox::a_task_given_back_waits_for_its_time_and_keeps_its_lane,
    outbox::a_snooze_is_no_attempt,
    outbox::a_dead_letter_keeps_reason_history_and_payload,
    outbox::withdrawn_work_is_neither_started_nor_finished,
    outbox::receipts_are_found_and_replaced,
    outbox::counts_follow_the_states,
    budget::what_does_not_fit_is_refused_with_the_sums,
    budget::fifty_tasks_race_for_the_last_dollar,
    budget::settling_replaces_the_reservation,
    budget::releasing_gives_everything_back,
    budget::a_call_whose_end_nobody_saw_is_charged_in_full,
    budget::a_late_settlement_replaces_the_charge,
    budget::a_raised_limit_makes_room,
    budget::spending_is_listed_by_round_agent_and_model,
    shared_budget::fifty_tasks_race_for_the_last_dollar_of_a_repository,
    shared_budget::fifty_tasks_race_for_the_last_dollar_of_an_installation,
    shared_budget::what_one_budget_refuses_is_set_aside_in_none,
    shared_budget::tokens_are_limited_beside_dollars,
    shared_budget::a_used_up_day_and_month_open_again_by_themselves,
    shared_budget::a_reservation_counts_for_the_period_it_was_made_in,
    shared_budget::a_charge_in_full_counts_for_all_and_a_late_settlement_replaces_it,
    shared_budget::whoever_pays_can_see_what_is_left_and_what_is_under_way,
    shared_budget::ended_runs_tell_what_they_cost,
    shared_budget::random_histories_add_up_and_pass_no_limit,
    timers::a_timer_goes_off_once,
    timers::a_timer_set_again_is_moved,
    timers::a_timer_set_again_for_the_same_moment_goes_off_again,
    transcripts::turns_are_kept_in_order,
    transcripts::a_turn_written_again_drops_what_followed,
    transcripts::a_turn_is_never_left_out,
    transcripts::an_old_holder_cannot_write_a_turn,
    dead_letters::a_replayed_task_has_fresh_attempts_a_new_fence_and_its_history,
    dead_letters::a_replayed_task_joins_its_lane,
    dead_letters::a_replayed_publication_is_not_queued_twice,
    dead_letters::work_that_nobody_waits_for_is_not_replayed,
    dead_letters::a_dropped_letter_is_kept_with_who_when_and_why,
    dead_letters::only_a_dead_letter_is_replayed_or_dropped,
    dead_letters::a_signal_set_aside_is_kept_replayed_and_dropped,
    dead_letters::an_outage_and_a_failure_are_counted_apart,
    retention::a_ledger_is_proven_to_be_what_was_written,
    retention::a_run_that_is_not_what_its_ledger_adds_up_to_is_named,
    retention::a_pruned_run_leaves_a_tombstone_and_its_name_is_not_given_again,
    retention::money_of_a_pruned_run_counts_as_long_as_its_period,
    retention::what_somebody_waits_for_is_not_pruned,
    retention::a_delivery_is_known_as_long_as_it_may_come_again,
    retention::what_an_open_run_may_be_told_again_is_known_however_old,
    retention::a_number_of_the_inbox_is_not_given_twice,
    retention::an_event_names_the_signal_it_was_decided_on,
    durability::everything_answered_survives_closing,
    durability::whoever_held_a_lease_before_a_restart_has_lost_it,
    durability::many_at_once_are_all_answered_and_all_kept,
    durability::one_that_fails_does_not_fail_those_beside_it,
    bus::a_task_wakes_who_waits,
    bus::a_delayed_task_comes_when_its_time_has_come,
    bus::who_gives_up_waiting_loses_no_task,
}
