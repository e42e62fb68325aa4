//! What may be typed after `assay`: one struct per command, nothing decided yet.

use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;

use crate::cli::convert::ConvertArgs;
use crate::cli::models::args::ModelsAction;
use crate::cli::rehearse::RehearseArgs;
use crate::cli::study::args::StudyAction;
use crate::cli::teach::TeachArgs;
use crate::cli::train_args::TrainArgs;
use crate::cli::tune::TuneArgs;
use crate::domain::Aspect;
use crate::domain::Descriptions;
use crate::domain::Split;
use crate::ml::vlm::weights::Form;

/// Look at AI-generated images with a local multimodal model: describe, score, compare, retrain.
#[derive(Debug, Parser)]
#[command(name = "assay", version, about, disable_help_subcommand = true)]
pub(super) struct Arguments {
    /// What to do; without a command the window opens on the last project, or on the demo
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) common: Common,
    /// What the window is drawn with: auto, glow or wgpu
    #[arg(long, value_name = "WORD")]
    pub(super) renderer: Option<String>,
    /// Write how long the window took to start and to draw into this file when it closes
    #[arg(long, value_name = "FILE")]
    pub(super) timings: Option<PathBuf>,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub(super) struct Common {
    /// Device to run the model on: auto, cpu, cuda:N or metal
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    pub(super) device: String,
    /// Model by name or folder; the project's choice or the embedded model if not given
    #[arg(long, global = true, value_name = "NAME|DIR")]
    pub(super) model: Option<PathBuf>,
    /// Form of the model's weights: auto (the best that fits), f32, bf16, f16, `q8_0` or `q4_k`
    #[arg(long, global = true, default_value = "auto", value_name = "FORM", value_parser = form)]
    pub(super) dtype: FormChoice,
    /// Adapter of PEFT to merge into the model: its name among the program's models, or a folder with
    /// `adapter_config.json`
    #[arg(long, global = true, value_name = "NAME|DIR")]
    pub(super) adapter: Option<PathBuf>,
    /// At most this many images
    #[arg(long, global = true, value_name = "N")]
    pub(super) limit: Option<usize>,
    /// Seed of everything random; 42 if not given (the demo has one of its own)
    #[arg(long, global = true, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Answer with one JSON document on stdout
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// Seed where none was given.
const USUAL_SEED: u64 = 42;

impl Common {
    /// The seed that was given, or the usual one.
    pub(super) fn seed(&self) -> u64 {
        self.seed.unwrap_or(USUAL_SEED)
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Open the window on a project file, a dataset folder, a table or a folder of images
    Open {
        /// What to open
        path: PathBuf,
    },
    /// Write the demo dataset: generated scenes with known defects, prompts and simulated ratings
    Demo(DemoArgs),
    /// Read a dataset into a project
    Import(ImportArgs),
    /// Let the local model describe pictures; what it has described already is skipped
    Describe(DescribeArgs),
    /// Take the hidden states that predictors read: into a project's cache, into a file, or both
    Features(FeaturesArgs),
    /// Predict scores of a project's pictures, of one picture, of a table of pictures, or of a file of features
    Score(ScoreArgs),
    /// Train a predictor on the training images; the same command again goes on with a run that was cut off
    Train(Box<TrainArgs>),
    /// Hold the project's scores against its ground truth
    Evaluate(EvaluateArgs),
    /// Answer a study in place of raters, to try it out on a copy of the project
    #[command(hide = true)]
    Rehearse(RehearseArgs),
    /// Fold a published predictor checkpoint with the head of its model, into weights with a card beside them
    Convert(ConvertArgs),
    /// Write the project's table
    Export(ExportArgs),
    /// Choose what a project works with: predictor, model or preset; without a choice, say what there is
    Use {
        #[command(subcommand)]
        what: UseArgs,
    },
    /// Put a tag on pictures of a project, or take it off
    Tag(TagArgs),
    /// Look for a project's pictures in the folder that they were moved to
    Relocate(RelocateArgs),
    /// Take back the last change of a project: a tag, a new folder, a choice
    Undo(TurnArgs),
    /// Bring again what was last taken back
    Redo(TurnArgs),
    /// Subjective studies: make them, read their results, exchange votes
    Study {
        #[command(subcommand)]
        action: StudyAction,
    },
    /// Let a teacher on another machine describe training pictures, for the local model to learn from
    Teach(Box<TeachArgs>),
    /// Fine-tune a local model on a teacher's descriptions; the same command again goes on with a run that was cut off
    Tune(Box<TuneArgs>),
    /// Say what models there are, fetch and add them, and look whether their files are whole
    Models {
        #[command(subcommand)]
        action: ModelsAction,
    },
}

/// `assay demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Folder to write to; --limit sets the number of scenes
    pub(super) dir: PathBuf,
}

/// `assay import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Dataset folder, table or folder of images
    pub(super) path: PathBuf,
    /// Project file, made if it is not there
    #[arg(long, value_name = "FILE")]
    pub(super) project: PathBuf,
    /// Layout of the dataset: auto, agiqa-3k, table, folder or demo
    #[arg(long, default_value = "auto", value_name = "WORD")]
    pub(super) layout: String,
    /// Published conversation file; may be given more than once
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) conversations: Vec<PathBuf>,
    /// Column of a table by another name, e.g. `--columns image_path=file`; may be given more than once
    #[arg(long, alias = "column", value_name = "OURS=THEIRS", value_parser = column)]
    pub(super) columns: Vec<(String, String)>,
}

