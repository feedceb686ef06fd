//! Every sentence that a person reads on GitHub. Pure functions of the run and of facts about its money.

pub mod prose;
pub mod untrusted;
