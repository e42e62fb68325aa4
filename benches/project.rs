//! What the user waits for around a project: opening it, importing, filtering, sorting, thumbnails, exporting.

use std::path::Path;

use assay::dataset;
use assay::dataset::Source;
use assay::domain::Aspect;
use assay::domain::AspectMap;
use assay::domain::Catalog;
use assay::domain::ContentHash;
use assay::domain::FileState;
use assay::domain::Filter;
use assay::domain::ImageId;
use assay::domain::ImportBatch;
use assay::domain::ImportRow;
use assay::domain::OpinionScale;
use assay::domain::Picture;
use assay::domain::PredictorId;
use assay::domain::Provenance;
use assay::domain::Score;
use assay::domain::SortKey;
use assay::domain::Split;
use assay::domain::Truth;
use assay::export;
use assay::export::Format;
use assay::export::Selection;
use assay::media;
use assay::state;
use assay::state::view::View;
use assay::stats::SplitMix64;
use assay::store::Project;
use tempfile::TempDir;

/// Rows of AIGIQA-20K, the largest dataset that Assay knows.
const NUM_ROWS: usize = 20_000;

/// Side of the pictures of AGIQA-3K.
const SIDE: u32 = 512;

/// Longer side of the gallery's thumbnails.
const THUMBNAIL_SIDE: u32 = 256;

fn main() {
    divan::main();
}

/// A dataset as large as asked for, without any files.
fn batch(num_rows: usize) -> ImportBatch {
    let mut random = SplitMix64::new(1);
    let mut row = |number: usize| {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let file = FileState::Present {
            hash: ContentHash(hash),
            width: SIDE,
            height: SIDE,
        };
        let mos = random.below(500) as f64 / 100.0;
        ImportRow {
            path: format!("images/{number:05}.jpg"),
            file,
            prompt: format!("a boat on lake number {} in the evening, oil", number / 6),
            prompt_source: "data.csv".to_owned(),
            generator: Some(format!("generator {}", number % 6)),
            style: None,
            tags: Vec::new(),
            truth: AspectMap::from_fn(|_| {
                Some(Truth {
                    mos,
                    std: Some(0.5),
                    num_ratings: None,
                })
            }),
            split: AspectMap::from_fn(|_| Some([Split::Train, Split::Test][number % 2])),
        }
    };
    ImportBatch {
        dataset: "Bench".to_owned(),
        layout: "table".to_owned(),
        root: "/nowhere".to_owned(),
        scale: OpinionScale::ZERO_TO_FIVE,
        rows: (0..num_rows).map(&mut row).collect(),
        splits: Vec::new(),
        conversations: Vec::new(),
        problems: Vec::new(),
    }
}

/// A project of so many rows, each with a score.
fn project(folder: &Path, num_rows: usize) -> Project {
    let path = folder.join("bench.assay");
    let mut project = Project::create(&path).expect("a new project");
    project.import(&batch(num_rows), 1).expect("rows come in");
    let mut random = SplitMix64::new(2);
    let scores: Vec<Score> = (1..=num_rows as i64)
        .map(|id| score(ImageId(id), random.below(500) as f64 / 100.0))
        .collect();
    project.add_scores(&scores).expect("scores come in");
    project
}

