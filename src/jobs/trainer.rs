//! The thread that owns training: fits the predictor, saves every epoch, and takes what came out into use.

use std::fmt::Write as _;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::Receiver;

use crate::compute::give_back_pages;
use crate::domain::Descriptions;
use crate::domain::Features;
use crate::domain::HeadInput;
use crate::domain::Interrupted;
use crate::domain::PredictorCard;
use crate::domain::PredictorId;
use crate::domain::Projection;
use crate::domain::RunRecord;
use crate::domain::RunStatus;
use crate::domain::Score;
use crate::jobs::choose::change_settings;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::evaluate::figures;
use crate::jobs::message::Event;
use crate::jobs::message::JobReport;
use crate::jobs::model_worker::TrainTask;
use crate::jobs::prepare::Exam;
use crate::jobs::prepare::Prepared;
use crate::jobs::progress::Throttle;
use crate::jobs::run_report;
use crate::jobs::scoring::save_scores;
use crate::jobs::scoring::score_settings;
use crate::jobs::store_worker::Pinned;
use crate::jobs::workers::spawn;
use crate::ml::MlError;
use crate::ml::predictor::Predictor;
use crate::ml::train;
use crate::ml::train::TrainEvent;
use crate::ml::train::Trained;

/// Scores from cached features are saved in groups of this size: each costs a commit.
const SCORES_A_COMMIT: usize = 256;

/// Sequences that are read from the cache and scored at once.
const SCORES_AT_ONCE: usize = 64;

/// Starts the trainer. It ends when the sender of its tasks is dropped.
pub(super) fn start(tasks: Receiver<TrainTask>) -> Result<JoinHandle<()>, JobError> {
    spawn("assay-trainer", move || {
        for TrainTask { prepared, context } in tasks {
            // One that was resumed stays ready to resume: to stop it here would cost the epochs that it has.
            if context.is_cancelled() && prepared.resume.is_none() {
                note_stopped(&prepared);
            }
            context.run(|context| train(&prepared, context));
            drop(prepared);
            give_back_pages();
        }
    })
}

/// A new run that was cancelled while it waited is stopped, and not one that was cut off.
fn note_stopped(prepared: &Prepared) {
    let mut run = prepared.run.clone();
    run.status = RunStatus::Stopped;
    // Where it cannot be saved it stays as it is, and can go on.
    save_run(&prepared.pinned, run).ok();
}

fn train(prepared: &Prepared, context: &mut JobContext) -> Result<JobReport, JobError> {
    let mut run = prepared.run.clone();
    let fitted = fit(prepared, &mut run, context);
    if context.is_leaving() {
        // The run stays as its last epoch left it, ready to resume.
        return Err(Interrupted.into());
    }
    match fitted {
        Ok(trained) => finish(prepared, run, &trained, context),
        // The run waits with its last checkpoint until the disk or the cache is as it should be.
        Err(error) if is_mendable(&error) => Err(error),
        Err(error) => {
            run.status = if matches!(error, JobError::Interrupted(_)) {
                RunStatus::Stopped
            } else {
                RunStatus::Failed(error.to_string())
            };
            save_run(&prepared.pinned, run)?;
            Err(error)
        }
    }
}

/// Whether the cause lies outside the run, so that it can go on once that is mended: a full or vanished disk, a file of the
/// cache that is gone.
const fn is_mendable(error: &JobError) -> bool {
    matches!(
        error,
        JobError::Store(_) | JobError::Ml(MlError::Vanished(_))
    )
}

/// Runs the passes. Each epoch is on disk, with the state to resume from, before the next one begins.
fn fit(
    prepared: &Prepared,
    run: &mut RunRecord,
    context: &mut JobContext,
) -> Result<Trained, JobError> {
    let epochs = run.settings.epochs;
    let settings = run.settings.clone();
    let mut throttle = Throttle::default();
    let mut fault = None;
    let fitted = train::fit(
        &prepared.data,
        &settings,
        prepared.resume.as_deref(),
        &mut |event| match event {
            TrainEvent::Step {
                epoch,
                step,
                steps,
                loss,
            } => {
                if throttle.passes(Instant::now()) {
                    context.events().send(Event::TrainStep {
                        run: run.id,
                        epoch,
                        step,
                        steps,
                        loss,
                    });
                }
                let done = u64::from(epoch - 1) * u64::from(steps) + u64::from(step);
                let total = u64::from(epochs) * u64::from(steps);
                context.progress(done, total, "Training")
            }
            TrainEvent::Saved { checkpoint } => {
                let id = run.id;
                let saved = prepared.pinned.call(move |project, _| {
                    project.save_checkpoint(id, &checkpoint)?;
                    Ok(())
                });
                saved.map_err(|error| {
                    fault = Some(error);
                    Interrupted
                })?;
                context.check()
            }
            TrainEvent::Epoch {
                figures,
                is_best,
                checkpoint,
            } => {
                if is_best {
                    run.best_epoch = Some(figures.epoch);
                }
                run.epochs.push(figures);
                save_epoch(&prepared.pinned, run.clone(), checkpoint).map_err(|error| {
                    fault = Some(error);
                    Interrupted
                })?;
                context.check()
            }
        },
    );
    match fault {
        Some(error) => Err(error),
        None => Ok(fitted?),
    }
}

