//! `assay study stats`: what the votes come to.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::session::Session;
use crate::cli::study::args::StatsArgs;
use crate::cli::study::choose;
use crate::cli::study::record;
use crate::domain::Aspect;
use crate::export::ratings::Analysis;
use crate::export::ratings::Scene;
use crate::export::ratings::StudyRecord;
use crate::export::ratings::analyse;
use crate::stats::StatsError;
use crate::stats::raters::Opinion;
use crate::stats::raters::Panel;

/// `assay study stats`.
pub(super) fn stats(args: &StatsArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(&args.chosen.project)?;
    let study = choose(&catalog, args.chosen.study.as_deref())?;
    let record = record(&catalog, study);
    let asked = &study.protocol.aspects;
    let aspects: Vec<Aspect> = match args.aspect {
        Some(aspect) if !asked.contains(&aspect) => {
            anyhow::bail!(
                "the study {} does not ask for {aspect}",
                study.protocol.name
            )
        }
        Some(aspect) => vec![aspect],
        None => asked.clone(),
    };
    let mut values = Vec::new();
    let mut words = Vec::new();
    for aspect in aspects {
        let analysis = analyse(&record, aspect, args.screening);
        values.push(value(&record, &analysis));
        words.push(self::words(&record, &analysis));
    }
    output::answer(common.json, &Value::Array(values), &words.join("\n"));
    Ok(Exit::Done)
}

/// An aspect's figures: `null` where one is undefined, and why under `reasons`.
fn value(record: &StudyRecord<'_>, analysis: &Analysis) -> Value {
    let protocol = &record.study.protocol;
    let mut value = json!({
        "study": record.study.id.0,
        "name": protocol.name,
        "aspect": analysis.aspect,
        "method": protocol.method.name(),
        "scale": protocol.method.scale().to_string(),
    });
    let more = match &analysis.panel {
        Ok(panel) => panel_value(record, analysis, panel),
        Err(_) if !analysis.scenes.is_empty() => pairs_value(record, analysis),
        Err(why) => json!({ "reason": why.to_string() }),
    };
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    value
}

fn panel_value(record: &StudyRecord<'_>, analysis: &Analysis, panel: &Panel) -> Value {
    let mut reasons = Map::new();
    let mut figure = |name: &str, figure: &Result<f64, StatsError>| match figure {
        Ok(value) => json!(value),
        Err(why) => {
            reasons.insert(name.to_owned(), json!(why.to_string()));
            Value::Null
        }
    };
    let agreement = json!({
        "icc2k": figure("icc2k", &panel.icc2k),
        "krippendorff_alpha": figure("krippendorff_alpha", &panel.alpha),
        "repeat_mae": figure("repeat_mae", &panel.repeat_mae),
        "test_retest_srcc": figure("test_retest_srcc", &panel.test_retest),
        "num_repeats": analysis.tally.repeats.len(),
    });
    let screened = &panel.screened;
    if let Some(why) = &screened.not_screened {
        reasons.insert("screening".to_owned(), json!(why.to_string()));
    }
    json!({
        "screening": screened.screening.name(),
        "is_screened": screened.not_screened.is_none(),
        "num_iterations": screened.num_iterations,
        "agreement": agreement,
        "reasons": reasons,
        "raters": raters(analysis, panel),
        "pictures": pictures(record, analysis, panel),
    })
}

fn raters(analysis: &Analysis, panel: &Panel) -> Vec<Value> {
    let defined = |figure: &Result<f64, StatsError>| figure.clone().ok();
    let rows = analysis
        .tally
        .raters
        .iter()
        .zip(&panel.screened.raters)
        .enumerate();
    rows.map(|(idx, (name, rater))| {
        let habits = analysis.habits.iter().find(|habits| habits.rater == *name);
        json!({
            "rater": name,
            "ratings": rater.num_ratings,
            "bias": defined(&rater.bias),
            "inconsistency": defined(&rater.inconsistency),
            "correlation": defined(&rater.correlation),
            "repeat_mae": defined(&panel.rater_repeat_mae[idx]),
            "is_rejected": rater.verdict.is_rejected,
            "verdict": rater.verdict.reason,
            "sessions": habits.map(|habits| habits.num_sessions),
            "median_reaction_ms": habits.map(|habits| habits.median_reaction_ms),
        })
    })
    .collect()
}