fn score(image: ImageId, value: f64) -> Score {
    Score {
        image,
        aspect: Aspect::Quality,
        value,
        predictor: PredictorId(0),
        description: None,
        made: Provenance {
            model: None,
            preset: None,
            settings: serde_json::json!({}),
            seed: 1,
            program_version: "bench".to_owned(),
            unix_time: 1,
        },
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn catalog(num_rows: usize) -> Catalog {
    let folder = folder();
    let project = project(folder.path(), num_rows);
    project.catalog().expect("a whole project")
}

/// Until the window has all rows in memory.
#[divan::bench(args = [NUM_ROWS], sample_count = 10)]
fn open_a_project(bencher: divan::Bencher<'_, '_>, num_rows: usize) {
    let folder = folder();
    let path = project(folder.path(), num_rows).path().to_path_buf();
    bencher.bench_local(|| {
        let catalog = Project::open(&path).and_then(|project| project.catalog());
        catalog.map(|catalog| state::Project::new(catalog, Vec::new()))
    });
}

/// Rows into a new project file; reading the pictures is `read_a_folder_of_pictures`.
#[divan::bench(args = [3_000, NUM_ROWS], sample_count = 5)]
fn import_rows(bencher: divan::Bencher<'_, '_>, num_rows: usize) {
    let batch = batch(num_rows);
    bencher.with_inputs(folder).bench_local_values(|folder| {
        let project = Project::create(&folder.path().join("new.assay"));
        // The folder goes out with the result, so that its removal is not timed.
        (
            project.and_then(|mut project| project.import(&batch, 1)),
            folder,
        )
    });
}

/// Hashing and decoding every picture once, as an import does.
#[divan::bench(args = [32], sample_count = 5)]
fn read_a_folder_of_pictures(bencher: divan::Bencher<'_, '_>, count: u32) {
    let folder = folder();
    for number in 0..count {
        let jpeg = media::encode_jpeg(&picture(number), 90).expect("a small picture");
        let path = folder.path().join(format!("{number}.jpg"));
        std::fs::write(path, jpeg).expect("a file");
    }
    let source = Source {
        path: folder.path().to_owned(),
        ..Source::default()
    };
    bencher.bench_local(|| dataset::read(&source, &mut |_, _| Ok(())));
}

/// Smooth ground with some noise, about as hard to compress as a generated picture.
fn picture(seed: u32) -> Picture {
    let mut random = SplitMix64::new(u64::from(seed));
    let rgb: Vec<u8> = (0..SIDE * SIDE * 3)
        .map(|at| (at / SIDE / 12 + random.below(12) as u32) as u8)
        .collect();
    Picture {
        width: SIDE,
        height: SIDE,
        rgb: rgb.into(),
    }
}

/// From the bytes of a 512-pixel JPEG to a thumbnail's pixels.
#[divan::bench]
fn thumbnail_of_a_jpeg(bencher: divan::Bencher<'_, '_>) {
    let jpeg = media::encode_jpeg(&picture(1), 90).expect("a small picture");
    bencher.bench(|| {
        let picture = media::decode(&jpeg);
        picture.map(|picture| media::thumbnail(&picture, THUMBNAIL_SIDE))
    });
}

/// A search that keeps every sixth row or so, and the histograms.
#[divan::bench(args = [NUM_ROWS])]
fn filter_rows(bencher: divan::Bencher<'_, '_>, num_rows: usize) {
    let project = state::Project::new(catalog(num_rows), Vec::new());
    let mut view = View {
        filter: Filter {
            search: "lake evening".to_owned(),
            generator: Some("generator 3".to_owned()),
            score_range: Some([1.0, 4.0]),
            ..Filter::default()
        },
        ..View::default()
    };
    bencher.bench_local(|| view.refresh(&project));
}

#[divan::bench(args = [NUM_ROWS])]
fn sort_rows_by_error(bencher: divan::Bencher<'_, '_>, num_rows: usize) {
    let project = state::Project::new(catalog(num_rows), Vec::new());
    let mut view = View {
        sort: SortKey::Error(Aspect::Quality),
        descending: true,
        ..View::default()
    };
    bencher.bench_local(|| view.refresh(&project));
}

#[divan::bench(args = ["csv", "jsonl"])]
fn export_3000_rows(bencher: divan::Bencher<'_, '_>, format: &str) {
    let catalog = catalog(3_000);
    let folder = folder();
    let out = folder.path().join("table");
    let selection = Selection {
        aspects: vec![Aspect::Quality],
        ..Selection::default()
    };
    let format: Result<Format, _> = format.parse();
    bencher.bench_local(|| match &format {
        Ok(format) => export::write_file(&catalog, &selection, *format, &out).ok(),
        Err(_) => None,
    });
}
