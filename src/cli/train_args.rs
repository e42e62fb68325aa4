//! What may be typed after `assay train`, and the settings that it comes to.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;

use crate::cli::args::Aspects;
use crate::cli::args::aspects;
use crate::cli::args::at_least_one;
use crate::cli::args::part;
use crate::cli::args::rate;
use crate::domain::Aspect;
use crate::domain::Descriptions;
use crate::domain::HeadInput;
use crate::domain::HeadKind;
use crate::domain::HeadSettings;
use crate::domain::LearnFrom;
use crate::domain::Loss;
use crate::domain::Pooling;
use crate::domain::Projection;
use crate::domain::Reading;
use crate::domain::Rounds;
use crate::domain::Schedule;
use crate::domain::Selection;
use crate::domain::TrainSettings;

/// `assay train`.
#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    /// Project file
    #[arg(long, value_name = "FILE")]
    pub(super) project: PathBuf,
    /// Aspect: quality, correspondence, authenticity, several with commas between, or all that have ground truth
    #[arg(long, default_value = "all", value_name = "ASPECT", value_parser = several_aspects)]
    pub(super) aspect: Aspects,
    /// Start from this bundle of settings; what else is given changes it
    #[arg(
        long,
        default_value = "usual",
        value_name = "NAME",
        value_parser = one_of(&[("usual", Protocol::Usual), ("published", Protocol::Published)]),
        long_help = "Start from this bundle of settings; what else is given changes it. \
            usual: a small xLSTM on hidden states, AdamW with a cosine, the best epoch chosen on a validation part cut by \
            prompt. published: what M3-AGIQA did on AGIQA-3K (width 512 on logits, one image a step, constant rate 1e-5), \
            which chooses the best epoch on the test list; its test figures are marked as too good"
    )]
    pub(super) protocol: Protocol,
    #[command(flatten, next_help_heading = "What to learn from")]
    pub(super) from: FromArgs,
    #[command(flatten, next_help_heading = "The head")]
    pub(super) head: HeadArgs,
    #[command(flatten, next_help_heading = "How to train")]
    pub(super) fit: FitArgs,
}

/// A bundle of settings with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Ours.
    Usual,
    /// The paper's code.
    Published,
}

/// What to learn from.
#[derive(Debug, Args)]
pub(super) struct FromArgs {
    /// Whose descriptions are read: local, or published (training images without one lend their teacher's)
    #[arg(long, default_value = "local", value_name = "ORIGIN")]
    pub(super) descriptions: Descriptions,
    /// How far the conversation is read: request (nothing was described), described (request, description, question) or
    /// answered (the model's own rating word too)
    #[arg(long, default_value = "described", value_name = "MESSAGES")]
    pub(super) reads: Rounds,
    /// Read what was said of these aspects before it as well, with commas between
    #[arg(long, value_name = "ASPECTS", value_delimiter = ',')]
    pub(super) also: Vec<Aspect>,
    /// Learn only from pictures of this generator; may be given more than once
    #[arg(long = "generator", value_name = "NAME")]
    pub(super) generators: Vec<String>,
    /// Learn only from pictures with this tag
    #[arg(long, value_name = "TAG")]
    pub(super) tag: Option<String>,
    /// Take this study's opinion scores as the truth, and only pictures that its raters rated
    #[arg(long, value_name = "ID|NAME")]
    pub(super) study: Option<String>,
    /// Part of the training images, cut by prompt, that chooses the best epoch
    #[arg(long, value_name = "PART", value_parser = part)]
    pub(super) val_fraction: Option<f64>,
}

/// The head.
#[derive(Debug, Args)]
pub(super) struct HeadArgs {
    /// The network
    #[arg(long, value_name = "NAME", value_parser = one_of(HEADS))]
    pub(super) head: Option<HeadKind>,
    /// From the sequence of tokens to one vector
    #[arg(long, value_name = "NAME", value_parser = one_of(POOLINGS))]
    pub(super) pooling: Option<Pooling>,
    /// Width of the head, a multiple of 4; by default one that gives every head as many weights as the usual xLSTM
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) dim: Option<usize>,
    /// What the head reads: logits through a projection, or hidden states themselves
    #[arg(long, value_name = "NAME", value_parser = one_of(INPUTS))]
    pub(super) input: Option<HeadInput>,
    /// How the projection of logits is trained: folded into the language model's last layer, or full as published
    #[arg(long, value_name = "NAME", value_parser = one_of(PROJECTIONS))]
    pub(super) projection: Option<Projection>,
    /// Rebuild the slips of the published heads (Transformer over length 1, Mamba2 layers that share weights, LSTM and
    /// GRU that pool first and last)
    #[arg(long)]
    pub(super) published_quirks: bool,
}

