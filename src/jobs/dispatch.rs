//! Which worker does a job, and how the jobs strip calls it.

use std::path::Path;

use super::message::Job;
use crate::domain::TrainSettings;
use crate::domain::grouped;

/// The workers that jobs go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Changes of the project alone, done at once.
    Store,
    /// Reading datasets and writing tables, and other work with files.
    Files,
    /// Everything that needs the model or a predictor. Training begins here: it may need descriptions first.
    Model,
    /// Downloads, which take hours and hold nothing up.
    Downloads,
    /// A teacher on another machine, which takes hours as well.
    Teacher,
    /// Questions to the hub, and looking through the files of models.
    Shelf,
}

/// Where a job goes.
pub(super) const fn place(job: &Job) -> Place {
    match job {
        Job::SetTag { .. }
        | Job::CreateStudy(_)
        | Job::ChangeStudy { .. }
        | Job::Vote(_)
        | Job::QuickVotes(_)
        | Job::TakeBackVote(_)
        | Job::UseStudyAsTruth { .. }
        | Job::Review { .. }
        | Job::Undo
        | Job::Redo => Place::Store,
        Job::Open { .. }
        | Job::OpenDemo
        | Job::Import(_)
        | Job::Relocate { .. }
        | Job::Export(_)
        | Job::ExportRatings(_)
        | Job::ImportRatings(_)
        | Job::PackStudy { .. }
        | Job::MergeStudies { .. }
        | Job::ReportRuns(_)
        | Job::EstimateTeaching(_)
        | Job::EvaluateModels { .. }
        | Job::ExportConversations { .. }
        | Job::MeasureFeatures
        | Job::PruneFeatures { .. }
        | Job::EstimateTuning(_)
        | Job::ListTunings
        | Job::ForgetTuning(_)
        | Job::ListModels => Place::Files,
        Job::Describe { .. }
        | Job::Score { .. }
        | Job::Features(_)
        | Job::Train(_)
        | Job::ResumeTraining(_)
        | Job::Tune(_)
        | Job::ResumeTuning(_)
        | Job::TakeTuning(_)
        | Job::UsePredictor { .. }
        | Job::UsePreset { .. }
        | Job::UseModel { .. }
        | Job::UseAdapter { .. }
        | Job::AddPredictor { .. } => Place::Model,
        Job::FetchModel(_) => Place::Downloads,
        Job::Teach(_) => Place::Teacher,
        Job::AskModel(_)
        | Job::LookForKey(_)
        | Job::KeepKey { .. }
        | Job::GreetTeacher(_)
        | Job::ForgetDownload { .. }
        | Job::AddModel { .. }
        | Job::CheckModel { .. } => Place::Shelf,
    }
}

/// Whether pausing makes sense: for work that goes on item by item for minutes.
pub(super) const fn can_pause(job: &Job) -> bool {
    matches!(
        job,
        Job::Describe { .. }
            | Job::Score { .. }
            | Job::Features(_)
            | Job::Train(_)
            | Job::ResumeTraining(_)
            | Job::Tune(_)
            | Job::ResumeTuning(_)
            | Job::FetchModel(_)
            | Job::Teach(_)
    )
}

/// The name of a training, with its part of a cross-validation: several wait below each other.
fn training(settings: &TrainSettings) -> String {
    let part = settings.fold.map_or_else(String::new, |fold| {
        format!(", part {} of {}", fold.number + 1, fold.of)
    });
    format!("Train the {} predictor{part}", settings.aspect)
}

