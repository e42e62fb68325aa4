//! `assay tune`: fine-tunes a local model on a teacher's conversations, or goes on with a run that was cut off.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;
use serde_json::json;

use crate::cli::args::Aspects;
use crate::cli::args::Common;
use crate::cli::args::at_least_one;
use crate::cli::args::part;
use crate::cli::args::rate;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::session::Session;
use crate::cli::train_args::several_aspects;
use crate::domain::TuneEpoch;
use crate::domain::TuneEstimate;
use crate::domain::TuneId;
use crate::domain::TunePreset;
use crate::domain::TuneRun;
use crate::domain::TuneSettings;
use crate::domain::TuneStep;
use crate::jobs::message::Event;
use crate::jobs::message::Job;
use crate::jobs::message::JobReport;

/// `assay tune`.
#[derive(Debug, Args)]
pub(super) struct TuneArgs {
    /// Project whose teacher descriptions are learned from
    #[arg(long, value_name = "FILE", required_unless_present_any = ["list", "forget", "take"])]
    project: Option<PathBuf>,
    /// Name of the adapter that comes out: a folder among the program's models
    #[arg(long, value_name = "NAME", required_unless_present_any = ["list", "forget", "take"])]
    out: Option<String>,
    /// Aspect: quality, correspondence, authenticity, several with commas between, or all
    #[arg(long, default_value = "quality", value_name = "ASPECT", value_parser = several_aspects)]
    aspect: Aspects,
    /// What is trained
    #[arg(
        long,
        default_value = "light",
        value_name = "NAME",
        long_help = "What is trained; what else is given changes it. light: LoRA of rank 8 on the language model's \
            attention. paper: LoRA on the vision tower's attention with the language model frozen, as the paper says. \
            published: LoRA of rank 64 on the language model's attention, vision tower, resampler and token embedding \
            whole, as the published code does it"
    )]
    preset: TunePreset,
    /// Only descriptions of this teacher: the name of its model, or of an imported conversation file
    #[arg(long, value_name = "NAME")]
    teacher: Option<String>,
    #[command(flatten, next_help_heading = "What to train")]
    parts: PartArgs,
    #[command(flatten, next_help_heading = "How to train")]
    fit: FitArgs,
    /// Say what it would be (conversations, steps, memory), and train nothing
    #[arg(long)]
    estimate: bool,
    /// List fine-tunings, and say which can go on
    #[arg(long, conflicts_with_all = ["project", "out", "forget", "take"])]
    list: bool,
    /// Take away what is left of a fine-tuning; an adapter that came out of it stays
    #[arg(long, value_name = "NAME", conflicts_with_all = ["project", "out", "take"])]
    forget: Option<String>,
    /// End a fine-tuning that was cut off with its best epoch so far, which becomes the adapter
    #[arg(long, value_name = "NAME", conflicts_with_all = ["project", "out"])]
    take: Option<String>,
}

/// What to train.
#[derive(Debug, Args)]
struct PartArgs {
    /// Regular expression for whole names of modules that get a low-rank change; the preset's own for this model if not given
    #[arg(long, value_name = "PATTERN")]
    target: Option<String>,
    /// Module that is trained whole, by name or last part of a name; may be given more than once, and replaces the
    /// preset's own
    #[arg(long = "whole", value_name = "MODULE")]
    whole: Vec<String>,
    /// Rank of the changes
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    rank: Option<usize>,
    /// Numerator of their scale, alpha / rank
    #[arg(long, value_name = "NUMBER", value_parser = rate)]
    alpha: Option<f64>,
    /// Part of a change's input that is left out while learning
    #[arg(long, value_name = "PART", value_parser = rate)]
    dropout: Option<f64>,
}

/// How to train.
#[derive(Debug, Args)]
struct FitArgs {
    /// Passes over the conversations
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Peak learning rate; it rises over the warm-up and falls as a cosine
    #[arg(long, value_name = "RATE", value_parser = rate)]
    learning_rate: Option<f64>,
    /// Part of all steps over which the rate rises
    #[arg(long, value_name = "PART", value_parser = rate)]
    warmup: Option<f64>,
    /// Decoupled weight decay
    #[arg(long, value_name = "RATE", value_parser = rate)]
    weight_decay: Option<f64>,
    /// Decay of the optimiser's second moment
    #[arg(long, value_name = "PART", value_parser = rate)]
    beta2: Option<f64>,
    /// Conversations a batch
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    batch_size: Option<usize>,
    /// Batches a step
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    accumulation: Option<usize>,
    /// Largest norm of a step's gradient; 0 for no limit
    #[arg(long, value_name = "NORM", value_parser = rate)]
    max_norm: Option<f64>,
    /// Tokens after which a conversation is cut
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    max_len: Option<usize>,
    /// Part of the training images, cut by prompt, that chooses the best epoch
    #[arg(long, value_name = "PART", value_parser = part)]
    val_fraction: Option<f64>,
}

