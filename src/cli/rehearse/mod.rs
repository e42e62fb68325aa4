//! `assay rehearse`: answers a study in place of raters, as fast as the disk takes votes.
//!
//! To try a protocol out before people sit it, to see how long a vote takes to be safe, and to hold the program to its
//! promise while it is killed. Its raters are called rehearsal, and its votes are in the project for good: give it a
//! copy. Hidden from the list of commands, because nobody who rates needs it.

mod people;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use anyhow::Context as _;
use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::session::Session;
use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::Method;
use crate::domain::PairChoice;
use crate::domain::Protocol;
use crate::domain::Shown;
use crate::domain::Study;
use crate::domain::StudyId;
use crate::domain::StudyPicture;
use crate::domain::Trial;
use crate::domain::Vote;
use crate::domain::VoteId;
use crate::domain::VoteToken;
use crate::domain::VoteValue;
use crate::domain::study::Sitting;
use crate::domain::study::next_pair;
use crate::domain::study::next_trial;
use crate::domain::study::of_rater;
use crate::domain::study::order;
use crate::jobs::message::Event;
use crate::jobs::message::Job;

/// `assay rehearse`.
#[derive(Debug, Clone, Args)]
pub(super) struct RehearseArgs {
    /// Project file: a copy, because votes are never erased
    #[arg(long, value_name = "FILE")]
    project: PathBuf,
    /// Number of the study; the newest if not given, and where there is none, one of all pictures is made
    #[arg(long, value_name = "N")]
    study: Option<i64>,
    /// Votes to give
    #[arg(long, default_value_t = 100, value_name = "N")]
    count: usize,
    /// Let so many simulated people sit the whole study, with their own leanings, times and breaks
    #[arg(long, value_name = "N", conflicts_with_all = ["count", "tokens"])]
    people: Option<usize>,
    /// So many of these answer without looking
    #[arg(long, default_value_t = 0, value_name = "N", requires = "people")]
    careless: usize,
    /// Say the token of each vote on stdout as soon as it is saved
    #[arg(long)]
    tokens: bool,
}

/// Votes until there are enough; when a rater is through, the next one comes.
pub(super) fn rehearse(args: &RehearseArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let mut catalog = session.open(&args.project)?;
    let study = study(&session, &mut catalog, args.study)?;
    if let Some(num_people) = args.people {
        let panel = people::Panel {
            num_people,
            num_careless: args.careless,
            catalog: &catalog,
            study: &study,
        };
        let mut milliseconds = people::sit(&session, &panel)?;
        answer(&study, &mut milliseconds, common);
        return Ok(Exit::Done);
    }
    let mut votes: Vec<Vote> = catalog.votes;
    votes.retain(|vote| vote.study == study.id);
    let mut milliseconds = Vec::with_capacity(args.count);
    let mut rater = Rater::new(&study, 1);
    while milliseconds.len() < args.count {
        let Some(trial) = rater.next(&study, &votes) else {
            rater = Rater::new(&study, rater.number + 1);
            continue;
        };
        let vote = rater.answer(&study, &votes, trial);
        let start = Instant::now();
        let stored = session.vote(vote)?;
        milliseconds.push(start.elapsed().as_secs_f64() * 1_000.0);
        if args.tokens {
            // Whoever reads this holds the program to it: the line goes out before the next vote.
            writeln!(std::io::stdout(), "{}", stored.token).context("cannot say the token")?;
        }
        votes.push(stored);
    }
    if !args.tokens {
        answer(&study, &mut milliseconds, common);
    }
    Ok(Exit::Done)
}

fn answer(study: &Study, milliseconds: &mut [f64], common: &Common) {
    milliseconds.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = milliseconds.len().saturating_sub(1);
        milliseconds
            .get((last as f64 * share).round() as usize)
            .copied()
    };
    let value = json!({
        "study": study.id.0,
        "votes": milliseconds.len(),
        "ms": { "p50": at(0.5), "p95": at(0.95), "max": at(1.0) },
    });
    let figure = |share| at(share).map_or_else(|| "-".to_owned(), |ms| format!("{ms:.2}"));
    let words = format!(
        "{} votes in study {}: from handed in to saved {} ms in the median, {} ms for 95 %, {} ms at most",
        milliseconds.len(),
        study.id.0,
        figure(0.5),
        figure(0.95),
        figure(1.0)
    );
    output::answer(common.json, &value, &words);
}