/// The job's name for people.
pub(super) fn title(job: &Job) -> String {
    match job {
        Job::Open { path } => format!("Open {}", file_name(path)),
        Job::OpenDemo => "Open the demo".to_owned(),
        Job::Import(request) => format!("Import {}", file_name(&request.path)),
        Job::Describe { images, .. } => format!("Describe {}", images_words(images.len())),
        Job::Score { images, .. } => format!("Score {}", images_words(images.len())),
        Job::Features(request) => {
            format!("Take features of {}", images_words(request.images.len()))
        }
        Job::Train(settings) => training(settings),
        Job::ResumeTraining(run) => format!("Resume training run {}", run.0),
        Job::Tune(settings) => format!("Fine-tune {}", settings.name),
        Job::ResumeTuning(run) => format!("Resume fine-tuning {run}"),
        Job::TakeTuning(run) => format!("Take the best epoch of {run}"),
        Job::EstimateTuning(_) => "Estimate a fine-tuning".to_owned(),
        Job::ListTunings => "List fine-tunings".to_owned(),
        Job::ForgetTuning(run) => format!("Forget fine-tuning {run}"),
        Job::ReportRuns(_) => "Compare runs".to_owned(),
        Job::MeasureFeatures => "Measure the feature cache".to_owned(),
        Job::PruneFeatures { .. } => "Make room in the feature cache".to_owned(),
        Job::UsePredictor { aspect, .. } => format!("Change the {aspect} predictor"),
        Job::UsePreset { .. } => "Change the wording".to_owned(),
        Job::Export(request) => format!("Export {}", file_name(&request.out)),
        Job::SetTag { tag, on: true, .. } => format!("Tag {tag}"),
        Job::SetTag { tag, on: false, .. } => format!("Remove tag {tag}"),
        Job::Relocate { root } => format!("Look for pictures in {}", file_name(root)),
        Job::CreateStudy(protocol) => format!("New study {}", protocol.name),
        Job::ChangeStudy { protocol, .. } => format!("Change study {}", protocol.name),
        Job::Vote(_) | Job::QuickVotes(_) => "Vote".to_owned(),
        Job::TakeBackVote(_) => "Take a vote back".to_owned(),
        Job::UseStudyAsTruth { aspect, .. } => format!("Change the ground truth of {aspect}"),
        Job::ExportRatings(request) => format!("Write {}", file_name(&request.out)),
        Job::ImportRatings(request) => format!("Take votes from {}", file_name(&request.path)),
        Job::PackStudy { out, .. } => format!("Pack {}", file_name(out)),
        Job::MergeStudies { path } => format!("Take votes from {}", file_name(path)),
        Job::Undo => "Undo".to_owned(),
        Job::Redo => "Redo".to_owned(),
        Job::ListModels => "List models".to_owned(),
        Job::UseModel { .. } => "Change the model".to_owned(),
        Job::UseAdapter { aspect, .. } => format!("Change the adapter for {aspect}"),
        Job::AddPredictor { path, .. } => format!("Take in the predictor {}", file_name(path)),
        Job::AskModel(request) => format!("Ask for {}", request.source),
        Job::FetchModel(request) => format!("Download {}", request.source),
        Job::Teach(request) => format!(
            "Ask {} about {}",
            request.model,
            images_words(request.images.len())
        ),
        Job::EstimateTeaching(_) => "Estimate what a teacher costs".to_owned(),
        Job::EvaluateModels { .. } => "Compare models".to_owned(),
        Job::ExportConversations { out, .. } => {
            format!("Write conversations to {}", file_name(out))
        }
        Job::LookForKey(_) => "Look for a key".to_owned(),
        Job::KeepKey { key: Some(_), .. } => "Keep a key".to_owned(),
        Job::KeepKey { key: None, .. } => "Take a key away".to_owned(),
        Job::GreetTeacher(teacher) => format!("Test the connection to {}", teacher.model),
        Job::Review { .. } => "Review".to_owned(),
        Job::ForgetDownload { folder } => format!("Take away the download {}", file_name(folder)),
        Job::AddModel { folder } => format!("Add {}", file_name(folder)),
        Job::CheckModel { folder } => format!("Check {}", file_name(folder)),
    }
}

/// "1 image", "597 images".
pub(super) fn images_words(count: usize) -> String {
    match count {
        1 => "1 image".to_owned(),
        count => format!("{} images", grouped(count)),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Aspect;
    use crate::domain::ImageId;

    #[test]
    fn titles_count_their_pictures() {
        let job = |count| Job::Describe {
            images: vec![ImageId(1); count],
            aspects: vec![Aspect::Quality],
            again: false,
        };
        assert_eq!(title(&job(1)), "Describe 1 image");
        assert_eq!(title(&job(597)), "Describe 597 images");
        assert_eq!(title(&job(2_506)), "Describe 2,506 images");
    }

    #[test]
    fn parts_of_a_cross_validation_are_told_apart() {
        let settings = TrainSettings::new(Aspect::Authenticity);
        let parts = settings.folds(3).into_iter();
        let titles: Vec<String> = parts.map(|part| title(&Job::Train(part))).collect();
        assert_eq!(titles[1], "Train the authenticity predictor, part 2 of 3");
        let whole = title(&Job::Train(settings));
        assert_eq!(whole, "Train the authenticity predictor");
    }
}
