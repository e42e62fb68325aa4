//! The first part of training, on the model worker: which pictures take part, and their features.
//!
//! Test rows are kept apart from here on: what the trainer learns from is made of train and validation rows alone.

use std::collections::BTreeSet;

use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::DescriptionId;
use crate::domain::Descriptions;
use crate::domain::Features;
use crate::domain::Figures;
use crate::domain::HeadInput;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::OpinionScale;
use crate::domain::Reading;
use crate::domain::RunId;
use crate::domain::RunRecord;
use crate::domain::RunStatus;
use crate::domain::Split;
use crate::domain::TrainSettings;
use crate::jobs::context::JobContext;
use crate::jobs::describe::describe_lacking;
use crate::jobs::error::JobError;
use crate::jobs::evaluate::figures;
use crate::jobs::files_worker::unix_time;
use crate::jobs::learn_from;
use crate::jobs::learn_from::Roles;
use crate::jobs::mapped_features;
use crate::jobs::message::Event;
use crate::jobs::message::FailedItem;
use crate::jobs::model_host::ModelHost;
use crate::jobs::pipeline::Known;
use crate::jobs::pipeline::Maker;
use crate::jobs::pipeline::Pipeline;
use crate::jobs::pipeline::failed;
use crate::jobs::prune::size_words;
use crate::jobs::scoring;
use crate::jobs::scoring::Item;
use crate::jobs::split::Parted;
use crate::jobs::split::with_splits;
use crate::jobs::store_worker::Pinned;
use crate::jobs::store_worker::StoreHandle;
use crate::ml::train::Example;
use crate::ml::train::TrainData;
use crate::ml::train::cut_fold;
use crate::ml::train::cut_validation;
use crate::store::FeatureCache;
use crate::store::FeatureKey;

/// Test pictures that are scored at once by the predictor in use.
const TEST_AT_ONCE: usize = 64;

/// Fewest training pictures with which training is worth a try.
const MIN_TRAIN_IMAGES: usize = 8;

/// What was asked of the trainer.
pub(super) enum TrainWish {
    /// A new run.
    New(TrainSettings),
    /// A run that was cut off.
    Resume(RunId),
}

/// A described picture, with what its score is made from.
#[derive(Debug, Clone)]
pub(super) struct Exam {
    pub(super) image: ImageId,
    pub(super) description: DescriptionId,
    pub(super) key: FeatureKey,
    /// Ground truth of a test picture; `None` for pictures that are only scored.
    pub(super) mos: Option<f64>,
    /// What the predictor in use says of a test picture.
    pub(super) before: Option<f64>,
}

/// A run with everything that the trainer needs.
pub(super) struct Prepared {
    pub(super) run: RunRecord,
    pub(super) resume: Option<Vec<u8>>,
    pub(super) data: TrainData,
    pub(super) test: Vec<Exam>,
    pub(super) others: Vec<Exam>,
    pub(super) failed: Vec<FailedItem>,
    pub(super) pinned: Pinned,
    pub(super) cache: FeatureCache,
    pub(super) maker: Maker,
    pub(super) catalog: Catalog,
}

