//! Conversations in the published format, for programs that fine-tune on them, and for another project.
//!
//! **Source:** the files of M3-AGIQA (arXiv 2502.13763), a list of `{id, image, conversations: [{role, content} x 4],
//! response_0?, response_1?}`, one file for each aspect and list. `dataset` reads what is written here.
//!
//! Message 2 is what a teacher said and nobody rejected, as it stands; message 4 the word that came with it, or else the
//! word of the opinion score. That word is made of no picture that stands in the test list of any aspect. `response_0`
//! and `response_1` are what a fine-tuned model said itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use serde::Serialize;

use super::ExportError;
use super::write::replace;
use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::Description;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::Origin;
use crate::domain::Rating;
use crate::domain::Split;

/// Which conversations are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationWish {
    /// Aspects.
    pub aspects: Vec<Aspect>,
    /// The list; `None` means each of them, and what stands in none.
    pub split: Option<Split>,
    /// Pictures; empty means all.
    pub images: Vec<ImageId>,
}

/// A message as the format has it.
#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: std::borrow::Cow<'a, str>,
}

/// An entry of a file.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    id: String,
    image: &'a str,
    conversations: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_0: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_1: Option<&'a str>,
}

/// Writes the conversations: into one file where one aspect and list has any and `out` ends in `.json`, else into a
/// folder, a file for each. Answers the files with the number of their entries.
///
/// # Errors
/// Nothing to write, several files for one name, or a place that cannot be written.
pub fn write_conversations(
    catalog: &Catalog,
    wish: &ConversationWish,
    out: &Path,
) -> Result<Vec<(PathBuf, usize)>, ExportError> {
    let found = Found::new(catalog);
    let mut parts = Vec::new();
    for aspect in &wish.aspects {
        for split in splits(wish.split) {
            let entries = found.entries(*aspect, split, &wish.images);
            if !entries.is_empty() {
                parts.push((*aspect, split, entries));
            }
        }
    }
    let is_file = out
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    if parts.is_empty() {
        return Err(ExportError::NoConversations);
    }
    if is_file && parts.len() > 1 {
        return Err(ExportError::SeveralFiles { num: parts.len() });
    }
    if !is_file {
        std::fs::create_dir_all(out).map_err(|source| ExportError::File {
            path: out.to_path_buf(),
            source,
        })?;
    }
    let mut written = Vec::new();
    for (aspect, split, entries) in parts {
        let path = match is_file {
            true => out.to_path_buf(),
            false => out.join(file_name(aspect, split)),
        };
        write(&entries, &path)?;
        written.push((path, entries.len()));
    }
    Ok(written)
}

/// The name from which a reader tells aspect and list; correspondence is the format's alignment.
fn file_name(aspect: Aspect, split: Option<Split>) -> String {
    let aspect = match aspect {
        Aspect::Quality => "quality",
        Aspect::Correspondence => "alignment",
        Aspect::Authenticity => "authenticity",
    };
    match split {
        Some(split) => format!("{aspect}_{split}.json"),
        None => format!("{aspect}.json"),
    }
}

fn splits(wanted: Option<Split>) -> Vec<Option<Split>> {
    match wanted {
        Some(split) => vec![Some(split)],
        None => Split::ALL.into_iter().map(Some).chain([None]).collect(),
    }
}

fn write(entries: &[Entry<'_>], path: &Path) -> Result<(), ExportError> {
    replace(path, |sink| {
        // An entry a line: people look into such files, and compare them.
        let mut before = "[\n";
        for entry in entries {
            sink.write_all(before.as_bytes())?;
            serde_json::to_writer(&mut *sink, entry).map_err(std::io::Error::from)?;
            before = ",\n";
        }
        Ok(sink.write_all(b"\n]\n")?)
    })
}

/// Texts of a catalog by picture and aspect.
struct Found<'a> {
    catalog: &'a Catalog,
    lessons: BTreeMap<(ImageId, Aspect), &'a Description>,
    /// The newest of a published system, or else the newest of our own.
    responses: BTreeMap<(ImageId, Aspect), &'a Description>,
}

