-- One row of the dataset. hash, width and height are there exactly when the file is.
CREATE TABLE image (
    id            INTEGER PRIMARY KEY,
    path          TEXT NOT NULL UNIQUE,
    state         TEXT NOT NULL CHECK (state IN ('present', 'missing', 'unreadable')),
    hash          BLOB CHECK (length(hash) = 32),
    width         INTEGER,
    height        INTEGER,
    reason        TEXT,
    prompt        TEXT NOT NULL,
    prompt_source TEXT NOT NULL,
    generator     TEXT,
    style         TEXT,
    -- JSON list of the tags that imports brought: one that the user took off is not put on again.
    imported_tags TEXT NOT NULL,
    CHECK ((state = 'present') = (hash IS NOT NULL))
) STRICT;

CREATE TABLE truth (
    image_id    INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    aspect      TEXT NOT NULL,
    mos         REAL NOT NULL,
    std         REAL,
    num_ratings INTEGER,
    PRIMARY KEY (image_id, aspect)
) STRICT, WITHOUT ROWID;

CREATE TABLE split (
    image_id INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    aspect   TEXT NOT NULL,
    split    TEXT NOT NULL CHECK (split IN ('train', 'val', 'test')),
    PRIMARY KEY (image_id, aspect)
) STRICT, WITHOUT ROWID;

CREATE TABLE tag (
    image_id INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    tag      TEXT NOT NULL,
    PRIMARY KEY (image_id, tag)
) STRICT, WITHOUT ROWID;
