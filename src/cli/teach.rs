//! `assay teach`: a teacher on another machine describes training pictures, for the local model to learn from.

use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::bail;
use clap::Args;
use clap::ValueEnum;
use serde_json::json;

use crate::cli::args::Aspects;
use crate::cli::args::Common;
use crate::cli::args::Selection;
use crate::cli::args::SplitChoice;
use crate::cli::args::aspects;
use crate::cli::args::splits;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::project;
use crate::cli::session::Session;
use crate::domain::Budget;
use crate::domain::Prices;
use crate::domain::TeachEstimate;
use crate::domain::TeacherKind;
use crate::jobs;
use crate::jobs::message::Job;
use crate::jobs::message::JobReport;
use crate::jobs::message::Secret;
use crate::jobs::message::TeachRequest;
use crate::jobs::message::TeacherAddress;

/// `assay teach`.
#[derive(Debug, Clone, Args)]
pub(super) struct TeachArgs {
    /// Project file
    #[arg(long, value_name = "FILE", required_unless_present_any = ["keep_key", "forget_key", "greet"])]
    project: Option<PathBuf>,
    /// Interface that the teacher speaks
    #[arg(long, value_name = "KIND")]
    teacher: Kind,
    /// Its model, as its maker calls it
    #[arg(long = "teacher-model", value_name = "NAME", required_unless_present_any = ["keep_key", "forget_key"], default_value = "", hide_default_value = true)]
    teacher_model: String,
    /// Address of the server; the maker's own if not given. For chat completions it ends before /chat/completions
    #[arg(long, value_name = "URL")]
    base: Option<String>,
    /// Environment variable that holds the key, or several parted by commas that are used in turn; `GEMINI_API_KEY` or
    /// `OPENAI_API_KEY` if not given. Where it is not set, the keyring is asked; a server of one's own may need neither
    #[arg(long, value_name = "NAME")]
    key_variable: Option<String>,
    /// Aspect: quality, correspondence, authenticity or all
    #[arg(long, default_value = "all", value_name = "ASPECT", value_parser = aspects)]
    aspect: Aspects,
    /// Split: train, val, test or all. Opinion scores are shown for images of the training list alone, whatever is said
    #[arg(long, default_value = "train", value_name = "SPLIT", value_parser = splits)]
    split: SplitChoice,
    /// Only this picture of the project; may be given more than once
    #[arg(long = "image", value_name = "PATH")]
    images: Vec<String>,
    /// Ask for each aspect in a request of its own, not for all in one answer
    #[arg(long)]
    each: bool,
    /// Show no opinion scores at all
    #[arg(long)]
    blind: bool,
    /// Questions asked at once
    #[arg(long, default_value_t = 4, value_name = "N")]
    lanes: usize,
    /// Requests a minute at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    per_minute: Option<u32>,
    /// Stop after so many requests
    #[arg(long, value_name = "N")]
    max_requests: Option<u64>,
    /// Stop before so many tokens, read and written, are passed
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// Stop before so much money is spent; needs both prices
    #[arg(long, value_name = "AMOUNT", requires_all = ["price_in", "price_out"])]
    max_cost: Option<f64>,
    /// Price of a million tokens read
    #[arg(long, value_name = "AMOUNT", default_value_t = 0.0)]
    price_in: f64,
    /// Price of a million tokens written
    #[arg(long, value_name = "AMOUNT", default_value_t = 0.0)]
    price_out: f64,
    /// Ask again for what this teacher has described already
    #[arg(long)]
    again: bool,
    /// Say how much would be asked and about what it would cost, and ask nothing
    #[arg(long)]
    estimate: bool,
    /// Ask whether the server is there, takes the key and has the model, which costs nothing
    #[arg(long = "test", conflicts_with = "estimate")]
    greet: bool,
    /// Read a key from the first line of stdin and keep it in the keyring of the desktop
    #[arg(long, conflicts_with_all = ["estimate", "greet", "forget_key"])]
    keep_key: bool,
    /// Take the key for this server out of the keyring
    #[arg(long, conflicts_with_all = ["estimate", "greet"])]
    forget_key: bool,
}

/// The interfaces.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Google's generateContent
    Gemini,
    /// Chat completions: `OpenAI`, vLLM, Ollama, LM Studio and others
    #[value(name = "openai")]
    OpenAi,
}

