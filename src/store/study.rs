//! Studies and their votes. Votes are only ever added; the tables' triggers refuse anything else.

use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::OptionalExtension as _;
use rusqlite::Row;

use super::Project;
use super::StoreError;
use super::error::Fault;
use super::undo;
use super::undo::Change;
use super::value;
use crate::domain::Aspect;
use crate::domain::ContentHash;
use crate::domain::Method;
use crate::domain::Operation;
use crate::domain::PairChoice;
use crate::domain::Protocol;
use crate::domain::ProtocolHash;
use crate::domain::Shown;
use crate::domain::Study;
use crate::domain::StudyId;
use crate::domain::StudyMos;
use crate::domain::Vote;
use crate::domain::VoteId;
use crate::domain::VoteToken;
use crate::domain::VoteValue;

/// What came of votes that another file brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergedVotes {
    /// Records that were new.
    pub added: usize,
    /// Records that were here already.
    pub known: usize,
    /// Why records were left out, each with its number of records.
    pub refused: BTreeMap<String, usize>,
}

impl MergedVotes {
    /// Adds what came of other votes.
    pub fn add(&mut self, other: Self) {
        self.added += other.added;
        self.known += other.known;
        for (reason, num) in other.refused {
            *self.refused.entry(reason).or_default() += num;
        }
    }
}

impl Project {
    /// Adds a study; one that is wrong is refused with what is wrong with it.
    pub fn create_study(
        &mut self,
        protocol: &Protocol,
        created_at: i64,
    ) -> Result<Study, StoreError> {
        check(protocol)?;
        self.write("save the study", |tx| {
            let id = insert(tx, protocol, created_at, false)?;
            Ok(study(tx, id)?)
        })
    }

    /// Changes a study's protocol; refused once a vote is in.
    pub fn change_study(&mut self, id: StudyId, protocol: &Protocol) -> Result<Study, StoreError> {
        check(protocol)?;
        self.write("change the study", |tx| {
            let held = study(tx, id)?;
            if held.is_quick || held.is_frozen {
                return Err(StoreError::FrozenStudy {
                    name: held.protocol.name,
                }
                .into());
            }
            tx.execute(
                "UPDATE study SET protocol = ?2, hash = ?3 WHERE id = ?1",
                (id.0, value::to_json(protocol)?, protocol.hash().0.0),
            )?;
            Ok(study(tx, id)?)
        })
    }

    /// The project's quick rating, made when it is first asked for.
    pub fn quick_study(&mut self, now: i64) -> Result<Study, StoreError> {
        let held = self.studies()?.into_iter().find(|study| study.is_quick);
        if let Some(study) = held {
            return Ok(study);
        }
        self.write("prepare quick rating", |tx| {
            let id = insert(tx, &Protocol::quick(), now, true)?;
            Ok(study(tx, id)?)
        })
    }

    /// Every study, oldest first.
    pub fn studies(&self) -> Result<Vec<Study>, StoreError> {
        self.read("read the studies", all)
    }

    /// One study.
    pub fn study(&self, id: StudyId) -> Result<Study, StoreError> {
        self.read("read the study", |conn| find(conn, id))?
            .ok_or(StoreError::Unknown {
                noun: "study",
                id: id.0,
            })
    }

    /// Every record of one study, in the order in which they came in.
    pub fn votes(&self, study: StudyId) -> Result<Vec<Vote>, StoreError> {
        self.read("read the votes", |conn| {
            conn.prepare_cached("SELECT * FROM vote WHERE study_id = ?1 ORDER BY id")?
                .query_map([study.0], vote_from_row)?
                .collect()
        })
    }

    /// Whether a study has exactly one record, so that it was frozen just now.
    pub fn has_one_vote(&self, study: StudyId) -> Result<bool, StoreError> {
        self.read("count the votes", |conn| {
            conn.prepare_cached(
                "SELECT count(*) = 1 FROM (SELECT 1 FROM vote WHERE study_id = ?1 LIMIT 2)",
            )?
            .query_row([study.0], |row| row.get(0))
        })
    }

