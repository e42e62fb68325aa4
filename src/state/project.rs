//! The open project in a form that screens can index: a row by its number, a result by image and aspect.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::domain::{
    Aspect, AspectMap, Catalog, ContentHash, Description, DescriptionId, ImageId, ImageRecord,
    ModelTag, Operation, Origin, PredictorCard, PredictorId, Preset, ProjectInfo, ReviewRecord,
    Reviews, RunId, RunRecord, Score, Settings, Study, StudyId, Vote, VoteToken,
};

/// Number of the embedded predictor of each aspect.
const EMBEDDED: PredictorId = PredictorId(0);

/// One image with everything known about it.
#[derive(Debug, Clone)]
pub struct Row {
    /// The row of the dataset.
    pub record: ImageRecord,
    /// Prompt and file name in lower case: what searching looks through.
    pub haystack: String,
    /// Every description by aspect, oldest first.
    pub descriptions: AspectMap<Vec<Description>>,
    /// The score of the predictor in use, by aspect.
    pub score: AspectMap<Option<Score>>,
    /// The text of a description while it is being written.
    pub streaming: AspectMap<Option<String>>,
}

impl Row {
    fn new(record: ImageRecord) -> Self {
        let haystack = format!("{}\n{}", record.prompt, record.file_name()).to_lowercase();
        Self {
            record,
            haystack,
            descriptions: AspectMap::default(),
            score: AspectMap::default(),
            streaming: AspectMap::default(),
        }
    }

    /// The newest description that the local model wrote.
    pub fn local_description(&self, aspect: Aspect) -> Option<&Description> {
        self.newest_description(aspect, Origin::Local)
    }

    /// The newest description of one origin.
    pub fn newest_description(&self, aspect: Aspect, origin: Origin) -> Option<&Description> {
        self.descriptions
            .get(aspect)
            .iter()
            .rev()
            .find(|description| description.origin == origin)
    }

    /// The predicted MOS of the predictor in use.
    pub fn predicted(&self, aspect: Aspect) -> Option<f64> {
        self.score.get(aspect).as_ref().map(|score| score.value)
    }

    /// Prediction minus ground truth, where both exist.
    pub fn error(&self, aspect: Aspect) -> Option<f64> {
        Some(self.predicted(aspect)? - self.record.mos(aspect)?)
    }
}

/// How much was voted in a study; records taken back are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VoteCount {
    /// Standing answers.
    pub num_votes: usize,
    /// Standing answers by rater.
    pub raters: BTreeMap<String, usize>,
}

/// The open project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Name, path, scale, and whether it is the synthetic demo.
    pub info: ProjectInfo,
    /// Choices stored in it.
    pub settings: Settings,
    /// Rows in the order of their path.
    pub rows: Vec<Row>,
    /// Predictors that were trained or imported.
    pub predictors: Vec<PredictorCard>,
    /// Predictors that come with the program and fit the model in use.
    pub embedded: Vec<PredictorCard>,
    /// Training runs, oldest first.
    pub runs: Vec<RunRecord>,
    /// Studies, oldest first; quick rating among them once it was used.
    pub studies: Vec<Study>,
    /// What people said of taught texts.
    pub reviews: Reviews,
    /// Counts up whenever rows or scores change: what was computed of them is old then.
    pub revision: u64,
    /// What undo would take back.
    pub undo: Option<Operation>,
    /// What redo would bring again.
    pub redo: Option<Operation>,
    /// Every generator named by a row, sorted.
    pub generators: Vec<String>,
    /// Every tag on a row, sorted.
    pub tags: Vec<String>,
    /// Rows whose file is not there or cannot be decoded.
    pub num_without_file: usize,
    votes: BTreeMap<StudyId, Vec<Vote>>,
    /// Where each rater's records stand among those of a study: a sitting asks for its own at every answer.
    by_rater: HashMap<StudyId, HashMap<String, Vec<usize>>>,
    tallies: BTreeMap<StudyId, VoteCount>,
    tokens: BTreeSet<VoteToken>,
    index: HashMap<ImageId, usize>,
    contents: HashMap<ContentHash, usize>,
    scores: HashMap<(PredictorId, ImageId, Aspect), Score>,
}

impl Project {
    /// Indexes a catalog. `embedded` are the predictors that come with the program.
    pub fn new(catalog: Catalog, embedded: Vec<PredictorCard>) -> Self {
        let mut project = Self {
            info: catalog.info,
            settings: catalog.settings,
            rows: catalog.images.into_iter().map(Row::new).collect(),
            predictors: catalog.predictors,
            embedded,
            runs: catalog.runs,
            studies: catalog.studies,
            reviews: catalog.reviews,
            revision: 0,
            undo: catalog.undo,
            redo: catalog.redo,
            generators: Vec::new(),
            tags: Vec::new(),
            num_without_file: 0,
            votes: BTreeMap::new(),
            by_rater: HashMap::new(),
            tallies: BTreeMap::new(),
            tokens: BTreeSet::new(),
            index: HashMap::new(),
            contents: HashMap::new(),
            scores: HashMap::new(),
        };
        project.index = project
            .rows
            .iter()
            .enumerate()
            .map(|(idx, row)| (row.record.id, idx))
            .collect();
        for description in catalog.descriptions {
            project.add_description(description);
        }
        for vote in catalog.votes {
            project.add_vote(vote);
        }
        project.keep_scores(catalog.scores);
        project.choose_scores();
        project.summarise();
        project
    }

