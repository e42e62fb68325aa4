-- The project as a whole: always exactly one row.
CREATE TABLE project (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    dataset   TEXT NOT NULL,
    layout    TEXT NOT NULL,
    -- Folder that image paths are relative to; absolute, empty before the first import.
    root      TEXT NOT NULL,
    -- Folder that the project file stood in when root was written, so that both can move together.
    home      TEXT NOT NULL,
    scale_min REAL NOT NULL,
    scale_max REAL NOT NULL,
    CHECK (scale_min < scale_max)
) STRICT;
