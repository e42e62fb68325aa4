//! The job that lets a teacher on another machine describe pictures, several at once, within a budget.
//!
//! Each description is saved as it comes, so that the same job goes on where it was stopped. Whether a score may be
//! shown is decided by [`Question`] alone, row by row.

mod desk;
mod estimate;
mod greet;
mod keys;

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::Description;
use crate::domain::DescriptionId;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::Origin;
use crate::domain::Preset;
use crate::domain::Provenance;
use crate::domain::Question;
use crate::domain::TeachFailure;
use crate::domain::Usage;
use crate::jobs::context::EventSender;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::files_worker::unix_time;
use crate::jobs::message::Event;
use crate::jobs::message::FailedItem;
use crate::jobs::message::JobReport;
use crate::jobs::message::TeachRequest;
use crate::jobs::pipeline::usable;
use crate::jobs::presets::preset_in_use;
use crate::jobs::store_worker::Pinned;
use crate::jobs::store_worker::StoreHandle;
use crate::jobs::store_worker::file_of;
use crate::media;
use crate::net::teacher::Sent;
use crate::net::teacher::Teacher;
use crate::net::teacher::TeacherError;

use desk::SharedDesk;

pub use estimate::estimate;
pub(super) use estimate::tell_estimate;
pub(super) use greet::greet;
pub(super) use greet::keep_key;
pub(super) use greet::tell_key;

/// How often the state of the lanes is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Questions asked at once at most: more is what servers answer with 429.
const MAX_LANES: usize = 16;

/// A picture that is sent as it is on disk; larger ones would pass what servers take in one request.
const MAX_SENT: u64 = 12 * 1024 * 1024;

/// Quality of the JPEG that a picture becomes whose PNG is too large to send.
const HIGH_QUALITY: u8 = 95;

/// Lets the teacher describe what it has not described yet.
pub(super) fn teach(
    store: &StoreHandle,
    request: &TeachRequest,
    seed: u64,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    context.progress(0, 0, "Looking for what is to be asked")?;
    let (catalog, pinned) = store.snapshot()?;
    let preset = preset_in_use(&catalog)?;
    let found = keys::find(request.kind, &request.base, &request.key_variable)?;
    let named = (found.place.as_str(), found.keys);
    let teacher = Teacher::new(request.kind, &request.base, &request.model, named, seed)?;
    let (rows, absent) = usable(&catalog, &request.images);
    let class = Class {
        request,
        catalog: &catalog,
        preset,
        pinned,
        teacher,
        seed,
    };
    let (questions, skipped) = class.questions(&rows);
    let desk = SharedDesk::new(context.flags(), request);
    let outcome = class.ask_all(&questions, &desk, context);
    let usage = desk.purse().usage;
    let mut report = JobReport {
        done: desk.done.load(Ordering::Relaxed),
        skipped,
        failed: absent,
        ..JobReport::default()
    };
    report.failed.append(&mut desk.failed());
    let ended = match outcome {
        Ok(()) => String::new(),
        Err(TeacherError::Budget(words)) => format!("; stopped: {words}"),
        Err(TeacherError::Interrupted(stop)) => return Err(stop.into()),
        Err(error) if report.done == 0 => return Err(JobError::Teacher(error.to_string())),
        // What was described before it is saved, and worth more than an error alone.
        Err(error) => format!("; stopped: {error}"),
    };
    report.summary = format!(
        "{} descriptions by {}, {} were there already, {} failed; {} requests, {} tokens read, {} written{}{ended}",
        report.done,
        request.model,
        report.skipped,
        report.failed.len(),
        usage.requests,
        usage.input,
        usage.output,
        match usage.cost(request.prices) {
            cost if cost > 0.0 => format!(", cost {cost:.4}"),
            _ => String::new(),
        },
    );
    Ok(report)
}

/// One job: who is asked, in which wording, and where the answers go.
struct Class<'a> {
    request: &'a TeachRequest,
    catalog: &'a Catalog,
    preset: Preset,
    pinned: Pinned,
    teacher: Teacher,
    seed: u64,
}