impl TuneArgs {
    fn settings(&self, common: &Common) -> TuneSettings {
        let name = self.out.clone().unwrap_or_default();
        let usual = TuneSettings::new(&name, self.preset, self.aspect.list.clone());
        let (parts, fit) = (&self.parts, &self.fit);
        TuneSettings {
            base: common
                .model
                .as_ref()
                .map(|model| model.to_string_lossy().into_owned()),
            teacher: self.teacher.clone(),
            target: parts.target.clone(),
            whole: (!parts.whole.is_empty()).then(|| parts.whole.clone()),
            rank: parts.rank.unwrap_or(usual.rank),
            alpha: parts.alpha.unwrap_or(usual.alpha),
            dropout: parts.dropout.unwrap_or(usual.dropout),
            epochs: fit.epochs.unwrap_or(usual.epochs),
            learning_rate: fit.learning_rate.unwrap_or(usual.learning_rate),
            warmup: fit.warmup.unwrap_or(usual.warmup),
            weight_decay: fit.weight_decay.unwrap_or(usual.weight_decay),
            beta2: fit.beta2.unwrap_or(usual.beta2),
            batch_size: fit.batch_size.unwrap_or(usual.batch_size),
            accumulation: fit.accumulation.unwrap_or(usual.accumulation),
            max_norm: match fit.max_norm {
                Some(norm) => Some(norm).filter(|norm| *norm > 0.0),
                None => usual.max_norm,
            },
            max_len: fit.max_len.unwrap_or(usual.max_len),
            val_fraction: fit.val_fraction.unwrap_or(usual.val_fraction),
            seed: common.seed(),
            ..usual
        }
    }
}

/// Trains, estimates, lists, forgets or takes.
pub(super) fn tune(args: &TuneArgs, common: &Common) -> anyhow::Result<Exit> {
    if args.list {
        return list(&Session::start(common, None)?, common);
    }
    if let Some(name) = &args.forget {
        let session = Session::start(common, None)?;
        let report = session.run(Job::ForgetTuning(TuneId(name.clone())), &mut |_| {})?;
        output::answer(
            common.json,
            &json!({ "words": report.summary }),
            &report.summary,
        );
        return Ok(Exit::Done);
    }
    if let Some(name) = &args.take {
        let session = Session::start(common, None)?;
        return work(&session, Job::TakeTuning(TuneId(name.clone())), common);
    }
    let settings = args.settings(common);
    let faults = settings.faults();
    if !faults.is_empty() {
        let reason = faults.join("\n");
        output::say(&format!("assay: {reason}"));
        if common.json {
            output::answer(true, &json!({ "error": reason }), "");
        }
        return Ok(Exit::Usage);
    }
    let session = Session::start(common, None)?;
    let project = args.project.clone().unwrap_or_default();
    session.open(&project)?;
    let estimate = session.ask(Job::EstimateTuning(settings.clone()), |event| match event {
        Event::TuneEstimated(estimate) => Some(*estimate),
        _ => None,
    })?;
    output::say(&estimate_words(&estimate));
    if args.estimate {
        output::answer(common.json, &estimate_json(&estimate), "");
        return Ok(Exit::Done);
    }
    work(&session, Job::Tune(settings), common)
}

/// Does what ends a run, and answers what came out of it.
fn work(session: &Session, job: Job, common: &Common) -> anyhow::Result<Exit> {
    let (mut last, mut told) = (None, 0);
    let report = session.run(job, &mut |event| match event {
        Event::TuneStepped(_, step) => {
            // A line every hundredth part of the run, so that a log of hours can be read.
            let part = step.step * 100 / step.steps.max(1);
            if part > told || told == 0 {
                told = part.max(1);
                output::say(&step_words(&step));
            }
        }
        Event::TuneEpochDone(_, epoch) => output::say(&epoch_words(&epoch)),
        Event::TuneChanged(run) => last = Some(*run),
        _ => {}
    })?;
    let run = last.ok_or_else(|| anyhow!("the fine-tuning said nothing of its run"))?;
    Ok(answer(&run, &report, common))
}

fn list(session: &Session, common: &Common) -> anyhow::Result<Exit> {
    let runs = session.ask(Job::ListTunings, |event| match event {
        Event::Tunings(runs) => Some(runs),
        _ => None,
    })?;
    let words: Vec<String> = runs.iter().map(run_words).collect();
    let words = match words.is_empty() {
        true => "no fine-tunings".to_owned(),
        false => words.join("\n"),
    };
    output::answer(common.json, &json!(runs), &words);
    Ok(Exit::Done)
}