    /// Whether a study is the project's quick rating.
    pub fn is_quick_study(&self, study: StudyId) -> Result<bool, StoreError> {
        self.read("read the study", |conn| {
            conn.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM study WHERE id = ?1 AND is_quick = 1)",
            )?
            .query_row([study.0], |row| row.get(0))
        })
    }

    /// Adds a record. What was answered here is on disk; the same record handed in again is answered as it stands.
    /// Votes of quick rating can be undone like any change of the user's.
    pub fn append_vote(&mut self, vote: &Vote) -> Result<Vote, StoreError> {
        self.write("save the vote", |tx| {
            if let Some(known) = vote_of(tx, vote.token)? {
                return Ok(known);
            }
            let study = study(tx, vote.study)?;
            check_vote(tx, &study, vote).map_err(|reason| StoreError::VoteRefused { reason })?;
            let stored = insert_vote(tx, vote)?;
            if study.is_quick && vote.undo_of.is_none() {
                undo::note(
                    tx,
                    &Operation(quick_words(vote)),
                    &[Change::TakeBackVote(vote.token)],
                )?;
            }
            Ok(stored)
        })
    }

    /// Takes in the records of a study that another file holds, each once however often it comes. Where this project
    /// has no study of that protocol, it gets it. A record that does not belong there is left out with its reason.
    pub fn merge_study(
        &mut self,
        protocol: &Protocol,
        created_at: i64,
        votes: &[Vote],
    ) -> Result<(Study, MergedVotes), StoreError> {
        check(protocol)?;
        self.write("merge the votes", |tx| {
            let hash = protocol.hash();
            let held = all(tx)?
                .into_iter()
                .find(|study| study.hash == hash && !study.is_quick);
            let id = match held {
                Some(study) => study.id,
                None => insert(tx, protocol, created_at, false)?,
            };
            let merged = merge(tx, &study(tx, id)?, votes)?;
            Ok((study(tx, id)?, merged))
        })
    }

    /// Takes in records that were made for this study, each once however often it comes. One that does not belong there
    /// is left out with its reason.
    pub fn merge_votes(&mut self, id: StudyId, votes: &[Vote]) -> Result<MergedVotes, StoreError> {
        self.write("take the votes in", |tx| {
            let study = study(tx, id)?;
            Ok(merge(tx, &study, votes)?)
        })
    }

    /// Keeps what a study's votes come to under an aspect, in place of what they came to before.
    pub fn set_study_mos(
        &mut self,
        study: StudyId,
        aspect: Aspect,
        mos: &[StudyMos],
    ) -> Result<(), StoreError> {
        self.write("save the study's MOS", |tx| {
            tx.execute(
                "DELETE FROM study_mos WHERE study_id = ?1 AND aspect = ?2",
                (study.0, aspect.name()),
            )?;
            for row in mos {
                insert_mos(tx, study, aspect, row)?;
            }
            Ok(())
        })
    }

    /// What a study's votes came to under an aspect, by content hash.
    pub fn study_mos(&self, study: StudyId, aspect: Aspect) -> Result<Vec<StudyMos>, StoreError> {
        self.read("read the study's MOS", |conn| mos_of(conn, study, aspect))
    }
}

fn check(protocol: &Protocol) -> Result<(), StoreError> {
    protocol
        .check()
        .map_err(|faults| StoreError::WrongProtocol {
            name: protocol.name.clone(),
            faults: faults.join("; "),
        })
}

fn insert(
    conn: &Connection,
    protocol: &Protocol,
    created_at: i64,
    is_quick: bool,
) -> rusqlite::Result<StudyId> {
    conn.execute(
        "INSERT INTO study (protocol, hash, created_at, is_quick) VALUES (?1, ?2, ?3, ?4)",
        (
            value::to_json(protocol)?,
            protocol.hash().0.0,
            created_at,
            is_quick,
        ),
    )?;
    Ok(StudyId(conn.last_insert_rowid()))
}

