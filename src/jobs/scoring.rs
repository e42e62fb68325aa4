//! The job that predicts scores: from cached features where they are, describing first where a description is lacking.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::json;

use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::ContentHash;
use crate::domain::DescriptionId;
use crate::domain::Descriptions;
use crate::domain::Features;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::Interrupted;
use crate::domain::ModelTag;
use crate::domain::PredictorCard;
use crate::domain::PredictorId;
use crate::domain::Reading;
use crate::domain::Score;
use crate::jobs::adapters::by_model;
use crate::jobs::context::JobContext;
use crate::jobs::describe::describe_lacking;
use crate::jobs::error::JobError;
use crate::jobs::evaluate::descriptions_of;
use crate::jobs::evaluate::predictor_in_use;
use crate::jobs::evaluate::reading_of;
use crate::jobs::evaluate::scores_by;
use crate::jobs::message::Event;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::ModelHost;
use crate::jobs::model_host::fitting_predictors;
use crate::jobs::pipeline::Known;
use crate::jobs::pipeline::LazyPicture;
use crate::jobs::pipeline::Made;
use crate::jobs::pipeline::Maker;
use crate::jobs::pipeline::Pipeline;
use crate::jobs::pipeline::failed;
use crate::jobs::pipeline::no_file;
use crate::jobs::pipeline::stage;
use crate::jobs::pipeline::usable;
use crate::jobs::store_worker::Pinned;
use crate::jobs::store_worker::StoreHandle;
use crate::ml::predictor::Predictor;
use crate::store::FeatureKey;

/// A predictor ready to run, with its card.
pub(super) struct Loaded {
    pub(super) card: PredictorCard,
    pub(super) predictor: Predictor,
}

/// What to score.
pub(super) struct ScoreRequest {
    pub(super) images: Vec<ImageId>,
    pub(super) aspects: Vec<Aspect>,
    /// Whose descriptions are read; `None`: those that the predictor learned from.
    pub(super) descriptions: Option<Descriptions>,
}

/// Scores what has no score by the predictor in use for its newest description.
/// A picture that fails is listed and gets no score.
pub(super) fn score(
    host: &mut ModelHost,
    store: &StoreHandle,
    request: &ScoreRequest,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    by_model(host, store, &request.aspects, |host, aspects| {
        let request = ScoreRequest {
            images: request.images.clone(),
            aspects: aspects.to_vec(),
            descriptions: request.descriptions,
        };
        score_by_one(host, store, &request, context)
    })
}

fn score_by_one(
    host: &mut ModelHost,
    store: &StoreHandle,
    request: &ScoreRequest,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    context.progress(0, 0, "Loading the model")?;
    let (catalog, pinned) = store.snapshot()?;
    let pipeline = Pipeline::new(host, store, &catalog, pinned)?;
    let examiners = examiners(&pipeline, request, &catalog, context)?;
    let source = |aspect| {
        let examiner = examiners.get(&aspect);
        examiner.map_or(Descriptions::Local, |examiner| examiner.descriptions)
    };
    let mut known = pipeline.known(&catalog, source);
    let (rows, absent) = usable(&catalog, &request.images);
    // 1. What is read beside the usual messages is said before anything is scored.
    for (aspect, examiner) in &examiners {
        if !examiner.describes_while_scoring() && examiner.descriptions == Descriptions::Local {
            let aspects = examiner.reading.aspects(*aspect);
            describe_lacking(&pipeline, &rows, &aspects, &mut known, context)?;
        }
    }
    let mut scoring = Scoring {
        scored: already_scored(&catalog, &known, &request.aspects),
        asked: (rows.len() * examiners.len()) as u64,
        stage: stage("Scoring", examiners.keys().copied()),
        pipeline: &pipeline,
        known: &known,
        examiners: &examiners,
        passed: 0,
        lacking: 0,
        report: JobReport {
            failed: absent,
            ..JobReport::default()
        },
    };
    // 2. What is described already
    let mut due = Vec::new();
    for record in rows {
        let to_describe = scoring.row(record, context)?;
        if !to_describe.is_empty() {
            due.push((record, to_describe));
        }
    }
    // 3. What is to be described first; scored as it comes
    pipeline.describe_all(&due, context, &mut |record, made, context| {
        scoring.made(record, made, context)
    })?;
    scoring.finish(context)
}