fn save_epoch(pinned: &Pinned, run: RunRecord, checkpoint: Vec<u8>) -> Result<(), JobError> {
    pinned.call(move |project, events| {
        let run = project.save_epoch(&run, &checkpoint)?;
        if let Some(figures) = run.epochs.last() {
            events.send(Event::EpochDone(run.id, figures.clone()));
        }
        events.send(Event::RunChanged(run));
        Ok(())
    })
}

fn save_run(pinned: &Pinned, run: RunRecord) -> Result<(), JobError> {
    pinned.call(move |project, events| {
        let run = project.save_run(&run)?;
        events.send(Event::RunChanged(run));
        Ok(())
    })
}

/// Evaluates on the test rows, saves the predictor, takes it into use, and scores again what is described.
fn finish(
    prepared: &Prepared,
    mut run: RunRecord,
    trained: &Trained,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    let mut card = card(prepared, &run, trained);
    let predictor = Predictor::from_bytes(&card, &trained.weights)?;
    let scored = predict(prepared, &predictor, &prepared.test, "Testing", context)?;
    let (pred, truth): (Vec<f64>, Vec<f64>) = scored
        .iter()
        .filter_map(|(exam, value)| Some((*value, exam.mos?)))
        .unzip();
    let test = figures(&pred, &truth);
    card.test = Some(test.clone());
    run.test_after = Some(test);
    run.best_epoch = Some(trained.best_epoch);
    run.status = if trained.stopped {
        RunStatus::Stopped
    } else {
        RunStatus::Done
    };
    run_report::save_tests(&prepared.pinned, run.id, &scored)?;
    let (run, card) = save_predictor(prepared, run, card, trained.weights.clone())?;
    if let Some(note) = &trained.note {
        context.events().send(Event::Notice(note.clone()));
    }
    if run.settings.fold.is_some() {
        return Ok(ended(prepared, &run, &card));
    }
    save_values(prepared, &card, scored)?;
    let others = predict(
        prepared,
        &predictor,
        &prepared.others,
        "Scoring again",
        context,
    )?;
    save_values(prepared, &card, others)?;
    Ok(ended(prepared, &run, &card))
}

fn ended(prepared: &Prepared, run: &RunRecord, card: &PredictorCard) -> JobReport {
    let state = match run.settings.fold {
        None => "is in use".to_owned(),
        Some(fold) => format!("is part {} of {}", fold.number + 1, fold.of),
    };
    JobReport {
        done: u64::try_from(run.epochs.len()).unwrap_or(u64::MAX),
        failed: prepared.failed.clone(),
        summary: format!(
            "{} {state}: best epoch {} of {}, validation SRCC {}, test SRCC {}{}",
            card.name,
            run.best_epoch.unwrap_or(0),
            run.epochs.len(),
            figure(card.val.as_ref().and_then(|figures| figures.srcc)),
            figure(card.test.as_ref().and_then(|figures| figures.srcc)),
            if run.settings.selects_on_test() {
                " (chosen on the test list: too good)"
            } else {
                ""
            },
        ),
        ..JobReport::default()
    }
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.4}"))
}

fn card(prepared: &Prepared, run: &RunRecord, trained: &Trained) -> PredictorCard {
    let aspect = run.settings.aspect;
    let info = &prepared.catalog.info;
    let best = run
        .epochs
        .iter()
        .find(|figures| figures.epoch == trained.best_epoch);
    PredictorCard {
        id: PredictorId(0),
        name: format!("{aspect} predictor of run {}", run.id.0),
        aspect,
        scale: info.scale,
        dataset: prepared.catalog.truth_name(aspect),
        split: split_words(run),
        model: run.model.clone(),
        preset: run.preset.clone(),
        head: head_words(run, trained),
        val: best.map(|figures| figures.val.clone()),
        test: None,
        run: Some(run.id),
    }
}