/// Which pictures and aspects of a project.
#[derive(Debug, Clone, Args)]
pub(super) struct Selection {
    /// Aspect: quality, correspondence, authenticity or all
    #[arg(long, default_value = "all", value_name = "ASPECT", value_parser = aspects)]
    pub(super) aspect: Aspects,
    /// Split: train, val, test or all
    #[arg(long, default_value = "all", value_name = "SPLIT", value_parser = splits)]
    pub(super) split: SplitChoice,
    /// Only this picture of the project, by its path as `assay export` writes it; may be given more than once
    #[arg(long = "image", value_name = "PATH")]
    pub(super) images: Vec<String>,
}

/// `assay describe`.
#[derive(Debug, Args)]
pub(super) struct DescribeArgs {
    /// Project file
    #[arg(long, value_name = "FILE")]
    pub(super) project: PathBuf,
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Describe again what is described already
    #[arg(long)]
    pub(super) again: bool,
}

/// `assay score`.
#[derive(Debug, Args)]
pub(super) struct ScoreArgs {
    /// A picture, or a table with the columns `image_path` and `prompt`
    #[arg(required_unless_present_any = ["project", "features"], conflicts_with_all = ["project", "features"])]
    pub(super) path: Option<PathBuf>,
    /// Project file
    #[arg(long, value_name = "FILE", conflicts_with = "features")]
    pub(super) project: Option<PathBuf>,
    /// File of hidden states, as `assay features --out` writes it; needs --predictor and no model
    #[arg(long, value_name = "FILE", requires = "predictor")]
    pub(super) features: Option<PathBuf>,
    /// Predictor as `assay models save` writes it, or a published checkpoint (.ckpt), in place of those inside the program
    #[arg(long, value_name = "FILE", conflicts_with = "project")]
    pub(super) predictor: Option<PathBuf>,
    /// Safetensors file with `lm_head.weight`, for a published checkpoint without its model
    #[arg(long, value_name = "FILE", requires = "features")]
    pub(super) lm_head: Option<PathBuf>,
    /// Whose descriptions are read, local or published; those that the predictor learned from if not given
    #[arg(long, value_name = "ORIGIN", requires = "project")]
    pub(super) descriptions: Option<Descriptions>,
    /// The prompt that made the picture; read out of the file if not given
    #[arg(long, value_name = "TEXT", conflicts_with = "project")]
    pub(super) prompt: Option<String>,
    #[command(flatten)]
    pub(super) selection: Selection,
}

/// `assay features`.
#[derive(Debug, Args)]
pub(super) struct FeaturesArgs {
    /// A picture; its features go to --out
    #[arg(
        required_unless_present = "project",
        conflicts_with = "project",
        requires = "out"
    )]
    pub(super) path: Option<PathBuf>,
    /// Project file; the features of its pictures go to its cache
    #[arg(long, value_name = "FILE")]
    pub(super) project: Option<PathBuf>,
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Safetensors file to write
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Whose descriptions are read: local (made where they are lacking) or published
    #[arg(
        long,
        default_value = "local",
        value_name = "ORIGIN",
        conflicts_with = "path"
    )]
    pub(super) descriptions: Descriptions,
    /// The prompt that made the picture; read out of the file if not given
    #[arg(long, value_name = "TEXT", conflicts_with = "project")]
    pub(super) prompt: Option<String>,
    /// Message 1 word for word, in place of the preset's
    #[arg(long, value_name = "TEXT", conflicts_with = "project")]
    pub(super) request: Option<String>,
    /// Message 2 word for word, in place of what the model says
    #[arg(long, value_name = "TEXT", conflicts_with = "project")]
    pub(super) description: Option<String>,
    /// Message 3 word for word, in place of the preset's
    #[arg(long, value_name = "TEXT", conflicts_with = "project")]
    pub(super) question: Option<String>,
    /// Tokens after which the conversation is cut; the model's own limit if not given
    #[arg(long, value_name = "N", value_parser = at_least_one, conflicts_with = "project")]
    pub(super) max_len: Option<usize>,
    /// Also write everything on the way: pixels.I, `position_ids.I`, vision.I and resampler.I of each picture or slice,
    /// embeds, logits, and the first 32 tokens that the model says (`greedy.token_ids`, `beam.token_ids`)
    #[arg(long, conflicts_with = "project")]
    pub(super) all: bool,
}

