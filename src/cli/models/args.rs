//! What may be typed after `assay models`.

use std::path::PathBuf;

use clap::Args;
use clap::Subcommand;

use crate::domain::Aspect;

/// What to do with models.
#[derive(Debug, Clone, Subcommand)]
pub(in crate::cli) enum ModelsAction {
    /// List the models, what could be fetched, and downloads that were cut off
    List,
    /// Load the model in use and every embedded predictor that fits it; or hold a model's files against what is known
    Check {
        /// Name of a model, or its folder; without it, the model in use is loaded
        which: Option<PathBuf>,
    },
    /// Download a model from the hub; the same command goes on after a cut (`HF_ENDPOINT`, `HF_TOKEN`)
    Fetch(FetchArgs),
    /// Take a folder of files into the program's models, where it lies; needs no network
    Add {
        /// Folder with config.json, tokenizer.json and weights, or with an adapter of PEFT; it is only read
        folder: PathBuf,
    },
    /// Write a project's predictor to a file, with its card as JSON beside it
    Save {
        /// Project file
        #[arg(long, value_name = "FILE")]
        project: PathBuf,
        /// Aspect whose predictor in use is written
        #[arg(long, value_name = "ASPECT")]
        aspect: Aspect,
        /// File to write, e.g. quality.safetensors
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make a small model from nothing: first the stem learns to see, then the language model to speak; the same command
    /// again goes on behind the last pass of a run that was cut off
    Train(RecipeArgs),
}

/// `assay models fetch`.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct FetchArgs {
    /// A name that `assay models list` gives, or a repository of the hub as owner/name
    pub(in crate::cli) name: String,
    /// Branch, tag or commit; main if not given
    #[arg(long, value_name = "REVISION")]
    pub(in crate::cli) revision: Option<String>,
    /// Only files that match (* for anything, ? for one sign); may be given more than once. Without it: weights
    /// (safetensors), configuration, tokenizer and licence
    #[arg(long, value_name = "GLOB")]
    pub(in crate::cli) include: Vec<String>,
    /// Folder to write into; among the program's models if not given
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) to: Option<PathBuf>,
    /// Accept the licence, and fetch without asking
    #[arg(long)]
    pub(in crate::cli) yes: bool,
}

/// What a small model is made from.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct RecipeArgs {
    /// Recipe, such as `models/mini/recipe.toml`
    pub(in crate::cli) recipe: PathBuf,
    /// Folder that the model is written into; scenes and the first step's stem are kept there as well
    #[arg(long)]
    pub(in crate::cli) out: PathBuf,
    /// Dataset folder with `conversations`; pictures of any test list are left out
    #[arg(long)]
    pub(in crate::cli) dataset: Option<PathBuf>,
    /// Take the stem from the folder, and the overview where there is one, and go on with what comes behind them
    #[arg(long)]
    pub(in crate::cli) keep_stem: bool,
}
