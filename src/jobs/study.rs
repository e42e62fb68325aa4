//! Studies on the store worker: making them, votes, and their MOS as ground truth.

use std::path::Path;

use crate::domain::Aspect;
use crate::domain::ContentHash;
use crate::domain::ImageId;
use crate::domain::Method;
use crate::domain::Operation;
use crate::domain::Protocol;
use crate::domain::Study;
use crate::domain::StudyId;
use crate::domain::StudyMos;
use crate::domain::Vote;
use crate::domain::grouped;
use crate::domain::study::tally;
use crate::jobs::error::JobError;
use crate::jobs::files_worker::now_ms;
use crate::jobs::message::Event;
use crate::jobs::message::FailedItem;
use crate::jobs::message::JobReport;
use crate::jobs::store_worker::StoreState;
use crate::stats::raters::RatingMatrix;
use crate::stats::raters::Screening;
use crate::stats::raters::screen;
use crate::store::MergedVotes;
use crate::store::Project;

/// Makes a study.
pub(super) fn create(state: &mut StoreState, protocol: &Protocol) -> Result<JobReport, JobError> {
    let study = state.work(|project, _| Ok(project.create_study(protocol, now_ms())?))?;
    announce_studies(state)?;
    Ok(JobReport::done(format!(
        "Made the study {}",
        study.protocol.name
    )))
}

/// Changes the protocol of a study without votes.
pub(super) fn change(
    state: &mut StoreState,
    study: StudyId,
    protocol: &Protocol,
) -> Result<JobReport, JobError> {
    let study = state.work(|project, _| Ok(project.change_study(study, protocol)?))?;
    announce_studies(state)?;
    Ok(JobReport::done(format!(
        "Changed the study {}",
        study.protocol.name
    )))
}

/// Saves a vote or the record that takes one back. The answer comes right after the commit; what follows from the vote
/// (a frozen protocol, another ground truth) comes after the answer, so that nobody waits for it.
pub(super) fn vote(state: &mut StoreState, vote: &Vote) -> Result<(), JobError> {
    let stored = state.work(|project, _| Ok(project.append_vote(vote)?))?;
    state.events().send(Event::Voted(stored.clone()));
    follow(state, &stored)
}

/// Saves what one key of quick rating gave, as one change.
pub(super) fn quick_votes(state: &mut StoreState, votes: &[Vote]) -> Result<(), JobError> {
    let stored = state.work(|project, _| Ok(project.append_quick_votes(votes)?))?;
    for vote in &stored {
        state.events().send(Event::Voted(vote.clone()));
    }
    // All are of one study and one aspect, so what follows from one follows from all.
    stored.last().map_or(Ok(()), |vote| follow(state, vote))
}

/// What follows from a vote.
fn follow(state: &mut StoreState, stored: &Vote) -> Result<(), JobError> {
    let (is_first, is_quick, is_truth) = state.work(|project, _| {
        let settings = project.settings()?;
        Ok((
            project.has_one_vote(stored.study)?,
            project.is_quick_study(stored.study)?,
            *settings.ground_truth.get(stored.aspect) == Some(stored.study),
        ))
    })?;
    if is_first {
        announce_studies(state)?;
    }
    if is_quick {
        state.announce_undo()?;
    }
    if is_truth {
        let changed = state.work(|project, _| refresh(project, stored.study, stored.aspect))?;
        announce_pictures(state, &changed)?;
    }
    Ok(())
}

/// Takes a study's MOS as the ground truth of an aspect, or the dataset's own again.
pub(super) fn use_as_truth(
    state: &mut StoreState,
    aspect: Aspect,
    study: Option<StudyId>,
) -> Result<JobReport, JobError> {
    let words = state.work(|project, _| {
        let words = match study {
            None => format!("Use the dataset's own ground truth of {aspect}"),
            Some(id) => {
                let study = project.study(id)?;
                let opinions = study_mos(project, &study, aspect)?;
                project.set_study_mos(id, aspect, &opinions)?;
                let name = study.protocol.name;
                format!("Use \u{201c}{name}\u{201d} as ground truth of {aspect}")
            }
        };
        let mut settings = project.settings()?;
        *settings.ground_truth.get_mut(aspect) = study;
        project.set_settings(&settings, &Operation(words.clone()))?;
        Ok(words)
    })?;
    state.announce()?;
    Ok(JobReport::done(words))
}