type Asked<'a> = (&'a ImageRecord, Question);

impl Class<'_> {
    fn questions<'a>(&self, rows: &[&'a ImageRecord]) -> (Vec<Asked<'a>>, u64) {
        questions(self.catalog, self.request, &self.preset, rows)
    }

    /// Asks every question, several at once. The first thing that is not about one picture ends it.
    fn ask_all(
        &self,
        questions: &[Asked<'_>],
        desk: &SharedDesk,
        context: &mut JobContext,
    ) -> Result<(), TeacherError> {
        let next = AtomicUsize::new(0);
        let events = context.events().clone();
        let stage = format!("Asking {}", self.request.model);
        let num_lanes = self.request.lanes.clamp(1, MAX_LANES).min(questions.len());
        thread::scope(|scope| {
            let work = || self.work_off(questions, &next, desk, &events);
            let lanes: Vec<_> = (0..num_lanes).map(|_| scope.spawn(work)).collect();
            let mut told = Usage::default();
            while lanes.iter().any(|lane| !lane.is_finished()) {
                let usage = desk.purse().usage;
                if usage != told {
                    told = usage;
                    events.send(Event::TeacherSpent(context.id(), usage));
                }
                let words = desk.words();
                let stage = if words.is_empty() { &stage } else { &words };
                // A wish to stop is noticed by the lanes themselves.
                context
                    .progress(
                        desk.answered.load(Ordering::Relaxed),
                        questions.len() as u64,
                        stage,
                    )
                    .ok();
                thread::sleep(LOOK);
            }
            let outcomes: Vec<Result<(), TeacherError>> = lanes
                .into_iter()
                .map(|lane| {
                    lane.join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect();
            let (stopped, ended): (Vec<_>, Vec<_>) = outcomes
                .into_iter()
                .filter_map(Result::err)
                .partition(|error| matches!(error, TeacherError::Interrupted(_)));
            ended.into_iter().chain(stopped).next().map_or(Ok(()), Err)
        })
    }

    /// One lane: takes the next question until none is left.
    fn work_off(
        &self,
        questions: &[Asked<'_>],
        next: &AtomicUsize,
        desk: &SharedDesk,
        events: &EventSender,
    ) -> Result<(), TeacherError> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((record, question)) = questions.get(at) else {
                return Ok(());
            };
            let told = self
                .sent(record)
                .and_then(|picture| self.teacher.ask(question, &picture, desk));
            match told {
                Ok(texts) => {
                    let saved = self.save(record, question, texts, events);
                    let num = saved
                        .map_err(|error| desk.end(TeacherError::Picture(error.to_string())))?;
                    desk.done.fetch_add(num, Ordering::Relaxed);
                }
                Err(TeacherError::Picture(reason)) => {
                    self.note_failure(record, question, &reason, events);
                    desk.failed().push(FailedItem {
                        image: Some(record.id),
                        path: record.path.clone(),
                        reason,
                    });
                }
                Err(error) => return Err(desk.end(error)),
            }
            desk.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The picture's own bytes where servers take them: packed anew, it would be another picture to judge.
    fn sent(&self, record: &ImageRecord) -> Result<Sent, TeacherError> {
        let path = file_of(&self.catalog.info.root, &record.path);
        let bytes = fs::read(&path)
            .map_err(|error| TeacherError::Picture(format!("cannot read the picture: {error}")))?;
        if record.file.hash() != Some(media::hash_bytes(&bytes)) {
            return Err(TeacherError::Picture(JobError::Changed.to_string()));
        }
        let mime = match bytes.as_slice() {
            [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
            [0xff, 0xd8, ..] => Some("image/jpeg"),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Some("image/webp"),
            _ => None,
        };
        if let Some(mime) = mime.filter(|_| bytes.len() as u64 <= MAX_SENT) {
            return Ok(Sent::new(mime, &bytes));
        }
        let in_words = |error: media::MediaError| TeacherError::Picture(error.to_string());
        let picture = media::decode(&bytes).map_err(in_words)?;
        let png = media::encode_png(&picture).map_err(in_words)?;
        if let 0..=MAX_SENT = png.len() as u64 {
            Ok(Sent::new("image/png", &png))
        } else {
            let jpeg = media::encode_jpeg(&picture, HIGH_QUALITY).map_err(in_words)?;
            Ok(Sent::new("image/jpeg", &jpeg))
        }
    }

    /// Saves what was told, and says so; answers how many descriptions that were.
    fn save(
        &self,
        record: &ImageRecord,
        question: &Question,
        texts: Vec<(Aspect, String)>,
        events: &EventSender,
    ) -> Result<u64, JobError> {
        let drafts: Vec<Description> = texts
            .into_iter()
            .map(|(aspect, text)| self.draft(record, question, aspect, text))
            .collect();
        let saved = self
            .pinned
            .call(move |project, _| Ok(project.add_lessons(&drafts)?))?;
        let num = saved.len() as u64;
        for description in saved {
            events.send(Event::Described(description));
        }
        Ok(num)
    }

    /// Notes in the project what was not answered, so that it is found again among the texts to review.
    fn note_failure(
        &self,
        record: &ImageRecord,
        question: &Question,
        reason: &str,
        events: &EventSender,
    ) {
        let failures: Vec<TeachFailure> = question
            .aspects
            .iter()
            .map(|asked| TeachFailure {
                image: record.id,
                aspect: asked.aspect,
                teacher: self.request.model.clone(),
                reason: reason.to_owned(),
                unix_time: unix_time(),
            })
            .collect();
        let noted = failures.clone();
        let outcome = self
            .pinned
            .call(move |project, _| Ok(project.note_teach_failures(&noted)?));
        // The job's own report lists it in any case.
        if outcome.is_ok() {
            events.send(Event::TeachFailed(failures));
        }
    }

    fn draft(
        &self,
        record: &ImageRecord,
        question: &Question,
        aspect: Aspect,
        text: String,
    ) -> Description {
        let asked = question.aspects.iter().find(|asked| asked.aspect == aspect);
        let shown = asked.and_then(|asked| asked.shown);
        Description {
            id: DescriptionId(0),
            image: record.id,
            aspect,
            origin: Origin::Teacher,
            request: asked.map(|asked| asked.request.clone()).unwrap_or_default(),
            text,
            question: self.preset.aspect(aspect).question.clone(),
            answer: None,
            made: Provenance {
                model: None,
                preset: Some(self.preset.name.clone()),
                settings: json!({
                    "teacher": self.request.model,
                    "kind": self.request.kind,
                    "server": self.teacher.host(),
                    "together": self.request.together,
                    "shown_score": shown.map(|shown| shown.mos()),
                }),
                seed: self.seed,
                program_version: env!("CARGO_PKG_VERSION").to_owned(),
                unix_time: unix_time(),
            },
        }
    }
}

/// What is to be asked, and how many descriptions are there already.
fn questions<'a>(
    catalog: &Catalog,
    request: &TeachRequest,
    preset: &Preset,
    rows: &[&'a ImageRecord],
) -> (Vec<Asked<'a>>, u64) {
    let known: BTreeSet<(ImageId, Aspect)> = catalog
        .descriptions
        .iter()
        .filter(|told| {
            told.origin == Origin::Teacher
                && told.teacher() == Some(request.model.as_str())
                && told.made.preset.as_deref() == Some(preset.name.as_str())
        })
        .map(|told| (told.image, told.aspect))
        .collect();
    let mut skipped = 0;
    let mut questions = Vec::new();
    for record in rows {
        let mut due = request.aspects.clone();
        if !request.again {
            due.retain(|aspect| !known.contains(&(record.id, *aspect)));
        }
        skipped += (request.aspects.len() - due.len()) as u64;
        let groups: Vec<&[Aspect]> = match request.together {
            true if due.is_empty() => Vec::new(),
            true => vec![&due],
            false => due.chunks(1).collect(),
        };
        for aspects in groups {
            let scale = catalog.info.scale;
            let question = Question::about(record, aspects, preset, scale, request.shows_scores);
            questions.push((*record, question));
        }
    }
    (questions, skipped)
}
