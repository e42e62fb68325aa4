//! The demo on disk.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use rayon::iter::IntoParallelRefIterator as _;
use rayon::iter::ParallelIterator as _;
use serde::Deserialize;
use serde::Serialize;

use crate::dataset::default_preset;
use crate::domain::Aspect;
use crate::domain::Interrupted;
use crate::domain::OpinionScale;
use crate::domain::Preset;
use crate::domain::Rating;
use crate::domain::Split;
use crate::media;

use super::DemoError;
use super::DemoSettings;
use super::MARKER;
use super::VERSION;
use super::plan::Item;
use super::plan::plan;
use super::raters::RATINGS;

/// JPEG quality of the pictures: high enough that compression is no defect of its own.
const JPEG_QUALITY: u8 = 95;

/// Pictures painted between two reports of progress.
const BATCH: usize = 8;

/// What the marker file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    seed: u64,
    count: usize,
    version: u32,
    synthetic: bool,
}

/// See [`super::write`].
pub(super) fn write(
    dir: &Path,
    settings: &DemoSettings,
    progress: &mut dyn FnMut(u64, u64) -> Result<(), Interrupted>,
) -> Result<(), DemoError> {
    let marker = Marker {
        seed: settings.seed,
        count: settings.count,
        version: VERSION,
        synthetic: true,
    };
    let total = settings.count as u64;
    if is_whole(dir, &marker) {
        progress(total, total)?;
        return Ok(());
    }
    if !is_outdated(dir, &marker) {
        refuse_occupied(dir)?;
    }
    let items = plan(settings.seed, settings.count);
    let partial = partial_of(dir, &marker);
    let images = partial.join("images");
    make_folder(&images)?;
    progress(0, total)?;
    for (done, batch) in items.chunks(BATCH).enumerate() {
        batch
            .par_iter()
            .try_for_each(|item| write_image(&images, item))?;
        progress((done * BATCH + batch.len()) as u64, total)?;
    }
    write_file(&partial.join("data.csv"), &table(&items)?)?;
    write_conversations(&partial.join("conversations"), &items)?;
    let text =
        serde_json::to_vec_pretty(&marker).map_err(|error| DemoError::Encode(error.to_string()))?;
    write_file(&partial.join(MARKER), &text)?;
    move_into_place(&partial, dir)
}

/// Whether the folder holds this very demo with every picture.
fn is_whole(dir: &Path, marker: &Marker) -> bool {
    let images = || fs::read_dir(dir.join("images")).map_or(0, Iterator::count);
    marker_of(dir).as_ref() == Some(marker)
        && images() >= marker.count
        && dir.join("data.csv").is_file()
}

/// What the marker file of a folder says, if there is one.
fn marker_of(dir: &Path) -> Option<Marker> {
    let bytes = fs::read(dir.join(MARKER)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Whether the folder holds this demo as an earlier program painted it, and nothing besides.
fn is_outdated(dir: &Path, marker: &Marker) -> bool {
    let own = |entry: io::Result<fs::DirEntry>| {
        let name = entry.map(|entry| entry.file_name());
        let known = ["images", "data.csv", "conversations", MARKER];
        name.is_ok_and(|name| known.iter().any(|own| name == *own))
    };
    marker_of(dir).is_some_and(|found| {
        let same = Marker {
            version: found.version,
            ..marker.clone()
        };
        found == same && found.version < marker.version
    }) && fs::read_dir(dir).is_ok_and(|mut entries| entries.all(own))
}

/// Files of others are never overwritten.
fn refuse_occupied(dir: &Path) -> Result<(), DemoError> {
    let is_empty = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => true,
            _ => return Err(DemoError::file(dir, error)),
        },
    };
    if is_empty {
        Ok(())
    } else {
        Err(DemoError::Occupied(dir.to_owned()))
    }
}

/// The folder beside `dir` in which the demo grows; its name says which demo, so that an interrupted run goes on.
fn partial_of(dir: &Path, marker: &Marker) -> PathBuf {
    let name = dir
        .file_name()
        .map_or_else(|| "demo".into(), |name| name.to_string_lossy());
    dir.with_file_name(format!(
        ".{name}.seed{}-count{}-v{}.partial",
        marker.seed, marker.count, marker.version
    ))
}

/// Gives the finished folder its name. What stands there is empty or outdated, as was looked at before; an outdated
/// demo goes only when the new one is in its place.
fn move_into_place(partial: &Path, dir: &Path) -> Result<(), DemoError> {
    let old = partial.with_extension("outdated");
    let in_words = |error| DemoError::file(dir, error);
    if dir.is_dir() {
        fs::rename(dir, &old).map_err(in_words)?;
    }
    fs::rename(partial, dir).map_err(in_words)?;
    if old.is_dir() {
        fs::remove_dir_all(&old).map_err(|error| DemoError::file(&old, error))?;
    }
    Ok(())
}