const STUDY: &str =
    "SELECT *, EXISTS (SELECT 1 FROM vote WHERE study_id = study.id) AS is_frozen FROM study";

/// Every study, oldest first.
pub(super) fn all(conn: &Connection) -> rusqlite::Result<Vec<Study>> {
    conn.prepare_cached(&format!("{STUDY} ORDER BY id"))?
        .query_map((), from_row)?
        .collect()
}

fn find(conn: &Connection, id: StudyId) -> rusqlite::Result<Option<Study>> {
    conn.prepare_cached(&format!("{STUDY} WHERE id = ?1"))?
        .query_row([id.0], from_row)
        .optional()
}

/// How a study is rated.
pub(super) fn method(conn: &Connection, id: StudyId) -> rusqlite::Result<Method> {
    let word: String = conn
        .prepare_cached("SELECT json_extract(protocol, '$.method') FROM study WHERE id = ?1")?
        .query_row([id.0], |row| row.get(0))?;
    value::word("method", &word)
}

fn study(conn: &Connection, id: StudyId) -> Result<Study, Fault> {
    find(conn, id)?.ok_or_else(|| {
        StoreError::Unknown {
            noun: "study",
            id: id.0,
        }
        .into()
    })
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Study> {
    Ok(Study {
        id: StudyId(row.get("id")?),
        protocol: value::json(row, "protocol")?,
        hash: ProtocolHash(ContentHash(row.get("hash")?)),
        created_at: row.get("created_at")?,
        is_frozen: row.get("is_frozen")?,
        is_quick: row.get("is_quick")?,
    })
}

/// Why a vote that a rater gives here and now cannot be taken.
fn check_vote(conn: &Connection, study: &Study, vote: &Vote) -> Result<(), String> {
    check_record(study, vote)?;
    let sql = |error: rusqlite::Error| error.to_string();
    if let Some(token) = vote.undo_of {
        return match vote_of(conn, token).map_err(sql)? {
            None => Err("the vote to be taken back is not in the project".to_owned()),
            Some(undone) if undone.undo_of.is_some() => {
                Err("a record that takes a vote back cannot be taken back: vote again".to_owned())
            }
            Some(undone) if undone.study != vote.study || undone.rater != vote.rater => {
                Err("only the rater who gave a vote can take it back".to_owned())
            }
            Some(_) if is_taken_back(conn, token).map_err(sql)? => {
                Err("the vote is taken back already".to_owned())
            }
            Some(_) => Ok(()),
        };
    }
    if !study.is_quick && is_voted(conn, vote).map_err(sql)? {
        return Err(format!(
            "{} has voted in trial {} already: take that vote back first",
            vote.rater,
            vote.trial + 1
        ));
    }
    Ok(())
}

/// Why a record does not belong to a study, wherever it comes from.
fn check_record(study: &Study, vote: &Vote) -> Result<(), String> {
    if vote.protocol != study.hash {
        return Err(format!(
            "it was given under another protocol than that of {}: open the study again",
            study.protocol.name
        ));
    }
    if vote.clone().sealed().token != vote.token {
        return Err("the record is not as it was when it was given: its token does not fit".into());
    }
    if !vote.zoom_max.is_finite() || !vote.dpi_scale.is_finite() {
        return Err("zoom and screen scale have to be numbers".to_owned());
    }
    vote.check(&study.protocol, study.is_quick)
}

/// Whether the rater has a standing vote in the trial.
fn is_voted(conn: &Connection, vote: &Vote) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "SELECT EXISTS (
             SELECT 1 FROM vote AS given
             WHERE study_id = ?1 AND rater = ?2 AND trial = ?3 AND undo_of IS NULL
             AND NOT EXISTS (SELECT 1 FROM vote WHERE undo_of = given.token))",
    )?
    .query_row((vote.study.0, &vote.rater, vote.trial as i64), |row| {
        row.get(0)
    })
}

