-- One predicted score. predictor_id has no foreign key: 0 stands for a predictor that is not in the
-- project (embedded in the program, or a file).
CREATE TABLE score (
    id              INTEGER PRIMARY KEY,
    image_id        INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    image_hash      BLOB NOT NULL,
    aspect          TEXT NOT NULL,
    value           REAL NOT NULL,
    predictor_id    INTEGER NOT NULL,
    description_id  INTEGER REFERENCES description (id) ON DELETE CASCADE,
    model_name      TEXT,
    model_sha256    TEXT,
    preset          TEXT,
    settings        TEXT NOT NULL,
    seed            INTEGER NOT NULL,
    program_version TEXT NOT NULL,
    unix_time       INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX score_key ON score (image_id, aspect, predictor_id, coalesce(description_id, 0), image_hash);
CREATE INDEX score_description ON score (description_id);
