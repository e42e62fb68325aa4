//! The published conversation files: split lists, teacher descriptions, and what the fine-tuned model itself said.
//!
//! **Source:** the files of M3-AGIQA (arXiv 2502.13763), a list of `{id, image, conversations: [{role, content} x 4],
//! response_0?, response_1?}`. The image is a path of the author's machine; pictures are matched by file name.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;

use super::entries::entries;
use super::error::DatasetError;
use super::files::file_name;
use super::text::read_text;
use crate::domain::Aspect;
use crate::domain::ConversationEntry;
use crate::domain::Origin;
use crate::domain::Problem;
use crate::domain::ProblemKind;
use crate::domain::Split;
use crate::domain::SplitEntry;

/// What conversation files hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversations {
    /// Conversations, in the order of files and entries, each once.
    pub entries: Vec<ConversationEntry>,
    /// Split lists, one entry an image and aspect.
    pub splits: Vec<SplitEntry>,
    /// What was wrong.
    pub problems: Vec<Problem>,
}

/// Reads conversation files, JSON arrays or JSON lines whatever their ending; a folder stands for the files in it.
///
/// The split is told from `train`, `val` or `test` in the file's name, the aspect from the name or else from the
/// wording. `*_res*` files repeat the teacher's conversations of the test files; what is the same is kept once.
pub fn read_conversations(paths: &[PathBuf]) -> Result<Conversations, DatasetError> {
    let mut gathered = Gathered::default();
    for path in paths {
        for file in files_of(path)? {
            gathered.read_file(&file)?;
        }
    }
    Ok(gathered.finish())
}

/// The conversation files in a folder, by name; none where there is no such folder.
pub(super) fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_conversation_file(path))
        .collect();
    files.sort();
    files
}

/// Whether a file is one by its name.
pub(super) fn is_conversation_file(path: &Path) -> bool {
    super::files::extension(path)
        .is_some_and(|extension| extension == "json" || extension == "jsonl")
        && path.is_file()
}

fn files_of(path: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = files_in(path);
    if files.is_empty() {
        return Err(DatasetError::NotADataset {
            what:
                "no conversation file (.json or .jsonl) in this folder; give the files themselves"
                    .to_owned(),
            path: path.to_owned(),
        });
    }
    Ok(files)
}

/// Where an entry stands.
struct Place<'a> {
    file: &'a str,
    number: u64,
}

impl Place<'_> {
    fn problem(&self, kind: ProblemKind, message: String) -> Problem {
        Problem {
            kind,
            file: self.file.to_owned(),
            line: Some(self.number),
            message,
        }
    }
}

#[derive(Default)]
struct Gathered {
    found: Conversations,
    known: HashSet<(String, Aspect, Origin, String)>,
    splits: BTreeMap<(Aspect, String), Split>,
}

impl Gathered {
    fn read_file(&mut self, path: &Path) -> Result<(), DatasetError> {
        let content = read_text(path)?;
        let file = path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut warn = |message: String| {
            self.found.problems.push(Problem {
                kind: ProblemKind::Warning,
                file: file.clone(),
                line: None,
                message,
            });
        };
        if let Some(message) = content.warning {
            warn(message);
        }
        let read = entries(&content.text);
        if read.is_empty() {
            warn("the file holds no conversations; check that it is the right one".to_owned());
        }
        let aspect = aspect_of_name(&file);
        let split = split_of_name(&file);
        for entry in read {
            let place = Place {
                file: &file,
                number: entry.number,
            };
            let taken = entry
                .value
                .and_then(|value| self.take_entry(&value, aspect, split, &place));
            if let Err(message) = taken {
                let problem = place.problem(ProblemKind::Rejected, message);
                self.found.problems.push(problem);
            }
        }
        Ok(())
    }

