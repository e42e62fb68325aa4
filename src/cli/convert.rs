//! `assay convert`: a published checkpoint becomes a predictor like every other.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::session;
use crate::domain::Aspect;
use crate::domain::OpinionScale;
use crate::jobs::PublishedPredictor;

/// `assay convert`.
#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    /// Lightning checkpoint (.ckpt) of M3-AGIQA
    checkpoint: PathBuf,
    /// Weights to write, e.g. quality.safetensors; the card goes beside them
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Safetensors file with `lm_head.weight`; that of --model if not given
    #[arg(long, value_name = "FILE")]
    lm_head: Option<PathBuf>,
    /// What it scores; read off its path if not given
    #[arg(long, value_name = "ASPECT")]
    aspect: Option<Aspect>,
    /// Lowest and highest score
    #[arg(long, default_value = "0-5", value_name = "MIN-MAX", value_parser = scale)]
    scale: OpinionScale,
    /// Dataset that it learned from, in words
    #[arg(long, default_value = "a published checkpoint", value_name = "TEXT")]
    dataset: String,
}

/// Folds and writes.
pub(super) fn convert(args: &ConvertArgs, common: &Common) -> anyhow::Result<Exit> {
    let options = session::worker_options(common, None)?;
    let published = PublishedPredictor {
        checkpoint: args.checkpoint.clone(),
        lm_head: args.lm_head.clone(),
        aspect: args.aspect,
        scale: args.scale,
        dataset: args.dataset.clone(),
    };
    let card = published.convert(&options, &args.out)?;
    let words = format!(
        "{} ({}, {}) for {} written to {}",
        card.name,
        card.aspect,
        card.scale,
        card.model.name,
        args.out.display()
    );
    let value =
        json!({ "predictor": card, "weights": args.out, "card": args.out.with_extension("json") });
    output::answer(common.json, &value, &words);
    Ok(Exit::Done)
}

fn scale(text: &str) -> Result<OpinionScale, String> {
    let numbers = text.split_once('-').and_then(|(min, max)| {
        let (min, max) = (min.parse::<f64>().ok()?, max.parse::<f64>().ok()?);
        (min < max).then_some(OpinionScale { min, max })
    });
    numbers.ok_or_else(|| format!("expected MIN-MAX, e.g. 0-5, got {text:?}"))
}