/// Describes what lacks a description, gathers features, and notes the run in the project.
pub(super) fn prepare(
    host: &mut ModelHost,
    store: &StoreHandle,
    wish: &TrainWish,
    context: &mut JobContext,
) -> Result<Prepared, JobError> {
    context.progress(0, 0, "Loading the model")?;
    let (catalog, pinned) = store.snapshot()?;
    let settings = match wish {
        TrainWish::New(settings) => settings.clone(),
        TrainWish::Resume(run) => find_run(&catalog, *run)?.settings.clone(),
    };
    let catalog = learn_from::with_truth(catalog, &settings, &pinned)?;
    let catalog = with_splits(catalog, (&settings, Parted::Scored), &pinned, context)?;
    host.work_for(Some(settings.aspect));
    let pipeline = Pipeline::new(host, store, &catalog, pinned)?;
    let source = |_| settings.descriptions;
    let mut known = pipeline.known(&catalog, source);
    let roles = learn_from::roles(&catalog, &settings)?;
    if settings.descriptions == Descriptions::Local {
        let learned = roles.train.iter().chain(&roles.val);
        let learned = learned.filter(|record| record.mos(settings.aspect).is_some());
        let rows: Vec<_> = learned.chain(&roles.test).copied().collect();
        let aspects = settings.reading.aspects(settings.aspect);
        describe_lacking(&pipeline, &rows, &aspects, &mut known, context)?;
    }
    let lessons = lessons(&catalog, known.clone(), &settings);
    let texts = [&lessons, &known];
    tell_size(&pipeline, &roles, texts, &settings, context);
    let mut gathered = gather(&pipeline, &roles, texts, &settings, context)?;
    gathered.data.unit = unit_of(catalog.info.scale);
    if settings.head.input == HeadInput::Logits {
        gathered.data.lm_head = Some(pipeline.lm_head()?);
    }
    let (run, resume) = run_of(wish, &pipeline, &catalog, settings.clone(), &mut gathered)?;
    // Descriptions made just now count too.
    let catalog = pipeline.pinned.catalog()?;
    let catalog = learn_from::with_truth(catalog, &run.settings, &pipeline.pinned)?;
    let known = pipeline.known(&catalog, source);
    let others = others(&pipeline, &catalog, &known, (&run.settings, &gathered.test));
    Ok(Prepared {
        run,
        resume,
        data: gathered.data,
        test: gathered.test,
        others,
        failed: gathered.failed,
        pinned: pipeline.pinned.clone(),
        cache: pipeline.cache().clone(),
        maker: pipeline.maker.clone(),
        catalog,
    })
}

/// The descriptions to learn from. Where published ones are read, a training image without one lends its teacher's, as
/// the published predictors were trained. Only a training image: the teacher may have been shown the score.
fn lessons(catalog: &Catalog, known: Known, settings: &TrainSettings) -> Known {
    let mut lessons = known;
    if settings.descriptions != Descriptions::Published {
        return lessons;
    }
    let aspects = settings.reading.aspects(settings.aspect);
    // An aspect's own list counts: a training image of one may be a test image of another.
    let is_train = |record: &&ImageRecord, aspect| *record.split.get(aspect) == Some(Split::Train);
    let train: BTreeSet<(ImageId, Aspect)> = aspects
        .iter()
        .flat_map(|&aspect| {
            let rows = catalog.images.iter();
            rows.filter(move |record| is_train(record, aspect))
                .map(move |record| (record.id, aspect))
        })
        .collect();
    // What was rejected is not among them, and what was edited stands in its new words.
    for (key, description) in catalog.lessons() {
        if train.contains(&key) {
            lessons.entry(key).or_insert_with(|| description.clone());
        }
    }
    lessons
}

/// What [`gather`] found.
struct Gathered {
    data: TrainData,
    test: Vec<Exam>,
    test_before: Option<Figures>,
    failed: Vec<FailedItem>,
}

impl Gathered {
    /// Images to learn from, to choose the epoch by, and to test with.
    const fn num_images(&self) -> [usize; 3] {
        [self.data.train.len(), self.data.val.len(), self.test.len()]
    }
}

