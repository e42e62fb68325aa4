//! Studies and votes in a project file.

use super::*;
use crate::domain::ImageId;
use crate::domain::Operation;
use crate::domain::PairChoice;
use crate::domain::Shown;
use crate::domain::Vote;
use crate::domain::VoteId;
use crate::domain::VoteToken;
use crate::domain::VoteValue;
use crate::domain::study::standing;
use crate::store::testing::World;
use crate::store::testing::hash;
use crate::store::testing::missing;
use crate::store::testing::present;
use crate::store::testing::protocol;
use crate::store::testing::vote;

fn world() -> (World, Study) {
    let mut world = World::with_images(30);
    let study = world.project.create_study(&protocol(30), 5_000).unwrap();
    (world, study)
}

/// A quick vote on a picture.
fn quick(study: &Study, picture: usize, score: f64) -> Vote {
    Vote {
        aspect: Aspect::Quality,
        ..vote(study, "Ada", picture, score)
    }
    .sealed()
}

#[test]
fn a_study_and_its_votes_come_back_as_they_were() {
    let (mut world, study) = world();
    assert!(!study.is_frozen && !study.is_quick);
    let given = vote(&study, "Ada", 3, 4.0);
    let stored = world.project.append_vote(&given).unwrap();
    world.reopen();
    let catalog = world.project.catalog().unwrap();
    assert_eq!(
        catalog.votes,
        [Vote {
            id: VoteId(1),
            ..given
        }]
    );
    assert_eq!(catalog.votes, [stored]);
    assert_eq!(catalog.studies[0].protocol, study.protocol);
    assert!(catalog.studies[0].is_frozen);
    assert_eq!(world.project.study(study.id).unwrap().hash, study.hash);
}

#[test]
fn a_pair_comes_back_as_it_was() {
    let mut world = World::with_images(30);
    let mut pairs = protocol(30);
    pairs.method = Method::Pairs;
    let study = world.project.create_study(&pairs, 5_000).unwrap();
    let given = Vote {
        shown: Shown::Pair {
            left: hash(1),
            right: hash(11),
        },
        value: VoteValue::Pair(PairChoice::Tie),
        ..vote(&study, "Ada", 1, 1.0)
    }
    .sealed();
    world.project.append_vote(&given).unwrap();
    let stored = world.project.votes(study.id).unwrap();
    assert_eq!(stored[0].token, given.token);
    assert_eq!(
        (stored[0].shown, stored[0].value),
        (given.shown, given.value)
    );
}

#[test]
fn the_same_record_twice_is_one_vote() {
    let (mut world, study) = world();
    let given = vote(&study, "Ada", 3, 4.0);
    let first = world.project.append_vote(&given).unwrap();
    assert_eq!(world.project.append_vote(&given).unwrap(), first);
    assert_eq!(world.project.votes(study.id).unwrap().len(), 1);
}

#[test]
fn a_trial_is_voted_in_once_until_that_is_taken_back() {
    let (mut world, study) = world();
    let given = vote(&study, "Ada", 3, 4.0);
    world.project.append_vote(&given).unwrap();
    let other = vote(&study, "Ada", 3, 2.0);
    let error = world.project.append_vote(&other).unwrap_err();
    assert!(error.to_string().contains("trial 4 already"), "{error}");
    let back = given.taken_back(90_000);
    world.project.append_vote(&back).unwrap();
    world.project.append_vote(&other).unwrap();
    let votes = world.project.votes(study.id).unwrap();
    assert_eq!(votes.len(), 3, "nothing is erased");
    let tokens: Vec<VoteToken> = standing(&votes).iter().map(|vote| vote.token).collect();
    assert_eq!(tokens, [other.token]);

    let twice = given.taken_back(95_000);
    let error = world.project.append_vote(&twice).unwrap_err();
    assert!(error.to_string().contains("taken back already"), "{error}");
    let of_back = back.taken_back(99_000);
    world.project.append_vote(&of_back).unwrap_err();
}

