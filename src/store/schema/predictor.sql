CREATE TABLE predictor (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL,
    aspect       TEXT NOT NULL,
    scale_min    REAL NOT NULL,
    scale_max    REAL NOT NULL,
    dataset      TEXT NOT NULL,
    split        TEXT NOT NULL,
    model_name   TEXT NOT NULL,
    model_sha256 TEXT NOT NULL,
    preset       TEXT NOT NULL,
    head         TEXT NOT NULL,
    val          TEXT,
    test         TEXT,
    run_id       INTEGER REFERENCES run (id),
    weights      BLOB NOT NULL
) STRICT;