    fn take_entry(
        &mut self,
        value: &Value,
        aspect: Option<Aspect>,
        split: Option<Split>,
        place: &Place<'_>,
    ) -> Result<(), String> {
        let number = place.number;
        let image = value
            .get("image")
            .and_then(Value::as_str)
            .map(|path| file_name(path.trim()).to_owned())
            .filter(|name| !name.is_empty())
            .ok_or_else(|| format!("entry {number} names no image; add its \"image\""))?;
        let [request, description, question, answer] = messages(value, number)?;
        let aspect = aspect.or_else(|| aspect_of_wording(&question, &request)).ok_or_else(|| {
            format!(
                "entry {number} ({image}) does not tell its aspect; put quality, alignment or authenticity into the file's name"
            )
        })?;
        if let Some(split) = split {
            self.take_split(&image, aspect, split, place);
        }
        let teacher = ConversationEntry {
            file_name: image,
            aspect,
            origin: Origin::Teacher,
            request,
            description,
            question,
            answer: Some(answer).filter(|answer| !answer.is_empty()),
            source: place.file.to_owned(),
        };
        if let Some(response) = text_at(value, "response_0") {
            self.add(ConversationEntry {
                origin: Origin::Published,
                description: response,
                answer: text_at(value, "response_1"),
                ..teacher.clone()
            });
        }
        if !teacher.description.is_empty() {
            self.add(teacher);
        }
        Ok(())
    }

    fn add(&mut self, entry: ConversationEntry) {
        let key = (
            entry.file_name.clone(),
            entry.aspect,
            entry.origin,
            entry.description.clone(),
        );
        if self.known.insert(key) {
            self.found.entries.push(entry);
        }
    }

    /// An image in two lists of one aspect counts as a test image: learning from it would spoil the figures.
    fn take_split(&mut self, image: &str, aspect: Aspect, split: Split, place: &Place<'_>) {
        let key = (aspect, image.to_owned());
        let former = self.splits.get(&key).copied();
        if let Some(former) = former.filter(|former| *former != split) {
            self.found.problems.push(place.problem(
                ProblemKind::Warning,
                format!(
                    "{image} is in the {former} list and in the {split} list of {aspect}; it is kept out of training, check the lists"
                ),
            ));
        }
        self.splits
            .insert(key, former.map_or(split, |former| former.max(split)));
    }

    fn finish(self) -> Conversations {
        let splits = self.splits.into_iter();
        Conversations {
            splits: splits
                .map(|((aspect, file_name), split)| SplitEntry {
                    file_name,
                    aspect,
                    split,
                })
                .collect(),
            ..self.found
        }
    }
}

/// The four messages, the first without the picture's placeholder. The answer may be lacking.
fn messages(value: &Value, number: u64) -> Result<[String; 4], String> {
    let list = value
        .get("conversations")
        .and_then(Value::as_array)
        .ok_or_else(|| {
            format!("entry {number} has no \"conversations\"; add the list of messages")
        })?;
    let text = |position: usize| -> Result<String, String> {
        list.get(position)
            .and_then(|message| message.get("content").or_else(|| message.get("value")))
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| {
                format!(
                    "entry {number} lacks the text of message {}; a conversation is request, description, question and answer",
                    position + 1
                )
            })
    };
    let answer = if list.len() > 3 {
        text(3)?.trim().to_owned()
    } else {
        String::new()
    };
    Ok([
        without_placeholder(&text(0)?),
        text(1)?.trim().to_owned(),
        text(2)?,
        answer,
    ])
}

fn without_placeholder(request: &str) -> String {
    request.strip_prefix("<image>").map_or_else(
        || request.to_owned(),
        |rest| rest.trim_start_matches(['\r', '\n']).to_owned(),
    )
}

