-- Amounts of money are in microdollars, moments in milliseconds since 1970, names of states as the code numbers them.

-- What came in. state: 0 pending, 1 applied, 2 ignored, 3 unreadable. This table decides how fast webhooks are
-- taken: few bytes a row, and keys are looked up by eight bytes of their SHA-256, then compared whole.
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY,
    state INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    guid_hash INTEGER NOT NULL,
    meaning_hash INTEGER,
    installation INTEGER,
    settled_at INTEGER,
    guid TEXT NOT NULL,
    meaning TEXT,
    event TEXT NOT NULL,
    signal TEXT,
    note TEXT
) STRICT;
CREATE INDEX inbox_guid ON inbox (guid_hash);
CREATE INDEX inbox_meaning ON inbox (meaning_hash) WHERE meaning_hash IS NOT NULL;
CREATE INDEX inbox_pending ON inbox (id) WHERE state = 0;

-- Runs: the state that follows from the ledger, and what runs are looked up by.
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    repository INTEGER NOT NULL,
    issue INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    installation INTEGER NOT NULL,
    version INTEGER NOT NULL,
    over INTEGER NOT NULL,
    pull_request INTEGER,
    updated_at INTEGER NOT NULL,
    head TEXT,
    hash BLOB NOT NULL,
    snapshot TEXT NOT NULL,
    UNIQUE (repository, issue, ordinal)
) STRICT;
CREATE INDEX run_pull_request ON run (repository, pull_request) WHERE pull_request IS NOT NULL;
CREATE INDEX run_head ON run (repository, head) WHERE over = 0;
CREATE INDEX run_open ON run (id) WHERE over = 0;

-- Ledgers. hash = SHA-256 (hash of the predecessor or 32 zero bytes, payload).
CREATE TABLE event (
    run INTEGER NOT NULL REFERENCES run (id),
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT;

-- The outbox. kind: 0 work, 1 publication. state: 0 waiting behind its lane, 1 ready, 2 delayed, 3 running, 4 done,
-- 5 dead, 6 cancelled. Of a lane only the oldest unfinished row is ever in a state from 1 to 3, so a claim reads the
-- heads of lanes and never what waits behind them. due: when a delayed row is ready, or a running row's lease ends.
CREATE TABLE task (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES run (id),
    installation INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,
    due INTEGER,
    created_at INTEGER NOT NULL,
    claimed_at INTEGER,
    finished_at INTEGER,
    lane TEXT NOT NULL,
    coalesce_key TEXT,
    payload TEXT NOT NULL,
    worker TEXT,
    reason TEXT
) STRICT;
CREATE INDEX task_lane ON task (run, lane, id) WHERE state < 4;
CREATE INDEX task_ready ON task (kind, installation, id) WHERE state = 1;
CREATE INDEX task_due ON task (due) WHERE due IS NOT NULL;
CREATE INDEX task_dead ON task (id) WHERE state = 5;
CREATE INDEX task_run ON task (run);

-- Attempts that did not succeed.
CREATE TABLE failed_attempt (
    id INTEGER PRIMARY KEY,
    task INTEGER NOT NULL REFERENCES task (id),
    fence INTEGER NOT NULL,
    claimed_at INTEGER NOT NULL,
    worker TEXT NOT NULL,
    error TEXT NOT NULL
) STRICT;
CREATE INDEX failed_attempt_task ON failed_attempt (task);

-- Ids of what exists outside.
CREATE TABLE receipt (
    run INTEGER NOT NULL REFERENCES run (id),
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE timer (
    run INTEGER NOT NULL REFERENCES run (id),
    timer TEXT NOT NULL,
    due INTEGER NOT NULL,
    PRIMARY KEY (run, timer)
) STRICT, WITHOUT ROWID;
CREATE INDEX timer_due ON timer (due);

-- Money. What is reserved and spent is kept as a sum beside the reservations it is made of, in one transaction.
CREATE TABLE budget (
    run INTEGER PRIMARY KEY REFERENCES run (id),
    limit_microdollars INTEGER NOT NULL DEFAULT 0,
    spent_microdollars INTEGER NOT NULL DEFAULT 0,
    reserved_microdollars INTEGER NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0
) STRICT;

-- state: 0 open, 1 settled, 2 released, 3 charged in full because its lease ended first.
CREATE TABLE reservation (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (id),
    task INTEGER NOT NULL REFERENCES task (id),
    fence INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    amount_microdollars INTEGER NOT NULL,
    actual_microdollars INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    model TEXT
) STRICT;
CREATE INDEX reservation_task ON reservation (task);
CREATE INDEX reservation_run ON reservation (run);

-- Conversations of agents.
CREATE TABLE turn (
    run INTEGER NOT NULL REFERENCES run (id),
    conversation TEXT NOT NULL,
    turn INTEGER NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (run, conversation, turn)
) STRICT;