/// How to train.
#[derive(Debug, Args)]
pub(super) struct FitArgs {
    /// Passes over the training images at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) epochs: Option<u32>,
    /// Images per step
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) batch_size: Option<usize>,
    /// Peak learning rate
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(super) learning_rate: Option<f64>,
    /// Decoupled weight decay
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(super) weight_decay: Option<f64>,
    /// What a step makes smaller
    #[arg(long, value_name = "NAME", value_parser = one_of(LOSSES))]
    pub(super) loss: Option<Loss>,
    /// How the learning rate moves
    #[arg(long, value_name = "NAME", value_parser = one_of(SCHEDULES))]
    pub(super) schedule: Option<Schedule>,
    /// Largest norm of a step's gradient, or none
    #[arg(long, value_name = "NORM|none", value_parser = limit)]
    pub(super) max_norm: Option<Limit>,
    /// Stop after this many epochs without a better one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) patience: Option<u32>,
    /// What chooses the epoch that is kept; with test-list the test figures are too good, and marked so
    #[arg(long, value_name = "NAME", value_parser = one_of(SELECTIONS))]
    pub(super) selection: Option<Selection>,
    /// Cross-validate: cut the training images by prompt into this many parts and train once for each, with it as the
    /// validation part; nothing is taken into use
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..=20), conflicts_with = "val_fraction")]
    pub(super) folds: Option<u32>,
}

const HEADS: &[(&str, HeadKind)] = &[
    ("xlstm", HeadKind::Xlstm),
    ("lstm", HeadKind::Lstm),
    ("gru", HeadKind::Gru),
    ("transformer", HeadKind::Transformer),
    ("mamba2", HeadKind::Mamba2),
    ("mlp", HeadKind::Mlp),
];

const POOLINGS: &[(&str, Pooling)] = &[
    ("mean", Pooling::Mean),
    ("max", Pooling::Max),
    ("last", Pooling::Last),
    ("first-last", Pooling::FirstLast),
];

const INPUTS: &[(&str, HeadInput)] =
    &[("logits", HeadInput::Logits), ("hidden", HeadInput::Hidden)];

const PROJECTIONS: &[(&str, Projection)] =
    &[("folded", Projection::Folded), ("full", Projection::Full)];

const LOSSES: &[(&str, Loss)] = &[
    ("mse", Loss::Mse),
    ("mae", Loss::Mae),
    ("huber", Loss::Huber),
    ("fidelity", Loss::Fidelity),
    ("margin", Loss::Margin),
    ("ranknet", Loss::RankNet),
    ("margin-mse", Loss::MarginMse),
    ("ranknet-mse", Loss::RankNetMse),
];

const SCHEDULES: &[(&str, Schedule)] = &[
    ("cosine", Schedule::Cosine),
    ("constant", Schedule::Constant),
];

const SELECTIONS: &[(&str, Selection)] = &[
    ("validation", Selection::Validation),
    ("test-list", Selection::TestList),
];

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limit(pub(super) Option<f64>);

/// One of a list of words; --help and mistakes name them all.
fn one_of<T: Copy + Send + Sync + 'static>(
    words: &'static [(&'static str, T)],
) -> impl TypedValueParser<Value = T> {
    let names = words.iter().map(|(name, _)| *name);
    PossibleValuesParser::new(names).try_map(move |word| {
        let known = words.iter().find(|(name, _)| *name == word);
        known
            .map(|(_, value)| *value)
            .ok_or_else(|| format!("there is no {word}"))
    })
}

fn limit(text: &str) -> Result<Limit, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Limit(None));
    }
    text.parse()
        .ok()
        .filter(|norm: &f64| norm.is_finite() && *norm > 0.0)
        .map(|norm| Limit(Some(norm)))
        .ok_or_else(|| format!("expected a number above 0, or none, got {text:?}"))
}

pub(super) fn several_aspects(text: &str) -> Result<Aspects, String> {
    let mut list = Vec::new();
    for word in text.split(',') {
        let one = aspects(word.trim())?;
        if one.all {
            return Ok(one);
        }
        list.extend(one.list);
    }
    list.sort_unstable();
    list.dedup();
    Ok(Aspects { list, all: false })
}

impl TrainArgs {
    /// The settings for one aspect of a dataset. `from` says which pictures, as the project knows them.
    pub(super) fn settings(
        &self,
        (aspect, dataset): (Aspect, &str),
        seed: u64,
        from: LearnFrom,
    ) -> TrainSettings {
        let base = match self.protocol {
            Protocol::Usual => TrainSettings::new(aspect),
            Protocol::Published => TrainSettings::published_on(aspect, dataset),
        };
        let fit = &self.fit;
        TrainSettings {
            aspect,
            epochs: fit.epochs.unwrap_or(base.epochs),
            batch_size: fit.batch_size.unwrap_or(base.batch_size),
            learning_rate: fit.learning_rate.unwrap_or(base.learning_rate),
            weight_decay: fit.weight_decay.unwrap_or(base.weight_decay),
            val_fraction: self.from.val_fraction.unwrap_or(base.val_fraction),
            seed,
            descriptions: self.from.descriptions,
            reading: Reading {
                rounds: self.from.reads,
                also: self.from.also.clone(),
            },
            head: self.head.settings(base.head),
            loss: fit.loss.unwrap_or(base.loss),
            schedule: fit.schedule.unwrap_or(base.schedule),
            max_norm: fit.max_norm.map_or(base.max_norm, |limit| limit.0),
            patience: fit.patience.or(base.patience),
            selection: fit.selection.unwrap_or(base.selection),
            learn_from: from,
            ..base
        }
    }