/// A predictor in use, and what it reads.
struct Examiner {
    loaded: Loaded,
    descriptions: Descriptions,
    reading: Reading,
}

impl Examiner {
    /// Whether what it reads comes of the pass that describes: then a picture is scored as it is described.
    fn describes_while_scoring(&self) -> bool {
        self.descriptions == Descriptions::Local && self.reading.is_usual()
    }
}

/// Going through the rows of a job, with the count of what came of them.
struct Scoring<'a> {
    pipeline: &'a Pipeline<'a>,
    known: &'a Known,
    examiners: &'a BTreeMap<Aspect, Examiner>,
    scored: BTreeSet<(ImageId, Aspect)>,
    asked: u64,
    stage: String,
    passed: u64,
    lacking: u64,
    report: JobReport,
}

impl Scoring<'_> {
    /// Scores what is described of a row, and answers the aspects that are to be described first.
    fn row(
        &mut self,
        record: &ImageRecord,
        context: &mut JobContext,
    ) -> Result<Vec<Aspect>, JobError> {
        let mut picture = self.pipeline.picture(record);
        let mut to_describe = Vec::new();
        for (aspect, examiner) in self.examiners {
            let is_known = self.known.contains_key(&(record.id, *aspect));
            if !is_known && examiner.describes_while_scoring() {
                to_describe.push(*aspect);
                continue;
            }
            self.pass(context)?;
            if !is_known {
                self.lacking += 1;
                continue;
            }
            if self.scored.contains(&(record.id, *aspect)) {
                self.report.skipped += 1;
                continue;
            }
            let item = Item {
                record,
                aspect: *aspect,
                known: self.known,
                descriptions: examiner.descriptions,
                reading: &examiner.reading,
            };
            let loaded = &examiner.loaded;
            let result = score_known(self.pipeline, &item, &mut picture, loaded, context);
            count(&mut self.report, record, result)?;
        }
        Ok(to_describe)
    }

    /// Scores what was just described.
    fn made(
        &mut self,
        record: &ImageRecord,
        made: Result<Made, JobError>,
        context: &mut JobContext,
    ) -> Result<(), JobError> {
        let result = made.and_then(|made| {
            let aspect = made.description.aspect;
            let examiner = self.examiners.get(&aspect);
            let examiner = examiner.ok_or(JobError::NoSuchPredictor { aspect })?;
            let read = (made.description.id, &made.features);
            save_score(self.pipeline, record, &examiner.loaded, read)
        });
        count(&mut self.report, record, result)?;
        self.pass(context)
    }

    fn pass(&mut self, context: &mut JobContext) -> Result<(), JobError> {
        context.progress(self.passed, self.asked, &self.stage)?;
        self.passed += 1;
        Ok(())
    }

    fn finish(self, context: &mut JobContext) -> Result<JobReport, JobError> {
        context.progress(self.passed, self.asked, &self.stage)?;
        note_lacking(self.lacking, self.asked, context)?;
        let report = self.report;
        Ok(JobReport {
            summary: format!(
                "{} scored, {} were scored already, {} failed",
                report.done,
                report.skipped,
                report.failed.len()
            ),
            ..report
        })
    }
}

/// Says how many published descriptions there are not; an error where there is none at all.
pub(super) fn note_lacking(lacking: u64, asked: u64, context: &JobContext) -> Result<(), JobError> {
    if lacking > 0 && lacking == asked {
        return Err(JobError::NoPublished);
    }
    if lacking > 0 {
        context.events().send(Event::Notice(format!(
            "{lacking} of {asked} have no published description and were left out"
        )));
    }
    Ok(())
}

