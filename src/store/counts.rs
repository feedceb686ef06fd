//! How much a store holds.

/// Numbers for people and metrics. Taking them reads what is unfinished or rare, never all that ever was.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Rows of the inbox, whatever became of them.
    pub deliveries: u64,
    /// Signals that wait for their decision.
    pub pending: u64,
    /// Rows of the inbox that this version cannot read; they were set aside.
    pub unreadable: u64,
    /// Runs that are not over.
    pub runs_open: u64,
    /// Tasks by state.
    pub tasks: TaskCounts,
}

/// Tasks by state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TaskCounts {
    /// Behind an older task of their lane.
    pub waiting: u64,
    /// Can be claimed.
    pub ready: u64,
    /// Tried again later.
    pub delayed: u64,
    /// Leased.
    pub running: u64,
    /// Done.
    pub done: u64,
    /// Dead letters.
    pub dead: u64,
    /// Withdrawn.
    pub cancelled: u64,
    /// Dead letters that an operator dropped.
    pub dropped: u64,
}