impl<'a> Found<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        let mut responses = BTreeMap::new();
        for origin in [Origin::Local, Origin::Published] {
            for told in catalog.descriptions.iter().filter(|d| d.origin == origin) {
                responses.insert((told.image, told.aspect), told);
            }
        }
        Self {
            catalog,
            lessons: catalog.lessons(),
            responses,
        }
    }

    fn entries(&self, aspect: Aspect, split: Option<Split>, images: &[ImageId]) -> Vec<Entry<'a>> {
        let rows = self.catalog.images.iter();
        rows.filter(|record| *record.split.get(aspect) == split)
            .filter(|record| images.is_empty() || images.contains(&record.id))
            .filter_map(|record| self.entry(record, aspect))
            .collect()
    }

    fn entry(&self, record: &'a ImageRecord, aspect: Aspect) -> Option<Entry<'a>> {
        let key = (record.id, aspect);
        let lesson = self.lessons.get(&key).copied();
        // What a model says beside what it is to learn would be two answers; only lists that are reported have both.
        let is_reported = matches!(record.split.get(aspect), Some(Split::Test));
        let response = self.responses.get(&key).copied();
        let response = response.filter(|told| is_reported || told.origin == Origin::Published);
        let asked = lesson.or(response)?;
        let mut conversations = vec![
            Message {
                role: "user",
                content: format!("<image>\n{}", asked.request).into(),
            },
            Message {
                role: "assistant",
                content: lesson.map_or("", |told| told.text.as_str()).into(),
            },
            Message {
                role: "user",
                content: asked.question.as_str().into(),
            },
        ];
        if let Some(word) = lesson.and_then(|told| self.word(record, told)) {
            conversations.push(Message {
                role: "assistant",
                content: word.into(),
            });
        }
        Some(Entry {
            id: record.id.0.to_string(),
            image: &record.path,
            conversations,
            response_0: response.map(|told| told.text.as_str()),
            response_1: response.and_then(|told| told.answer.as_deref()),
        })
    }

    /// The word that came with a text, or else that of the opinion score, where the picture is tested under no aspect.
    fn word(&self, record: &ImageRecord, told: &'a Description) -> Option<&'a str> {
        if let Some(answer) = &told.answer {
            return Some(answer);
        }
        let is_in = |aspect: Aspect, split: Split| *record.split.get(aspect) == Some(split);
        let is_tested = Aspect::ALL
            .into_iter()
            .any(|aspect| is_in(aspect, Split::Test));
        let is_learned = is_in(told.aspect, Split::Train) || is_in(told.aspect, Split::Val);
        let mos = record.mos(told.aspect)?;
        (is_learned && !is_tested).then(|| Rating::of_score(mos, self.catalog.info.scale).word())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::catalog;
    use super::*;
    use crate::domain::ReviewId;
    use crate::domain::ReviewRecord;
    use crate::domain::Truth;

    /// Pictures 1 and 2 of quality with a taught text each, in these lists.
    fn taught(splits: [[Option<Split>; 2]; 2]) -> Catalog {
        let mut catalog = catalog();
        catalog.images.truncate(2);
        let told = catalog.descriptions.last().cloned().expect("a text");
        catalog.descriptions = (1..=2)
            .map(|id| Description {
                id: crate::domain::DescriptionId(id),
                image: ImageId(id),
                text: format!("Taught {id}."),
                ..told.clone()
            })
            .collect();
        for (record, [quality, correspondence]) in catalog.images.iter_mut().zip(splits) {
            *record.split.get_mut(Aspect::Quality) = quality;
            *record.split.get_mut(Aspect::Correspondence) = correspondence;
            *record.truth.get_mut(Aspect::Quality) = Some(Truth {
                mos: 4.5,
                std: None,
                num_ratings: None,
            });
        }
        catalog
    }

    fn written(catalog: &Catalog) -> String {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let wish = ConversationWish {
            aspects: vec![Aspect::Quality],
            ..ConversationWish::default()
        };
        let files = write_conversations(catalog, &wish, &folder.path().join("out"));
        let files = files.expect("they are written").into_iter();
        files
            .map(|(path, _)| std::fs::read_to_string(path).expect("a file"))
            .collect()
    }

    const TRAIN: Option<Split> = Some(Split::Train);
    const TEST: Option<Split> = Some(Split::Test);

    #[test]
    fn the_word_of_an_opinion_score_is_written_for_what_may_be_learned_alone() {
        let learned = written(&taught([[TRAIN, None], [Some(Split::Val), TRAIN]]));
        assert_eq!(learned.matches("excellent").count(), 2, "{learned}");
        for held_back in [[TEST, None], [TRAIN, TEST], [None, None]] {
            let text = written(&taught([held_back, held_back]));
            assert!(!text.contains("excellent"), "{held_back:?}: {text}");
            assert!(text.contains("Taught 1."));
        }
    }

    #[test]
    fn what_was_rejected_is_not_written() {
        let mut catalog = taught([[TRAIN, None], [TRAIN, None]]);
        let told = catalog.descriptions[0].id;
        catalog.reviews.records.push(ReviewRecord {
            id: ReviewId(1),
            description: told,
            verdict: crate::domain::Judgement::Rejected,
            text: None,
            reason: Some("wrong".to_owned()),
            author: String::new(),
            edited_from: None,
            unix_time: 0,
        });
        catalog.reviews.in_force.insert(told, ReviewId(1));
        let text = written(&catalog);
        assert!(text.contains("Taught 2.") && !text.contains("Taught 1."));
    }

    #[test]
    fn several_files_do_not_go_into_one() {
        let catalog = taught([[TRAIN, None], [TEST, None]]);
        let folder = tempfile::tempdir().unwrap();
        let wish = |split| ConversationWish {
            aspects: vec![Aspect::Quality],
            split,
            images: Vec::new(),
        };
        let out = folder.path().join("quality_train.json");
        let error = write_conversations(&catalog, &wish(None), &out).unwrap_err();
        assert!(error.to_string().contains("folder"), "{error}");
        let files = write_conversations(&catalog, &wish(TRAIN), &out).unwrap();
        assert_eq!(files, [(out, 1)]);
        let nothing = write_conversations(&catalog, &wish(Some(Split::Val)), folder.path());
        assert!(nothing.is_err());
    }
}