fn text_at(value: &Value, key: &str) -> Option<String> {
    let text = value.get(key)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The aspect in a file's name, where it names exactly one.
fn aspect_of_name(file: &str) -> Option<Aspect> {
    let name = file.to_lowercase();
    only(
        Aspect::ALL
            .into_iter()
            .filter(|aspect| words_of(*aspect).iter().any(|word| name.contains(word))),
    )
}

/// The aspect in the wording: the question for one word is the plainest, the request comes second.
fn aspect_of_wording(question: &str, request: &str) -> Option<Aspect> {
    [question, request].into_iter().find_map(|text| {
        let text = text.to_lowercase();
        only(
            Aspect::ALL
                .into_iter()
                .filter(|aspect| words_of(*aspect).iter().any(|word| text.contains(word))),
        )
    })
}

const fn words_of(aspect: Aspect) -> &'static [&'static str] {
    match aspect {
        Aspect::Quality => &["quality"],
        Aspect::Correspondence => &["align", "correspond", "match"],
        Aspect::Authenticity => &["authentic"],
    }
}

fn only<T>(mut found: impl Iterator<Item = T>) -> Option<T> {
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn split_of_name(file: &str) -> Option<Split> {
    file.to_lowercase()
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const ENTRY: &str = r#"{"id": "1", "image": "/home/a/b.jpg", "conversations": [
        {"role": "user", "content": "<image>\nLook at 'a cat'."},
        {"role": "assistant", "content": "Sharp."},
        {"role": "user", "content": "Rate the quality."},
        {"role": "assistant", "content": "good"}]"#;

    fn read(name: &str, text: &str) -> Conversations {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        std::fs::File::create(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("a temporary file");
        read_conversations(&[path]).expect("a readable file")
    }

    #[test]
    fn teacher_and_published_are_kept_apart() {
        let text = format!("[{ENTRY}, \"response_0\": \"Soft.\", \"response_1\": \"fair\"}}]");
        let found = read("directly_test_quality_res.jsonl", &text);
        let kinds: Vec<(Origin, &str, Option<&str>)> = found
            .entries
            .iter()
            .map(|entry| {
                (
                    entry.origin,
                    entry.description.as_str(),
                    entry.answer.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            kinds,
            [
                (Origin::Published, "Soft.", Some("fair")),
                (Origin::Teacher, "Sharp.", Some("good")),
            ]
        );
        assert_eq!(found.entries[0].request, "Look at 'a cat'.");
        assert_eq!(found.entries[0].file_name, "b.jpg");
        assert_eq!(found.splits[0].split, Split::Test);
    }

    #[test]
    fn the_wording_tells_the_aspect_where_the_name_does_not() {
        let found = read("x_train.json", &format!("{ENTRY}}}"));
        assert_eq!(found.entries[0].aspect, Aspect::Quality);
        assert_eq!(found.splits[0].split, Split::Train);
    }

    #[test]
    fn a_cut_file_gives_what_is_whole_and_a_problem() {
        let text = format!("[{ENTRY}}},\n{}", &ENTRY[..80]);
        let found = read("quality_train.json", &text);
        assert_eq!(found.entries.len(), 1);
        assert_eq!(found.problems.len(), 1);
        assert_eq!(found.problems[0].line, Some(2));
        assert!(found.problems[0].message.contains("cut off"));
    }

    #[test]
    fn an_image_of_two_lists_is_kept_out_of_training() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["quality_test.json", "quality_train.json"] {
            std::fs::write(folder.path().join(name), format!("[{ENTRY}}}]")).unwrap();
        }
        let found = read_conversations(&[folder.path().to_owned()]).unwrap();
        assert_eq!(found.splits.len(), 1);
        assert_eq!(found.splits[0].split, Split::Test);
        assert!(found.problems[0].message.contains("kept out of training"));
        assert_eq!(found.entries.len(), 1);
    }

    #[test]
    fn entries_that_lack_something_say_what() {
        let found = read(
            "quality_train.json",
            r#"[{"image": "a.png"}, {"conversations": []}, 7, {"image": "a.png", "conversations": [{"content": 3}]}]"#,
        );
        assert_eq!(found.entries.len(), 0);
        assert_eq!(found.problems.len(), 4);
    }
}
