//! The form of a study: a protocol in the making, the pictures it would have, and what is still wrong with it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::domain::study::num_pair_trials;
use crate::domain::study::order;
use crate::domain::study::spanning;
use crate::domain::{ContentHash, ImageId, Method, Protocol, Study, StudyId, StudyPicture};
use crate::state::Project;
use crate::state::Row;
use crate::stats::SplitMix64;

/// Seconds that people take for an answer besides the shortest look that the protocol asks for; P.910 plans with
/// voting times of up to 10 s, panels that answer by key are quicker.
const ANSWER_SECONDS: f64 = 3.0;

/// Which pictures a study takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Source {
    /// The selected ones if several are, otherwise all that the gallery shows.
    #[default]
    Scope,
    /// Every picture of the project.
    All,
    /// Those that the study has already.
    Kept,
}

/// A protocol in the making.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// Everything but the pictures.
    pub protocol: Protocol,
    /// Which pictures it takes.
    pub source: Source,
    /// At most so many of them, drawn by the seed; `None` takes all.
    pub limit: Option<usize>,
    /// The study that is being changed; `None` makes a new one.
    pub study: Option<StudyId>,
    /// Pictures that the source has.
    pub num_offered: usize,
    /// Pictures with a file of their own content that would be rated.
    pub num_rated: usize,
    /// Pictures for practice alone.
    pub num_training: usize,
    /// What is still wrong, in sentences.
    pub faults: Vec<String>,
    /// Trials of one rater.
    pub num_trials: usize,
    pictures: Vec<StudyPicture>,
    training: Vec<ContentHash>,
    scope: Vec<ImageId>,
}

/// What the form can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum FormCommand {
    /// Other choices.
    Set(Box<Protocol>),
    /// Other pictures.
    SetSource(Source),
    /// Another number of pictures at most.
    SetLimit(Option<usize>),
    /// Make the study, or change it.
    Save,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            protocol: Protocol::new("", Method::Acr5),
            source: Source::default(),
            limit: None,
            study: None,
            num_offered: 0,
            num_rated: 0,
            num_training: 0,
            faults: Vec::new(),
            num_trials: 0,
            pictures: Vec::new(),
            training: Vec::new(),
            scope: Vec::new(),
        }
    }
}

impl Form {
    /// An empty form over the pictures in scope.
    pub(super) fn new(project: &Project, scope: Vec<ImageId>) -> Self {
        let num_studies = project.studies.iter().filter(|study| !study.is_quick);
        let name = format!("Study {}", num_studies.count() + 1);
        let mut form = Self {
            protocol: Protocol::new(&name, Method::Acr5),
            scope,
            ..Self::default()
        };
        form.choose_pictures(project);
        form
    }

    /// The form of a study that nobody has voted in yet.
    pub(super) fn of(study: &Study, project: &Project, scope: Vec<ImageId>) -> Self {
        let mut protocol = study.protocol.clone();
        let pictures = std::mem::take(&mut protocol.pictures);
        let training = std::mem::take(&mut protocol.training);
        let mut form = Self {
            protocol,
            source: Source::Kept,
            study: Some(study.id),
            pictures,
            training,
            scope,
            ..Self::default()
        };
        form.choose_pictures(project);
        form
    }

    /// The protocol with its pictures.
    pub fn assembled(&self) -> Protocol {
        Protocol {
            pictures: self.pictures.clone(),
            training: self.training.clone(),
            ..self.protocol.clone()
        }
    }

    /// Seconds that one rater may need, breaks included.
    pub fn seconds_per_rater(&self) -> f64 {
        let protocol = &self.protocol;
        let each = f64::from(protocol.min_dwell_ms) / 1_000.0 + ANSWER_SECONDS;
        let rating = self.num_trials as f64 * each;
        if protocol.session_minutes == 0 {
            return rating;
        }
        let session = f64::from(protocol.session_minutes) * 60.0;
        let num_breaks = (rating / session).ceil().max(1.0) - 1.0;
        rating + num_breaks * f64::from(protocol.break_seconds)
    }

    /// Takes other choices in; their pictures stay.
    pub(super) fn set(&mut self, protocol: Protocol, project: &Project) {
        let moves_pictures = protocol.method != self.protocol.method
            || protocol.seed != self.protocol.seed
            || protocol.num_discarded_training != self.protocol.num_discarded_training
            || protocol.aspects.first() != self.protocol.aspects.first();
        let before = self.protocol.method;
        self.protocol = match protocol.method == before {
            true => protocol,
            false => with_questions_of(protocol, before),
        };
        if moves_pictures {
            self.choose_pictures(project);
        } else {
            self.check();
        }
    }

    pub(super) fn set_source(&mut self, source: Source, project: &Project) {
        self.source = source;
        self.choose_pictures(project);
    }

    pub(super) fn set_limit(&mut self, limit: Option<usize>, project: &Project) {
        self.limit = limit;
        self.choose_pictures(project);
    }

