//! Whole runs on small made-up data.

use std::sync::Arc;
use std::time::Duration;

use super::Example;
use super::LmHead;
use super::TrainData;
use super::TrainEvent;
use super::Trained;
use super::fit;
use super::fit::fit_saving;
use crate::domain::Aspect;
use crate::domain::Halves;
use crate::domain::HeadInput;
use crate::domain::Interrupted;
use crate::domain::LentHalves;
use crate::domain::Loss;
use crate::domain::Projection;
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
        ..TrainData::default()
    }
}

/// The same for a head that reads logits of a vocabulary of 40.
fn data_with_logits(count: usize) -> Result<TrainData, MlError> {
    let weight = crate::ml::layers::check::random(&[40, 16], 9)?;
    let lm_head = LmHead::new(&weight)?;
    Ok(TrainData {
        lm_head: Some(lm_head),
        ..data(count)
    })
}

fn reading_logits(epochs: u32, projection: Projection) -> TrainSettings {
    let mut settings = settings(epochs);
    settings.head.input = HeadInput::Logits;
    settings.head.projection = projection;
    settings
}

/// Runs until `cut` answers true and goes on from the last state that was saved.
fn cut_and_go_on(
    data: &TrainData,
    settings: &TrainSettings,
    cut: impl Fn(&TrainEvent) -> bool,
) -> Result<Trained, MlError> {
    let mut saved = None;
    let first = fit_saving(Duration::ZERO, data, settings, None, &mut |event| {
        if cut(&event) {
            return Err(Interrupted);
        }
        if let TrainEvent::Epoch { checkpoint, .. } | TrainEvent::Saved { checkpoint } = event {
            saved = Some(checkpoint);
        }
        Ok(())
    });
    assert!(first.map_or_else(|error| error.is_interrupted(), |cut| cut.stopped));
    fit(data, settings, saved.as_deref(), &mut quiet)
}

/// Losses of the curve: figures without the seconds.
fn curve(trained: &Trained) -> Vec<(u64, u64)> {
    let losses = trained.epochs.iter();
    losses
        .map(|e| (e.train_loss.to_bits(), e.val_loss.to_bits()))
        .collect()
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
        _ => Ok(()),
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

#[test]
fn a_run_that_was_cut_off_within_an_epoch_ends_as_one_that_was_not() -> Result<(), MlError> {
    let data = data(24);
    let whole = fit(&data, &settings(3), None, &mut quiet)?;
    for cut in [(1, 2), (2, 1), (3, 3)] {
        let is_there = |event: &TrainEvent| matches!(event, TrainEvent::Step { epoch, step, .. } if (*epoch, *step) == cut);
        let resumed = cut_and_go_on(&data, &settings(3), is_there)?;
        assert_eq!(weights(&resumed)?, weights(&whole)?, "{cut:?}");
        assert_eq!(curve(&resumed), curve(&whole));
    }
    Ok(())
}

#[test]
fn weights_are_the_same_to_the_bit_on_any_number_of_threads() -> Result<(), MlError> {
    let data = data(40);
    let mut settings = settings(2);
    for batch_size in [2, 16] {
        settings.batch_size = batch_size;
        let with = |threads: usize| -> Result<StateDict, MlError> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.map_err(candle_core::Error::wrap)?;
            weights(&pool.install(|| fit(&data, &settings, None, &mut quiet))?)
        };
        let one = with(1)?;
        assert_eq!(one, with(2)?);
        assert_eq!(one, with(4)?);
    }
    Ok(())
}

#[test]
fn a_run_that_brings_nothing_better_ends_early() -> Result<(), MlError> {
    let settings = TrainSettings {
        patience: Some(2),
        // Too small a rate for the order of the validation part to change.
        learning_rate: 1e-12,
        ..settings(30)
    };
    let trained = fit(&data(24), &settings, None, &mut quiet)?;
    let best = trained.best_epoch as usize;
    assert_eq!(trained.epochs.len(), best + 2);
    assert!(!trained.stopped);
    Ok(())
}

#[test]
fn logits_are_learned_from_through_either_projection() -> Result<(), MlError> {
    let data = data_with_logits(64)?;
    for projection in [Projection::Folded, Projection::Full] {
        let trained = fit(&data, &reading_logits(6, projection), None, &mut quiet)?;
        let best = &trained.epochs[trained.best_epoch as usize - 1];
        let srcc = best.val.srcc;
        assert!(
            srcc.is_some_and(|srcc| srcc > 0.9),
            "{projection:?} {srcc:?}"
        );
    }
    let mut without = data;
    without.lm_head = None;
    let result = fit(
        &without,
        &reading_logits(1, Projection::Folded),
        None,
        &mut quiet,
    );
    assert!(result.is_err_and(|error| error.to_string().contains("no lm_head")));
    Ok(())
}

