//! `assay features`, and `assay score --features`: hidden states taken here and used elsewhere, or the other way round.

use std::path::Path;

use anyhow::bail;
use serde_json::Value;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::args::FeaturesArgs;
use crate::cli::args::ScoreArgs;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::project::run_batches;
use crate::cli::session;
use crate::cli::session::Session;
use crate::domain::Interrupted;
use crate::domain::Rating;
use crate::jobs;
use crate::jobs::FeaturePredictor;
use crate::jobs::FeatureWish;
use crate::jobs::Loner;
use crate::jobs::PublishedPredictor;
use crate::jobs::Scored;
use crate::jobs::message::FeaturesRequest;
use crate::jobs::message::Job;

/// `assay features`.
pub(super) fn features(args: &FeaturesArgs, common: &Common) -> anyhow::Result<Exit> {
    match (&args.project, &args.path, &args.out) {
        (Some(project), _, _) => of_project(project, args, common),
        (None, Some(path), Some(out)) => of_picture(path, out, args, common),
        _ => Ok(Exit::Usage),
    }
}

fn of_project(project: &Path, args: &FeaturesArgs, common: &Common) -> anyhow::Result<Exit> {
    let selection = &args.selection;
    let is_one_job = selection.split == crate::cli::args::SplitChoice::All
        || selection.aspect.list.len() == 1
        || !selection.images.is_empty();
    if args.out.is_some() && !is_one_job {
        bail!("a split is one aspect's: name the aspect whose features are to be written");
    }
    let session = Session::start(common, None)?;
    let catalog = session.open(project)?;
    run_batches(&session, &catalog, selection, common, |images, aspects| {
        Job::Features(FeaturesRequest {
            images,
            aspects,
            descriptions: args.descriptions,
            out: args.out.clone(),
        })
    })
}

/// One picture without a project.
fn of_picture(
    path: &Path,
    out: &Path,
    args: &FeaturesArgs,
    common: &Common,
) -> anyhow::Result<Exit> {
    let [aspect] = args.selection.aspect.list[..] else {
        bail!("the features of one conversation are written: name its aspect with --aspect");
    };
    let stop = session::stop_on_ctrl_c()?;
    let mut loner = Loner::load(&session::worker_options(common, None)?)?;
    let wish = FeatureWish {
        prompt: args.prompt.clone(),
        request: args.request.clone(),
        description: args.description.clone(),
        question: args.question.clone(),
        max_len: args.max_len,
        all: args.all,
    };
    let written = loner.write_features(path, aspect, &wish, out, &mut |_| {
        if stop.is_set() {
            Err(Interrupted)
        } else {
            Ok(())
        }
    })?;
    if written.num_image_tokens_cut > 0 {
        output::say(&format!(
            "The limit of {} tokens cuts {} of the picture's own tokens off: raise --max-len, or lower max_slice_nums in \
             the model's config.json",
            written.num_tokens, written.num_image_tokens_cut
        ));
    }
    let value = json!({
        "image": path,
        "aspect": aspect,
        "out": out,
        "tokens": written.num_tokens,
        "hidden": written.hidden,
        "pictures": written.num_images,
        "tokens_cut": written.num_cut,
        "image_tokens_cut": written.num_image_tokens_cut,
        "conversation": written.conversation,
        "model": loner.card().tag,
    });
    let words = format!(
        "{} tokens of width {} written to {}",
        written.num_tokens,
        written.hidden,
        out.display()
    );
    output::answer(common.json, &value, &words);
    Ok(Exit::Done)
}

/// `assay score --features FILE --predictor FILE`.
pub(super) fn score(file: &Path, args: &ScoreArgs, common: &Common) -> anyhow::Result<Exit> {
    let Some(predictor) = &args.predictor else {
        return Ok(Exit::Usage);
    };
    let options = session::worker_options(common, None)?;
    let predictor = if PublishedPredictor::is_one(predictor) {
        let aspect = (!args.selection.aspect.all).then(|| args.selection.aspect.list[0]);
        let published = PublishedPredictor::of(predictor, args.lm_head.clone(), aspect);
        FeaturePredictor::Published(published)
    } else {
        FeaturePredictor::Saved(predictor.clone())
    };
    let (card, scored, is_known) = jobs::score_features(file, &predictor, &options)?;
    if !is_known {
        output::say(
            "The file does not say which model and wording its features are of: taken on trust",
        );
    }
    let row = |scored: &Scored| {
        json!({
            "score": scored.score,
            "rating": Rating::of_score(scored.score, card.scale),
        })
    };
    let about =
        json!({ "aspect": card.aspect, "scale": card.scale.to_string(), "predictor": card.name });
    let (value, words) = match &scored[..] {
        [one] if one.name.is_empty() => {
            let words = format!("{}: {:.3} on {}", card.aspect, one.score, card.scale);
            (merged(row(one), about), words)
        }
        many => {
            let rows = many.iter();
            let rows: Vec<Value> = rows
                .map(|scored| merged(json!({ "image": scored.name }), row(scored)))
                .collect();
            let words = many.iter().map(|scored| {
                let Scored { name, score } = scored;
                format!("{name}: {} {score:.3} on {}", card.aspect, card.scale)
            });
            let words = words.collect::<Vec<_>>().join("\n");
            (merged(about, json!({ "rows": rows })), words)
        }
    };
    output::answer(common.json, &value, &words);
    Ok(Exit::Done)
}

fn merged(mut first: Value, second: Value) -> Value {
    if let (Some(first), Value::Object(second)) = (first.as_object_mut(), second) {
        first.extend(second);
    }
    first
}
