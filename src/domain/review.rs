//! What people say of a teacher's texts before a model learns from them, and the history of each text.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Aspect, Catalog, Description, DescriptionId, ImageId, Origin};

/// A review's number in the project file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReviewId(pub i64);

/// What was said of a text.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// Nothing yet. It is learned from.
    #[default]
    Unreviewed,
    /// Right as the teacher wrote it.
    Accepted,
    /// Right as somebody changed it: that form is learned from.
    Edited,
    /// Not learned from.
    Rejected,
}

impl Judgement {
    /// Every verdict, in the order of the filter.
    pub const ALL: [Self; 4] = [
        Self::Unreviewed,
        Self::Accepted,
        Self::Edited,
        Self::Rejected,
    ];

    /// The word in the project file and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreviewed => "unreviewed",
            Self::Accepted => "accepted",
            Self::Edited => "edited",
            Self::Rejected => "rejected",
        }
    }

    /// The word as a heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Unreviewed => "Unreviewed",
            Self::Accepted => "Accepted",
            Self::Edited => "Edited",
            Self::Rejected => "Rejected",
        }
    }
}

impl FromStr for Judgement {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|verdict| verdict.name() == word)
            .ok_or_else(|| format!("unknown verdict {word:?}"))
    }
}

/// One review of one text. Records are only ever added; taking a review back points at an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewRecord {
    /// Its number.
    pub id: ReviewId,
    /// The description.
    pub description: DescriptionId,
    /// What was said of it.
    pub verdict: Judgement,
    /// The text as it stands since, where it is not the teacher's own.
    pub text: Option<String>,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// Who said it; empty where no name was given.
    pub author: String,
    /// The review whose text was in hand; `None` stands for the teacher's own text.
    pub edited_from: Option<ReviewId>,
    /// Seconds since 1970-01-01 UTC.
    pub unix_time: i64,
}

/// What to do with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewAct {
    /// It is right as it stands.
    Accept,
    /// It is right in these words.
    Edit(String),
    /// It is not to be learned from, for this reason.
    Reject(String),
    /// Nothing is said of it any more, and it stands as the teacher wrote it.
    Reset,
}

/// A review that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewWish {
    /// The description.
    pub description: DescriptionId,
    /// What to do.
    pub act: ReviewAct,
}

/// A picture that a teacher would not or could not describe; forgotten once it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeachFailure {
    /// The picture.
    pub image: ImageId,
    /// What it was asked about.
    pub aspect: Aspect,
    /// Its model.
    pub teacher: String,
    /// Why, in words.
    pub reason: String,
    /// Seconds since 1970-01-01 UTC.
    pub unix_time: i64,
}

/// Everything that was said of a project's taught texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reviews {
    /// Every record, oldest first, also those that were taken back.
    pub records: Vec<ReviewRecord>,
    /// The record that holds for a description.
    pub in_force: BTreeMap<DescriptionId, ReviewId>,
    /// What teachers wrote where that is not the text as it stands.
    pub originals: BTreeMap<DescriptionId, String>,
    /// What no teacher has described so far although one was asked.
    pub failures: Vec<TeachFailure>,
}

impl Reviews {
    /// The record that holds for a description.
    pub fn standing(&self, description: DescriptionId) -> Option<&ReviewRecord> {
        let id = *self.in_force.get(&description)?;
        let at = self.records.binary_search_by_key(&id, |record| record.id);
        self.records.get(at.ok()?)
    }

    /// What holds for a description.
    pub fn verdict(&self, description: DescriptionId) -> Judgement {
        self.standing(description)
            .map_or(Judgement::Unreviewed, |record| record.verdict)
    }

    /// Every record of a description, oldest first.
    pub fn history(&self, description: DescriptionId) -> impl Iterator<Item = &ReviewRecord> {
        let records = self.records.iter();
        records.filter(move |record| record.description == description)
    }

    /// Puts the texts as they stand in the place of those that teachers wrote, and keeps the latter.
    pub fn lay_over(&mut self, descriptions: &mut [Description]) {
        for description in descriptions {
            let text = self
                .standing(description.id)
                .and_then(|record| record.text.clone());
            if let Some(text) = text {
                let original = std::mem::replace(&mut description.text, text);
                self.originals.insert(description.id, original);
            }
        }
    }

    /// Takes a record in that holds from now on, for a description that this room shows as it stands.
    pub fn take(&mut self, record: ReviewRecord, description: &mut Description) {
        let original = self
            .originals
            .remove(&description.id)
            .unwrap_or_else(|| description.text.clone());
        description.text = match &record.text {
            Some(text) => {
                self.originals.insert(description.id, original);
                text.clone()
            }
            None => original,
        };
        self.in_force.insert(record.description, record.id);
        let at = self.records.partition_point(|known| known.id < record.id);
        self.records.insert(at, record);
    }

    /// Takes in that a teacher said nothing about pictures; the newest reason counts.
    pub fn fail(&mut self, failures: Vec<TeachFailure>) {
        for failure in failures {
            self.forget_failure(failure.image, failure.aspect);
            self.failures.push(failure);
        }
    }

    /// Takes in that a teacher has described a picture.
    pub fn forget_failure(&mut self, image: ImageId, aspect: Aspect) {
        self.failures
            .retain(|failure| (failure.image, failure.aspect) != (image, aspect));
    }
}

impl Description {
    /// The teacher's model, where one wrote it and that is known.
    pub fn teacher(&self) -> Option<&str> {
        let named = self.made.settings.get("teacher");
        named.and_then(serde_json::Value::as_str)
    }
}

impl Catalog {
    /// What teachers said and nobody rejected: what a model may learn from, each text as it stands. Whether a picture may
    /// be learned from at all is another question.
    pub fn taught(&self) -> impl Iterator<Item = &Description> {
        self.descriptions.iter().filter(|description| {
            description.origin == Origin::Teacher
                && self.reviews.verdict(description.id) != Judgement::Rejected
        })
    }

    /// The one text to learn from about each picture and aspect: the newest that somebody has approved of, or else the
    /// newest at all.
    pub fn lessons(&self) -> BTreeMap<(ImageId, Aspect), &Description> {
        self.lessons_where(|_| true)
    }

    /// The same among the texts that `takes` lets through.
    pub fn lessons_where(
        &self,
        takes: impl Fn(&Description) -> bool,
    ) -> BTreeMap<(ImageId, Aspect), &Description> {
        let mut lessons: BTreeMap<(ImageId, Aspect), &Description> = BTreeMap::new();
        let is_approved = |description: &Description| {
            self.reviews.verdict(description.id) != Judgement::Unreviewed
        };
        for description in self.taught().filter(|told| takes(told)) {
            let key = (description.image, description.aspect);
            let before = lessons.get(&key);
            if before.is_none_or(|before| is_approved(description) || !is_approved(before)) {
                lessons.insert(key, description);
            }
        }
        lessons
    }
}