fn answer(run: &TuneRun, report: &JobReport, common: &Common) -> Exit {
    output::list_failures(&report.failed);
    let failed: Vec<Value> = report
        .failed
        .iter()
        .map(|item| json!({ "path": item.path, "reason": item.reason }))
        .collect();
    let value = json!({
        "adapter": run.adapter,
        "base": run.base,
        "steps": run.steps_done,
        "best_epoch": run.best_epoch,
        "epochs": run.epochs,
        "conversations": { "train": run.num_conversations[0], "val": run.num_conversations[1] },
        "trained_parameters": run.num_trained,
        "estimated_bytes": run.estimated.map(|need| need.total()),
        "estimated_bytes_with_kept": run.estimated.map(|need| need.roomy()),
        "measured_bytes": run.measured_bytes,
        "failed": failed,
        "seconds": run.seconds,
        "words": report.summary,
    });
    let memory = match (run.estimated, run.measured_bytes) {
        (Some(need), Some(bytes)) => {
            let gigabytes = |bytes: u64| bytes as f64 / 1e9;
            format!(
                "\nmemory: {:.2} GB at the peak; estimated {:.2} GB, up to {:.2} with layers that are kept",
                gigabytes(bytes),
                gigabytes(need.total()),
                gigabytes(need.roomy())
            )
        }
        _ => String::new(),
    };
    let folder = run.adapter.as_deref().unwrap_or_default();
    let words = format!("{}\nuse it with --adapter {folder}{memory}", report.summary);
    output::answer(common.json, &value, &words);
    Exit::of_batch(report.failed.len())
}

fn step_words(step: &TuneStep) -> String {
    let pace = match (step.tokens_per_second, step.seconds_left) {
        (Some(tokens), Some(left)) => format!(", {tokens:.0} tokens/s, {} left", time_words(left)),
        _ => String::new(),
    };
    format!(
        "step {} of {}: loss {:.4}, rate {:.2e}{pace}",
        step.step, step.steps, step.loss, step.learning_rate
    )
}

fn time_words(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        0 => format!("{seconds:.0} s"),
        1..=119 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

fn epoch_words(epoch: &TuneEpoch) -> String {
    let share = |share: Option<f64>| {
        share.map_or_else(
            || "undefined".to_owned(),
            |share| format!("{:.1} %", 100.0 * share),
        )
    };
    let head = match epoch.train_loss {
        Some(loss) => format!("epoch {}: training loss {loss:.4}, ", epoch.epoch),
        None => "before: ".to_owned(),
    };
    format!(
        "{head}validation loss {:.4}, right words {} (within one {}) of {}, {:.1} s",
        epoch.val.loss,
        share(epoch.val.word_accuracy),
        share(epoch.val.rough_accuracy),
        epoch.val.num_words,
        epoch.seconds
    )
}

fn run_words(run: &TuneRun) -> String {
    let state = match &run.status {
        crate::domain::RunStatus::Running => "can go on".to_owned(),
        crate::domain::RunStatus::Done => "done".to_owned(),
        crate::domain::RunStatus::Stopped => "stopped".to_owned(),
        crate::domain::RunStatus::Failed(reason) => format!("failed: {reason}"),
    };
    format!(
        "{}: {} of {} steps, {} on {}, {state}",
        run.id, run.steps_done, run.steps, run.settings.preset, run.base.name
    )
}

fn estimate_words(estimate: &TuneEstimate) -> String {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let need = &estimate.need;
    let free = estimate.free.map_or_else(String::new, |free| {
        format!(" of {:.1} GB free", gigabytes(free))
    });
    format!(
        "{} conversations to learn from and {} to validate with, {} steps; {} parameters of {} are trained; about {:.1} GB{free} \
         (weights as {} {:.1}, layers {:.1}, what is trained {:.1}), and up to {:.1} GB more so that layers need not run twice",
        estimate.num_conversations[0],
        estimate.num_conversations[1],
        estimate.steps,
        estimate.num_trained,
        estimate.base.name,
        gigabytes(need.total()),
        estimate.form,
        gigabytes(need.model.weights),
        gigabytes(need.model.cache + need.model.activations),
        gigabytes(need.trained),
        gigabytes(need.kept),
    )
}

fn estimate_json(estimate: &TuneEstimate) -> Value {
    json!({
        "base": estimate.base,
        "conversations": { "train": estimate.num_conversations[0], "val": estimate.num_conversations[1] },
        "steps": estimate.steps,
        "trained_parameters": estimate.num_trained,
        "form": estimate.form,
        "need": estimate.need,
        "bytes": estimate.need.total(),
        "bytes_with_kept": estimate.need.roomy(),
        "free": estimate.free,
        "fits": estimate.fits(),
    })
}
