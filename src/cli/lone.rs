//! `assay score IMAGE` and `assay score TABLE.csv`: pictures without a project.

use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::cli::args::Aspects;
use crate::cli::args::Common;
use crate::cli::args::ScoreArgs;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::output::Bar;
use crate::cli::project::report_json;
use crate::cli::session;
use crate::cli::session::Stop;
use crate::dataset;
use crate::dataset::Source;
use crate::domain::Aspect;
use crate::domain::Interrupted;
use crate::domain::Rating;
use crate::jobs::Assessed;
use crate::jobs::JobError;
use crate::jobs::Loner;
use crate::jobs::message::FailedItem;
use crate::jobs::message::JobReport;
use crate::jobs::message::Progress;

/// Endings of tables.
const TABLES: [&str; 3] = ["csv", "tsv", "txt"];

/// A picture to be judged.
struct Picture {
    /// As it was written down.
    name: String,
    file: PathBuf,
    prompt: Option<String>,
    /// Why it cannot be judged.
    absent: Option<String>,
}

/// Describes and scores pictures, and keeps nothing.
pub(super) fn score(path: &Path, args: &ScoreArgs, common: &Common) -> anyhow::Result<Exit> {
    let stop = session::stop_on_ctrl_c()?;
    let mut pictures = if is_table(path) {
        pictures_of(path)?
    } else {
        vec![Picture {
            name: path.display().to_string(),
            file: path.to_path_buf(),
            prompt: args.prompt.clone(),
            absent: None,
        }]
    };
    pictures.truncate(common.limit.unwrap_or(usize::MAX));
    let mut loner = Loner::load(&session::worker_options(common, None)?)?;
    if let Some(file) = &args.predictor {
        loner = loner.with_predictor(file)?;
    }
    let aspects = &aspects_to_score(&loner, &args.selection.aspect);
    if !is_table(path) {
        return score_picture(&mut loner, &pictures[0], aspects, &stop, common.json);
    }
    Ok(score_table(
        &mut loner,
        &pictures,
        aspects,
        &stop,
        common.json,
    ))
}

/// Where `all` was said, an aspect that nothing scores is left out, as long as there is another one.
fn aspects_to_score(loner: &Loner, wanted: &Aspects) -> Vec<Aspect> {
    let listed = wanted.list.iter().copied();
    let (can, cannot): (Vec<Aspect>, Vec<Aspect>) =
        listed.partition(|aspect| loner.can_score(*aspect));
    if !wanted.all || can.is_empty() {
        return wanted.list.clone();
    }
    if loner.only_aspect().is_some() {
        return can;
    }
    for aspect in cannot {
        output::say(&format!(
            "No predictor inside the program scores {aspect} from this model: left out"
        ));
    }
    can
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|ending| {
        TABLES
            .iter()
            .any(|table| ending.eq_ignore_ascii_case(table))
    })
}

fn pictures_of(table: &Path) -> anyhow::Result<Vec<Picture>> {
    let source = Source {
        path: table.to_path_buf(),
        layout: Some("table".to_owned()),
        ..Source::default()
    };
    let batch = dataset::read(&source, &mut |_, _| Ok(()))?;
    let root = PathBuf::from(&batch.root);
    for problem in &batch.problems {
        output::say(&format!("{}: {}", problem.file, problem.message));
    }
    let rows = batch.rows.into_iter();
    Ok(rows
        .map(|row| Picture {
            file: root.join(&row.path),
            prompt: Some(row.prompt).filter(|prompt| !prompt.is_empty()),
            absent: row.file.reason().map(str::to_owned),
            name: row.path,
        })
        .collect())
}

/// One picture: a failure is the command's.
fn score_picture(
    loner: &mut Loner,
    picture: &Picture,
    aspects: &[Aspect],
    stop: &Stop,
    json: bool,
) -> anyhow::Result<Exit> {
    let mut values = Vec::new();
    let mut words = Vec::new();
    for aspect in aspects.iter().copied() {
        let assessed = assess(loner, picture, aspect, stop)
            .map_err(|error| anyhow::anyhow!("{error}: {}", picture.name))?;
        values.push(assessed_json(&picture.name, &assessed, loner));
        words.push(assessed_words(&assessed));
    }
    let value = if values.len() == 1 {
        values.remove(0)
    } else {
        Value::Array(values)
    };
    output::answer(json, &value, &words.join("\n\n"));
    Ok(Exit::Done)
}