/// Asks, or says how much would be asked.
pub(super) fn teach(args: &TeachArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    if args.keep_key || args.forget_key || args.greet {
        return about_server(args, &session, common);
    }
    let Some(project) = &args.project else {
        return Ok(Exit::Usage);
    };
    let catalog = session.open(project)?;
    let selection = Selection {
        aspect: args.aspect.clone(),
        split: args.split,
        images: args.images.clone(),
    };
    let images = project::choose(&catalog, &selection, common.limit)?;
    if images.is_empty() {
        bail!(
            "no picture of the project is in the split {}: choose another one with --split",
            args.split.name()
        );
    }
    let request = TeachRequest {
        images,
        ..args.request()
    };
    let estimate: TeachEstimate = jobs::estimate(&catalog, &request)?;
    output::say(&estimate_words(&estimate, request.prices));
    if args.estimate {
        let mut value = serde_json::to_value(estimate)?;
        value["shown_scores"] = json!(estimate.shown);
        value["cost"] = json!(estimate.cost(request.prices));
        output::answer(common.json, &value, "");
        return Ok(Exit::Done);
    }
    let report = session.run(Job::Teach(request), &mut |_| {})?;
    Ok(answer(&report, common))
}

impl TeachArgs {
    fn request(&self) -> TeachRequest {
        let kind = match self.teacher {
            Kind::Gemini => TeacherKind::Gemini,
            Kind::OpenAi => TeacherKind::OpenAi,
        };
        TeachRequest {
            images: Vec::new(),
            aspects: self.aspect.list.clone(),
            kind,
            base: self
                .base
                .clone()
                .unwrap_or_else(|| kind.usual_base().to_owned()),
            model: self.teacher_model.clone(),
            key_variable: self
                .key_variable
                .clone()
                .unwrap_or_else(|| kind.usual_variable().to_owned()),
            together: !self.each,
            shows_scores: !self.blind,
            lanes: self.lanes,
            per_minute: self.per_minute,
            budget: Budget {
                requests: self.max_requests,
                tokens: self.max_tokens,
                money: self.max_cost,
            },
            prices: Prices {
                input: self.price_in,
                output: self.price_out,
            },
            again: self.again,
        }
    }
}

fn estimate_words(estimate: &TeachEstimate, prices: Prices) -> String {
    let usage = estimate.usage();
    let cost = estimate
        .cost(prices)
        .map_or_else(String::new, |cost| format!(", about {cost:.4}"));
    format!(
        "{} requests, {} of them with an opinion score of a training image; about {} tokens read and {} written{cost}",
        estimate.requests, estimate.shown, usage.input, usage.output
    )
}

/// What is asked of the server and the keyring alone.
fn about_server(args: &TeachArgs, session: &Session, common: &Common) -> anyhow::Result<Exit> {
    let request = args.request();
    let teacher = TeacherAddress {
        kind: request.kind,
        base: request.base,
        model: request.model,
        key_variable: request.key_variable,
    };
    let job = match (args.greet, args.keep_key) {
        (true, _) => Job::GreetTeacher(teacher),
        (_, true) => Job::KeepKey {
            teacher,
            key: Some(key_from_stdin()?),
        },
        _ => Job::KeepKey { teacher, key: None },
    };
    let report = session.run(job, &mut |_| {})?;
    let value = json!({ "words": report.summary });
    output::answer(common.json, &value, &report.summary);
    Ok(Exit::Done)
}

/// A key never stands on the command line, where other programs see it.
fn key_from_stdin() -> anyhow::Result<Secret> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Secret::new(&line).context("no key came: write it to stdin, one line")
}

fn answer(report: &JobReport, common: &Common) -> Exit {
    output::list_failures(&report.failed);
    let failed: Vec<_> = report
        .failed
        .iter()
        .map(|item| json!({ "path": item.path, "reason": item.reason }))
        .collect();
    let value = json!({
        "done": report.done,
        "skipped": report.skipped,
        "failed": failed,
        "seconds": report.seconds,
        "words": report.summary,
    });
    output::answer(common.json, &value, &report.summary);
    Exit::of_batch(report.failed.len())
}
