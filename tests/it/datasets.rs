//! Real datasets and bad ones come in through the public reader.

use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;

use assay::dataset;
use assay::dataset::DatasetError;
use assay::dataset::Source;
use assay::domain::Aspect;
use assay::domain::FileState;
use assay::domain::ImportBatch;
use assay::domain::Interrupted;
use assay::domain::OpinionScale;
use assay::domain::Origin;
use assay::domain::Picture;
use assay::domain::ProblemKind;
use assay::domain::Split;
use assay::media;

/// The folder of real data, or `None` with a printed reason.
#[expect(clippy::print_stdout, reason = "a test that is skipped says why")]
pub(crate) fn real_data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ASSAY_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no real data at {}", folder.display());
    None
}

fn read(source: &Source) -> Result<ImportBatch, DatasetError> {
    dataset::read(source, &mut |_, _| Ok(()))
}

fn read_path(path: &Path) -> Result<ImportBatch, DatasetError> {
    read(&Source {
        path: path.to_owned(),
        ..Source::default()
    })
}

fn count_split(batch: &ImportBatch, aspect: Aspect, split: Split) -> usize {
    let of = |entry: &&assay::domain::SplitEntry| entry.aspect == aspect && entry.split == split;
    batch.splits.iter().filter(of).count()
}

fn count_origin(batch: &ImportBatch, aspect: Aspect, origin: Origin) -> usize {
    batch
        .conversations
        .iter()
        .filter(|entry| entry.aspect == aspect && entry.origin == origin)
        .count()
}

fn small_png() -> Vec<u8> {
    let picture = Picture {
        width: 4,
        height: 3,
        rgb: std::sync::Arc::from(vec![120; 36]),
    };
    media::encode_png(&picture).expect("a small picture can be encoded")
}

#[test]
fn agiqa_3k_comes_in_whole_with_missing_files_splits_and_descriptions() {
    let Some(folder) = real_data("agiqa-3k") else {
        return;
    };
    let started = std::time::Instant::now();
    let batch = read_path(&folder).unwrap();
    println!("read in {:.2} s", started.elapsed().as_secs_f64());
    assert_eq!(batch.dataset, "AGIQA-3K");
    assert_eq!(batch.layout, "agiqa-3k");
    assert_eq!(batch.scale, OpinionScale::ZERO_TO_FIVE);
    assert_eq!(batch.problems, []);
    assert_eq!(batch.rows.len(), 2982);
    let missing = batch.rows.iter().filter(
        |row| matches!(&row.file, FileState::Missing { reason } if reason.contains("put it there")),
    );
    assert_eq!(missing.count(), 120);
    assert_eq!(
        batch
            .rows
            .iter()
            .filter(|row| row.file.is_present())
            .count(),
        2862
    );
    for row in &batch.rows {
        assert!(row.path.starts_with("images/"), "{}", row.path);
        for aspect in [Aspect::Quality, Aspect::Correspondence] {
            let truth = row.truth.get(aspect).unwrap();
            assert!(truth.std.is_some());
        }
        assert!(row.truth.get(Aspect::Authenticity).is_none());
        assert!(!row.prompt.is_empty() && row.generator.is_some());
    }
    for aspect in [Aspect::Quality, Aspect::Correspondence] {
        assert_eq!(count_split(&batch, aspect, Split::Train), 2385);
        assert_eq!(count_split(&batch, aspect, Split::Test), 597);
        assert_eq!(count_origin(&batch, aspect, Origin::Teacher), 2982);
        assert_eq!(count_origin(&batch, aspect, Origin::Published), 597);
    }
}

#[test]
fn agiqa_3k_is_the_same_batch_however_it_is_opened() {
    let Some(folder) = real_data("agiqa-3k") else {
        return;
    };
    let from_folder = read_path(&folder).unwrap();
    assert!(read_path(&folder).unwrap() == from_folder);
    assert!(read_path(&folder.join("data.csv")).unwrap() == from_folder);
    assert!(read_path(&folder.join("images")).unwrap() == from_folder);
}

#[test]
fn the_published_wording_is_read_off_the_conversations() {
    let Some(folder) = real_data("agiqa-3k") else {
        return;
    };
    let found = dataset::read_conversations(&[folder.join("conversations")]).unwrap();
    assert_eq!(found.problems, []);
    let preset = dataset::derive_preset("published", &found.entries, &HashMap::new()).unwrap();
    assert!(
        preset
            .quality
            .request
            .contains("prompt is: '{prompt}'. Could")
    );
    assert!(
        preset
            .correspondence
            .request
            .ends_with("original prompt: '{prompt}'.")
    );
    assert!(preset.quality.question.contains("overall quality"));
}