/// Paints one picture unless it is there already.
fn write_image(folder: &Path, item: &Item) -> Result<(), DemoError> {
    let path = folder.join(&item.name);
    if path.is_file() {
        return Ok(());
    }
    let picture = item.paint().picture();
    let bytes = media::encode_jpeg(&picture, JPEG_QUALITY)
        .map_err(|error| DemoError::Encode(error.to_string()))?;
    write_file(&path, &bytes)
}

/// Writes a file so that it is there whole or not at all.
fn write_file(path: &Path, bytes: &[u8]) -> Result<(), DemoError> {
    let growing = path.with_extension("part");
    fs::write(&growing, bytes)
        .and_then(|()| fs::rename(&growing, path))
        .map_err(|error| DemoError::file(path, error))
}

/// Makes a folder and those above it.
fn make_folder(path: &Path) -> Result<(), DemoError> {
    fs::create_dir_all(path).map_err(|error| DemoError::file(path, error))
}

/// One line of the table.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    prompt: &'a str,
    style: &'a str,
    generator: &'a str,
    tags: String,
    mos_quality: String,
    std_quality: String,
    mos_align: String,
    std_align: String,
    mos_authenticity: String,
    std_authenticity: String,
    num_ratings: usize,
    split: &'a str,
}

/// The table of all pictures as CSV.
fn table(items: &[Item]) -> Result<Vec<u8>, DemoError> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    for item in items {
        let mos = |aspect| format!("{:.4}", item.opinions.get(aspect).mos);
        let std = |aspect| format!("{:.4}", item.opinions.get(aspect).std);
        let tags: Vec<&str> = item.planted.iter().map(|p| p.defect.tag()).collect();
        csv.serialize(Line {
            name: &item.name,
            prompt: &item.prompt,
            style: item.asked.style.word(),
            generator: item.generator,
            tags: tags.join(";"),
            mos_quality: mos(Aspect::Quality),
            std_quality: std(Aspect::Quality),
            mos_align: mos(Aspect::Correspondence),
            std_align: std(Aspect::Correspondence),
            mos_authenticity: mos(Aspect::Authenticity),
            std_authenticity: std(Aspect::Authenticity),
            num_ratings: RATINGS,
            split: item.split.name(),
        })
        .map_err(|error| DemoError::Encode(error.to_string()))?;
    }
    csv.into_inner()
        .map_err(|error| DemoError::Encode(error.to_string()))
}

/// One conversation of a published file.
#[derive(Serialize)]
struct Talk<'a> {
    id: &'a str,
    image: String,
    conversations: [Message<'a>; 4],
}

/// One message of a conversation.
#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: std::borrow::Cow<'a, str>,
}

/// A file of conversations for each aspect and split.
fn write_conversations(folder: &Path, items: &[Item]) -> Result<(), DemoError> {
    make_folder(folder)?;
    let preset = default_preset();
    for aspect in Aspect::ALL {
        for split in [Split::Train, Split::Test] {
            let talks: Vec<Talk<'_>> = items
                .iter()
                .filter(|item| item.split == split)
                .map(|item| talk(&preset, aspect, item))
                .collect();
            let text = serde_json::to_vec_pretty(&talks)
                .map_err(|error| DemoError::Encode(error.to_string()))?;
            let name = format!("{}_{}.json", aspect.name(), split.name());
            write_file(&folder.join(name), &text)?;
        }
    }
    Ok(())
}

/// The two rounds about one picture.
fn talk<'a>(preset: &'a Preset, aspect: Aspect, item: &'a Item) -> Talk<'a> {
    let message = |role, content| Message { role, content };
    let request = preset.request(aspect, &item.prompt);
    // The word goes with the MOS as the table writes it.
    let mos = (item.opinions.get(aspect).mos * 1e4).round() / 1e4;
    let word = Rating::of_score(mos, OpinionScale::ZERO_TO_FIVE).word();
    Talk {
        id: item.name.trim_end_matches(".jpg"),
        image: format!("images/{}", item.name),
        conversations: [
            message("user", format!("<image>\n{request}").into()),
            message("assistant", item.descriptions.get(aspect).as_str().into()),
            message("user", preset.aspect(aspect).question.as_str().into()),
            message("assistant", word.into()),
        ],
    }
}
