//! Files of ratings: what is written reads back as it was.

use std::path::PathBuf;

use assay::dataset::RatingsBatch;
use assay::dataset::RatingsTarget;
use assay::dataset::read_ratings;
use assay::domain::Aspect;
use assay::domain::ContentHash;
use assay::domain::Method;
use assay::domain::PairChoice;
use assay::domain::Protocol;
use assay::domain::RatingsFormat;
use assay::domain::Shown;
use assay::domain::Study;
use assay::domain::StudyId;
use assay::domain::StudyPicture;
use assay::domain::Vote;
use assay::domain::VoteId;
use assay::domain::VoteToken;
use assay::domain::VoteValue;
use assay::domain::study::tally;
use assay::export::ratings::RatingsRequest;
use assay::export::ratings::StudyRecord;
use assay::export::ratings::write_ratings_file;
use assay::stats::raters::Screening;

fn study(method: Method, num_pictures: u8) -> Study {
    let protocol = Protocol {
        pictures: (0..num_pictures)
            .map(|idx| StudyPicture {
                hash: ContentHash([idx; 32]),
                path: format!("folder, one/{idx}.png"),
                prompt: format!("a \"quoted\" prompt,\nnumber {}", idx / 3),
            })
            .collect(),
        ..Protocol::new("Round trip", method)
    };
    Study {
        id: StudyId(7),
        hash: protocol.hash(),
        protocol,
        created_at: 0,
        is_frozen: true,
        is_quick: false,
    }
}

fn vote(study: &Study, rater: &str, trial: usize, shown: Shown, value: VoteValue) -> Vote {
    Vote {
        id: VoteId(0),
        token: VoteToken(0),
        study: study.id,
        protocol: study.hash,
        rater: rater.to_owned(),
        session: 2,
        trial,
        shown,
        aspect: Aspect::Quality,
        method: study.protocol.method,
        value,
        is_training: trial == 0,
        is_repeat: false,
        shown_at: 1_700_000_000_123 + trial as i64,
        voted_at: 1_700_000_002_456 + trial as i64,
        reaction_ms: 2_333,
        zoom_max: 0.1 + 0.2,
        screen_px: [2560, 1440],
        dpi_scale: 1.25,
        app_version: "0.1.0, \"test\"".to_owned(),
        undo_of: None,
    }
    .sealed()
}

/// Continuous scores of two raters, with a training vote, a gap and a vote that was taken back.
fn scores() -> (Study, Vec<Vote>) {
    let study = study(Method::Continuous, 9);
    let mut votes = Vec::new();
    for (rater, shift) in [("Ada \u{e9}", 0.3), ("Bo, B.", 0.0)] {
        for idx in 0..9_u8 {
            let score = (f64::from(idx) * 5.0 + shift * 10.0).round() / 10.0;
            let shown = Shown::One(ContentHash([idx; 32]));
            let value = VoteValue::Score(score);
            votes.push(vote(&study, rater, usize::from(idx), shown, value));
        }
    }
    votes.push(votes[4].taken_back(1_700_000_100_000));
    (study, votes)
}

fn pairs() -> (Study, Vec<Vote>) {
    let study = study(Method::Pairs, 6);
    let choices = [PairChoice::Left, PairChoice::Right, PairChoice::Tie];
    let votes = (0..6_u8).map(|idx| {
        let scene = idx / 3 * 3;
        let shown = Shown::Pair {
            left: ContentHash([scene + idx % 3; 32]),
            right: ContentHash([scene + (idx + 1) % 3; 32]),
        };
        let value = VoteValue::Pair(choices[usize::from(idx % 3)]);
        vote(&study, "Ada", 1 + usize::from(idx), shown, value)
    });
    let votes = votes.collect();
    (study, votes)
}

fn there_and_back(study: &Study, votes: &[Vote], format: RatingsFormat) -> RatingsBatch {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let out: PathBuf = folder.path().join("ratings");
    let record = StudyRecord::new(study, votes, &[], "Test");
    let request = RatingsRequest {
        format,
        aspect: None,
        screening: Screening::default(),
        now: 0,
    };
    write_ratings_file(&record, request, &out).expect("it can be written");
    let target = RatingsTarget {
        study,
        images: &[],
        aspect: None,
    };
    let batch = read_ratings(&out, None, target).expect("it can be read");
    assert_eq!(batch.format, format);
    assert_eq!(batch.problems, []);
    batch
}

#[test]
fn the_long_table_reads_back_record_by_record() {
    for (study, mut votes) in [scores(), pairs()] {
        let mut batch = there_and_back(&study, &votes, RatingsFormat::Long);
        batch.votes.sort_by_key(|vote| vote.token);
        votes.sort_by_key(|vote| vote.token);
        assert_eq!(batch.votes, votes);
    }
}

#[test]
fn a_row_that_was_changed_by_hand_does_not_come_in() {
    let (study, votes) = scores();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("long.csv");
    let record = StudyRecord::new(&study, &votes, &[], "Test");
    let request = RatingsRequest {
        format: RatingsFormat::Long,
        aspect: None,
        screening: Screening::default(),
        now: 0,
    };
    write_ratings_file(&record, request, &out).unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    std::fs::write(&out, text.replacen(",4.3,", ",5,", 1)).unwrap();
    let target = RatingsTarget {
        study: &study,
        images: &[],
        aspect: None,
    };
    let batch = read_ratings(&out, None, target).unwrap();
    assert_eq!(batch.votes.len(), votes.len() - 1);
    let [problem] = batch.problems.as_slice() else {
        panic!("expected one problem: {:?}", batch.problems);
    };
    assert!(problem.line.is_some() && problem.message.contains("token"));
}

#[test]
fn matrix_and_sureal_read_back_as_the_same_opinions() {
    let (study, votes) = scores();
    let expected = tally(&study, &votes, Aspect::Quality);
    let bits = |scores: &[Vec<f64>]| -> Vec<Option<u64>> {
        let scores = scores.iter().flatten();
        scores
            .map(|score| (!score.is_nan()).then(|| score.to_bits()))
            .collect()
    };
    for format in [RatingsFormat::Matrix, RatingsFormat::Sureal] {
        let batch = there_and_back(&study, &votes, format);
        let read = tally(&study, &batch.votes, Aspect::Quality);
        assert_eq!(read.pictures, expected.pictures);
        assert_eq!(bits(&read.scores), bits(&expected.scores));
    }
}

#[test]
fn comparisons_read_back_with_sides_and_choices() {
    let (study, votes) = pairs();
    let batch = there_and_back(&study, &votes, RatingsFormat::Pairs);
    let said = |votes: &[Vote]| -> Vec<(String, u32, Shown, String)> {
        let votes = votes.iter();
        votes
            .map(|vote| {
                let value = format!("{:?}", vote.value);
                (vote.rater.clone(), vote.session, vote.shown, value)
            })
            .collect()
    };
    assert_eq!(said(&batch.votes), said(&votes));
}
