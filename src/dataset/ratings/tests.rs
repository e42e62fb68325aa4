//! What is read, and what is said of what is not. That files read back as they were written is shown in `tests/it`,
//! where both writer and reader may be named.

use super::*;
use crate::domain::Method;
use crate::domain::PairChoice;
use crate::domain::Protocol;
use crate::domain::StudyId;
use crate::domain::StudyPicture;

fn hash(idx: u8) -> ContentHash {
    ContentHash([idx; 32])
}

fn study(method: Method) -> Study {
    let protocol = Protocol {
        pictures: (0..4)
            .map(|idx| StudyPicture {
                hash: hash(idx),
                path: format!("{idx}.png"),
                prompt: "a cat".to_owned(),
            })
            .collect(),
        ..Protocol::new("Test", method)
    };
    Study {
        id: StudyId(1),
        hash: protocol.hash(),
        protocol,
        created_at: 0,
        is_frozen: false,
        is_quick: false,
    }
}

fn read(text: &str, study: &Study) -> Result<RatingsBatch, DatasetError> {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let path = folder.path().join("ratings");
    std::fs::write(&path, text).expect("it can be written");
    let target = RatingsTarget {
        study,
        images: &[],
        aspect: None,
    };
    read_ratings(&path, None, target)
}

fn scores(batch: &RatingsBatch) -> Vec<(&str, ContentHash, f64)> {
    let votes = batch.votes.iter();
    votes
        .map(|vote| {
            let score = vote.score().unwrap_or(f64::NAN);
            (vote.rater.as_str(), vote.shown.pictures()[0], score)
        })
        .collect()
}

fn problems(batch: &RatingsBatch) -> Vec<(Option<u64>, &str)> {
    let problems = batch.problems.iter();
    problems
        .map(|problem| (problem.line, problem.message.as_str()))
        .collect()
}

#[test]
fn a_matrix_has_rows_in_the_protocols_order() {
    let study = study(Method::Acr5);
    let batch = read("5.0,4\nnan,3\n\n2,\n1,NaN\n", &study).unwrap();
    assert_eq!(batch.format, RatingsFormat::Matrix);
    assert_eq!(
        scores(&batch),
        [
            ("Rater 1", hash(0), 5.0),
            ("Rater 2", hash(0), 4.0),
            ("Rater 2", hash(1), 3.0),
            ("Rater 1", hash(2), 2.0),
            ("Rater 1", hash(3), 1.0),
        ]
    );
}

#[test]
fn a_matrix_with_decimal_commas_is_parted_by_semicolons_or_tabs() {
    let study = study(Method::Continuous);
    for mark in [";", "\t"] {
        let rows = ["3,5 4", "2,2 nan", " 1,0", "5 0,5"];
        let text = rows.map(|row| row.replace(' ', mark)).join("\n");
        let batch = read(&text, &study).unwrap();
        assert_eq!(batch.format, RatingsFormat::Matrix);
        let expected = [
            ("Rater 1", hash(0), 3.5),
            ("Rater 2", hash(0), 4.0),
            ("Rater 1", hash(1), 2.2),
            ("Rater 2", hash(2), 1.0),
            ("Rater 1", hash(3), 5.0),
            ("Rater 2", hash(3), 0.5),
        ];
        assert_eq!(scores(&batch), expected, "{:?}", batch.problems);
    }
}

#[test]
fn a_bad_cell_is_named_with_its_line_and_the_others_come_in() {
    let study = study(Method::Acr5);
    let batch = read("5,4\n9,3\n2,1\n1\n", &study).unwrap();
    assert_eq!(batch.votes.len(), 5);
    let [beyond, short] = problems(&batch)[..] else {
        panic!("expected two problems: {:?}", batch.problems);
    };
    assert!(
        beyond.0 == Some(2) && beyond.1.contains("acr5"),
        "{beyond:?}"
    );
    assert!(
        short.0 == Some(4) && short.1.contains("1 columns"),
        "{short:?}"
    );
}

#[test]
fn a_matrix_of_another_study_is_refused_as_a_whole() {
    let error = read("5,4\n1,2\n", &study(Method::Acr5)).unwrap_err();
    let words = error.to_string();
    assert!(words.contains("2 rows, but the study has 4"), "{words}");
}

#[test]
fn reading_twice_gives_the_same_tokens() {
    let study = study(Method::Acr5);
    let text = "5,4\n5,3\n2,1\n1,1\n";
    assert_eq!(
        read(text, &study).unwrap().votes,
        read(text, &study).unwrap().votes
    );
}

#[test]
fn sureal_takes_paths_hashes_and_repeated_scores() {
    let study = study(Method::Continuous);
    let text = format!(
        r#"{{"ref_videos": [], "dis_videos": [
            {{"path": "1.png", "os": {{"Ada": [3.5, 4.0], "Bo": 2}}}},
            {{"path": "moved.png", "sha256": "{}", "os": [1.5, null]}},
            {{"path": "else.png", "os": {{"Ada": 1}}}},
            {{"path": "0.png", "os": {{"Ada": "good"}}}}
        ]}}"#,
        hash(2)
    );
    let batch = read(&text, &study).unwrap();
    assert_eq!(
        scores(&batch),
        [
            ("Ada", hash(1), 3.5),
            ("Ada", hash(1), 4.0),
            ("Bo", hash(1), 2.0),
            ("Rater 1", hash(2), 1.5),
        ]
    );
    let repeats: Vec<bool> = batch.votes.iter().map(|vote| vote.is_repeat).collect();
    assert_eq!(repeats, [false, true, false, false]);
    let problems = problems(&batch);
    assert!(problems[0].0 == Some(3) && problems[0].1.contains("else.png"));
    assert!(problems[1].0 == Some(4) && problems[1].1.contains("expected a number"));
}

#[test]
fn pairs_name_the_chosen_condition() {
    let study = study(Method::Pairs);
    let text = "Observer,Session,Scene,Condition_1,Condition_2,Selection\n\
                Ada,1,a cat,0.png,1.png,2\nAda,1,a cat,1.png,2.png,0\nBo,2,a cat,0.png,9.png,1\n\
                Bo,2,a cat,0.png,1.png,left\nBo,2,a cat,0.png,0.png,1\n";
    let batch = read(text, &study).unwrap();
    let values: Vec<VoteValue> = batch.votes.iter().map(|vote| vote.value).collect();
    assert_eq!(
        values,
        [
            VoteValue::Pair(PairChoice::Right),
            VoteValue::Pair(PairChoice::Tie)
        ]
    );
    let lines: Vec<Option<u64>> = problems(&batch).iter().map(|problem| problem.0).collect();
    assert_eq!(lines, [Some(4), Some(5), Some(6)]);
}

#[test]
fn a_file_of_several_aspects_must_say_which() {
    let mut study = study(Method::Acr5);
    study.protocol.aspects = Aspect::ALL.to_vec();
    let words = read("5\n4\n3\n2\n", &study).unwrap_err().to_string();
    assert!(words.contains("--aspect"), "{words}");
}

#[test]
fn what_is_no_table_of_ratings_says_so() {
    let study = study(Method::Acr5);
    for text in ["name,prompt\na,b\n", "", "<html>"] {
        let words = read(text, &study).unwrap_err().to_string();
        assert!(words.contains("no table of ratings"), "{words}");
    }
    let words = read("rater,value\nAda,3\n", &study)
        .unwrap_err()
        .to_string();
    assert!(words.contains("token, protocol"), "{words}");
    let words = read("{ \"dis_videos\": [", &study).unwrap_err().to_string();
    assert!(words.contains("line 1"), "{words}");
}