    /// What does not fit together on the command line, each with what to do.
    pub(super) fn faults(&self) -> Vec<String> {
        let settings = self.settings((Aspect::Quality, ""), 0, LearnFrom::default());
        let mut faults = match self.fit.folds {
            None => settings.faults(),
            Some(num) => settings.folds(num)[0].faults(),
        };
        if settings.selects_on_test() && self.from.val_fraction.is_some() {
            faults.push(
                "No validation part is cut where the test list chooses the epoch: leave --val-fraction out"
                    .to_owned(),
            );
        }
        faults
    }
}

impl HeadArgs {
    fn settings(&self, base: HeadSettings) -> HeadSettings {
        let input = self.input.unwrap_or(base.input);
        // A bundle's full projection goes with its logits.
        let usual = match input {
            HeadInput::Logits => base.projection,
            HeadInput::Hidden => Projection::Folded,
        };
        let head = base.with_kind(self.head.unwrap_or(base.kind));
        HeadSettings {
            kind: head.kind,
            dim: self.dim.unwrap_or(head.dim),
            pooling: self.pooling.unwrap_or(base.pooling),
            input,
            projection: self.projection.unwrap_or(usual),
            published_quirks: self.published_quirks || base.published_quirks,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Arguments;
    use crate::cli::args::Command;

    fn parse(more: &[&str]) -> Result<TrainArgs, clap::Error> {
        let start = ["assay", "train", "--project", "p.assay"];
        let parsed = Arguments::try_parse_from(start.iter().chain(more))?;
        match parsed.command {
            Some(Command::Train(args)) => Ok(*args),
            other => panic!("expected train, got {other:?}"),
        }
    }

    fn settings(more: &[&str]) -> TrainSettings {
        let args = parse(more).unwrap();
        args.settings((Aspect::Quality, ""), 42, LearnFrom::default())
    }

    #[test]
    fn nothing_said_is_the_usual() {
        assert_eq!(settings(&[]), TrainSettings::new(Aspect::Quality));
    }

    #[test]
    fn a_bundle_can_be_changed_in_parts() {
        let published = settings(&["--protocol", "published"]);
        assert_eq!(published, TrainSettings::published(Aspect::Quality));
        let changed = settings(&[
            "--protocol",
            "published",
            "--selection",
            "validation",
            "--input",
            "hidden",
        ]);
        assert_eq!(changed.selection, Selection::Validation);
        assert_eq!(changed.head.projection, Projection::Folded);
        assert_eq!(changed.head.dim, 512);
        assert_eq!(changed.faults(), Vec::<String>::new());
    }

    #[test]
    fn every_word_names_what_it_means() {
        for (word, kind) in HEADS {
            let head = settings(&["--head", word]).head;
            assert_eq!((head.kind, head.dim), (*kind, kind.usual_dim()));
            let published = settings(&["--head", word, "--protocol", "published"]);
            assert_eq!(published.head.dim, 512);
        }
        for (word, pooling) in POOLINGS {
            assert_eq!(settings(&["--pooling", word]).head.pooling, *pooling);
        }
        for (word, loss) in LOSSES {
            assert_eq!(settings(&["--loss", word]).loss, *loss);
        }
        assert_eq!(HEADS.len(), HeadKind::ALL.len());
        assert_eq!(POOLINGS.len(), Pooling::ALL.len());
        assert_eq!(LOSSES.len(), Loss::ALL.len());
        assert_eq!(settings(&["--max-norm", "none"]).max_norm, None);
        assert_eq!(settings(&["--max-norm", "0.5"]).max_norm, Some(0.5));
        assert_eq!(settings(&["--patience", "3"]).patience, Some(3));
    }

    #[test]
    fn what_does_not_fit_together_is_said() {
        let faults = |more: &[&str]| parse(more).unwrap().faults();
        assert_eq!(faults(&[]).len(), 0);
        assert_eq!(faults(&["--projection", "full"]).len(), 1);
        assert_eq!(faults(&["--loss", "margin", "--batch-size", "1"]).len(), 1);
        let twice = ["--selection", "test-list", "--val-fraction", "0.2"];
        assert!(faults(&twice)[0].contains("--val-fraction"));
        let published = ["--protocol", "published", "--folds", "5"];
        assert!(faults(&published)[0].contains("cross-validation"));
        assert_eq!(faults(&["--folds", "5"]).len(), 0);
        assert!(parse(&["--folds", "1"]).is_err());
        assert!(parse(&["--head", "cnn"]).is_err());
        assert!(parse(&["--max-norm", "-1"]).is_err());
        assert!(parse(&["--patience", "0"]).is_err());
    }

    #[test]
    fn several_aspects_are_one_command() {
        let list = |text| several_aspects(text).unwrap().list;
        assert_eq!(
            list("align, quality"),
            [Aspect::Quality, Aspect::Correspondence]
        );
        assert_eq!(list("quality,quality"), [Aspect::Quality]);
        assert!(several_aspects("quality,beauty").is_err());
        assert!(several_aspects("all").unwrap().all);
    }
}
