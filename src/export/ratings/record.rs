//! A study with all that its files are made from.

use std::collections::BTreeMap;

use crate::domain::ContentHash;
use crate::domain::ImageRecord;
use crate::domain::Study;
use crate::domain::Vote;

/// A study, its votes, and where its pictures lie.
#[derive(Debug)]
pub struct StudyRecord<'a> {
    /// The study.
    pub study: &'a Study,
    /// Its votes in the order they were given, those taken back and the records that took them back included.
    pub votes: Vec<&'a Vote>,
    /// Name of the dataset.
    pub dataset: &'a str,
    pictures: BTreeMap<ContentHash, (&'a str, &'a str)>,
}

impl<'a> StudyRecord<'a> {
    /// Takes the study's own out of a project's votes. Pictures outside the protocol (quick rating has none of its
    /// own) are looked up among the project's images.
    pub fn new(
        study: &'a Study,
        votes: &'a [Vote],
        images: &'a [ImageRecord],
        dataset: &'a str,
    ) -> Self {
        let of_project = images.iter().filter_map(|image| {
            let names = (image.path.as_str(), image.prompt.as_str());
            Some((image.file.hash()?, names))
        });
        let of_protocol = study.protocol.pictures.iter().map(|picture| {
            let names = (picture.path.as_str(), picture.prompt.as_str());
            (picture.hash, names)
        });
        let mut votes: Vec<&Vote> = votes.iter().filter(|vote| vote.study == study.id).collect();
        votes.sort_by_key(|vote| (vote.voted_at, vote.id));
        Self {
            study,
            votes,
            dataset,
            pictures: of_project.chain(of_protocol).collect(),
        }
    }

    /// Where a picture lies, relative to the image root; its hash where nobody knows.
    pub fn path(&self, picture: ContentHash) -> String {
        self.pictures
            .get(&picture)
            .map_or_else(|| picture.to_string(), |(path, _)| (*path).to_owned())
    }

    /// The prompt that made a picture; empty where unknown.
    pub fn prompt(&self, picture: ContentHash) -> &'a str {
        self.pictures.get(&picture).map_or("", |(_, prompt)| prompt)
    }

    /// The votes as values, for those who count them.
    pub(super) fn owned_votes(&self) -> Vec<Vote> {
        self.votes.iter().map(|vote| (*vote).clone()).collect()
    }
}
