-- A subjective study: its protocol as one JSON document, and the document's SHA-256.
CREATE TABLE study (
    id         INTEGER PRIMARY KEY,
    protocol   TEXT NOT NULL,
    hash       BLOB NOT NULL CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    is_quick   INTEGER NOT NULL CHECK (is_quick IN (0, 1))
) STRICT;

-- One quick rating a project.
CREATE UNIQUE INDEX study_quick ON study (is_quick) WHERE is_quick = 1;

-- One answer of one rater, or the record that takes one back (undo_of). Pictures are known by content and not by
-- row, so that a vote outlives whatever becomes of the file. Times are milliseconds since 1970-01-01 UTC.
CREATE TABLE vote (
    id            INTEGER PRIMARY KEY,
    token         BLOB NOT NULL UNIQUE CHECK (length(token) = 16),
    study_id      INTEGER NOT NULL REFERENCES study (id),
    protocol_hash BLOB NOT NULL CHECK (length(protocol_hash) = 32),
    rater         TEXT NOT NULL,
    session       INTEGER NOT NULL,
    trial         INTEGER NOT NULL,
    -- The picture, or the left one of two.
    hash          BLOB NOT NULL CHECK (length(hash) = 32),
    right_hash    BLOB CHECK (length(right_hash) = 32),
    aspect        TEXT NOT NULL,
    method        TEXT NOT NULL,
    score         REAL,
    choice        TEXT CHECK (choice IN ('left', 'right', 'tie')),
    is_training   INTEGER NOT NULL CHECK (is_training IN (0, 1)),
    is_repeat     INTEGER NOT NULL CHECK (is_repeat IN (0, 1)),
    shown_at      INTEGER NOT NULL,
    voted_at      INTEGER NOT NULL,
    reaction_ms   INTEGER NOT NULL,
    zoom_max      REAL NOT NULL,
    screen_width  INTEGER NOT NULL,
    screen_height INTEGER NOT NULL,
    dpi_scale     REAL NOT NULL,
    app_version   TEXT NOT NULL,
    undo_of       BLOB CHECK (length(undo_of) = 16),
    CHECK ((score IS NULL) = (choice IS NOT NULL)),
    CHECK ((right_hash IS NULL) = (choice IS NULL))
) STRICT;

CREATE INDEX vote_trial ON vote (study_id, rater, trial);
CREATE INDEX vote_undo_of ON vote (undo_of) WHERE undo_of IS NOT NULL;

-- What the program promises, the file keeps: no vote is ever changed or erased, no protocol that has votes changed.
CREATE TRIGGER vote_is_kept BEFORE DELETE ON vote
BEGIN
    SELECT RAISE(ABORT, 'votes are never erased: take them back instead');
END;

CREATE TRIGGER vote_is_final BEFORE UPDATE ON vote
BEGIN
    SELECT RAISE(ABORT, 'votes are never changed: take them back instead');
END;

CREATE TRIGGER study_is_frozen BEFORE UPDATE ON study
WHEN EXISTS (SELECT 1 FROM vote WHERE study_id = old.id)
BEGIN
    SELECT RAISE(ABORT, 'a protocol with votes is frozen: make a new study');
END;

-- What a study's votes come to, on the scale of its method. Made anew from the votes whenever they change.
CREATE TABLE study_mos (
    study_id    INTEGER NOT NULL REFERENCES study (id) ON DELETE CASCADE,
    aspect      TEXT NOT NULL,
    hash        BLOB NOT NULL CHECK (length(hash) = 32),
    mos         REAL NOT NULL,
    std         REAL,
    ci95        REAL,
    num_ratings INTEGER NOT NULL,
    -- How it was made of the votes ("p910", ...).
    screening   TEXT NOT NULL,
    PRIMARY KEY (study_id, aspect, hash)
) STRICT, WITHOUT ROWID;

-- Bytes of pictures that travel with the project: filled in packages for raters only.
CREATE TABLE packed_picture (
    hash      BLOB PRIMARY KEY CHECK (length(hash) = 32),
    file_name TEXT NOT NULL,
    bytes     BLOB NOT NULL
) STRICT;
