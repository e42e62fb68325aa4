//! Whole runs on small made-up data.

use super::Example;
use super::TrainData;
use super::TrainEvent;
use super::Trained;
use super::fit;
use crate::domain::Aspect;
use crate::domain::Interrupted;
use crate::domain::TrainSettings;
use crate::ml::MlError;
use crate::ml::predictor::tests::features;
use crate::ml::state_dict::StateDict;

/// Sequences whose score is the mean of their first channel, stretched to 1-5.
fn data(count: usize) -> TrainData {
    let example = |seed: usize| {
        let mut features = features(5 + seed % 7, 16, seed as u64);
        let shift = (seed * 7 % 11) as f32 / 11.0 - 0.5;
        let mut values = features.values.to_vec();
        for row in values.chunks_mut(16) {
            row[0] = half::f16::from_f32(shift);
        }
        features.values = values.into();
        Example {
            features,
            mos: 3.0 + 4.0 * f64::from(shift),
        }
    };
    TrainData {
        train: (0..count).map(example).collect(),
        val: (count..count + 24).map(example).collect(),
    }
}

fn settings(epochs: u32) -> TrainSettings {
    TrainSettings {
        epochs,
        batch_size: 8,
        ..TrainSettings::new(Aspect::Quality)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that `fit` asks for")]
fn quiet(_: TrainEvent) -> Result<(), Interrupted> {
    Ok(())
}

/// Weights alone: the curve holds seconds.
fn weights(trained: &Trained) -> Result<StateDict, MlError> {
    Ok(StateDict::from_bytes::<serde_json::Value>(&trained.weights, "predictor")?.0)
}

#[test]
fn a_run_learns_what_there_is_to_learn() -> Result<(), MlError> {
    let trained = fit(&data(64), &settings(8), None, &mut quiet)?;
    let best = &trained.epochs[trained.best_epoch as usize - 1];
    assert!(best.val.srcc.is_some_and(|srcc| srcc > 0.9), "{best:?}");
    assert!(!trained.stopped);
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_does_not() -> Result<(), MlError> {
    let data = data(24);
    let first = fit(&data, &settings(2), None, &mut quiet)?;
    let second = fit(&data, &settings(2), None, &mut quiet)?;
    assert_eq!(weights(&first)?, weights(&second)?);
    let other = TrainSettings {
        seed: 1,
        ..settings(2)
    };
    let third = fit(&data, &other, None, &mut quiet)?;
    assert_ne!(weights(&first)?, weights(&third)?);
    Ok(())
}

#[test]
fn a_run_that_was_cut_off_ends_as_one_that_was_not() -> Result<(), MlError> {
    let data = data(24);
    let whole = fit(&data, &settings(4), None, &mut quiet)?;
    let mut saved = Vec::new();
    let cut = fit(&data, &settings(4), None, &mut |event| match event {
        TrainEvent::Epoch { checkpoint, .. } => {
            saved = checkpoint;
            Ok(())
        }
        TrainEvent::Step { epoch: 3, .. } => Err(Interrupted),
        TrainEvent::Step { .. } => Ok(()),
    })?;
    assert!(cut.stopped);
    assert_eq!(cut.epochs.len(), 2);
    let resumed = fit(&data, &settings(4), Some(&saved), &mut quiet)?;
    assert_eq!(weights(&resumed)?, weights(&whole)?);
    assert_eq!(resumed.best_epoch, whole.best_epoch);
    assert_eq!(resumed.epochs.len(), 4);
    Ok(())
}

#[test]
fn a_stop_before_the_first_epoch_leaves_nothing() {
    let result = fit(&data(24), &settings(4), None, &mut |_| Err(Interrupted));
    assert!(result.is_err_and(|error| error.is_interrupted()));
}

#[test]
fn a_checkpoint_of_another_run_is_refused() -> Result<(), MlError> {
    let mut saved = Vec::new();
    fit(&data(24), &settings(1), None, &mut |event| {
        if let TrainEvent::Epoch { checkpoint, .. } = event {
            saved = checkpoint;
        }
        Ok(())
    })?;
    let result = fit(&data(24), &settings(2), Some(&saved), &mut quiet);
    assert!(result.is_err_and(|error| error.to_string().contains("other settings")));
    let cut = &saved[..saved.len() / 2];
    let result = fit(&data(24), &settings(1), Some(cut), &mut quiet);
    assert!(matches!(result, Err(MlError::Weights(_))));
    Ok(())
}

#[test]
fn data_that_teaches_nothing_is_refused_in_words() {
    let result = fit(&TrainData::default(), &settings(1), None, &mut quiet);
    assert!(result.is_err_and(|error| error.to_string().contains("at least 2 images")));
    let mut mixed = data(24);
    mixed.val[3].features = features(5, 20, 1);
    let result = fit(&mixed, &settings(1), None, &mut quiet);
    assert!(matches!(result, Err(MlError::WrongFeatures { .. })));
}

#[test]
fn a_scale_of_a_hundred_is_learned_as_well() -> Result<(), MlError> {
    let mut data = data(64);
    for example in data.train.iter_mut().chain(&mut data.val) {
        example.mos *= 20.0;
    }
    let trained = fit(&data, &settings(8), None, &mut quiet)?;
    let last = trained.epochs.last().and_then(|epoch| epoch.val.rmse);
    assert!(last.is_some_and(|rmse| rmse < 8.0), "{last:?}");
    Ok(())
}

#[test]
fn without_a_validation_part_the_training_loss_chooses() -> Result<(), MlError> {
    let mut data = data(24);
    data.val.clear();
    let trained = fit(&data, &settings(2), None, &mut quiet)?;
    assert!(trained.best_epoch >= 1);
    assert!(trained.epochs[0].val.reason.is_some());
    Ok(())
}
