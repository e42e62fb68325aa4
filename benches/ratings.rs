//! What the window waits for in a study's results: a panel of AGIQA-3K's size, counted from its votes.

use assay::domain::Aspect;
use assay::domain::ContentHash;
use assay::domain::Method;
use assay::domain::Protocol;
use assay::domain::Shown;
use assay::domain::Study;
use assay::domain::StudyId;
use assay::domain::StudyPicture;
use assay::domain::Vote;
use assay::domain::VoteId;
use assay::domain::VoteToken;
use assay::domain::VoteValue;
use assay::export::ratings::StudyRecord;
use assay::export::ratings::analyse;
use assay::stats::SplitMix64;
use assay::stats::raters::RatingMatrix;
use assay::stats::raters::Screening;
use assay::stats::raters::screen;

/// Pictures of AGIQA-3K with a file, and its raters.
const PANEL: (usize, usize) = (2_862, 21);

fn main() {
    divan::main();
}

fn hash(idx: usize) -> ContentHash {
    let mut bytes = [3; 32];
    bytes[..8].copy_from_slice(&(idx as u64).to_le_bytes());
    ContentHash(bytes)
}

/// A score around the picture's own, as a rater who leans a little gives it.
fn score(random: &mut SplitMix64, picture: usize, rater: usize) -> f64 {
    let own = (picture * 7 % 5) as u64 + 1;
    let given = own + random.below(3) + u64::from(rater.is_multiple_of(5));
    given.clamp(2, 6) as f64 - 1.0
}

fn study() -> Study {
    let pictures = (0..PANEL.0).map(|idx| StudyPicture {
        hash: hash(idx),
        path: format!("{idx}.jpg"),
        prompt: format!("prompt {}", idx % 300),
    });
    let protocol = Protocol {
        pictures: pictures.collect(),
        ..Protocol::new("Large panel", Method::Acr5)
    };
    Study {
        id: StudyId(1),
        hash: protocol.hash(),
        protocol,
        created_at: 0,
        is_frozen: true,
        is_quick: false,
    }
}

fn votes(study: &Study) -> Vec<Vote> {
    let mut random = SplitMix64::new(1);
    let mut votes = Vec::new();
    for rater in 0..PANEL.1 {
        for picture in 0..PANEL.0 {
            let number = votes.len();
            votes.push(Vote {
                id: VoteId(number as i64 + 1),
                token: VoteToken(number as u128 + 1),
                study: study.id,
                protocol: study.hash,
                rater: format!("rater {rater:02}"),
                session: 1,
                trial: picture,
                shown: Shown::One(hash(picture)),
                aspect: Aspect::Quality,
                method: Method::Acr5,
                value: VoteValue::Score(score(&mut random, picture, rater)),
                is_training: false,
                is_repeat: false,
                shown_at: number as i64 * 2_000,
                voted_at: number as i64 * 2_000 + 900,
                reaction_ms: 900,
                zoom_max: 1.0,
                screen_px: [1920, 1080],
                dpi_scale: 1.0,
                app_version: "0".to_owned(),
                undo_of: None,
            });
        }
    }
    votes
}

/// Everything that report, command line and window say of an aspect.
#[divan::bench(sample_count = 10)]
fn analyse_a_large_panel(bencher: divan::Bencher<'_, '_>) {
    let study = study();
    let votes = votes(&study);
    let record = StudyRecord::new(&study, &votes, &[], "");
    bencher.bench(|| analyse(&record, Aspect::Quality, Screening::P910AnnexE));
}

/// The screening alone.
#[divan::bench(sample_count = 10)]
fn annex_e_of_a_large_panel(bencher: divan::Bencher<'_, '_>) {
    let mut random = SplitMix64::new(1);
    let rows: Vec<Vec<f64>> = (0..PANEL.0)
        .map(|picture| {
            (0..PANEL.1)
                .map(|rater| score(&mut random, picture, rater))
                .collect()
        })
        .collect();
    let matrix = RatingMatrix::from_rows(&rows).expect("rows of equal length");
    bencher.bench(|| screen(&matrix, Screening::P910AnnexE));
}
