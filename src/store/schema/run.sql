-- One training run. The nested parts (settings, curves, figures) are JSON.
CREATE TABLE run (
    id           INTEGER PRIMARY KEY,
    settings     TEXT NOT NULL,
    model_name   TEXT NOT NULL,
    model_sha256 TEXT NOT NULL,
    preset       TEXT NOT NULL,
    num_train    INTEGER NOT NULL,
    num_val      INTEGER NOT NULL,
    num_test     INTEGER NOT NULL,
    status       TEXT NOT NULL,
    epochs       TEXT NOT NULL,
    best_epoch   INTEGER,
    previous_id  INTEGER,
    predictor_id INTEGER,
    test_before  TEXT,
    test_after   TEXT,
    unix_time    INTEGER NOT NULL
) STRICT;

-- The state to resume from; apart from the run, so that listing runs never reads it.
CREATE TABLE checkpoint (
    run_id INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
    bytes  BLOB NOT NULL
) STRICT;