/// A table: a failure is listed, and the next picture is taken.
fn score_table(
    loner: &mut Loner,
    pictures: &[Picture],
    aspects: &[Aspect],
    stop: &Stop,
    json: bool,
) -> Exit {
    let started = Instant::now();
    let mut bar = Bar::new();
    let mut table = score_rows(pictures, aspects, &mut |done, picture, aspect| {
        bar.show(&Progress {
            done: done as u64,
            total: pictures.len() as u64,
            stage: "Scoring".to_owned(),
            ..Progress::default()
        });
        let assessed = assess(loner, picture, aspect, stop)?;
        let words = format!(
            "{}: {} {:.3} on {}",
            picture.name, aspect, assessed.score, assessed.predictor.scale
        );
        Ok((assessed_json(&picture.name, &assessed, loner), words))
    });
    bar.clear();
    let report = &mut table.report;
    report.seconds = started.elapsed().as_secs_f64();
    output::list_failures(&report.failed);
    let mut value = report_json(report);
    if let Some(value) = value.as_object_mut() {
        value.insert("lacking".to_owned(), table.lacking.into());
        value.insert("rows".to_owned(), Value::Array(table.rows));
    }
    output::answer(json, &value, &table.words.join("\n"));
    if report.cancelled {
        output::say(&format!(
            "Stopped on request: {} scores are lacking",
            table.lacking
        ));
        return Exit::Failed;
    }
    Exit::of_batch(report.failed.len())
}

/// Scores a picture, `done` pictures of the table being behind it: the row for JSON and the line for people.
type ScoreOne<'a> = &'a mut dyn FnMut(usize, &Picture, Aspect) -> Result<(Value, String), JobError>;

/// What came of a table.
#[derive(Default)]
struct ScoredTable {
    report: JobReport,
    rows: Vec<Value>,
    words: Vec<String>,
    /// Scores that were not tried, because somebody asked to stop.
    lacking: usize,
}

/// Goes through a table until somebody asks to stop: what was scored by then took its time, and is kept.
fn score_rows(pictures: &[Picture], aspects: &[Aspect], score: ScoreOne<'_>) -> ScoredTable {
    let mut table = ScoredTable::default();
    for (done, picture) in pictures.iter().enumerate() {
        for aspect in aspects.iter().copied() {
            if table.report.cancelled {
                table.lacking += 1;
                continue;
            }
            match score(done, picture, aspect) {
                Ok((row, words)) => {
                    table.report.done += 1;
                    table.rows.push(row);
                    table.words.push(words);
                }
                Err(JobError::Interrupted(_)) => {
                    table.report.cancelled = true;
                    table.lacking += 1;
                }
                Err(error) => table.report.failed.push(FailedItem {
                    image: None,
                    path: picture.name.clone(),
                    reason: error.to_string(),
                }),
            }
        }
    }
    table
}

fn assess(
    loner: &mut Loner,
    picture: &Picture,
    aspect: Aspect,
    stop: &Stop,
) -> Result<Assessed, JobError> {
    if let Some(reason) = &picture.absent {
        return Err(JobError::NoPicture(reason.clone()));
    }
    let prompt = picture.prompt.as_deref();
    loner.assess(&picture.file, prompt, aspect, &mut |_| {
        if stop.is_set() {
            Err(Interrupted)
        } else {
            Ok(())
        }
    })
}

fn assessed_json(name: &str, assessed: &Assessed, loner: &Loner) -> Value {
    let card = &assessed.predictor;
    json!({
        "image": name,
        "prompt": assessed.prompt,
        "aspect": assessed.aspect,
        "description": assessed.description,
        "answer": assessed.answer,
        "num_cut": assessed.num_cut,
        "score": assessed.score,
        "scale": card.scale.to_string(),
        "rating": Rating::of_score(assessed.score, card.scale),
        "model": loner.card().tag,
        "predictor": { "name": card.name, "dataset": card.dataset, "split": card.split, "preset": card.preset },
    })
}

fn assessed_words(assessed: &Assessed) -> String {
    let card = &assessed.predictor;
    let cut = match assessed.num_cut {
        0 => String::new(),
        number => format!(
            "\nthe prompt is longer than the model reads: {number} tokens of it were left out"
        ),
    };
    format!(
        "{}: {:.3} on {} ({}), by {}, which learned from {}\n{}",
        assessed.aspect,
        assessed.score,
        card.scale,
        Rating::of_score(assessed.score, card.scale),
        card.name,
        card.dataset,
        assessed.description
    ) + &cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_keeps_what_was_scored_and_counts_what_is_lacking() {
        let picture = |number: usize| Picture {
            name: format!("{number}.png"),
            file: PathBuf::new(),
            prompt: None,
            absent: None,
        };
        let pictures: Vec<Picture> = (0..4).map(picture).collect();
        let aspects = [Aspect::Quality, Aspect::Correspondence];
        let mut tried = 0;
        let table = score_rows(&pictures, &aspects, &mut |_, picture, aspect| {
            tried += 1;
            match tried {
                3 => Err(JobError::NoPicture("it is away".to_owned())),
                6.. => Err(JobError::Interrupted(Interrupted)),
                _ => Ok((json!(picture.name), aspect.to_string())),
            }
        });
        assert_eq!(tried, 6, "nothing is tried after the stop");
        assert!(table.report.cancelled);
        assert_eq!((table.rows.len(), table.words.len()), (4, 4));
        assert_eq!((table.report.failed.len(), table.lacking), (1, 3));
    }
}