/// The predictors in use. An aspect that has none is left out and said, as long as another one has.
fn examiners(
    pipeline: &Pipeline<'_>,
    request: &ScoreRequest,
    catalog: &Catalog,
    context: &JobContext,
) -> Result<BTreeMap<Aspect, Examiner>, JobError> {
    let mut examiners = BTreeMap::new();
    let mut lacking = None;
    for aspect in request.aspects.iter().copied() {
        let in_use = predictor_in_use(catalog, aspect);
        match pipeline.predictor_in_use(aspect) {
            Ok(loaded) => {
                let learned_from = || descriptions_of(catalog, in_use);
                let examiner = Examiner {
                    loaded,
                    descriptions: request.descriptions.unwrap_or_else(learned_from),
                    reading: reading_of(catalog, in_use),
                };
                examiners.insert(aspect, examiner);
            }
            Err(error) => {
                if request.aspects.len() > 1 {
                    context.events().send(Event::Notice(error.to_string()));
                }
                lacking.get_or_insert(error);
            }
        }
    }
    match lacking {
        Some(error) if examiners.is_empty() => Err(error),
        _ => Ok(examiners),
    }
}

/// A picture and an aspect of a job, with what was said before.
pub(super) struct Item<'a> {
    pub(super) record: &'a ImageRecord,
    pub(super) aspect: Aspect,
    pub(super) known: &'a Known,
    /// Whose description is read. The local model's own is made where it is lacking, nobody else's can be.
    pub(super) descriptions: Descriptions,
    /// Which messages are read.
    pub(super) reading: &'a Reading,
}

/// Features of an item and the description that they read, which is made first where it is lacking.
pub(super) fn features_of(
    pipeline: &Pipeline<'_>,
    item: &Item<'_>,
    picture: &mut LazyPicture,
    context: &mut JobContext,
) -> Result<(DescriptionId, FeatureKey, Features), JobError> {
    let wish = (item.aspect, item.reading);
    let description = match item.known.get(&(item.record.id, item.aspect)) {
        Some(description) => description.id,
        None if item.descriptions == Descriptions::Local && item.reading.is_usual() => {
            return made_now(pipeline, item, context);
        }
        None => {
            return Err(JobError::NoDescription {
                aspect: item.aspect,
            });
        }
    };
    let messages = pipeline.messages(item.record, wish, item.known)?;
    let features = pipeline.features(item.record, picture, &messages, context)?;
    let key = pipeline.key(item.record, &messages)?;
    Ok((description, key, features))
}

/// Describes an item, whose features come of the same pass.
fn made_now(
    pipeline: &Pipeline<'_>,
    item: &Item<'_>,
    context: &mut JobContext,
) -> Result<(DescriptionId, FeatureKey, Features), JobError> {
    let due = [(item.record, vec![item.aspect])];
    let mut made = None;
    pipeline.describe_all(&due, context, &mut |_, result, _| {
        made = Some(result?);
        Ok(())
    })?;
    let Made {
        description,
        features,
    } = made.ok_or(JobError::Interrupted(Interrupted))?;
    let key = pipeline.key(item.record, &description.conversation().messages())?;
    Ok((description.id, key, features))
}

/// Counts what came of one picture and aspect; an error that is not about them ends the job.
fn count(
    report: &mut JobReport,
    record: &ImageRecord,
    result: Result<(), JobError>,
) -> Result<(), JobError> {
    match result {
        Ok(()) => report.done += 1,
        Err(error) if error.is_about_item() => report.failed.push(failed(record, &error)),
        Err(error) => return Err(error),
    }
    Ok(())
}

fn score_known(
    pipeline: &Pipeline<'_>,
    item: &Item<'_>,
    picture: &mut LazyPicture,
    loaded: &Loaded,
    context: &mut JobContext,
) -> Result<(), JobError> {
    let (description, _, features) = features_of(pipeline, item, picture, context)?;
    save_score(pipeline, item.record, loaded, (description, &features))
}

/// Predicts a score from the features of a description, and saves it.
fn save_score(
    pipeline: &Pipeline<'_>,
    record: &ImageRecord,
    loaded: &Loaded,
    (description, features): (DescriptionId, &Features),
) -> Result<(), JobError> {
    let score = Score {
        image: record.id,
        aspect: loaded.card.aspect,
        value: loaded.predictor.score(features)?,
        predictor: loaded.card.id,
        description: Some(description),
        made: pipeline
            .maker
            .provenance(score_settings(&loaded.card, pipeline.maker.max_len)),
    };
    let seen = record.file.hash().ok_or_else(|| no_file(record))?;
    pipeline.pinned.call(move |project, events| {
        project.add_score_of(&score, seen)?;
        events.send(Event::Scored(vec![score]));
        Ok(())
    })
}