/// What was learned from, for the card.
fn split_words(run: &RunRecord) -> String {
    let [train, val, _] = run.num_images;
    let settings = &run.settings;
    let from = match settings.learn_from.words() {
        words if words.is_empty() => words,
        words => format!(" {words}"),
    };
    let mut words = if settings.selects_on_test() {
        format!(
            "{train} train images{from}, best epoch chosen on the {val} test images: figures on the test list are too good"
        )
    } else {
        format!("{train} train and {val} validation images{from}, by prompt")
    };
    let from = settings.learn_from.words();
    if !from.is_empty() {
        write!(words, ", only pictures {from}").ok();
    }
    write!(words, ", seed {}", settings.seed).ok();
    if let Some(fold) = settings.fold {
        write!(words, ", part {} of {}", fold.number + 1, fold.of).ok();
    }
    if settings.descriptions == Descriptions::Published {
        words += "; reads published descriptions, learned from the teacher's as well";
    }
    let reading = settings.reading.words();
    if !reading.is_empty() {
        write!(words, "; {reading}").ok();
    }
    words
}

/// Head, pooling, and what it reads, for the card.
fn head_words(run: &RunRecord, trained: &Trained) -> String {
    let head = &run.settings.head;
    let reads = match (head.input, head.projection) {
        (HeadInput::Hidden, _) => "hidden states",
        (HeadInput::Logits, Projection::Folded) => "logits through the folded projection",
        (HeadInput::Logits, Projection::Full) => "logits through the full projection",
    };
    format!("{}; reads {reads}", trained.config.words())
}

/// Scores from cached features. A picture whose features have gone from the cache is left out; scoring makes them anew.
fn predict<'a>(
    prepared: &Prepared,
    predictor: &Predictor,
    exams: &'a [Exam],
    stage: &str,
    context: &mut JobContext,
) -> Result<Vec<(&'a Exam, f64)>, JobError> {
    let mut scored = Vec::with_capacity(exams.len());
    for (group, exams_of_group) in exams.chunks(SCORES_AT_ONCE).enumerate() {
        let done = group * SCORES_AT_ONCE;
        context.progress_only(done as u64, exams.len() as u64, stage);
        let cached: Vec<(&Exam, Features)> = exams_of_group
            .iter()
            .filter_map(|exam| Some((exam, prepared.cache.get(&exam.key)?)))
            .collect();
        let features: Vec<&Features> = cached.iter().map(|(_, features)| features).collect();
        let values = predictor.score_all(&features)?;
        scored.extend(cached.iter().map(|(exam, _)| *exam).zip(values));
    }
    Ok(scored)
}

/// Ends the run, and takes its predictor into use as an operation that can be undone.
fn save_predictor(
    prepared: &Prepared,
    run: RunRecord,
    card: PredictorCard,
    weights: Vec<u8>,
) -> Result<(RunRecord, PredictorCard), JobError> {
    let is_in_use = run.settings.fold.is_none();
    let (run, card) = prepared.pinned.call(move |project, events| {
        let (run, card) = project.finish_run(&run, &card, &weights)?;
        events.send(Event::PredictorSaved(card.clone()));
        events.send(Event::RunChanged(run.clone()));
        Ok((run, card))
    })?;
    if is_in_use {
        let (aspect, id) = (card.aspect, card.id);
        let words = format!("Use the {}", card.name);
        change_settings(&prepared.pinned, words, move |settings| {
            *settings.predictor.get_mut(aspect) = Some(id);
        })?;
    }
    Ok((run, card))
}

fn save_values(
    prepared: &Prepared,
    card: &PredictorCard,
    values: Vec<(&Exam, f64)>,
) -> Result<(), JobError> {
    let made = prepared
        .maker
        .provenance(score_settings(card, prepared.maker.max_len));
    let score = |(exam, value): (&Exam, f64)| {
        let score = Score {
            image: exam.image,
            aspect: card.aspect,
            value,
            predictor: card.id,
            description: Some(exam.description),
            made: made.clone(),
        };
        (score, exam.key.image)
    };
    let scores: Vec<_> = values.into_iter().map(score).collect();
    for group in scores.chunks(SCORES_A_COMMIT) {
        save_scores(&prepared.pinned, group.to_vec())?;
    }
    Ok(())
}