#[test]
fn records_that_do_not_belong_are_refused_with_the_reason() {
    let (mut world, study) = world();
    let mut refused = |vote: Vote, words: &str| {
        let error = world.project.append_vote(&vote).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    let good = vote(&study, "Ada", 3, 4.0);
    let unsealed = Vote {
        value: VoteValue::Score(5.0),
        ..good.clone()
    };
    refused(unsealed, "token does not fit");
    let other = Vote {
        protocol: Protocol::quick().hash(),
        ..good.clone()
    };
    refused(other.sealed(), "another protocol");
    let nobody = Vote {
        rater: String::new(),
        ..good.clone()
    };
    refused(nobody.sealed(), "no rater");
    let nowhere = Vote {
        study: StudyId(99),
        ..good.clone()
    };
    refused(nowhere, "no study 99");
    let mut back = good.taken_back(9_000);
    refused(back.clone(), "not in the project");
    world.project.append_vote(&good).unwrap();
    back.rater = "Bo".to_owned();
    let error = world.project.append_vote(&back.sealed()).unwrap_err();
    assert!(error.to_string().contains("only the rater"), "{error}");
}

#[test]
fn a_protocol_changes_until_the_first_vote() {
    let (mut world, study) = world();
    let mut other = study.protocol.clone();
    other.min_dwell_ms = 5;
    let changed = world.project.change_study(study.id, &other).unwrap();
    assert_eq!(changed.hash, other.hash());
    let error = world
        .project
        .append_vote(&vote(&study, "Ada", 3, 4.0))
        .unwrap_err();
    assert!(error.to_string().contains("another protocol"), "{error}");
    world
        .project
        .append_vote(&vote(&changed, "Ada", 3, 4.0))
        .unwrap();
    let error = world
        .project
        .change_study(study.id, &study.protocol)
        .unwrap_err();
    assert!(matches!(error, StoreError::FrozenStudy { .. }), "{error}");
    assert_eq!(world.project.study(study.id).unwrap().protocol, other);
}

#[test]
fn the_file_itself_keeps_votes_and_frozen_protocols() {
    let (mut world, study) = world();
    world
        .project
        .append_vote(&vote(&study, "Ada", 3, 4.0))
        .unwrap();
    let conn = &world.project.conn;
    for sql in [
        "DELETE FROM vote",
        "UPDATE vote SET score = 5",
        "UPDATE study SET protocol = '{}'",
    ] {
        conn.execute(sql, ()).unwrap_err();
    }
    assert_eq!(world.project.votes(study.id).unwrap().len(), 1);
}

#[test]
fn a_study_that_nobody_could_sit_is_refused() {
    let mut world = World::with_images(3);
    let error = world.project.create_study(&protocol(0), 1).unwrap_err();
    assert!(error.to_string().contains("No picture is left"), "{error}");
    assert!(world.project.studies().unwrap().is_empty());
}

#[test]
fn merging_twice_adds_nothing() {
    let (mut world, study) = world();
    let own = vote(&study, "Ada", 1, 4.0);
    world.project.append_vote(&own).unwrap();
    let foreign: Vec<Vote> = (0..10)
        .map(|picture| Vote {
            study: StudyId(40),
            ..vote(&study, "Bo", picture, 2.0)
        })
        .collect();
    let back = foreign[3].taken_back(70_000);
    let mut all = foreign.clone();
    all.extend([back, own]);
    let spoiled = Vote {
        rater: "Cem".to_owned(),
        ..vote(&study, "Dan", 0, 2.0)
    };
    all.push(spoiled);
    let merge = |world: &mut World| {
        let (merged_into, merged) = world.project.merge_study(&study.protocol, 9, &all).unwrap();
        assert_eq!(merged_into.id, study.id);
        merged
    };
    let first = merge(&mut world);
    assert_eq!((first.added, first.known), (11, 1));
    assert_eq!(first.refused.values().sum::<usize>(), 1);
    let votes = world.project.votes(study.id).unwrap();
    assert_eq!(standing(&votes).len(), 10);
    let again = merge(&mut world);
    assert_eq!((again.added, again.known), (0, 12));
    assert_eq!(world.project.votes(study.id).unwrap(), votes);
}

#[test]
fn one_name_at_two_machines_is_told_and_counts_once() {
    let (mut world, study) = world();
    world
        .project
        .append_vote(&vote(&study, "Ada", 3, 4.0))
        .unwrap();
    let elsewhere = Vote {
        voted_at: 77_000,
        ..vote(&study, "Ada", 3, 2.0)
    }
    .sealed();
    let mine = vote(&study, "Bo", 3, 1.0);
    let merged = world.project.merge_votes(study.id, &[elsewhere, mine]);
    let merged = merged.unwrap();
    assert_eq!(merged.added, 2);
    assert_eq!(
        merged.twice.into_iter().collect::<Vec<_>>(),
        [("Ada".to_owned(), 1)]
    );
    let votes = world.project.votes(study.id).unwrap();
    let opinions = crate::domain::study::opinions(&votes, Aspect::Quality);
    let scores: Vec<_> = opinions.iter().map(|vote| vote.score()).collect();
    assert_eq!(scores, [Some(2.0), Some(1.0)]);
}

#[test]
fn a_study_that_is_not_here_comes_with_its_votes() {
    let (_, study) = world();
    let mut other = World::empty();
    let votes = [vote(&study, "Ada", 1, 4.0)];
    let (merged_into, merged) = other
        .project
        .merge_study(&study.protocol, 9, &votes)
        .unwrap();
    assert_eq!((merged_into.hash, merged.added), (study.hash, 1));
    assert!(merged_into.is_frozen);
}

#[test]
fn quick_votes_are_undone_and_redone_like_any_change() {
    let mut world = World::with_images(3);
    let study = world.project.quick_study(1).unwrap();
    assert_eq!(world.project.quick_study(2).unwrap(), study);
    world.project.append_vote(&quick(&study, 1, 4.0)).unwrap();
    let (undo, _) = world.project.undo_state().unwrap();
    assert_eq!(undo.unwrap().0, "Rate quality \u{201c}Good\u{201d}");
    let num_standing = |world: &World| {
        let votes = world.project.votes(study.id).unwrap();
        (standing(&votes).len(), votes.len())
    };
    assert_eq!(num_standing(&world), (1, 1));
    world.project.undo(1).unwrap();
    assert_eq!(num_standing(&world), (0, 2));
    world.project.redo(1).unwrap();
    assert_eq!(num_standing(&world), (1, 3));
    world.project.undo(1).unwrap();
    assert_eq!(num_standing(&world), (0, 4));
    // The same picture may be rated again, without taking anything back.
    world.project.append_vote(&quick(&study, 1, 2.0)).unwrap();
    world.project.append_vote(&quick(&study, 1, 3.0)).unwrap();
    assert_eq!(num_standing(&world), (2, 6));
}

#[test]
fn many_ratings_of_one_key_are_one_step_and_none_is_erased() {
    let mut world = World::with_images(40);
    let study = world.project.quick_study(1).unwrap();
    world.project.append_vote(&quick(&study, 3, 2.0)).unwrap();
    let given: Vec<Vote> = (0..40).map(|picture| quick(&study, picture, 4.0)).collect();
    let stored = world.project.append_quick_votes(&given).unwrap();
    assert_eq!(stored.len(), 40);
    let state = |world: &World| {
        let votes = world.project.votes(study.id).unwrap();
        let (undo, redo) = world.project.undo_state().unwrap();
        let words = |top: Option<Operation>| top.map(|top| top.0).unwrap_or_default();
        (
            standing(&votes).len(),
            votes.len(),
            words(undo),
            words(redo),
        )
    };
    let many = "Rate quality of 40 pictures \u{201c}Good\u{201d}".to_owned();
    let one = "Rate quality \u{201c}Poor\u{201d}".to_owned();
    assert_eq!(state(&world), (41, 41, many.clone(), String::new()));
    world.project.undo(1_000_000).unwrap();
    assert_eq!(state(&world), (1, 81, one.clone(), many.clone()));
    world.project.redo(2_000_000).unwrap();
    assert_eq!(state(&world), (41, 121, many.clone(), String::new()));
    world.project.undo(3_000_000).unwrap();
    assert_eq!(state(&world), (1, 161, one, many));
    // Handed in again, as after an answer that was lost: nothing comes twice, and nothing is noted twice.
    world.project.append_quick_votes(&given).unwrap();
    assert_eq!(state(&world).1, 161);
}

#[test]
fn of_many_ratings_all_come_in_or_none() {
    let mut world = World::with_images(3);
    let study = world.project.quick_study(1).unwrap();
    let given = [quick(&study, 0, 4.0), quick(&study, 1, 9.0)];
    let error = world.project.append_quick_votes(&given).unwrap_err();
    assert!(error.to_string().contains("no answer"), "{error}");
    assert!(world.project.votes(study.id).unwrap().is_empty());
    assert_eq!(world.project.undo_state().unwrap().0, None);
    let (mut other, study) = self::world();
    let given = [vote(&study, "Ada", 1, 4.0)];
    assert!(other.project.append_quick_votes(&given).is_err());
}

#[test]
fn a_reader_sees_every_committed_vote_beside_the_writer() {
    let (mut world, study) = world();
    let mut reader = StudyReader::open(world.project.path()).unwrap();
    assert_eq!(reader.study(study.id).unwrap().1.len(), 0);
    world
        .project
        .append_vote(&vote(&study, "Ada", 3, 4.0))
        .unwrap();
    let (known, votes) = reader.study(study.id).unwrap();
    assert_eq!((known.hash, votes.len()), (study.hash, 1));
    assert!(known.is_frozen);
    assert!(reader.study(StudyId(99)).is_err());
}

#[test]
fn a_study_as_ground_truth_is_never_mixed_and_is_undone() {
    let (mut world, study) = world();
    let before = world.project.catalog().unwrap();
    assert_eq!(before.truth_name(Aspect::Quality), "Test set");
    let opinion = StudyMos {
        hash: hash(4),
        mos: 3.0,
        std: Some(1.0),
        ci95: None,
        num_ratings: 7,
        screening: "p910".to_owned(),
    };
    world
        .project
        .set_study_mos(study.id, Aspect::Quality, &[opinion])
        .unwrap();
    let mut settings = world.project.settings().unwrap();
    *settings.ground_truth.get_mut(Aspect::Quality) = Some(study.id);
    let operation = Operation("Use the study".to_owned());
    world.project.set_settings(&settings, &operation).unwrap();

    let catalog = world.project.catalog().unwrap();
    for image in &catalog.images {
        let expected = (image.file.hash() == Some(hash(4))).then_some(2.5);
        assert_eq!(image.mos(Aspect::Quality), expected);
        assert_eq!(image.mos(Aspect::Correspondence), Some(2.5));
    }
    let name = catalog.truth_name(Aspect::Quality);
    assert_eq!(name, "study \u{201c}Test study\u{201d} (1-5 laid onto 0-5)");
    let changed = world.project.images(&[ImageId(1)]).unwrap();
    assert_eq!(changed[0].mos(Aspect::Quality), None);

    world.project.undo(1).unwrap();
    assert_eq!(world.project.catalog().unwrap().images, before.images);
}

#[test]
fn opinions_are_written_where_they_changed_and_told() {
    let (mut world, study) = world();
    let opinion = |picture: u64, mos: f64| StudyMos {
        hash: hash(picture),
        mos,
        std: None,
        ci95: None,
        num_ratings: 1,
        screening: "none".to_owned(),
    };
    let mut set = |opinions: &[StudyMos]| {
        let before = world.project.conn.total_changes();
        let changed = world
            .project
            .set_study_mos(study.id, Aspect::Quality, opinions)
            .unwrap();
        let written = world.project.conn.total_changes() - before;
        let held = world.project.study_mos(study.id, Aspect::Quality).unwrap();
        assert_eq!(held, opinions);
        (changed, written)
    };
    let first: Vec<StudyMos> = (0..20).map(|picture| opinion(picture, 3.0)).collect();
    assert_eq!(set(&first).0.len(), 20);
    assert_eq!(set(&first), (vec![], 0));
    let mut next = first.clone();
    next[4] = opinion(4, 4.0);
    next.remove(7);
    assert_eq!(set(&next), (vec![hash(4), hash(7)], 2));
}

#[test]
fn an_import_leaves_the_datasets_own_truth_as_it_was() {
    let (mut world, study) = world();
    let mut settings = world.project.settings().unwrap();
    *settings.ground_truth.get_mut(Aspect::Quality) = Some(study.id);
    let operation = Operation("Use the study".to_owned());
    world.project.set_settings(&settings, &operation).unwrap();
    let again = crate::store::testing::batch(30);
    assert_eq!(world.project.import(&again, 6).unwrap().changed, 0);
    world.project.undo(1).unwrap();
    let catalog = world.project.catalog().unwrap();
    assert_eq!(catalog.images[0].mos(Aspect::Quality), Some(2.5));
}

#[test]
fn ratings_outlive_whatever_becomes_of_the_file() {
    let (mut world, study) = world();
    world
        .project
        .append_vote(&vote(&study, "Ada", 3, 4.0))
        .unwrap();
    let votes = world.project.catalog().unwrap().votes;
    let id = ImageId(4);
    for file in [missing(), present(77), present(3)] {
        world.project.update_file_states(&[(id, file)]).unwrap();
        assert_eq!(world.project.catalog().unwrap().votes, votes);
    }
    let mut renamed = crate::store::testing::batch(30);
    renamed.rows[3].path = "elsewhere/renamed.png".to_owned();
    world.project.import(&renamed, 6).unwrap();
    world.project.set_root("/elsewhere").unwrap();
    assert_eq!(world.project.catalog().unwrap().votes, votes);
    // A vote on a picture that is away just now is a vote.
    world
        .project
        .update_file_states(&[(id, missing())])
        .unwrap();
    world
        .project
        .append_vote(&vote(&study, "Bo", 3, 2.0))
        .unwrap();
}
