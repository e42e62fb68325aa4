-- What did not fit into the one value of checkpoint.bytes and predictor.weights, in the order of the parts: SQLite takes
-- 1,000,000,000 bytes a value, and a large head with its optimiser has more.
CREATE TABLE checkpoint_part (
    run_id INTEGER NOT NULL REFERENCES checkpoint (run_id) ON DELETE CASCADE,
    part   INTEGER NOT NULL,
    bytes  BLOB NOT NULL,
    PRIMARY KEY (run_id, part)
) STRICT;

CREATE TABLE predictor_part (
    predictor_id INTEGER NOT NULL REFERENCES predictor (id) ON DELETE CASCADE,
    part         INTEGER NOT NULL,
    bytes        BLOB NOT NULL,
    PRIMARY KEY (predictor_id, part)
) STRICT;
