//! From any earlier version of the project file to the present one, by numbered steps.
//!
//! `PRAGMA user_version` is the file's version. A step is never edited once a program with it was released:
//! a change of the schema is a new step at the end.

use rusqlite::Connection;
use rusqlite::TransactionBehavior;

/// `PRAGMA application_id` of a project: "ASAY" in ASCII. Tells projects from other SQLite files.
pub(super) const APPLICATION_ID: i64 = 0x4153_4159;

/// One step: the version that it leads to, and its SQL in order.
pub(super) struct Step {
    pub(super) version: i64,
    pub(super) sql: &'static [&'static str],
}

/// Every step, oldest first.
pub(super) const STEPS: &[Step] = &[
    Step {
        version: 1,
        sql: &[
            include_str!("schema/project.sql"),
            include_str!("schema/settings.sql"),
            include_str!("schema/image.sql"),
            include_str!("schema/description.sql"),
            include_str!("schema/score.sql"),
            include_str!("schema/run.sql"),
            include_str!("schema/predictor.sql"),
            include_str!("schema/undo.sql"),
        ],
    },
    Step {
        version: 2,
        sql: &[include_str!("schema/study.sql")],
    },
    Step {
        version: 3,
        sql: &[include_str!("schema/run_test.sql")],
    },
    Step {
        version: 4,
        sql: &[include_str!("schema/review.sql")],
    },
    Step {
        version: 5,
        sql: &[include_str!("schema/part.sql")],
    },
];

/// The version that `steps` lead to.
pub(super) fn newest(steps: &[Step]) -> i64 {
    steps.last().map_or(0, |step| step.version)
}

/// The file's version; 0 for an empty file.
pub(super) fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Takes the file to the newest version in one transaction: killed half-way, it is as it was.
pub(super) fn migrate(conn: &mut Connection, steps: &[Step]) -> rusqlite::Result<()> {
    if version(conn)? >= newest(steps) {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock: another program may have been quicker.
    let from = version(&tx)?;
    for step in steps.iter().filter(|step| step.version > from) {
        for sql in step.sql {
            tx.execute_batch(sql)?;
        }
        tx.pragma_update(None, "user_version", step.version)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step that a later version might add.
    const LATER: &[Step] = &[
        Step {
            version: 1,
            sql: STEPS[0].sql,
        },
        Step {
            version: 2,
            sql: STEPS[1].sql,
        },
        Step {
            version: 3,
            sql: STEPS[2].sql,
        },
        Step {
            version: 4,
            sql: STEPS[3].sql,
        },
        Step {
            version: 5,
            sql: STEPS[4].sql,
        },
        Step {
            version: 6,
            sql: &["ALTER TABLE image ADD COLUMN note TEXT"],
        },
    ];

    #[test]
    fn versions_count_up_from_one() {
        for (idx, step) in STEPS.iter().enumerate() {
            assert_eq!(step.version, idx as i64 + 1);
        }
    }

    #[test]
    fn version_1_moves_on_and_keeps_its_rows() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, &STEPS[..1]).unwrap();
        conn.execute(
            "INSERT INTO image (path, state, prompt, prompt_source, imported_tags)
             VALUES ('a.jpg', 'missing', '', '', '[]')",
            (),
        )
        .unwrap();
        migrate(&mut conn, LATER).unwrap();
        assert_eq!(version(&conn).unwrap(), newest(LATER));
        let path: String = conn
            .query_row("SELECT path FROM image WHERE note IS NULL", (), |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(path, "a.jpg");
    }

    #[test]
    fn a_failing_step_leaves_the_file_as_it_was() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, STEPS).unwrap();
        let broken = [
            Step {
                version: newest(STEPS) + 1,
                sql: &["CREATE TABLE half (id INTEGER)"],
            },
            Step {
                version: newest(STEPS) + 2,
                sql: &["no SQL at all"],
            },
        ];
        migrate(&mut conn, &broken).unwrap_err();
        assert_eq!(version(&conn).unwrap(), newest(STEPS));
        conn.query_row("SELECT count(*) FROM half", (), |_| Ok(()))
            .unwrap_err();
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, STEPS).unwrap();
        migrate(&mut conn, STEPS).unwrap();
        assert_eq!(version(&conn).unwrap(), newest(STEPS));
    }
}