#[test]
fn conversations_of_other_datasets_are_read() {
    let Some(folder) = real_data("aigciqa2023/conversations") else {
        return;
    };
    let found = dataset::read_conversations(&[folder]).unwrap();
    assert_eq!(found.problems, []);
    let of = |aspect| {
        let about = found.entries.iter();
        about.filter(move |entry| entry.aspect == aspect).count()
    };
    assert_eq!(of(Aspect::Authenticity), 2400);
    assert_eq!(of(Aspect::Quality), 3000);
}

#[test]
fn a_table_without_any_picture_comes_in_as_missing_rows() {
    let Some(folder) = real_data("aigiqa-20k") else {
        return;
    };
    let batch = read_path(&folder.join("info_train.csv")).unwrap();
    assert_eq!(batch.rows.len(), 14_000);
    assert_eq!(batch.scale, OpinionScale::ZERO_TO_FIVE);
    assert!(
        batch
            .rows
            .iter()
            .all(|row| matches!(row.file, FileState::Missing { .. }))
    );
}

#[test]
fn reading_stops_on_request() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.png"), small_png()).unwrap();
    let source = Source {
        path: folder.path().to_owned(),
        ..Source::default()
    };
    let stopped = dataset::read(&source, &mut |_, _| Err(Interrupted));
    assert!(matches!(stopped, Err(DatasetError::Interrupted(_))));
}

#[test]
fn every_bad_file_gets_a_reason_and_the_good_ones_come_in() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let png = small_png();
    write("good.png", &png);
    write("truncated.png", &png[..png.len() - 25]);
    write("empty.jpg", &[]);
    write("page.jpg", b"<html>not found</html>");
    write("misnamed.jpg", &png);
    write("photo.heic", b"\0\0\0\x18ftypheic");
    write(
        "good.txt",
        b"a grey square\nNegative prompt: red\nSteps: 1, Sampler: x, Seed: 2",
    );
    let wide = Picture {
        width: 20_000,
        height: 4,
        rgb: std::sync::Arc::from(vec![8; 240_000]),
    };
    write("wide.png", &media::encode_png(&wide).unwrap());
    let jpeg = media::encode_jpeg(&wide, 80).unwrap();
    write("cut.jpg", &jpeg[..jpeg.len() / 2]);
    let noise: Vec<u8> = (0..64 * 64 * 3_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let noise = Picture {
        width: 64,
        height: 64,
        rgb: std::sync::Arc::from(noise),
    };
    let mut holed = media::encode_jpeg(&noise, 90).unwrap();
    let half = holed.len() / 2;
    holed.drain(half..half + 300);
    write("holed.jpg", &holed);
    let batch = read_path(folder.path()).unwrap();
    let state = |name: &str| {
        let row = batch.rows.iter().find(|row| row.path == name);
        row.unwrap_or_else(|| panic!("no row {name}")).file.clone()
    };
    assert_eq!(batch.rows.len(), 8);
    for name in ["good.png", "misnamed.jpg", "wide.png"] {
        assert!(state(name).is_present(), "{name}: {:?}", state(name));
    }
    let bad = [
        "truncated.png",
        "empty.jpg",
        "page.jpg",
        "cut.jpg",
        "holed.jpg",
    ];
    for name in bad {
        let reason = state(name).reason().unwrap().to_owned();
        assert!(reason.contains(';'), "{name} lacks what to do: {reason}");
    }
    assert!(state("cut.jpg").reason().unwrap().contains("cut off"));
    assert!(
        state("holed.jpg").reason().unwrap().contains("damaged"),
        "its end marker is there, and bytes before it are not"
    );
    let good = batch
        .rows
        .iter()
        .find(|row| row.path == "good.png")
        .unwrap();
    assert_eq!(good.prompt, "a grey square");
    assert_eq!(good.prompt_source, "file:good.txt");
    let problems: Vec<&str> = batch
        .problems
        .iter()
        .map(|problem| problem.file.as_str())
        .collect();
    assert_eq!(problems, ["photo.heic", "misnamed.jpg"]);
}

#[test]
fn a_bad_table_gives_its_good_rows_and_a_line_for_each_bad_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.png"), small_png()).unwrap();
    let table = b"\xEF\xBB\xBFimage_path,prompt,mos_quality,mos_correspondence,split\r\n\
        a.png,a \"caf\xC3\xA9\",3.5,4,train\r\n\
        b.png,b,three,4,train\r\n\
        a.png,again,1,1,test\r\n\
        c.png,c,55,4,test\r\n\
        d.png,d,1,1,maybe\r\n\
        e.png,e,1\r\n\
        f.png,f,1,2,test\r\n";
    std::fs::write(folder.path().join("table.csv"), table).unwrap();
    let batch = read_path(folder.path()).unwrap();
    assert_eq!(batch.layout, "table");
    assert_eq!(batch.scale, OpinionScale::ZERO_TO_FIVE);
    let paths: Vec<&str> = batch.rows.iter().map(|row| row.path.as_str()).collect();
    assert_eq!(paths, ["a.png", "f.png"]);
    assert_eq!(batch.rows[0].prompt, "a \"caf\u{e9}\"");
    assert_eq!(
        *batch.rows[0].split.get(Aspect::Quality),
        Some(Split::Train)
    );
    let lines: Vec<Option<u64>> = batch.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7].map(Some));
    for problem in &batch.problems {
        assert_eq!(problem.kind, ProblemKind::Rejected);
        assert_eq!(problem.file, "table.csv");
    }
}