/// Settings kept with a score.
pub(super) fn score_settings(card: &PredictorCard, max_len: usize) -> serde_json::Value {
    json!({ "predictor": card.name, "max_len": max_len })
}

/// Saves scores with the content that each is of, then says so; also how many could not be, because their pictures are
/// others now or went away.
pub(super) fn save_scores(
    pinned: &Pinned,
    scores: Vec<(Score, ContentHash)>,
) -> Result<(), JobError> {
    pinned.call(move |project, events| {
        let saved = project.add_standing_scores(&scores)?;
        let num_lost = scores.len() - saved.len();
        events.send(Event::Scored(saved));
        if num_lost > 0 {
            events.send(Event::Notice(format!(
                "{num_lost} of {} scores were not saved, because their pictures changed or went away meanwhile: score \
                 again",
                scores.len()
            )));
        }
        Ok(())
    })
}

/// The predictor in use for an aspect. One that learned from another model or preset is refused in words.
pub(super) fn load_predictor(
    catalog: &Catalog,
    aspect: Aspect,
    maker: &Maker,
    pinned: &Pinned,
) -> Result<Loaded, JobError> {
    let in_use = *catalog.settings.predictor.get(aspect);
    let Some(id) = in_use else {
        return embedded_predictor(aspect, &maker.tag, &maker.preset);
    };
    let card = catalog
        .predictors
        .iter()
        .find(|card| card.id == id)
        .cloned()
        .ok_or(JobError::NoSuchPredictor { aspect })?;
    check_fits(&card, &maker.tag, &maker.preset)?;
    let weights = pinned.call(move |project, _| Ok(project.predictor_weights(id)?))?;
    let predictor = Predictor::from_bytes(&card, &weights)?;
    Ok(Loaded { card, predictor })
}

/// The predictor inside the binary for an aspect, if it reads this model and preset.
pub(super) fn embedded_predictor(
    aspect: Aspect,
    tag: &ModelTag,
    preset: &str,
) -> Result<Loaded, JobError> {
    let (card, weights) = fitting_predictors(tag)
        .into_iter()
        .find(|(card, _)| card.aspect == aspect && card.preset == preset)
        .ok_or_else(|| JobError::NoPredictor {
            aspect,
            model: tag.name.clone(),
            preset: preset.to_owned(),
        })?;
    let predictor = Predictor::from_bytes(&card, weights)?;
    Ok(Loaded { card, predictor })
}

/// A predictor never runs on features of another model or preset.
pub(super) fn check_fits(
    card: &PredictorCard,
    tag: &ModelTag,
    preset: &str,
) -> Result<(), JobError> {
    if card.model == *tag && card.preset == preset {
        return Ok(());
    }
    Err(JobError::PredictorOfOther {
        predictor: card.name.clone(),
        wants: format!("model {} with the wording {}", card.model.name, card.preset),
        has: format!("model {} with the wording {preset}", tag.name),
    })
}

/// Pictures whose newest description has a score by the predictor in use.
fn already_scored(
    catalog: &Catalog,
    known: &Known,
    aspects: &[Aspect],
) -> BTreeSet<(ImageId, Aspect)> {
    let mut scored = BTreeSet::new();
    for aspect in aspects.iter().copied() {
        let in_use: PredictorId = predictor_in_use(catalog, aspect);
        for (image, score) in scores_by(catalog, aspect, in_use) {
            let newest = known.get(&(image, aspect)).map(|known| known.id);
            if newest.is_some() && newest == score.description {
                scored.insert((image, aspect));
            }
        }
    }
    scored
}

/// Pictures that are there and have a description of an aspect: what is scored again when the predictor changes.
pub(super) fn described_images(catalog: &Catalog, known: &Known, aspect: Aspect) -> Vec<ImageId> {
    let present = catalog.images.iter().filter(|row| row.file.is_present());
    present
        .map(|record| record.id)
        .filter(|image| known.contains_key(&(*image, aspect)))
        .collect()
}
