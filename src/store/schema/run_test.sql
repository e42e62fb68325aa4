-- What a run's predictor said of each picture of the test list, and what the one in use before had said: figures with
-- intervals and paired tests are made of these. The truth is kept as it was then.
CREATE TABLE run_test (
    run_id     INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    image_id   INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    image_hash BLOB NOT NULL CHECK (length(image_hash) = 32),
    mos        REAL NOT NULL,
    before     REAL,
    after      REAL,
    PRIMARY KEY (run_id, image_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX run_test_image ON run_test (image_id);
