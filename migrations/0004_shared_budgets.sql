-- Budgets that runs share: of a repository in a day and of an installation in a month, both of UTC; and budgets in tokens.

ALTER TABLE budget ADD COLUMN limit_tokens INTEGER;
ALTER TABLE budget ADD COLUMN spent_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE budget ADD COLUMN reserved_tokens INTEGER NOT NULL DEFAULT 0;

-- scope: 0 repository and day, 1 installation and month. Limits are those that held at the last reservation, none for no
-- limit. What is pruned is the part of what was spent whose reservations are gone with their runs: a sum outlives them.
CREATE TABLE shared_budget (
    id INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    starts_at INTEGER NOT NULL,
    limit_microdollars INTEGER,
    limit_tokens INTEGER,
    spent_microdollars INTEGER NOT NULL DEFAULT 0,
    reserved_microdollars INTEGER NOT NULL DEFAULT 0,
    spent_tokens INTEGER NOT NULL DEFAULT 0,
    reserved_tokens INTEGER NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0,
    pruned_microdollars INTEGER NOT NULL DEFAULT 0,
    pruned_tokens INTEGER NOT NULL DEFAULT 0,
    pruned_calls INTEGER NOT NULL DEFAULT 0,
    UNIQUE (scope, owner, starts_at)
) STRICT;

-- A reservation counts for the periods it was made in, whenever it is settled. amount_tokens: reserved; actual_tokens:
-- used, or reserved where a call was charged in full.
ALTER TABLE reservation ADD COLUMN amount_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE reservation ADD COLUMN actual_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE reservation ADD COLUMN day INTEGER;
ALTER TABLE reservation ADD COLUMN month INTEGER;
CREATE INDEX reservation_open ON reservation (run) WHERE state = 0;

-- What was reserved until now counts in the periods it falls into.
UPDATE reservation SET actual_tokens = input_tokens + cache_read_tokens + cache_write_tokens + output_tokens
    WHERE state IN (1, 3);
INSERT INTO shared_budget (scope, owner, starts_at, spent_microdollars, reserved_microdollars, spent_tokens, calls)
    SELECT 0, run.repository, created_at - created_at % 86400000,
        sum(CASE WHEN state IN (1, 3) THEN actual_microdollars ELSE 0 END),
        sum(CASE WHEN state = 0 THEN amount_microdollars ELSE 0 END),
        sum(actual_tokens), sum(state IN (1, 3))
    FROM reservation JOIN run ON run.id = reservation.run GROUP BY 2, 3;
INSERT INTO shared_budget (scope, owner, starts_at, spent_microdollars, reserved_microdollars, spent_tokens, calls)
    SELECT 1, run.installation, unixepoch(created_at / 1000, 'unixepoch', 'start of month') * 1000,
        sum(CASE WHEN state IN (1, 3) THEN actual_microdollars ELSE 0 END),
        sum(CASE WHEN state = 0 THEN amount_microdollars ELSE 0 END),
        sum(actual_tokens), sum(state IN (1, 3))
    FROM reservation JOIN run ON run.id = reservation.run GROUP BY 2, 3;
UPDATE reservation SET
    day = (SELECT shared_budget.id FROM shared_budget JOIN run ON run.id = reservation.run
        WHERE scope = 0 AND owner = run.repository AND starts_at = created_at - created_at % 86400000),
    month = (SELECT shared_budget.id FROM shared_budget JOIN run ON run.id = reservation.run
        WHERE scope = 1 AND owner = run.installation
        AND starts_at = unixepoch(created_at / 1000, 'unixepoch', 'start of month') * 1000);
UPDATE budget SET spent_tokens = coalesce(
    (SELECT sum(actual_tokens) FROM reservation WHERE reservation.run = budget.run), 0);
