-- Version 1 of the history database: the first step of storage/migrations.
-- A released step is never edited; the next change is a file migrations/0002_words.sql.
-- Instants are whole microseconds since 1970 UTC (…_us), durations milliseconds (…_ms).

-- One row a job that was ever configured. `covered_us` is the job's position in the ledger: every
-- due instant up to it is covered, and counting goes on from it. A job that is not `counting` is
-- disabled: what falls due meanwhile belongs to no entry.
CREATE TABLE job (
    name          TEXT PRIMARY KEY NOT NULL,
    first_seen_us INTEGER NOT NULL,
    covered_us    INTEGER NOT NULL,
    counting      INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;

-- One row a fire; a row with status 'missed' covers `due_count` fires, from `due_us` to
-- `due_last_us`. The text of `run_id` (job@instant) sorts a job's entries by their due instant.
CREATE TABLE ledger (
    entry          INTEGER PRIMARY KEY,
    run_id         TEXT NOT NULL UNIQUE,
    job            TEXT NOT NULL,
    manual         INTEGER NOT NULL,
    due_us         INTEGER NOT NULL,
    due_last_us    INTEGER NOT NULL,
    due_count      INTEGER NOT NULL,
    status         TEXT NOT NULL,
    reason         TEXT,
    started_us     INTEGER,
    ended_us       INTEGER,
    duration_ms    INTEGER,
    composition_id TEXT,
    error          TEXT,     -- an ErrorRecord as JSON
    notes          TEXT,     -- a JSON array of texts; null when there are none
    runner_pid     INTEGER,  -- the runner, so that a left-over one can be found and killed
    runner_ticks   INTEGER
);

-- What a restart asks first, found without a look at anything else.
CREATE INDEX ledger_running ON ledger (due_us) WHERE status = 'running';
CREATE INDEX ledger_waiting ON ledger (due_us) WHERE status = 'waiting';
-- `history --failed` over all jobs.
CREATE INDEX ledger_failed ON ledger (entry)
    WHERE status IN ('failed', 'timed_out', 'out_of_memory', 'crashed', 'interrupted');

-- The large parts of a run that ended, apart so that lists of runs do not read them.
CREATE TABLE outcome (
    entry             INTEGER PRIMARY KEY REFERENCES ledger ON DELETE CASCADE,
    trace             BLOB,  -- a Trace as JSON, zlib
    output            BLOB,  -- any JSON value, zlib; null unless the run succeeded
    stderr_tail       TEXT NOT NULL,
    cpu_ms            REAL NOT NULL,
    peak_memory_bytes INTEGER NOT NULL,
    stage_calls       INTEGER NOT NULL
);

-- The outbox: at most one webhook call a run, written in the transaction of the run's end.
CREATE TABLE delivery (
    entry       INTEGER PRIMARY KEY REFERENCES ledger ON DELETE CASCADE,
    url         TEXT NOT NULL,
    body        BLOB,                        -- null once delivered
    state       TEXT NOT NULL DEFAULT 'owed', -- owed, delivered, failed
    attempts    INTEGER NOT NULL DEFAULT 0,
    next_us     INTEGER,                     -- not before this instant; null: at once
    http_status INTEGER,                     -- of the last answer
    problem     TEXT,                        -- of the last attempt without an answer
    ended_us    INTEGER
);

CREATE INDEX delivery_owed ON delivery (entry) WHERE state = 'owed';
