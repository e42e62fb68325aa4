//! Votes: records that are only ever added, each once.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::OptionalExtension as _;
use rusqlite::Row;

use super::all;
use super::check;
use super::insert;
use super::study;
use crate::domain::ContentHash;
use crate::domain::Method;
use crate::domain::Operation;
use crate::domain::PairChoice;
use crate::domain::Protocol;
use crate::domain::ProtocolHash;
use crate::domain::Shown;
use crate::domain::Study;
use crate::domain::StudyId;
use crate::domain::Vote;
use crate::domain::VoteId;
use crate::domain::VoteToken;
use crate::domain::VoteValue;
use crate::domain::grouped;
use crate::store::Project;
use crate::store::StoreError;
use crate::store::error::Fault;
use crate::store::undo;
use crate::store::undo::Change;
use crate::store::value;

/// What came of votes that another file brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergedVotes {
    /// Records that were new.
    pub added: usize,
    /// Records that were here already.
    pub known: usize,
    /// Why records were left out, each with its number of records.
    pub refused: BTreeMap<String, usize>,
    /// Raters whose new answers are to trials that the same name has answered here, with their number. They came in; of
    /// two answers to one picture the newer counts.
    pub twice: BTreeMap<String, usize>,
}

impl MergedVotes {
    /// Adds what came of other votes.
    pub fn add(&mut self, other: Self) {
        self.added += other.added;
        self.known += other.known;
        for (reason, num) in other.refused {
            *self.refused.entry(reason).or_default() += num;
        }
        for (rater, num) in other.twice {
            *self.twice.entry(rater).or_default() += num;
        }
    }
}

impl Project {
    /// Every record of one study, in the order in which they came in.
    pub fn votes(&self, study: StudyId) -> Result<Vec<Vote>, StoreError> {
        self.read("read the votes", |conn| votes_of(conn, study))
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
        let study = self.study_voted_in(vote.study)?;
        self.write("save the vote", |tx| {
            let (stored, is_new) = append(tx, &study, vote)?;
            if is_new && study.is_quick && vote.undo_of.is_none() {
                note_quick(tx, &[vote])?;
            }
            Ok(stored)
        })
    }

    /// Adds what one key of quick rating gave, all of it or nothing, as one change of the user's. A record that is here
    /// already is answered as it stands.
    pub fn append_quick_votes(&mut self, votes: &[Vote]) -> Result<Vec<Vote>, StoreError> {
        let Some(first) = votes.first() else {
            return Ok(Vec::new());
        };
        let study = self.study_voted_in(first.study)?;
        let is_quick = |vote: &Vote| vote.study == study.id && vote.undo_of.is_none();
        if !study.is_quick || !votes.iter().all(is_quick) {
            let reason = "only votes of quick rating are given many at a time".to_owned();
            return Err(StoreError::VoteRefused { reason });
        }
        self.write("save the ratings", |tx| {
            let mut stored = Vec::with_capacity(votes.len());
            let mut fresh = Vec::new();
            for vote in votes {
                let (vote_stored, is_new) = append(tx, &study, vote)?;
                stored.push(vote_stored);
                fresh.extend(is_new.then_some(vote));
            }
            note_quick(tx, &fresh)?;
            Ok(stored)
        })
    }

    /// The study of a vote, from memory as long as the file has the same protocol.
    fn study_voted_in(&mut self, id: StudyId) -> Result<Arc<Study>, StoreError> {
        let held = self.voted_in.take().filter(|study| study.id == id);
        let hash = self.read("read the study", |conn| hash_of(conn, id))?;
        let study = match held.filter(|study| Some(study.hash) == hash) {
            Some(study) => study,
            None => Arc::new(self.study(id)?),
        };
        self.voted_in = Some(Arc::clone(&study));
        Ok(study)
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
}

/// Adds a record that can stand in the study; whether it was not here yet.
fn append(tx: &Connection, study: &Study, vote: &Vote) -> Result<(Vote, bool), Fault> {
    if let Some(known) = vote_of(tx, vote.token)? {
        return Ok((known, false));
    }
    check_vote(tx, study, vote).map_err(|reason| StoreError::VoteRefused { reason })?;
    Ok((insert_vote(tx, vote)?, true))
}

/// Notes what takes votes of quick rating back, as one step.
fn note_quick(tx: &Connection, votes: &[&Vote]) -> rusqlite::Result<()> {
    let Some(first) = votes.first() else {
        return Ok(());
    };
    let inverses: Vec<Change> = votes
        .iter()
        .map(|vote| Change::TakeBackVote(vote.token))
        .collect();
    let operation = Operation(quick_words(first, votes.len()));
    undo::note(tx, &operation, &inverses)
}

/// Why a vote that a rater gives here and now cannot be taken.
fn check_vote(conn: &Connection, study: &Study, vote: &Vote) -> Result<(), String> {
    check_record(study, vote)?;
    let sql = |error: rusqlite::Error| error.to_string();
    if hash_of(conn, study.id).map_err(sql)? != Some(study.hash) {
        return Err("the study was changed just now: open it again".to_owned());
    }
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

/// The hash of a study's protocol, without the protocol.
fn hash_of(conn: &Connection, id: StudyId) -> rusqlite::Result<Option<ProtocolHash>> {
    conn.prepare_cached("SELECT hash FROM study WHERE id = ?1")?
        .query_row([id.0], |row| Ok(ProtocolHash(ContentHash(row.get(0)?))))
        .optional()
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
            if vote.undo_of.is_none() && !study.is_quick && is_voted(conn, &vote)? {
                *merged.twice.entry(vote.rater.clone()).or_default() += 1;
            }
            insert_vote(conn, &vote)?;
            merged.added += 1;
        }
    }
    Ok(merged)
}

/// A vote that stands; `None` where it is not known or taken back.
pub(in crate::store) fn standing_vote(
    conn: &Connection,
    token: VoteToken,
) -> rusqlite::Result<Option<Vote>> {
    if is_taken_back(conn, token)? {
        return Ok(None);
    }
    vote_of(conn, token)
}

/// The record of a token.
pub(in crate::store) fn vote_of(
    conn: &Connection,
    token: VoteToken,
) -> rusqlite::Result<Option<Vote>> {
    conn.prepare_cached("SELECT * FROM vote WHERE token = ?1")?
        .query_row([blob(token)], vote_from_row)
        .optional()
}

/// Adds a record; a token that is there already is refused by the table.
pub(in crate::store) fn insert_vote(conn: &Connection, vote: &Vote) -> rusqlite::Result<Vote> {
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

/// Every record of one study, in the order in which they came in.
pub(super) fn votes_of(conn: &Connection, study: StudyId) -> rusqlite::Result<Vec<Vote>> {
    conn.prepare_cached("SELECT * FROM vote WHERE study_id = ?1 ORDER BY id")?
        .query_map([study.0], vote_from_row)?
        .collect()
}

/// Every record of every study, in the order in which they came in.
pub(in crate::store) fn all_votes(conn: &Connection) -> rusqlite::Result<Vec<Vote>> {
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

fn quick_words(vote: &Vote, num: usize) -> String {
    let word = vote
        .score()
        .and_then(|score| Method::WORDS.get((score as usize).checked_sub(1)?))
        .copied()
        .unwrap_or("a picture");
    match num {
        1 => format!("Rate {} \u{201c}{word}\u{201d}", vote.aspect),
        num => format!(
            "Rate {} of {} pictures \u{201c}{word}\u{201d}",
            vote.aspect,
            grouped(num)
        ),
    }
}