    /// Where an image stands in [`Project::rows`].
    pub fn row_idx(&self, image: ImageId) -> Option<usize> {
        self.index.get(&image).copied()
    }

    /// An image with all that is known of it.
    pub fn row(&self, image: ImageId) -> Option<&Row> {
        self.rows.get(self.row_idx(image)?)
    }

    /// The first row whose file has this content.
    pub fn row_with(&self, hash: ContentHash) -> Option<&Row> {
        self.rows.get(*self.contents.get(&hash)?)
    }

    /// Every record of a study in the order of its commit, also those taken back.
    pub fn votes_of(&self, study: StudyId) -> &[Vote] {
        self.votes.get(&study).map_or(&[], Vec::as_slice)
    }

    /// One rater's records in a study in the order of their commit, also those taken back.
    pub fn votes_by(&self, study: StudyId, rater: &str) -> Vec<&Vote> {
        let votes = self.votes_of(study);
        let places = self.by_rater.get(&study);
        let places = places.and_then(|raters| raters.get(rater.trim()));
        let places = places.map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|&at| votes.get(at)).collect()
    }

    /// Whose opinions the ground truth of an aspect is: a study of the project, or `None` for the dataset itself.
    pub fn truth_study(&self, aspect: Aspect) -> Option<&Study> {
        let id = (*self.settings.ground_truth.get(aspect))?;
        self.studies.iter().find(|study| study.id == id)
    }

    /// How much was voted in a study.
    pub fn tally(&self, study: StudyId) -> VoteCount {
        self.tallies.get(&study).cloned().unwrap_or_default()
    }

    fn row_mut(&mut self, image: ImageId) -> Option<&mut Row> {
        let idx = self.row_idx(image)?;
        self.rows.get_mut(idx)
    }

    /// The number under which the scores of the predictor in use are kept.
    pub fn predictor_in_use(&self, aspect: Aspect) -> PredictorId {
        self.settings.predictor.get(aspect).unwrap_or(EMBEDDED)
    }

    /// The card of the predictor in use; `None` where no predictor fits.
    pub fn predictor_card(&self, aspect: Aspect) -> Option<&PredictorCard> {
        let id = self.predictor_in_use(aspect);
        if id == EMBEDDED {
            return self.embedded.iter().find(|card| card.aspect == aspect);
        }
        self.predictors
            .iter()
            .find(|card| card.id == id && card.aspect == aspect)
    }

    /// Whether a local model has described a picture as the one in use would. `model` is that one, where it is known;
    /// the text of another model or wording is kept, and does not count.
    pub fn is_described(&self, row: &Row, aspect: Aspect, model: Option<&ModelTag>) -> bool {
        let wording = self.settings.preset.as_deref().unwrap_or(Preset::DEFAULT);
        row.descriptions.get(aspect).iter().any(|description| {
            let made = &description.made;
            description.origin == Origin::Local
                && model.is_none_or(|model| made.model.as_ref() == Some(model))
                && made.preset.as_deref().unwrap_or(Preset::DEFAULT) == wording
        })
    }

    /// The score that one predictor gave one image.
    pub fn score_by(&self, predictor: PredictorId, image: ImageId, aspect: Aspect) -> Option<f64> {
        self.scores
            .get(&(predictor, image, aspect))
            .map(|score| score.value)
    }

    /// A training run by its number.
    pub fn run(&self, run: RunId) -> Option<&RunRecord> {
        self.runs.iter().find(|record| record.id == run)
    }

    /// Takes changed rows in; results of known rows stay.
    pub(super) fn change_rows(&mut self, records: Vec<ImageRecord>) {
        for record in records {
            if let Some(row) = self.row_mut(record.id) {
                let fresh = Row::new(record);
                row.record = fresh.record;
                row.haystack = fresh.haystack;
            } else {
                self.index.insert(record.id, self.rows.len());
                self.rows.push(Row::new(record));
            }
        }
        self.summarise();
    }

    /// Takes the text so far of a description that is being written.
    pub(super) fn stream(&mut self, image: ImageId, aspect: Aspect, text: String) {
        if let Some(row) = self.row_mut(image) {
            *row.streaming.get_mut(aspect) = Some(text);
        }
    }

    /// Takes a saved description in.
    pub(super) fn add_description(&mut self, description: Description) {
        let aspect = description.aspect;
        if description.origin == Origin::Teacher {
            self.reviews.forget_failure(description.image, aspect);
        }
        let Some(row) = self.row_mut(description.image) else {
            return;
        };
        if description.origin == Origin::Local {
            *row.streaming.get_mut(aspect) = None;
        }
        let known = row.descriptions.get_mut(aspect);
        known.retain(|old| old.id != description.id);
        known.push(description);
    }

    /// Takes saved reviews in: each text stands as its review says from now on.
    pub(super) fn review(&mut self, records: Vec<ReviewRecord>) {
        let mut records: BTreeMap<DescriptionId, ReviewRecord> = records
            .into_iter()
            .map(|record| (record.description, record))
            .collect();
        for row in &mut self.rows {
            if records.is_empty() {
                return;
            }
            for aspect in Aspect::ALL {
                for description in row.descriptions.get_mut(aspect) {
                    if let Some(record) = records.remove(&description.id) {
                        self.reviews.take(record, description);
                    }
                }
            }
        }
    }

    /// Takes saved scores in.
    pub(super) fn add_scores(&mut self, scores: Vec<Score>) {
        for score in &scores {
            if score.predictor == self.predictor_in_use(score.aspect)
                && let Some(row) = self.row_mut(score.image)
            {
                *row.score.get_mut(score.aspect) = Some(score.clone());
            }
        }
        self.keep_scores(scores);
        self.revision += 1;
    }

    /// Takes a committed record in; a record that is known stays single.
    pub(super) fn add_vote(&mut self, vote: Vote) {
        if let Some(study) = self.studies.iter_mut().find(|study| study.id == vote.study) {
            study.is_frozen = true;
        }
        if !self.tokens.insert(vote.token) {
            return;
        }
        let tally = self.tallies.entry(vote.study).or_default();
        let by_rater = tally.raters.entry(vote.rater.clone()).or_default();
        let count = |num: usize| match vote.undo_of {
            None => num + 1,
            Some(_) => num.saturating_sub(1),
        };
        *by_rater = count(*by_rater);
        tally.num_votes = count(tally.num_votes);
        let votes = self.votes.entry(vote.study).or_default();
        let by_rater = self.by_rater.entry(vote.study).or_default();
        let rater = vote.rater.trim().to_owned();
        by_rater.entry(rater).or_default().push(votes.len());
        votes.push(vote);
    }

    /// Takes changed studies in.
    pub(super) fn change_studies(&mut self, studies: Vec<Study>) {
        self.studies = studies;
    }

    /// Takes a run in: a new one, or the new state of a known one.
    pub(super) fn change_run(&mut self, run: RunRecord) {
        match self.runs.iter_mut().find(|known| known.id == run.id) {
            Some(known) => *known = run,
            None => self.runs.push(run),
        }
    }

    /// Takes a predictor in.
    pub(super) fn add_predictor(&mut self, card: PredictorCard) {
        match self.predictors.iter_mut().find(|known| known.id == card.id) {
            Some(known) => *known = card,
            None => self.predictors.push(card),
        }
        self.choose_scores();
    }

    /// Takes changed choices in: another predictor in use means other scores on screen.
    pub(super) fn change_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.choose_scores();
    }

    /// Forgets half-written texts, which are not on disk.
    pub(super) fn drop_streaming(&mut self) {
        for row in &mut self.rows {
            row.streaming = AspectMap::default();
        }
    }

    fn keep_scores(&mut self, scores: Vec<Score>) {
        for score in scores {
            self.scores
                .insert((score.predictor, score.image, score.aspect), score);
        }
    }

    fn choose_scores(&mut self) {
        self.revision += 1;
        let in_use = AspectMap::from_fn(|aspect| self.predictor_in_use(aspect));
        for row in &mut self.rows {
            row.score = AspectMap::from_fn(|aspect| {
                self.scores
                    .get(&(*in_use.get(aspect), row.record.id, aspect))
                    .cloned()
            });
        }
    }

    fn summarise(&mut self) {
        self.revision += 1;
        self.contents.clear();
        for (idx, row) in self.rows.iter().enumerate() {
            if let Some(hash) = row.record.file.hash() {
                self.contents.entry(hash).or_insert(idx);
            }
        }
        let generators: BTreeSet<&String> = self
            .rows
            .iter()
            .filter_map(|row| row.record.generator.as_ref())
            .collect();
        let tags: BTreeSet<&String> = self.rows.iter().flat_map(|row| &row.record.tags).collect();
        let generators = generators.into_iter().cloned().collect();
        let tags = tags.into_iter().cloned().collect();
        self.generators = generators;
        self.tags = tags;
        self.num_without_file = self
            .rows
            .iter()
            .filter(|row| !row.record.file.is_present())
            .count();
    }
}