#[test]
fn the_demo_layout_is_known_by_its_marker_and_brings_its_conversations() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("images")).unwrap();
    std::fs::create_dir_all(at("conversations")).unwrap();
    std::fs::write(at("images/scene-1.jpg"), small_png()).unwrap();
    std::fs::write(
        at("assay-demo.json"),
        r#"{"seed": 1, "count": 1, "version": 1}"#,
    )
    .unwrap();
    let table = "name,prompt,style,generator,tags,mos_quality,std_quality,mos_align,std_align,\
        mos_authenticity,std_authenticity,num_ratings,split\n\
        scene-1.jpg,a red ball,flat,renderer,blur;noise,3.5,0.5,4,0.25,2,0.75,12,test\n";
    std::fs::write(at("data.csv"), table).unwrap();
    let conversation = r#"[{"image": "images/scene-1.jpg", "conversations": [
        {"role": "user", "content": "<image>\nLook at 'a red ball'."},
        {"role": "assistant", "content": "It is blurred."},
        {"role": "user", "content": "Rate it in one word."},
        {"role": "assistant", "content": "poor"}]}]"#;
    std::fs::write(at("conversations/authenticity_test.json"), conversation).unwrap();
    let batch = read_path(folder.path()).unwrap();
    assert_eq!(
        (batch.layout.as_str(), batch.dataset.as_str()),
        ("demo", "Assay demo (synthetic)")
    );
    let row = &batch.rows[0];
    assert_eq!(row.tags, ["blur", "noise"]);
    let truth = row.truth.get(Aspect::Authenticity).unwrap();
    assert_eq!(
        (truth.mos, truth.std, truth.num_ratings),
        (2.0, Some(0.75), Some(12))
    );
    assert_eq!(*row.split.get(Aspect::Correspondence), Some(Split::Test));
    assert_eq!(
        count_origin(&batch, Aspect::Authenticity, Origin::Teacher),
        1
    );
    assert_eq!(batch.splits[0].split, Split::Test);
}

#[test]
fn latin_1_comes_in_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), b"name,prompt\na.png,caf\xE9\n").unwrap();
    let batch = read_path(&folder.path().join("t.csv")).unwrap();
    assert_eq!(batch.rows[0].prompt, "caf\u{e9}");
    assert!(batch.problems[0].message.contains("Latin-1"));
    assert_eq!(batch.problems[0].kind, ProblemKind::Warning);
}

#[test]
fn tables_that_cannot_be_understood_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    for (content, words) in [
        ("", "empty"),
        ("colour,size\nred,3\n", "--columns image_path=COLUMN"),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = read_path(&path).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("t.csv"), "{error}");
    }
    let source = Source {
        path: path.clone(),
        columns: vec![("image_path".to_owned(), "colour".to_owned())],
        ..Source::default()
    };
    assert_eq!(read(&source).unwrap().rows[0].path, "red");
    let error = read_path(&folder.path().join("none")).unwrap_err();
    assert!(matches!(error, DatasetError::NotFound { .. }));
}

#[test]
fn a_conversation_file_cut_in_half_gives_its_first_half() {
    let Some(real) = real_data("agiqa-3k") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let name = "directly_test_cls_minicpm_quality_multiround.jsonl";
    let whole = std::fs::read(real.join("conversations").join(name)).unwrap();
    let half = folder.path().join(name);
    std::fs::write(&half, &whole[..whole.len() / 2]).unwrap();
    let found = dataset::read_conversations(&[half]).unwrap();
    assert!(
        (250..350).contains(&found.entries.len()),
        "{}",
        found.entries.len()
    );
    assert_eq!(found.problems.len(), 1);
    assert_eq!(found.problems[0].file, name);
    assert_eq!(found.problems[0].line, Some(found.entries.len() as u64 + 1));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        let folder = tempfile::tempdir()?;
        for name in ["t.csv", "c.json", "p.png"] {
            std::fs::write(folder.path().join(name), &bytes)?;
        }
        let table = read_path(&folder.path().join("t.csv"));
        drop(table);
        let conversations = dataset::read_conversations(&[folder.path().join("c.json")]);
        proptest::prop_assert!(conversations.is_ok());
        let pictures = read(&Source {
            path: folder.path().to_owned(),
            layout: Some("folder".to_owned()),
            ..Source::default()
        });
        proptest::prop_assert_eq!(pictures.map(|batch| batch.rows.len()).ok(), Some(1));
    }
}