/// `assay use`.
#[derive(Debug, Subcommand)]
pub(super) enum UseArgs {
    /// Predictor of an aspect; its pictures are scored again from cached features
    Predictor {
        /// Number of a predictor of the project, embedded, or one to take in: a name among the program's models, a
        /// published checkpoint, or what `assay models save` or `assay convert` wrote; without it, lists what there is
        which: Option<String>,
        /// Project file
        #[arg(long, value_name = "FILE")]
        project: PathBuf,
        /// Aspect: quality, correspondence or authenticity
        #[arg(long, value_name = "ASPECT")]
        aspect: Aspect,
    },
    /// Model that describes and gives the features
    Model {
        /// Name or folder; without it, lists what there is
        which: Option<PathBuf>,
        /// Project file
        #[arg(long, value_name = "FILE")]
        project: PathBuf,
    },
    /// Adapter of PEFT that goes into the model for one aspect
    Adapter {
        /// Its name among the program's models or its folder, or none; without it, lists what there is
        which: Option<PathBuf>,
        /// Project file
        #[arg(long, value_name = "FILE")]
        project: PathBuf,
        /// Aspect: quality, correspondence or authenticity
        #[arg(long, value_name = "ASPECT")]
        aspect: Aspect,
    },
    /// Wording of the conversation
    Preset {
        /// Name, or the beginning of one; without it, lists what there is
        which: Option<String>,
        /// Project file
        #[arg(long, value_name = "FILE")]
        project: PathBuf,
    },
}

/// `assay tag`.
#[derive(Debug, Args)]
pub(super) struct TagArgs {
    /// The tag
    pub(super) tag: String,
    /// Pictures by their path in the project; without any, those of --split
    #[arg(required_unless_present = "split", conflicts_with = "split")]
    pub(super) images: Vec<String>,
    /// Project file
    #[arg(long, value_name = "FILE")]
    pub(super) project: PathBuf,
    /// Split whose pictures are meant: train, val, test or all
    #[arg(long, value_name = "SPLIT", value_parser = splits)]
    pub(super) split: Option<SplitChoice>,
    /// Take the tag off
    #[arg(long)]
    pub(super) remove: bool,
}

/// `assay relocate`.
#[derive(Debug, Args)]
pub(super) struct RelocateArgs {
    /// Folder below which the pictures lie as before
    pub(super) folder: PathBuf,
    /// Project file
    #[arg(long, value_name = "FILE")]
    pub(super) project: PathBuf,
}

/// `assay undo` and `assay redo`.
#[derive(Debug, Args)]
pub(super) struct TurnArgs {
    /// Project file
    #[arg(long, value_name = "FILE")]
    pub(super) project: PathBuf,
}

/// `assay evaluate`.
#[derive(Debug, Args)]
pub(super) struct EvaluateArgs {
    /// Project file
    #[arg(long, value_name = "FILE")]
    pub(super) project: PathBuf,
    /// Aspect: quality, correspondence, authenticity or all
    #[arg(long, default_value = "all", value_name = "ASPECT", value_parser = aspects)]
    pub(super) aspect: Aspects,
    /// Split: train, val, test or all
    #[arg(long, default_value = "test", value_name = "SPLIT", value_parser = splits)]
    pub(super) split: SplitChoice,
    /// Also hold the words of every model that has described these pictures against the scores, model beside model:
    /// accuracy, rough accuracy, weighted precision and F1
    #[arg(long)]
    pub(super) words: bool,
}

/// `assay export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Project file
    #[arg(long, value_name = "FILE")]
    pub(super) project: PathBuf,
    /// Format: csv or jsonl for the table; conversations for what teachers and models said, in the published format
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: String,
    /// File to write; for conversations a folder, or a file that ends in .json for one aspect and one split
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) selection: Selection,
}

/// A form of weights, or the best that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FormChoice(pub(super) Option<Form>);