fn pictures(record: &StudyRecord<'_>, analysis: &Analysis, panel: &Panel) -> Vec<Value> {
    let rows = analysis.tally.pictures.iter();
    let scores = panel.screened.pictures.iter().zip(&panel.plain);
    rows.zip(scores)
        .map(|(hash, (screened, plain))| {
            let opinion = screened.as_ref().ok();
            let of = |part: fn(&Opinion) -> Option<f64>| opinion.and_then(part);
            json!({
                "path": record.path(*hash),
                "sha256": hash,
                "mos": of(|opinion| Some(opinion.mos)),
                "ci95": of(|opinion| opinion.ci95.clone().ok()),
                "std": of(|opinion| opinion.std.clone().ok()),
                "n": opinion.map_or(0, |opinion| opinion.num_ratings),
                "plain_mos": plain.as_ref().ok().map(|opinion| opinion.mos),
            })
        })
        .collect()
}

fn pairs_value(record: &StudyRecord<'_>, analysis: &Analysis) -> Value {
    let scenes = analysis.scenes.iter();
    let scenes: Vec<Value> = scenes.map(|scene| scene_value(record, scene)).collect();
    json!({ "raters": analysis.habits.len(), "prompts": scenes })
}

fn scene_value(record: &StudyRecord<'_>, scene: &Scene) -> Value {
    let fitted = scene.strengths.as_ref();
    let pictures: Vec<Value> = scene
        .pictures
        .iter()
        .enumerate()
        .map(|(at, hash)| {
            json!({
                "path": record.path(*hash),
                "sha256": hash,
                "strength": fitted.ok().map(|fitted| fitted.strength[at]),
                "ci95": fitted.ok().map(|fitted| fitted.ci95[at]),
                "win_rate": scene.counts.win_rate(at),
                "n": scene.counts.num_comparisons(at),
            })
        })
        .collect();
    json!({
        "prompt": scene.prompt,
        "comparisons": scene.num_comparisons,
        "ties": scene.num_ties,
        "prior_ties": fitted.ok().map(|fitted| fitted.prior_ties),
        "reason": fitted.err().map(ToString::to_string),
        "pictures": pictures,
    })
}

fn words(record: &StudyRecord<'_>, analysis: &Analysis) -> String {
    let head = format!(
        "{}, {}, scale {}",
        record.study.protocol.name,
        analysis.aspect,
        record.study.protocol.method.scale()
    );
    match &analysis.panel {
        Ok(panel) => format!("{head}\n{}", panel_words(analysis, panel)),
        Err(_) if !analysis.scenes.is_empty() => {
            format!("{head}\n{}", pairs_words(record, analysis))
        }
        Err(why) => format!("{head}: nothing yet: {why}"),
    }
}

fn panel_words(analysis: &Analysis, panel: &Panel) -> String {
    let screened = &panel.screened;
    let mut lines = vec![format!(
        "  {} raters, {} pictures; {}{}",
        analysis.tally.raters.len(),
        analysis.tally.pictures.len(),
        screened.screening.label(),
        screened
            .not_screened
            .as_ref()
            .map_or_else(String::new, |why| format!(
                " is undefined, so these are plain means: {why}"
            ))
    )];
    for (name, figure) in [
        ("ICC(2,k)", &panel.icc2k),
        ("Krippendorff's alpha", &panel.alpha),
        ("repeats, MAE", &panel.repeat_mae),
        ("repeats, test-retest SRCC", &panel.test_retest),
    ] {
        lines.push(format!("  {name}: {}", figure_words(figure)));
    }
    for (name, rater) in analysis.tally.raters.iter().zip(&screened.raters) {
        let verdict = if rater.verdict.is_rejected {
            "rejected"
        } else {
            "kept"
        };
        lines.push(format!(
            "  {name}: {} ratings, bias {}, inconsistency {}; {verdict}: {}",
            rater.num_ratings,
            figure_words(&rater.bias),
            figure_words(&rater.inconsistency),
            rater.verdict.reason
        ));
    }
    lines.push("  MOS of every picture: --json, or `assay study report`".to_owned());
    lines.join("\n")
}

fn pairs_words(record: &StudyRecord<'_>, analysis: &Analysis) -> String {
    let mut lines = Vec::new();
    for scene in &analysis.scenes {
        lines.push(format!(
            "  {} ({} comparisons)",
            scene.prompt, scene.num_comparisons
        ));
        match &scene.strengths {
            Ok(fitted) => lines.extend(scene.pictures.iter().enumerate().map(|(at, hash)| {
                format!(
                    "    {}: strength {:.3} \u{b1} {:.3}",
                    record.path(*hash),
                    fitted.strength[at],
                    fitted.ci95[at]
                )
            })),
            Err(why) => lines.push(format!("    strengths are undefined: {why}")),
        }
    }
    lines.join("\n")
}

fn figure_words(figure: &Result<f64, StatsError>) -> String {
    match figure {
        Ok(value) => format!("{value:.3}"),
        Err(why) => format!("undefined ({why})"),
    }
}