/// Features of all rows that take part; those of test rows are only scored by the predictor in use and let go.
/// Training rows read the first descriptions, all others the second.
fn gather(
    pipeline: &Pipeline<'_>,
    roles: &Roles<'_>,
    [lessons, known]: [&Known; 2],
    settings: &TrainSettings,
    context: &mut JobContext,
) -> Result<Gathered, JobError> {
    let aspect = settings.aspect;
    let mut gathering = Gathering {
        aspect,
        known: lessons,
        descriptions: settings.descriptions,
        reading: &settings.reading,
        total: (roles.train.len() + roles.val.len() + roles.test.len()) as u64,
        passed: 0,
        lacking: 0,
        failed: Vec::new(),
    };
    let train = gathering.examples(pipeline, &roles.train, context)?;
    gathering.known = known;
    let val = gathering.examples(pipeline, &roles.val, context)?;
    let test = gathering.test(pipeline, &roles.test, settings, context)?;
    scoring::note_lacking(gathering.lacking, gathering.total, context)?;
    let data = part(train, val, test.looked_at, settings);
    if data.train.len() < MIN_TRAIN_IMAGES || data.val.is_empty() {
        return Err(JobError::TooFewToTrain {
            aspect,
            found: data.train.len() + data.val.len(),
            least: MIN_TRAIN_IMAGES,
        });
    }
    Ok(Gathered {
        data,
        test: test.exams,
        test_before: test.before,
        failed: gathering.failed,
    })
}

/// What came of the test rows.
struct TestRows {
    exams: Vec<Exam>,
    /// Figures of the predictor in use.
    before: Option<Figures>,
    /// The rows as examples, where they choose the epoch.
    looked_at: Vec<Example>,
}

/// Going through the rows of a run, with the count of those behind.
struct Gathering<'a> {
    aspect: Aspect,
    known: &'a Known,
    descriptions: Descriptions,
    reading: &'a Reading,
    total: u64,
    passed: u64,
    lacking: u64,
    failed: Vec<FailedItem>,
}