fn is_taken_back(conn: &Connection, token: VoteToken) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM vote WHERE undo_of = ?1)")?
        .query_row([blob(token)], |row| row.get(0))
}

fn merge(conn: &Connection, study: &Study, votes: &[Vote]) -> rusqlite::Result<MergedVotes> {
    let mut merged = MergedVotes::default();
    for vote in votes {
        let vote = Vote {
            study: study.id,
            ..vote.clone()
        };
        if vote_of(conn, vote.token)?.is_some() {
            merged.known += 1;
        } else if let Err(reason) = check_record(study, &vote) {
            *merged.refused.entry(reason).or_default() += 1;
        } else {
            insert_vote(conn, &vote)?;
            merged.added += 1;
        }
    }
    Ok(merged)
}

/// A vote that stands; `None` where it is not known or taken back.
pub(super) fn standing_vote(conn: &Connection, token: VoteToken) -> rusqlite::Result<Option<Vote>> {
    if is_taken_back(conn, token)? {
        return Ok(None);
    }
    vote_of(conn, token)
}

/// The record of a token.
pub(super) fn vote_of(conn: &Connection, token: VoteToken) -> rusqlite::Result<Option<Vote>> {
    conn.prepare_cached("SELECT * FROM vote WHERE token = ?1")?
        .query_row([blob(token)], vote_from_row)
        .optional()
}

/// Adds a record; a token that is there already is refused by the table.
pub(super) fn insert_vote(conn: &Connection, vote: &Vote) -> rusqlite::Result<Vote> {
    let (hash, right) = match vote.shown {
        Shown::One(hash) => (hash, None),
        Shown::Pair { left, right } => (left, Some(right)),
    };
    let (score, choice) = match vote.value {
        VoteValue::Score(score) => (Some(score), None),
        VoteValue::Pair(choice) => (None, Some(choice.name())),
    };
    conn.prepare_cached(
        "INSERT INTO vote (token, study_id, protocol_hash, rater, session, trial, hash, right_hash, aspect, method,
             score, choice, is_training, is_repeat, shown_at, voted_at, reaction_ms, zoom_max, screen_width,
             screen_height, dpi_scale, app_version, undo_of)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
             ?23)",
    )?
    .execute(rusqlite::params![
        blob(vote.token),
        vote.study.0,
        vote.protocol.0.0,
        vote.rater,
        vote.session,
        vote.trial as i64,
        hash.0,
        right.map(|hash| hash.0),
        vote.aspect.name(),
        vote.method.name(),
        score,
        choice,
        vote.is_training,
        vote.is_repeat,
        vote.shown_at,
        vote.voted_at,
        vote.reaction_ms,
        vote.zoom_max,
        vote.screen_px[0],
        vote.screen_px[1],
        vote.dpi_scale,
        vote.app_version,
        vote.undo_of.map(blob),
    ])?;
    Ok(Vote {
        id: VoteId(conn.last_insert_rowid()),
        ..vote.clone()
    })
}

/// Every record of every study, in the order in which they came in.
pub(super) fn all_votes(conn: &Connection) -> rusqlite::Result<Vec<Vote>> {
    conn.prepare_cached("SELECT * FROM vote ORDER BY id")?
        .query_map((), vote_from_row)?
        .collect()
}