#[test]
fn a_full_projection_that_was_cut_off_ends_as_one_that_was_not() -> Result<(), MlError> {
    let data = data_with_logits(24)?;
    // Of one image a step, the logits themselves are cheaper than the product; of eight, the product.
    for batch_size in [1, 8] {
        let settings = TrainSettings {
            batch_size,
            ..reading_logits(2, Projection::Full)
        };
        let whole = fit(&data, &settings, None, &mut quiet)?;
        let is_there = |event: &TrainEvent| {
            matches!(
                event,
                TrainEvent::Step {
                    epoch: 2,
                    step: 2,
                    ..
                }
            )
        };
        let resumed = cut_and_go_on(&data, &settings, is_there)?;
        assert_eq!(weights(&resumed)?, weights(&whole)?, "{batch_size}");
    }
    Ok(())
}

#[test]
fn every_loss_is_learned_by() -> Result<(), MlError> {
    let data = data(40);
    for loss in Loss::ALL.into_iter().filter(|loss| *loss != Loss::Mse) {
        let settings = TrainSettings {
            loss,
            ..settings(6)
        };
        let trained = fit(&data, &settings, None, &mut quiet)?;
        let best = &trained.epochs[trained.best_epoch as usize - 1];
        assert!(
            best.val.srcc.is_some_and(|srcc| srcc > 0.6),
            "{loss:?} {:?}",
            best.val.srcc
        );
    }
    Ok(())
}

#[test]
fn training_that_diverges_keeps_the_best_epoch_before_it() -> Result<(), MlError> {
    let mut data = data(24);
    let mut saved = Vec::new();
    let before = fit(&data, &settings(4), None, &mut |event| match event {
        TrainEvent::Epoch {
            figures,
            checkpoint,
            ..
        } if figures.epoch <= 2 => {
            saved = checkpoint;
            Ok(())
        }
        TrainEvent::Epoch { .. } => Err(Interrupted),
        _ => Ok(()),
    })?;
    let nan = vec![half::f16::NAN; data.train[3].features.values.len()];
    data.train[3].features.values = nan.into();
    let trained = fit(&data, &settings(4), Some(&saved), &mut quiet)?;
    assert!(trained.stopped);
    assert!(trained.note.is_some_and(|note| note.contains("epoch 3")));
    assert_eq!(trained.epochs.len(), 2);
    assert!(before.epochs.len() >= 2);
    let result = fit(&data, &settings(4), None, &mut quiet);
    assert!(matches!(result, Err(MlError::Diverged)));
    Ok(())
}

/// Values of a file that goes away after so many steps.
#[derive(Debug)]
struct Vanishing {
    values: Vec<half::f16>,
    is_gone: Arc<std::sync::atomic::AtomicBool>,
}

impl LentHalves for Vanishing {
    fn halves(&self) -> &[half::f16] {
        &self.values
    }

    fn problem(&self) -> Option<String> {
        let is_gone = self.is_gone.load(std::sync::atomic::Ordering::Relaxed);
        is_gone.then(|| "the file is gone: train again".to_owned())
    }
}

#[test]
fn a_cache_file_that_vanishes_stops_the_run_and_it_goes_on_later() -> Result<(), MlError> {
    let whole_data = data(24);
    let whole = fit(&whole_data, &settings(3), None, &mut quiet)?;
    let is_gone = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut lent = data(24);
    for example in &mut lent.train {
        let lender = Vanishing {
            values: example.features.values.to_vec(),
            is_gone: Arc::clone(&is_gone),
        };
        example.features.values = Halves::lent(Arc::new(lender));
    }
    let mut saved = Vec::new();
    let cut = fit(&lent, &settings(3), None, &mut |event| {
        if let TrainEvent::Epoch { checkpoint, .. } = event {
            saved = checkpoint;
            is_gone.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        Ok(())
    });
    assert!(matches!(cut, Err(MlError::Vanished(why)) if why.contains("train again")));
    let resumed = fit(&whole_data, &settings(3), Some(&saved), &mut quiet)?;
    assert_eq!(weights(&resumed)?, weights(&whole)?);
    Ok(())
}