/// Makes the MOS of every study that is ground truth anew: undoing may have given or taken back votes.
pub(super) fn refresh_all_truth(state: &mut StoreState) -> Result<(), JobError> {
    state.work(|project, _| {
        let settings = project.settings()?;
        for (aspect, study) in settings.ground_truth.iter() {
            if let Some(study) = study {
                refresh(project, *study, aspect)?;
            }
        }
        Ok(())
    })
}

/// Tells the listener all studies.
pub(super) fn announce_studies(state: &mut StoreState) -> Result<(), JobError> {
    let studies = state.work(|project, _| Ok(project.studies()?))?;
    state.events().send(Event::StudiesChanged(studies));
    Ok(())
}

/// Makes the MOS of a study anew and answers whose changed. A study that lost its last vote has none.
fn refresh(
    project: &mut Project,
    id: StudyId,
    aspect: Aspect,
) -> Result<Vec<ContentHash>, JobError> {
    let study = project.study(id)?;
    let opinions = match study_mos(project, &study, aspect) {
        Err(JobError::NoVotes { .. }) => Vec::new(),
        other => other?,
    };
    Ok(project.set_study_mos(id, aspect, &opinions)?)
}

/// What a study's votes come to, screened by ITU-T P.910 annex E, or as plain means where that is undefined.
pub(super) fn study_mos(
    project: &Project,
    study: &Study,
    aspect: Aspect,
) -> Result<Vec<StudyMos>, JobError> {
    let name = || study.protocol.name.clone();
    if study.protocol.method == Method::Pairs {
        return Err(JobError::PairsAreNoTruth { study: name() });
    }
    let votes = project.votes(study.id)?;
    let tally = tally(study, &votes, aspect);
    if tally.raters.is_empty() {
        return Err(JobError::NoVotes {
            study: name(),
            aspect,
        });
    }
    let matrix = RatingMatrix::from_rows(&tally.scores)?;
    let screened = screen(&matrix, Screening::default())?;
    let screening = match screened.not_screened {
        None => screened.screening,
        Some(_) => Screening::None,
    };
    Ok(tally
        .pictures
        .into_iter()
        .zip(screened.pictures)
        // A picture that nobody rated has no opinion, and no row.
        .filter_map(|(hash, opinion)| Some((hash, opinion.ok()?)))
        .map(|(hash, opinion)| StudyMos {
            hash,
            mos: opinion.mos,
            std: opinion.std.ok(),
            ci95: opinion.ci95.ok(),
            num_ratings: u32::try_from(opinion.num_ratings).unwrap_or(u32::MAX),
            screening: screening.name().to_owned(),
        })
        .collect())
}

/// Tells the listener rows whose ground truth changed.
fn announce_pictures(state: &mut StoreState, hashes: &[ContentHash]) -> Result<(), JobError> {
    if hashes.is_empty() {
        return Ok(());
    }
    let images: Vec<ImageId> = state.images_of(hashes);
    let rows = state.work(|project, _| Ok(project.images(&images)?))?;
    state.events().send(Event::ImagesChanged(rows));
    Ok(())
}

/// What is said where two people may have voted under one name; `None` where nobody has.
pub(super) fn twice_words(merged: &MergedVotes) -> Option<String> {
    let num: usize = merged.twice.values().sum();
    let names: Vec<&str> = merged.twice.keys().map(String::as_str).collect();
    (num > 0).then(|| {
        format!(
            "{} answers are to trials that the same names had answered here ({}): both are kept, and of two answers to \
             one picture the newer counts. If these are two people, let one rate under another name",
            grouped(num),
            names.join(", ")
        )
    })
}

/// What came of votes that another file brought.
pub(super) fn merge_report(merged: MergedVotes, path: &Path) -> JobReport {
    JobReport {
        done: merged.added as u64,
        skipped: merged.known as u64,
        summary: format!(
            "{} votes came in, {} were here already",
            grouped(merged.added),
            grouped(merged.known)
        ),
        failed: merged
            .refused
            .into_iter()
            .map(|(reason, num)| FailedItem {
                image: None,
                path: path.display().to_string(),
                reason: format!("{num} records were left out: {reason}"),
            })
            .collect(),
        ..JobReport::default()
    }
}