fn vote_from_row(row: &Row<'_>) -> rusqlite::Result<Vote> {
    let hash = ContentHash(row.get("hash")?);
    let right: Option<[u8; 32]> = row.get("right_hash")?;
    let shown = right.map_or(Shown::One(hash), |right| Shown::Pair {
        left: hash,
        right: ContentHash(right),
    });
    let choice: Option<String> = row.get("choice")?;
    let value = match choice {
        Some(word) => VoteValue::Pair(value::word::<PairChoice>("choice", &word)?),
        None => VoteValue::Score(row.get("score")?),
    };
    let method: String = row.get("method")?;
    let undo_of: Option<[u8; 16]> = row.get("undo_of")?;
    Ok(Vote {
        id: VoteId(row.get("id")?),
        token: VoteToken(u128::from_be_bytes(row.get("token")?)),
        study: StudyId(row.get("study_id")?),
        protocol: ProtocolHash(ContentHash(row.get("protocol_hash")?)),
        rater: row.get("rater")?,
        session: row.get("session")?,
        trial: row.get::<_, i64>("trial")? as usize,
        shown,
        aspect: value::aspect(row)?,
        method: value::word::<Method>("method", &method)?,
        value,
        is_training: row.get("is_training")?,
        is_repeat: row.get("is_repeat")?,
        shown_at: row.get("shown_at")?,
        voted_at: row.get("voted_at")?,
        reaction_ms: row.get("reaction_ms")?,
        zoom_max: row.get("zoom_max")?,
        screen_px: [row.get("screen_width")?, row.get("screen_height")?],
        dpi_scale: row.get("dpi_scale")?,
        app_version: row.get("app_version")?,
        undo_of: undo_of.map(|token| VoteToken(u128::from_be_bytes(token))),
    })
}

const fn blob(token: VoteToken) -> [u8; 16] {
    token.0.to_be_bytes()
}

fn insert_mos(
    conn: &Connection,
    study: StudyId,
    aspect: Aspect,
    row: &StudyMos,
) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT INTO study_mos VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute((
            study.0,
            aspect.name(),
            row.hash.0,
            row.mos,
            row.std,
            row.ci95,
            row.num_ratings,
            &row.screening,
        ))?;
    Ok(())
}

/// What a study came to under an aspect.
pub(super) fn mos_of(
    conn: &Connection,
    study: StudyId,
    aspect: Aspect,
) -> rusqlite::Result<Vec<StudyMos>> {
    conn.prepare_cached("SELECT * FROM study_mos WHERE study_id = ?1 AND aspect = ?2")?
        .query_map((study.0, aspect.name()), |row| {
            Ok(StudyMos {
                hash: ContentHash(row.get("hash")?),
                mos: row.get("mos")?,
                std: row.get("std")?,
                ci95: row.get("ci95")?,
                num_ratings: row.get("num_ratings")?,
                screening: row.get("screening")?,
            })
        })?
        .collect()
}

