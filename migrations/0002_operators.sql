-- What operators need: dead letters that can be replayed and dropped, runs that can be pruned without a hole in the
-- chain of proofs, and what led to what.

-- task.state has 7 for dropped by an operator, inbox.state 4. Attempts that failed for want of GitHub are counted apart.
ALTER TABLE task ADD COLUMN outages INTEGER NOT NULL DEFAULT 0;
ALTER TABLE failed_attempt ADD COLUMN outage INTEGER NOT NULL DEFAULT 0;

-- Which row of the inbox an event was decided on, and how many events its run had when a task was asked for.
ALTER TABLE event ADD COLUMN inbox INTEGER;
ALTER TABLE task ADD COLUMN version INTEGER;

-- Who did what to a dead letter, and why. act: 0 replayed, 1 dropped.
CREATE TABLE intervention (
    id INTEGER PRIMARY KEY,
    task INTEGER REFERENCES task (id),
    inbox INTEGER,
    act INTEGER NOT NULL,
    done_at INTEGER NOT NULL,
    done_by TEXT NOT NULL,
    reason TEXT,
    CHECK ((task IS NULL) <> (inbox IS NULL))
) STRICT;
CREATE INDEX intervention_task ON intervention (task) WHERE task IS NOT NULL;
CREATE INDEX intervention_inbox ON intervention (inbox) WHERE inbox IS NOT NULL;

-- What is left of a run that was pruned. hash = SHA-256 (hash of the predecessor or 32 zero bytes, payload): tombstones
-- are chained as events are.
CREATE TABLE tombstone (
    id INTEGER PRIMARY KEY,
    repository INTEGER NOT NULL,
    issue INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    hash BLOB NOT NULL,
    payload TEXT NOT NULL,
    UNIQUE (repository, issue, ordinal)
) STRICT;

-- Rows that are gone, so that how many there ever were need not be counted.
CREATE TABLE tally (
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO tally (name, number) VALUES ('deliveries pruned', 0), ('tasks pruned', 0), ('starts', 0);

-- What is rare among much, to be counted and listed without reading the rest.
CREATE INDEX inbox_unreadable ON inbox (id) WHERE state = 3;
CREATE INDEX task_withdrawn ON task (state) WHERE state IN (6, 7);
-- What may be pruned, oldest first.
CREATE INDEX run_over ON run (updated_at) WHERE over = 1;
