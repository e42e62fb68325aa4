-- What people said of a teacher's texts. Rows are only ever added: a text that was changed or a verdict that was taken
-- back stays here, and what holds stands in review.
CREATE TABLE review_record (
    id             INTEGER PRIMARY KEY,
    description_id INTEGER NOT NULL REFERENCES description (id) ON DELETE CASCADE,
    verdict        TEXT NOT NULL CHECK (verdict IN ('unreviewed', 'accepted', 'edited', 'rejected')),
    -- The text as it stands since, where it is not the teacher's own.
    text           TEXT,
    reason         TEXT,
    author         TEXT NOT NULL,
    -- The record whose text was in hand; NULL is the teacher's own text.
    edited_from    INTEGER REFERENCES review_record (id),
    unix_time      INTEGER NOT NULL,
    CHECK ((verdict = 'rejected') = (reason IS NOT NULL))
) STRICT;

CREATE INDEX review_record_description ON review_record (description_id);

-- The record that holds for a description; a description without a row is as the teacher left it.
CREATE TABLE review (
    description_id INTEGER PRIMARY KEY REFERENCES description (id) ON DELETE CASCADE,
    record_id      INTEGER NOT NULL REFERENCES review_record (id) ON DELETE CASCADE
) STRICT;

CREATE TRIGGER review_record_is_final BEFORE UPDATE ON review_record
BEGIN
    SELECT RAISE(ABORT, 'reviews are never changed: add another one instead');
END;

-- What a teacher was asked and did not answer; gone once one does.
CREATE TABLE teach_failure (
    image_id  INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    aspect    TEXT NOT NULL,
    teacher   TEXT NOT NULL,
    reason    TEXT NOT NULL,
    unix_time INTEGER NOT NULL,
    PRIMARY KEY (image_id, aspect)
) STRICT, WITHOUT ROWID;
