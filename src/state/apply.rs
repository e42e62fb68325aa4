//! An event of the workers becomes visible. Results are on disk by the time they come here.

use crate::domain::AspectMap;
use crate::domain::Catalog;
use crate::domain::Origin;
use crate::jobs::message::Event;
use crate::jobs::message::Job;
use crate::jobs::message::JobId;
use crate::jobs::message::JobReport;

use super::AppState;
use super::command::Screen;
use super::distil;
use super::notices::Tone;
use super::project::Project;
use super::rate;
use super::rate::intake;
use super::selection::SelectionCommand;
use super::train;
use super::train::LiveStep;
use super::view::View;

/// Takes an event in. Pictures are the app's: they become textures and never come here.
pub fn apply(state: &mut AppState, event: Event) {
    let Some(event) = distil::apply(state, event) else {
        return;
    };
    match event {
        Event::ProjectOpened(catalog) => open(state, *catalog),
        Event::Imported(summary) => state.import = Some(summary),
        Event::JobStarted {
            job,
            title,
            can_pause,
        } => {
            state.jobs.start(job, title, can_pause);
            train::job_started(state, job);
        }
        Event::JobProgress(job, progress) => state.jobs.progress(job, progress),
        Event::JobDone(job, report) => end(state, job, Ok(report)),
        Event::JobFailed(job, reason) => {
            rate::job_failed(state, job, &reason);
            train::reports::job_failed(state, job, &reason);
            state.models.job_failed(state.jobs.job(job), &reason);
            distil::job_failed(state, job, &reason);
            end(state, job, Err(reason));
        }
        Event::Notice(text) => state.notices.say(Tone::Info, text),
        Event::Models(cards) => {
            state.models.cards = cards;
            state.recount();
            train::refresh_if_shown(state);
        }
        Event::ModelTags(tags) => {
            state.models.tags = AspectMap::from_fn(|aspect| Some(tags.get(aspect).clone()));
            state.recount();
            train::refresh_if_shown(state);
        }
        Event::Outlooks(outlooks) => state.models.outlooks = outlooks,
        Event::BrokenModels(folders) => state.models.broken = folders,
        Event::Shelf(shelf) => state.models.shelved(*shelf),
        Event::Offered(offer) => state.models.offered(*offer),
        Event::ModelChecked { folder, outcome } => {
            state.models.checks.insert(folder, outcome);
        }
        Event::EmbeddedPredictors(cards) => {
            state.embedded.clone_from(&cards);
            if let Some(project) = &mut state.project {
                project.embedded = cards;
            }
        }
        Event::TrainStep {
            run,
            epoch,
            step,
            steps,
            loss,
        } => {
            state.train.live = Some(LiveStep {
                run,
                epoch,
                step,
                steps,
                loss,
            });
        }
        Event::RunsReported(report) => state.train.reports.take(report),
        Event::FeaturesMeasured(usage) => state.train.cache = train::CacheState::Known(usage),
        Event::StudyResults(results) => rate::results_came(state, *results),
        Event::Thumbnail { .. } | Event::FullPicture { .. } => {}
        Event::Strip {
            project, is_there, ..
        } => state.start.seen(&project, is_there),
        Event::PictureFailed {
            hash,
            image,
            reason,
        } if state.has_file(image, hash) => {
            state.picture_failures.insert(image, reason);
            rate::picture_failed(state, image);
        }
        other => change(state, other),
    }
}

/// Events about rows and results of the open project.
fn change(state: &mut AppState, event: Event) {
    if let Event::RunChanged(run) = &event {
        train::run_changed(state, run);
    }
    // Scores change nothing of what can be learned from, and come by the hundred.
    let is_of_data = !matches!(event, Event::Scored(_));
    let Some(project) = &mut state.project else {
        return;
    };
    match event {
        Event::ImagesChanged(records) => {
            project.change_rows(records);
            state.refresh_view();
            train::refresh_if_shown(state);
            return;
        }
        Event::Streaming {
            image,
            aspect,
            text,
        } => {
            project.stream(image, aspect, text);
            return;
        }
        Event::Described(description) => {
            let is_taught = description.origin == Origin::Teacher;
            project.add_description(description);
            if is_taught {
                distil::texts_changed(state);
            }
        }
        Event::Reviewed(records) => {
            project.review(records);
            distil::texts_changed(state);
        }
        Event::TeachFailed(failures) => {
            project.reviews.fail(failures);
            distil::texts_changed(state);
        }
        Event::Scored(scores) => project.add_scores(scores),
        Event::RunChanged(run) => {
            project.change_run(run);
            return;
        }
        Event::EpochDone(run, figures) => {
            if let Some(record) = project.runs.iter_mut().find(|record| record.id == run) {
                record.epochs.retain(|known| known.epoch != figures.epoch);
                record.epochs.push(figures);
            }
            return;
        }
        Event::PredictorSaved(card) => project.add_predictor(card),
        Event::SettingsChanged(settings) => project.change_settings(settings),
        Event::StudiesChanged(studies) => {
            project.change_studies(studies);
            rate::studies_changed(state);
            return;
        }
        Event::Voted(vote) => {
            project.add_vote(vote.clone());
            rate::voted(state, &vote);
            return;
        }
        Event::UndoChanged { undo, redo } => {
            project.undo = undo;
            project.redo = redo;
            return;
        }
        _ => return,
    }
    state.view.is_stale |= state.view.depends_on_results();
    state.compare.is_stale = true;
    state.recount();
    if is_of_data {
        train::refresh_if_shown(state);
    }
}

fn open(state: &mut AppState, catalog: Catalog) {
    let is_same = state
        .project
        .as_ref()
        .is_some_and(|project| project.info.path == catalog.info.path);
    let project = Project::new(catalog, state.embedded.clone());
    // Of the same project too: whoever opens it again may have plugged the disk in.
    state.picture_failures.clear();
    if is_same {
        state.selection.keep_known(&project);
        state.project = Some(project);
        state.refresh_view();
    } else {
        train::project_changed(state);
        state.jobs.project_changed();
        state.view = View::default();
        state.view.refresh(&project);
        state.selection.images.clear();
        state.selection.focus = None;
        state
            .selection
            .update(SelectionCommand::First, &project, &state.view);
        state.import = None;
        state.project = Some(project);
        state.screen = Screen::Gallery;
        state.recount();
    }
    state.compare.is_stale = true;
    rate::project_opened(state, is_same);
    distil::project_opened(state, is_same);
    if state.screen == Screen::Start {
        state.screen = Screen::Gallery;
    }
    train::refresh_if_shown(state);
    refresh_compare(state);
}

fn end(state: &mut AppState, job: JobId, outcome: Result<JobReport, String>) {
    train::job_ended(state, job);
    distil::job_ended(state, job);
    intake::job_ended(state, job, &outcome);
    let described = state.jobs.job(job).is_some_and(describes);
    state.jobs.end(job, outcome);
    if (described || state.jobs.running.is_empty())
        && let Some(project) = &mut state.project
    {
        project.drop_streaming();
    }
    refresh_compare(state);
}

/// Whether a job may leave texts half-written. They are written by one worker, so that none of another job is lost for
/// longer than a token.
const fn describes(job: &Job) -> bool {
    matches!(
        job,
        Job::Describe { .. }
            | Job::Score { .. }
            | Job::Features(_)
            | Job::Train(_)
            | Job::ResumeTraining(_)
    )
}

fn refresh_compare(state: &mut AppState) {
    if state.screen == Screen::Compare
        && let Some(project) = &state.project
    {
        state.compare.refresh(project);
    }
}