impl Gathering<'_> {
    /// Examples of rows to learn from, with their prompts.
    fn examples(
        &mut self,
        pipeline: &Pipeline<'_>,
        rows: &[&ImageRecord],
        context: &mut JobContext,
    ) -> Result<Vec<(String, Example)>, JobError> {
        let mut examples = Vec::with_capacity(rows.len());
        for record in rows {
            let Some(mos) = record.mos(self.aspect) else {
                continue;
            };
            let features = self.features(pipeline, record, context)?;
            if let Some((_, features)) = features {
                examples.push((record.prompt.clone(), Example { features, mos }));
            }
        }
        Ok(examples)
    }

    /// Test rows, and the figures on them of the predictor in use. Where the test list chooses the epoch, its rows come back
    /// as examples to be looked at as well.
    fn test(
        &mut self,
        pipeline: &Pipeline<'_>,
        rows: &[&ImageRecord],
        settings: &TrainSettings,
        context: &mut JobContext,
    ) -> Result<TestRows, JobError> {
        // Without a predictor that fits there is nothing to compare with, which is no failure.
        let before = pipeline.predictor_in_use(self.aspect).ok();
        let (mut exams, mut looked_at) = (Vec::with_capacity(rows.len()), Vec::new());
        for rows in rows.chunks(TEST_AT_ONCE) {
            let (mut group, mut features) = (Vec::new(), Vec::new());
            for record in rows {
                if let Some((exam, found)) = self.features(pipeline, record, context)? {
                    group.push(exam);
                    features.push(found);
                }
            }
            let references: Vec<&Features> = features.iter().collect();
            let scores = before
                .as_ref()
                .and_then(|loaded| loaded.predictor.score_all(&references).ok());
            for (exam, score) in group.iter_mut().zip(scores.unwrap_or_default()) {
                exam.before = Some(score);
            }
            if settings.selects_on_test() {
                let examples = group.iter().zip(features);
                looked_at.extend(examples.filter_map(|(exam, features)| {
                    let mos = exam.mos?;
                    Some(Example { features, mos })
                }));
            }
            exams.append(&mut group);
        }
        let pairs = exams.iter().filter_map(|exam| exam.before.zip(exam.mos));
        let (pred, truth): (Vec<f64>, Vec<f64>) = pairs.unzip();
        let figures = before.map(|_| figures(&pred, &truth));
        Ok(TestRows {
            exams,
            before: figures,
            looked_at,
        })
    }

    fn features(
        &mut self,
        pipeline: &Pipeline<'_>,
        record: &ImageRecord,
        context: &mut JobContext,
    ) -> Result<Option<(Exam, Features)>, JobError> {
        let stage = format!("Describing {} for training", self.aspect);
        context.progress(self.passed, self.total, &stage)?;
        self.passed += 1;
        let mut picture = pipeline.picture(record);
        let item = Item {
            record,
            aspect: self.aspect,
            known: self.known,
            descriptions: self.descriptions,
            reading: self.reading,
        };
        match scoring::features_of(pipeline, &item, &mut picture, context) {
            Ok((description, key, features)) => {
                // What was made just now goes on from its file, so that a run never holds all features in memory.
                let features = match features.values.is_lent() {
                    true => features,
                    false => mapped_features::open(pipeline.cache(), &key).unwrap_or(features),
                };
                let exam = Exam {
                    image: record.id,
                    description,
                    key,
                    mos: record.mos(self.aspect),
                    before: None,
                };
                Ok(Some((exam, features)))
            }
            Err(JobError::NoDescription { .. }) => {
                self.lacking += 1;
                Ok(None)
            }
            Err(error) if error.is_about_item() => {
                self.failed.push(failed(record, &error));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// What is learned from and what chooses the epoch: the test list where that was asked for, the dataset's own validation
/// rows, or a part of the training rows.
fn part(
    train: Vec<(String, Example)>,
    val: Vec<(String, Example)>,
    on_test: Vec<Example>,
    settings: &TrainSettings,
) -> TrainData {
    let examples =
        |rows: Vec<(String, Example)>| rows.into_iter().map(|(_, example)| example).collect();
    let mut rows = train;
    if settings.selects_on_test() {
        rows.extend(val);
        return TrainData {
            train: examples(rows),
            val: on_test,
            ..TrainData::default()
        };
    }
    if settings.fold.is_some() {
        rows.extend(val);
        return cut(rows, settings);
    }
    if val.is_empty() {
        return cut(rows, settings);
    }
    TrainData {
        train: examples(rows),
        val: examples(val),
        ..TrainData::default()
    }
}

/// Cuts a validation part from the training rows, so that no prompt stands on both sides.
fn cut(rows: Vec<(String, Example)>, settings: &TrainSettings) -> TrainData {
    let prompts: Vec<&str> = rows.iter().map(|(prompt, _)| prompt.as_str()).collect();
    let is_val = match settings.fold {
        Some(fold) => cut_fold(&prompts, fold, settings.seed),
        None => cut_validation(&prompts, settings.val_fraction, settings.seed),
    };
    let mut data = TrainData::default();
    for ((_, example), is_val) in rows.into_iter().zip(is_val) {
        if is_val {
            data.val.push(example);
        } else {
            data.train.push(example);
        }
    }
    data
}

/// Points of a scale that are one point of 0-5.
fn unit_of(scale: OpinionScale) -> f64 {
    let zero_to_five = OpinionScale::ZERO_TO_FIVE;
    (scale.max - scale.min) / (zero_to_five.max - zero_to_five.min)
}

/// Says beforehand how much the features will take that are not in the cache yet.
fn tell_size(
    pipeline: &Pipeline<'_>,
    roles: &Roles<'_>,
    [lessons, known]: [&Known; 2],
    settings: &TrainSettings,
    context: &JobContext,
) {
    let lacks = |record: &&&ImageRecord, known: &Known| {
        let key = key_of(pipeline, record, settings, known);
        !key.is_some_and(|key| pipeline.cache().contains(&key))
    };
    let train = roles.train.iter().filter(|row| lacks(row, lessons)).count();
    let others = roles.val.iter().chain(&roles.test);
    let lacking = train + others.filter(|row| lacks(row, known)).count();
    if lacking > 0 {
        let (max_len, hidden) = (pipeline.maker.max_len, pipeline.hidden_size());
        let bytes = FeatureCache::bytes_needed(lacking, max_len, hidden);
        context.events().send(Event::Notice(format!(
            "Features of {lacking} pictures are to be made; they take up to {} of the cache",
            size_words(bytes)
        )));
    }
}

/// The run's record, and the state that it goes on from where it was cut off.
fn run_of(
    wish: &TrainWish,
    pipeline: &Pipeline<'_>,
    catalog: &Catalog,
    settings: TrainSettings,
    gathered: &mut Gathered,
) -> Result<(RunRecord, Option<Vec<u8>>), JobError> {
    match wish {
        TrainWish::New(_) => Ok((new_run(pipeline, catalog, settings, gathered)?, None)),
        TrainWish::Resume(id) => {
            let run = find_run(catalog, *id)?;
            check_begun_with(run, pipeline)?;
            let resume = checkpoint(&pipeline.pinned, *id)?;
            let run = with_images(run, gathered.num_images(), resume.is_some())?;
            Ok((run, resume))
        }
    }
}

fn new_run(
    pipeline: &Pipeline<'_>,
    catalog: &Catalog,
    settings: TrainSettings,
    gathered: &mut Gathered,
) -> Result<RunRecord, JobError> {
    let aspect = settings.aspect;
    let run = RunRecord {
        id: RunId(0),
        settings,
        model: pipeline.maker.tag.clone(),
        preset: pipeline.preset.name.clone(),
        num_images: gathered.num_images(),
        status: RunStatus::Running,
        epochs: Vec::new(),
        best_epoch: None,
        previous: *catalog.settings.predictor.get(aspect),
        predictor: None,
        test_before: gathered.test_before.take(),
        test_after: None,
        unix_time: unix_time(),
    };
    pipeline.pinned.call(move |project, events| {
        let run = project.save_run(&run)?;
        events.send(Event::RunChanged(run.clone()));
        Ok(run)
    })
}

fn find_run(catalog: &Catalog, run: RunId) -> Result<&RunRecord, JobError> {
    catalog
        .runs
        .iter()
        .find(|record| record.id == run && record.status == RunStatus::Running)
        .ok_or(JobError::NothingToResume { run: run.0 })
}

/// A run goes on only with the model and wording that it began with.
fn check_begun_with(run: &RunRecord, pipeline: &Pipeline<'_>) -> Result<(), JobError> {
    if run.model == pipeline.maker.tag && run.preset == pipeline.preset.name {
        return Ok(());
    }
    Err(JobError::RunOfOther {
        run: run.id.0,
        wants: format!("model {} with the wording {}", run.model.name, run.preset),
    })
}

/// A run goes on from its checkpoint only with as many images as it began with: the trainer would refuse others, and that
/// would end a run which needs no more than its pictures back. One without a checkpoint begins anew with what there is.
fn with_images(
    run: &RunRecord,
    num_images: [usize; 3],
    has_checkpoint: bool,
) -> Result<RunRecord, JobError> {
    let [had, has] = [run.num_images, num_images].map(|[train, val, _]| [train, val]);
    if has_checkpoint && had != has {
        return Err(JobError::RunOfOtherImages {
            run: run.id.0,
            had,
            has,
        });
    }
    let num_images = match has_checkpoint {
        true => run.num_images,
        false => num_images,
    };
    Ok(RunRecord {
        num_images,
        ..run.clone()
    })
}

fn checkpoint(pinned: &Pinned, run: RunId) -> Result<Option<Vec<u8>>, JobError> {
    pinned.call(move |project, _| Ok(project.checkpoint(run)?))
}

/// Described pictures beside the test rows: they are scored again by the new predictor.
fn others(
    pipeline: &Pipeline<'_>,
    catalog: &Catalog,
    known: &Known,
    (settings, test): (&TrainSettings, &[Exam]),
) -> Vec<Exam> {
    let aspect = settings.aspect;
    let tested: BTreeSet<ImageId> = test.iter().map(|exam| exam.image).collect();
    catalog
        .images
        .iter()
        .filter(|record| record.file.is_present() && !tested.contains(&record.id))
        .filter_map(|record| {
            let description = known.get(&(record.id, aspect))?;
            Some(Exam {
                image: record.id,
                description: description.id,
                key: key_of(pipeline, record, settings, known)?,
                mos: None,
                before: None,
            })
        })
        .collect()
}

/// The cache's key of what a run reads of a picture; nothing where something of it was not said.
fn key_of(
    pipeline: &Pipeline<'_>,
    record: &ImageRecord,
    settings: &TrainSettings,
    known: &Known,
) -> Option<FeatureKey> {
    let wish = (settings.aspect, &settings.reading);
    let messages = pipeline.messages(record, wish, known).ok()?;
    pipeline.key(record, &messages).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AspectMap;
    use crate::domain::Description;
    use crate::domain::FileState;
    use crate::domain::ModelTag;
    use crate::domain::Origin;
    use crate::domain::ProjectInfo;
    use crate::domain::Provenance;
    use crate::jobs::pipeline::known;

    /// An image of each split, and one of none.
    const SPLITS: [Option<Split>; 4] = [
        Some(Split::Train),
        Some(Split::Val),
        Some(Split::Test),
        None,
    ];

    fn image(number: usize, split: Option<Split>) -> ImageRecord {
        ImageRecord {
            id: ImageId(number as i64),
            path: format!("{number}.png"),
            file: FileState::Missing {
                reason: String::new(),
            },
            prompt: String::new(),
            prompt_source: String::new(),
            generator: None,
            style: None,
            tags: Vec::new(),
            truth: AspectMap::default(),
            split: AspectMap::from_fn(|_| split),
        }
    }

    fn told(image: usize, origin: Origin) -> Description {
        Description {
            id: DescriptionId(0),
            image: ImageId(image as i64),
            aspect: Aspect::Quality,
            origin,
            request: String::new(),
            text: origin.name().to_owned(),
            question: String::new(),
            answer: None,
            made: Provenance {
                model: None,
                preset: None,
                settings: serde_json::json!({}),
                seed: 0,
                program_version: String::new(),
                unix_time: 0,
            },
        }
    }

    /// Every image with a teacher's text; the one of no split with a published one before it.
    fn catalog() -> Catalog {
        let teachers = (0..SPLITS.len()).map(|image| told(image, Origin::Teacher));
        let published = told(3, Origin::Published);
        Catalog {
            images: SPLITS
                .iter()
                .enumerate()
                .map(|(number, split)| image(number, *split))
                .collect(),
            descriptions: std::iter::once(published).chain(teachers).collect(),
            ..Catalog::of(ProjectInfo::any())
        }
    }

    #[test]
    fn a_teachers_description_is_never_read_but_of_a_training_image_to_learn_from() {
        let catalog = catalog();
        let tag = ModelTag {
            name: "mini".to_owned(),
            sha256: String::new(),
        };
        let read = |descriptions| known(&catalog, |_| descriptions, &tag, "assay");
        assert_eq!(read(Descriptions::Local), Known::new());
        let published = read(Descriptions::Published);
        let origins: Vec<Origin> = published.values().map(|told| told.origin).collect();
        assert_eq!(origins, [Origin::Published]);

        for descriptions in [Descriptions::Local, Descriptions::Published] {
            let settings = TrainSettings {
                descriptions,
                ..TrainSettings::new(Aspect::Quality)
            };
            for ((image, _), told) in lessons(&catalog, read(descriptions), &settings) {
                let is_training = SPLITS[image.0 as usize] == Some(Split::Train);
                assert!(is_training || told.origin != Origin::Teacher, "{image:?}");
            }
            let num_lessons = lessons(&catalog, read(descriptions), &settings).len();
            let expected = match descriptions {
                Descriptions::Local => 0,
                Descriptions::Published => 2,
            };
            assert_eq!(num_lessons, expected);
        }
    }
}
