-- What would take the user's changes back (stack 'undo') or bring them again (stack 'redo'): the newest
-- row of a stack is its top. changes is a JSON list, to be applied in order.
CREATE TABLE undo (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    stack     TEXT NOT NULL CHECK (stack IN ('undo', 'redo')),
    operation TEXT NOT NULL,
    changes   TEXT NOT NULL
) STRICT;