/// The study that was asked for, the newest, or a new one of all pictures.
fn study(session: &Session, catalog: &mut Catalog, id: Option<i64>) -> anyhow::Result<Study> {
    if let Some(id) = id {
        let study = catalog.study(StudyId(id)).filter(|study| !study.is_quick);
        return study.cloned().ok_or_else(|| {
            anyhow!("the project has no study {id}: leave --study out to make one")
        });
    }
    let newest = catalog.studies.iter().rev().find(|study| !study.is_quick);
    if let Some(study) = newest {
        return Ok(study.clone());
    }
    session.run(Job::CreateStudy(of_all_pictures(catalog)), &mut |event| {
        if let Event::StudiesChanged(studies) = event {
            catalog.studies = studies;
        }
    })?;
    let made = catalog.studies.iter().rev().find(|study| !study.is_quick);
    made.cloned()
        .ok_or_else(|| anyhow!("no study was made: check the project"))
}

fn of_all_pictures(catalog: &Catalog) -> Protocol {
    let mut known = std::collections::BTreeSet::new();
    let pictures = catalog.images.iter().filter_map(|record| {
        let hash = record.file.hash().filter(|hash| known.insert(*hash))?;
        Some(StudyPicture {
            hash,
            path: record.path.clone(),
            prompt: record.prompt.clone(),
        })
    });
    Protocol {
        pictures: pictures.collect(),
        aspects: vec![Aspect::Quality],
        repeat_gap: 10,
        ..Protocol::new("Rehearsal", Method::Acr5)
    }
}

/// One simulated rater with the order of trials.
struct Rater {
    number: usize,
    name: String,
    order: Vec<Trial>,
}

impl Rater {
    fn new(study: &Study, number: usize) -> Self {
        let name = format!("rehearsal {number}");
        let order = order(&study.protocol, &name);
        Self {
            number,
            name,
            order,
        }
    }

    fn next(&self, study: &Study, votes: &[Vote]) -> Option<Trial> {
        match study.protocol.method {
            Method::Pairs => next_pair(&study.protocol, &self.name, votes),
            Method::Acr5 | Method::Continuous => {
                next_trial(&self.order, &of_rater(votes, study.id, &self.name))
            }
        }
    }

    fn answer(&self, study: &Study, votes: &[Vote], trial: Trial) -> Vote {
        let now = now_ms();
        let own = of_rater(votes, study.id, &self.name);
        Vote {
            id: VoteId(0),
            token: VoteToken(0),
            study: study.id,
            protocol: study.hash,
            rater: self.name.clone(),
            session: Sitting::of(&study.protocol, &own, now).session,
            trial: trial.index,
            shown: trial.what,
            aspect: trial.aspect,
            method: study.protocol.method,
            value: self.value(study.protocol.method, trial.what),
            is_training: trial.is_training,
            is_repeat: trial.is_repeat,
            shown_at: now,
            voted_at: now,
            reaction_ms: 0,
            zoom_max: 1.0,
            screen_px: [0, 0],
            dpi_scale: 1.0,
            app_version: env!("CARGO_PKG_VERSION").to_owned(),
            undo_of: None,
        }
        .sealed()
    }

    /// An answer by the picture's content, moved a little by the rater: the same every time.
    fn value(&self, method: Method, shown: Shown) -> VoteValue {
        let seed: usize = shown
            .pictures()
            .iter()
            .map(|hash| usize::from(hash.0[0]))
            .sum();
        let seed = seed + self.number;
        match method {
            Method::Acr5 => VoteValue::Score((seed % 5 + 1) as f64),
            Method::Continuous => VoteValue::Score((seed % 51) as f64 / 10.0),
            Method::Pairs => VoteValue::Pair(PairChoice::ALL[seed % 3]),
        }
    }
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}