    fn choose_pictures(&mut self, project: &Project) {
        if self.source == Source::Kept {
            self.num_offered = self.pictures.len();
        } else {
            self.take_pictures(project);
        }
        self.num_training = self.training.len();
        self.num_rated = self.pictures.len() - self.num_training;
        self.check();
    }

    fn take_pictures(&mut self, project: &Project) {
        let offered: Vec<&Row> = match self.source {
            Source::All => project.rows.iter().collect(),
            Source::Scope | Source::Kept => {
                let scope = self.scope.iter();
                scope.filter_map(|&image| project.row(image)).collect()
            }
        };
        self.num_offered = offered.len();
        self.pictures = drawn(&usable(&offered), self.limit, &self.protocol);
        let training = training(project, &self.pictures, &self.protocol);
        self.training = training.iter().map(|picture| picture.hash).collect();
        self.pictures.extend(training);
    }

    fn check(&mut self) {
        let protocol = self.assembled();
        self.faults = protocol.check().err().unwrap_or_default();
        self.num_trials = match protocol.method {
            Method::Pairs => num_pair_trials(&protocol),
            // Every rater has as many; the name only decides the order.
            Method::Acr5 | Method::Continuous => order(&protocol, "").len(),
        };
    }
}

/// Questions of a method that nobody reworded become those of the other.
fn with_questions_of(mut protocol: Protocol, before: Method) -> Protocol {
    let (old, new) = (
        Protocol::new("", before).questions,
        Protocol::new("", protocol.method).questions,
    );
    for (aspect, question) in old.iter() {
        if protocol.questions.get(aspect) == question {
            protocol
                .questions
                .get_mut(aspect)
                .clone_from(new.get(aspect));
        }
    }
    protocol
}

/// Pictures with a file, each content once.
fn usable(rows: &[&Row]) -> Vec<StudyPicture> {
    let mut known = BTreeSet::new();
    let picture = |row: &&Row| {
        let hash = row.record.file.hash()?;
        known.insert(hash).then(|| StudyPicture {
            hash,
            path: row.record.path.clone(),
            prompt: row.record.prompt.clone(),
        })
    };
    rows.iter().filter_map(picture).collect()
}

/// At most `limit` pictures, drawn by the seed; for comparisons whole prompts are drawn, because pairs need both.
fn drawn(
    pictures: &[StudyPicture],
    limit: Option<usize>,
    protocol: &Protocol,
) -> Vec<StudyPicture> {
    let Some(limit) = limit.filter(|&limit| limit < pictures.len()) else {
        return pictures.to_vec();
    };
    let mut groups: Vec<Vec<usize>> = match protocol.method {
        Method::Pairs => by_prompt(pictures),
        Method::Acr5 | Method::Continuous => (0..pictures.len()).map(|idx| vec![idx]).collect(),
    };
    shuffle(&mut groups, protocol.seed);
    let mut chosen: BTreeSet<usize> = BTreeSet::new();
    for group in groups {
        if chosen.len() + group.len() <= limit {
            chosen.extend(group);
        }
    }
    chosen
        .into_iter()
        .filter_map(|idx| pictures.get(idx).cloned())
        .collect()
}

fn by_prompt(pictures: &[StudyPicture]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (idx, picture) in pictures.iter().enumerate() {
        groups.entry(picture.prompt.trim()).or_default().push(idx);
    }
    groups.into_values().collect()
}

fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut random = SplitMix64::new(seed);
    for idx in (1..items.len()).rev() {
        items.swap(idx, random.below(idx as u64 + 1) as usize);
    }
}

/// Pictures for practice from outside the study, from the worst to the best that is known; none where all are rated.
fn training(project: &Project, chosen: &[StudyPicture], protocol: &Protocol) -> Vec<StudyPicture> {
    let num = protocol.num_discarded_training;
    let Some(&aspect) = protocol.aspects.first() else {
        return Vec::new();
    };
    if num == 0 || protocol.method == Method::Pairs {
        // The first pairs of a rater are the practice of a comparison.
        return Vec::new();
    }
    let taken: BTreeSet<ContentHash> = chosen.iter().map(|picture| picture.hash).collect();
    let rows: Vec<&Row> = project.rows.iter().collect();
    let mut others = usable(&rows);
    others.retain(|picture| !taken.contains(&picture.hash));
    let value = |picture: &StudyPicture| {
        let row = project.row_with(picture.hash)?;
        let known = row.record.mos(aspect).or_else(|| row.predicted(aspect))?;
        Some((picture.hash, known))
    };
    let known: Vec<(ContentHash, f64)> = others.iter().filter_map(value).collect();
    let wanted = spanning(&known, num);
    if wanted.is_empty() {
        shuffle(&mut others, protocol.seed);
        others.truncate(num);
        return others;
    }
    let find = |hash: &ContentHash| others.iter().find(|picture| picture.hash == *hash);
    wanted.iter().filter_map(find).cloned().collect()
}