fn quick_words(vote: &Vote) -> String {
    let word = vote
        .score()
        .and_then(|score| Method::WORDS.get((score as usize).checked_sub(1)?))
        .copied()
        .unwrap_or("a picture");
    format!("Rate {} \u{201c}{word}\u{201d}", vote.aspect)
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::super::testing::hash;
    use super::super::testing::missing;
    use super::super::testing::present;
    use super::super::testing::protocol;
    use super::super::testing::vote;
    use super::*;
    use crate::domain::ImageId;
    use crate::domain::study::standing;

    fn world() -> (World, Study) {
        let mut world = World::with_images(30);
        let study = world.project.create_study(&protocol(30), 5_000).unwrap();
        (world, study)
    }

    /// A quick vote on a picture.
    fn quick(study: &Study, picture: usize, score: f64) -> Vote {
        Vote {
            aspect: Aspect::Quality,
            ..vote(study, "Ada", picture, score)
        }
        .sealed()
    }

    #[test]
    fn a_study_and_its_votes_come_back_as_they_were() {
        let (mut world, study) = world();
        assert!(!study.is_frozen && !study.is_quick);
        let given = vote(&study, "Ada", 3, 4.0);
        let stored = world.project.append_vote(&given).unwrap();
        world.reopen();
        let catalog = world.project.catalog().unwrap();
        assert_eq!(
            catalog.votes,
            [Vote {
                id: VoteId(1),
                ..given
            }]
        );
        assert_eq!(catalog.votes, [stored]);
        assert_eq!(catalog.studies[0].protocol, study.protocol);
        assert!(catalog.studies[0].is_frozen);
        assert_eq!(world.project.study(study.id).unwrap().hash, study.hash);
    }

    #[test]
    fn a_pair_comes_back_as_it_was() {
        let mut world = World::with_images(30);
        let mut pairs = protocol(30);
        pairs.method = Method::Pairs;
        let study = world.project.create_study(&pairs, 5_000).unwrap();
        let given = Vote {
            shown: Shown::Pair {
                left: hash(1),
                right: hash(11),
            },
            value: VoteValue::Pair(PairChoice::Tie),
            ..vote(&study, "Ada", 1, 1.0)
        }
        .sealed();
        world.project.append_vote(&given).unwrap();
        let stored = world.project.votes(study.id).unwrap();
        assert_eq!(stored[0].token, given.token);
        assert_eq!(
            (stored[0].shown, stored[0].value),
            (given.shown, given.value)
        );
    }

    #[test]
    fn the_same_record_twice_is_one_vote() {
        let (mut world, study) = world();
        let given = vote(&study, "Ada", 3, 4.0);
        let first = world.project.append_vote(&given).unwrap();
        assert_eq!(world.project.append_vote(&given).unwrap(), first);
        assert_eq!(world.project.votes(study.id).unwrap().len(), 1);
    }

    #[test]
    fn a_trial_is_voted_in_once_until_that_is_taken_back() {
        let (mut world, study) = world();
        let given = vote(&study, "Ada", 3, 4.0);
        world.project.append_vote(&given).unwrap();
        let other = vote(&study, "Ada", 3, 2.0);
        let error = world.project.append_vote(&other).unwrap_err();
        assert!(error.to_string().contains("trial 4 already"), "{error}");
        let back = given.taken_back(90_000);
        world.project.append_vote(&back).unwrap();
        world.project.append_vote(&other).unwrap();
        let votes = world.project.votes(study.id).unwrap();
        assert_eq!(votes.len(), 3, "nothing is erased");
        let tokens: Vec<VoteToken> = standing(&votes).iter().map(|vote| vote.token).collect();
        assert_eq!(tokens, [other.token]);

        let twice = given.taken_back(95_000);
        let error = world.project.append_vote(&twice).unwrap_err();
        assert!(error.to_string().contains("taken back already"), "{error}");
        let of_back = back.taken_back(99_000);
        world.project.append_vote(&of_back).unwrap_err();
    }

    #[test]
    fn records_that_do_not_belong_are_refused_with_the_reason() {
        let (mut world, study) = world();
        let mut refused = |vote: Vote, words: &str| {
            let error = world.project.append_vote(&vote).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        };
        let good = vote(&study, "Ada", 3, 4.0);
        let unsealed = Vote {
            value: VoteValue::Score(5.0),
            ..good.clone()
        };
        refused(unsealed, "token does not fit");
        let other = Vote {
            protocol: Protocol::quick().hash(),
            ..good.clone()
        };
        refused(other.sealed(), "another protocol");
        let nobody = Vote {
            rater: String::new(),
            ..good.clone()
        };
        refused(nobody.sealed(), "no rater");
        let nowhere = Vote {
            study: StudyId(99),
            ..good.clone()
        };
        refused(nowhere, "no study 99");
        let mut back = good.taken_back(9_000);
        refused(back.clone(), "not in the project");
        world.project.append_vote(&good).unwrap();
        back.rater = "Bo".to_owned();
        let error = world.project.append_vote(&back.sealed()).unwrap_err();
        assert!(error.to_string().contains("only the rater"), "{error}");
    }

    #[test]
    fn a_protocol_changes_until_the_first_vote() {
        let (mut world, study) = world();
        let mut other = study.protocol.clone();
        other.min_dwell_ms = 5;
        let changed = world.project.change_study(study.id, &other).unwrap();
        assert_eq!(changed.hash, other.hash());
        let error = world
            .project
            .append_vote(&vote(&study, "Ada", 3, 4.0))
            .unwrap_err();
        assert!(error.to_string().contains("another protocol"), "{error}");
        world
            .project
            .append_vote(&vote(&changed, "Ada", 3, 4.0))
            .unwrap();
        let error = world
            .project
            .change_study(study.id, &study.protocol)
            .unwrap_err();
        assert!(matches!(error, StoreError::FrozenStudy { .. }), "{error}");
        assert_eq!(world.project.study(study.id).unwrap().protocol, other);
    }

    #[test]
    fn the_file_itself_keeps_votes_and_frozen_protocols() {
        let (mut world, study) = world();
        world
            .project
            .append_vote(&vote(&study, "Ada", 3, 4.0))
            .unwrap();
        let conn = &world.project.conn;
        for sql in [
            "DELETE FROM vote",
            "UPDATE vote SET score = 5",
            "UPDATE study SET protocol = '{}'",
        ] {
            conn.execute(sql, ()).unwrap_err();
        }
        assert_eq!(world.project.votes(study.id).unwrap().len(), 1);
    }

    #[test]
    fn a_study_that_nobody_could_sit_is_refused() {
        let mut world = World::with_images(3);
        let error = world.project.create_study(&protocol(0), 1).unwrap_err();
        assert!(error.to_string().contains("No picture is left"), "{error}");
        assert!(world.project.studies().unwrap().is_empty());
    }

    #[test]
    fn merging_twice_adds_nothing() {
        let (mut world, study) = world();
        let own = vote(&study, "Ada", 1, 4.0);
        world.project.append_vote(&own).unwrap();
        let foreign: Vec<Vote> = (0..10)
            .map(|picture| Vote {
                study: StudyId(40),
                ..vote(&study, "Bo", picture, 2.0)
            })
            .collect();
        let back = foreign[3].taken_back(70_000);
        let mut all = foreign.clone();
        all.extend([back, own]);
        let spoiled = Vote {
            rater: "Cem".to_owned(),
            ..vote(&study, "Dan", 0, 2.0)
        };
        all.push(spoiled);
        let merge = |world: &mut World| {
            let (merged_into, merged) =
                world.project.merge_study(&study.protocol, 9, &all).unwrap();
            assert_eq!(merged_into.id, study.id);
            merged
        };
        let first = merge(&mut world);
        assert_eq!((first.added, first.known), (11, 1));
        assert_eq!(first.refused.values().sum::<usize>(), 1);
        let votes = world.project.votes(study.id).unwrap();
        assert_eq!(standing(&votes).len(), 10);
        let again = merge(&mut world);
        assert_eq!((again.added, again.known), (0, 12));
        assert_eq!(world.project.votes(study.id).unwrap(), votes);
    }

    #[test]
    fn a_study_that_is_not_here_comes_with_its_votes() {
        let (_, study) = world();
        let mut other = World::empty();
        let votes = [vote(&study, "Ada", 1, 4.0)];
        let (merged_into, merged) = other
            .project
            .merge_study(&study.protocol, 9, &votes)
            .unwrap();
        assert_eq!((merged_into.hash, merged.added), (study.hash, 1));
        assert!(merged_into.is_frozen);
    }

    #[test]
    fn quick_votes_are_undone_and_redone_like_any_change() {
        let mut world = World::with_images(3);
        let study = world.project.quick_study(1).unwrap();
        assert_eq!(world.project.quick_study(2).unwrap(), study);
        world.project.append_vote(&quick(&study, 1, 4.0)).unwrap();
        let (undo, _) = world.project.undo_state().unwrap();
        assert_eq!(undo.unwrap().0, "Rate quality \u{201c}Good\u{201d}");
        let num_standing = |world: &World| {
            let votes = world.project.votes(study.id).unwrap();
            (standing(&votes).len(), votes.len())
        };
        assert_eq!(num_standing(&world), (1, 1));
        world.project.undo(1).unwrap();
        assert_eq!(num_standing(&world), (0, 2));
        world.project.redo(1).unwrap();
        assert_eq!(num_standing(&world), (1, 3));
        world.project.undo(1).unwrap();
        assert_eq!(num_standing(&world), (0, 4));
        // The same picture may be rated again, without taking anything back.
        world.project.append_vote(&quick(&study, 1, 2.0)).unwrap();
        world.project.append_vote(&quick(&study, 1, 3.0)).unwrap();
        assert_eq!(num_standing(&world), (2, 6));
    }

    #[test]
    fn a_study_as_ground_truth_is_never_mixed_and_is_undone() {
        let (mut world, study) = world();
        let before = world.project.catalog().unwrap();
        assert_eq!(before.truth_name(Aspect::Quality), "Test set");
        let opinion = StudyMos {
            hash: hash(4),
            mos: 3.0,
            std: Some(1.0),
            ci95: None,
            num_ratings: 7,
            screening: "p910".to_owned(),
        };
        world
            .project
            .set_study_mos(study.id, Aspect::Quality, &[opinion])
            .unwrap();
        let mut settings = world.project.settings().unwrap();
        *settings.ground_truth.get_mut(Aspect::Quality) = Some(study.id);
        let operation = Operation("Use the study".to_owned());
        world.project.set_settings(&settings, &operation).unwrap();

        let catalog = world.project.catalog().unwrap();
        for image in &catalog.images {
            let expected = (image.file.hash() == Some(hash(4))).then_some(2.5);
            assert_eq!(image.mos(Aspect::Quality), expected);
            assert_eq!(image.mos(Aspect::Correspondence), Some(2.5));
        }
        let name = catalog.truth_name(Aspect::Quality);
        assert_eq!(name, "study \u{201c}Test study\u{201d} (1-5 laid onto 0-5)");
        let changed = world.project.images(&[ImageId(1)]).unwrap();
        assert_eq!(changed[0].mos(Aspect::Quality), None);

        world.project.undo(1).unwrap();
        assert_eq!(world.project.catalog().unwrap().images, before.images);
    }

    #[test]
    fn an_import_leaves_the_datasets_own_truth_as_it_was() {
        let (mut world, study) = world();
        let mut settings = world.project.settings().unwrap();
        *settings.ground_truth.get_mut(Aspect::Quality) = Some(study.id);
        let operation = Operation("Use the study".to_owned());
        world.project.set_settings(&settings, &operation).unwrap();
        let again = super::super::testing::batch(30);
        assert_eq!(world.project.import(&again, 6).unwrap().changed, 0);
        world.project.undo(1).unwrap();
        let catalog = world.project.catalog().unwrap();
        assert_eq!(catalog.images[0].mos(Aspect::Quality), Some(2.5));
    }

    #[test]
    fn ratings_outlive_whatever_becomes_of_the_file() {
        let (mut world, study) = world();
        world
            .project
            .append_vote(&vote(&study, "Ada", 3, 4.0))
            .unwrap();
        let votes = world.project.catalog().unwrap().votes;
        let id = ImageId(4);
        for file in [missing(), present(77), present(3)] {
            world.project.update_file_states(&[(id, file)]).unwrap();
            assert_eq!(world.project.catalog().unwrap().votes, votes);
        }
        let mut renamed = super::super::testing::batch(30);
        renamed.rows[3].path = "elsewhere/renamed.png".to_owned();
        world.project.import(&renamed, 6).unwrap();
        world.project.set_root("/elsewhere").unwrap();
        assert_eq!(world.project.catalog().unwrap().votes, votes);
        // A vote on a picture that is away just now is a vote.
        world
            .project
            .update_file_states(&[(id, missing())])
            .unwrap();
        world
            .project
            .append_vote(&vote(&study, "Bo", 3, 2.0))
            .unwrap();
    }
}
