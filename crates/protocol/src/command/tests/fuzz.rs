//! Commands out of whatever people write.

use proptest::prelude::*;

use crate::command::*;
use crate::ids::{Money, Tokens};

fn written(command: Command) -> String {
    match command {
        Command::Retry { stage: None } => "/retry".to_owned(),
        Command::Retry { stage: Some(RetryStage::Create) } => "/retry create".to_owned(),
        Command::Retry { stage: Some(RetryStage::Review) } => "/retry review".to_owned(),
        Command::Retry { stage: Some(RetryStage::Gate) } => "/retry gate".to_owned(),
        Command::Stop => "/stop".to_owned(),
        Command::Pause => "/pause".to_owned(),
        Command::Resume => "/resume".to_owned(),
        Command::Review => "/review".to_owned(),
        Command::Budget { raise } => {
            format!("/budget +{}.{:06}", raise.microdollars / 1_000_000, raise.microdollars % 1_000_000)
        }
        Command::BudgetTokens { raise } => format!("/budget +{} tokens", raise.0),
        Command::Status => "/status".to_owned(),
        Command::Help => "/help".to_owned(),
    }
}

fn any_command() -> impl Strategy<Value = Command> {
    let stage = prop::option::of(prop::sample::select(vec![
        RetryStage::Create,
        RetryStage::Review,
        RetryStage::Gate,
    ]));
    prop_oneof![
        stage.prop_map(|stage| Command::Retry { stage }),
        (1_u64..999_999_999_000_000)
            .prop_map(|microdollars| Command::Budget { raise: Money::from_microdollars(microdollars) }),
        (1_u64..999_999_999_999).prop_map(|tokens| Command::BudgetTokens { raise: Tokens(tokens) }),
        prop::sample::select(vec![
            Command::Stop,
            Command::Pause,
            Command::Resume,
            Command::Review,
            Command::Status,
            Command::Help,
        ]),
    ]
}

proptest! {
    #[test]
    fn any_text_is_read_without_harm(text in "(/[a-z]{1,8}|[ \\n`~+.0-9a-z\\PC]){0,200}") {
        prop_assert!(parse(&text).len() <= COMMANDS_MAX);
    }

    #[test]
    fn what_is_written_is_read(
        commands in prop::collection::vec(any_command(), 0..COMMANDS_MAX),
        words in "[a-z ,.!?>]{0,40}", ends in prop::sample::select(vec!["\n", "\r\n", " \n", "\t\r\n"]),
    ) {
        let lines: Vec<String> =
            commands.iter().map(|command| format!("{}{ends}{words}\n", written(*command))).collect();
        let lines = lines.concat();
        prop_assert_eq!(parse(&lines), commands.into_iter().map(Ok).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_in_a_fence_is_a_command(command in any_command(), mark in prop::sample::select(vec!["```", "~~~"]), indent in " {0,3}") {
        let text = format!("{indent}{mark}sh\n{}\n{indent}{mark}\n", written(command));
        prop_assert_eq!(parse(&text), vec![]);
    }
}