fn form(text: &str) -> Result<FormChoice, String> {
    if text == "auto" {
        return Ok(FormChoice(None));
    }
    text.parse()
        .map(|form| FormChoice(Some(form)))
        .map_err(|message: String| format!("{message}; or auto"))
}

/// One aspect, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aspects {
    /// In the order of [`Aspect::ALL`].
    pub(super) list: Vec<Aspect>,
    /// Whether `all` was said, so that an aspect the data lacks is no mistake.
    pub(super) all: bool,
}

/// One split, or the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SplitChoice {
    /// Everything, rows without a split included.
    All,
    /// One of the splits.
    One(Split),
}

impl SplitChoice {
    /// The word on the command line and in answers.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::One(split) => split.name(),
        }
    }

    /// Whether a row of this split is meant.
    pub(super) fn takes(self, split: Option<Split>) -> bool {
        match self {
            Self::All => true,
            Self::One(wanted) => split == Some(wanted),
        }
    }
}

pub(super) fn aspects(text: &str) -> Result<Aspects, String> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(Aspects {
            list: Aspect::ALL.to_vec(),
            all: true,
        });
    }
    let aspect = text
        .parse()
        .map_err(|message: String| format!("{message}; or all"))?;
    Ok(Aspects {
        list: vec![aspect],
        all: false,
    })
}

pub(super) fn splits(text: &str) -> Result<SplitChoice, String> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(SplitChoice::All);
    }
    text.parse()
        .map(SplitChoice::One)
        .map_err(|message: String| format!("{message}; or all"))
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("expected a whole number from 1 on, got {text:?}"))
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| rate.is_finite() && *rate >= 0.0)
        .ok_or_else(|| format!("expected a number from 0 on, got {text:?}"))
}

pub(super) fn part(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|part| (0.01..=0.9).contains(part))
        .ok_or_else(|| format!("expected a part between 0.01 and 0.9, got {text:?}"))
}

fn column(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(ours, theirs)| !ours.is_empty() && !theirs.is_empty())
        .map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned()))
        .ok_or_else(|| format!("expected OURS=THEIRS, e.g. image_path=file, got {text:?}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_declared_without_contradiction() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn align_is_another_word_for_correspondence() {
        assert_eq!(aspects("align").unwrap().list, [Aspect::Correspondence]);
        assert!(aspects("beauty").unwrap_err().contains("or all"));
    }

    #[test]
    fn a_picture_and_a_project_are_not_scored_at_once() {
        let parsed = Arguments::try_parse_from(["assay", "score", "a.png", "--project", "p.assay"]);
        assert!(parsed.is_err());
        assert!(Arguments::try_parse_from(["assay", "score"]).is_err());
        assert!(Arguments::try_parse_from(["assay", "score", "a.png"]).is_ok());
    }

    #[test]
    fn a_file_of_features_needs_a_predictor_and_nothing_else() {
        let parse = |more: &[&str]| {
            let start = ["assay", "score", "--features", "f.safetensors"];
            Arguments::try_parse_from(start.iter().chain(more)).is_ok()
        };
        assert!(!parse(&[]));
        assert!(parse(&["--predictor", "q.safetensors"]));
        assert!(!parse(&[
            "--predictor",
            "q.safetensors",
            "--project",
            "p.assay"
        ]));
        assert!(!parse(&["--predictor", "q.safetensors", "a.png"]));
    }

    #[test]
    fn tagging_needs_pictures_or_a_split() {
        let parse = |more: &[&str]| {
            let start = ["assay", "tag", "odd", "--project", "p.assay"];
            Arguments::try_parse_from(start.iter().chain(more)).is_ok()
        };
        assert!(!parse(&[]));
        assert!(parse(&["a.png", "b.png", "--remove"]));
        assert!(parse(&["--split", "all"]));
        assert!(!parse(&["a.png", "--split", "all"]));
    }

    #[test]
    fn numbers_that_make_no_sense_are_wrong_usage() {
        for wrong in [
            ["--batch-size", "0"],
            ["--epochs", "0"],
            ["--learning-rate", "NaN"],
            ["--val-fraction", "1.5"],
        ] {
            let start = ["assay", "train", "--project", "p.assay"];
            assert!(Arguments::try_parse_from(start.iter().chain(&wrong)).is_err());
        }
    }

    #[test]
    fn common_flags_may_stand_after_the_command() {
        let parsed =
            Arguments::try_parse_from(["assay", "models", "list", "--json", "--seed", "7"]);
        let parsed = parsed.unwrap();
        assert!(parsed.common.json);
        assert_eq!(parsed.common.seed, Some(7));
    }
}
