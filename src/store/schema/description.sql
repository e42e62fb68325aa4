-- One conversation about one image. image_hash is the picture that was looked at: when the file
-- changes, what was said of the old picture stays in the file and is no longer shown.
CREATE TABLE description (
    id              INTEGER PRIMARY KEY,
    image_id        INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    image_hash      BLOB,
    aspect          TEXT NOT NULL,
    origin          TEXT NOT NULL,
    request         TEXT NOT NULL,
    text            TEXT NOT NULL,
    question        TEXT NOT NULL,
    answer          TEXT,
    model_name      TEXT,
    model_sha256    TEXT,
    preset          TEXT,
    settings        TEXT NOT NULL,
    seed            INTEGER NOT NULL,
    program_version TEXT NOT NULL,
    unix_time       INTEGER NOT NULL
) STRICT;

CREATE INDEX description_image ON description (image_id, aspect);
