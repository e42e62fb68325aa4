//! What the cache's half precision does to scores: proof on real pictures that it changes no figure.

use std::path::{Path, PathBuf};

use crate::compute::DeviceChoice;
use crate::dataset;
use crate::domain::{Aspect, Features, FileState, ImportRow, Interrupted, Split};
use crate::jobs::decode::load_for_model;
use crate::ml::vlm::{LocalModel, Trace};
use crate::ml::{Predictor, embedded_predictors};
use crate::stats;

/// AGIQA-3K beside the project, or below `ASSAY_DATA`.
fn real_data() -> Option<PathBuf> {
    let root = std::env::var_os("ASSAY_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let folder = root.join("agiqa-3k");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no real data at {}", folder.display());
    None
}

/// Test pictures of an aspect that are at hand, with their opinion scores.
fn test_rows(folder: &Path, aspect: Aspect) -> Vec<(PathBuf, ImportRow, f64)> {
    let source = dataset::Source {
        path: folder.to_owned(),
        ..dataset::Source::default()
    };
    let batch = dataset::read(&source, &mut |_, _| Ok(())).expect("the dataset can be read");
    let is_test = |row: &ImportRow| {
        batch.splits.iter().any(|entry| {
            entry.aspect == aspect
                && entry.split == Split::Test
                && Path::new(&row.path).ends_with(&entry.file_name)
        })
    };
    let root = Path::new(&batch.root);
    let rows = batch.rows.iter().filter(|row| is_test(row));
    rows.filter(|row| !matches!(row.file, FileState::Missing { .. }))
        .filter_map(|row| {
            let mos = row.truth.get(aspect).as_ref()?.mos;
            Some((root.join(&row.path), row.clone(), mos))
        })
        .collect()
}

fn halves(trace: &Trace) -> Features {
    let numbers = trace.hidden.numbers.iter();
    Features {
        num_tokens: trace.hidden.shape[0],
        hidden: trace.hidden.shape[1],
        values: numbers.map(|&number| half::f16::from_f32(number)).collect(),
    }
}

/// One aspect's scores of the test pictures from half and from single precision, and their opinion scores.
fn both(folder: &Path, model: &LocalModel, aspect: Aspect) -> [Vec<f64>; 3] {
    let preset = dataset::default_preset();
    let (card, weights) = embedded_predictors()
        .into_iter()
        .find(|(card, _)| card.aspect == aspect)
        .expect("the embedded model has a predictor of this aspect");
    let predictor = Predictor::from_bytes(&card, weights).expect("its weights are whole");
    let mut all = [const { Vec::new() }; 3];
    for (path, row, mos) in test_rows(folder, aspect) {
        let picture = load_for_model(&path).expect("a picture that the dataset says is there");
        let request = preset.request(aspect, &row.prompt);
        let question = preset.aspect(aspect).question.clone();
        let mut on_text = |_: &str| Ok::<(), Interrupted>(());
        let described = model
            .describe(
                &picture,
                (&request, &question),
                &model.settings(),
                &mut on_text,
            )
            .expect("the embedded model describes every picture");
        let conversation = crate::domain::Conversation {
            request,
            description: described.text,
            question,
        };
        let trace = model
            .trace(&picture, &conversation, model.max_len(), false)
            .expect("the embedded model reads every picture");
        let score = predictor.score(&halves(&trace)).expect("features that fit");
        all[0].push(score);
        all[1].push(
            predictor
                .score_single(&trace.hidden.numbers)
                .expect("features that fit"),
        );
        all[2].push(mos);
    }
    all
}

#[test]
#[ignore = "describes the test pictures of AGIQA-3K, which takes minutes"]
fn half_precision_changes_no_correlation_by_more_than_a_thousandth() {
    let Some(folder) = real_data() else { return };
    let model = LocalModel::embedded(DeviceChoice::Cpu).expect("the embedded model is whole");
    for aspect in [Aspect::Quality, Aspect::Correspondence] {
        let [half, single, mos] = both(&folder, &model, aspect);
        let [a, b] =
            [&half, &single].map(|scores| stats::srcc(scores, &mos).expect("scores differ"));
        let apart = half.iter().zip(&single).map(|(a, b)| (a - b).abs());
        println!(
            "{aspect}: n {}, SRCC {a:.6} from half precision and {b:.6} from single, scores apart by {:.2e} at most",
            mos.len(),
            apart.fold(0.0, f64::max)
        );
        assert!((a - b).abs() < 0.001, "{aspect}: {a} and {b}");
    }
}
