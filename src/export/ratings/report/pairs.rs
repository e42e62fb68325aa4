//! Comparisons, prompt by prompt.

use super::charts;
use super::charts::Mean;
use super::html::Cell;
use super::html::Page;
use super::html::number;
use crate::domain::grouped;
use crate::export::ratings::Analysis;
use crate::export::ratings::Scene;
use crate::export::ratings::StudyRecord;

/// All comparisons of an aspect.
pub(super) fn section(page: &mut Page, record: &StudyRecord<'_>, analysis: &Analysis) {
    page.section(&format!("Results: {}", analysis.aspect));
    if analysis.scenes.is_empty() {
        page.note("There is nothing to report: nobody has compared pictures yet.");
        return;
    }
    let total = |num: fn(&Scene) -> usize| analysis.scenes.iter().map(num).sum::<usize>();
    let num = total(|scene| scene.num_comparisons);
    let num_ties = total(|scene| scene.num_ties);
    let num_left = total(|scene| scene.num_left);
    page.paragraph(&format!(
        "{} comparisons of {} prompts by {} raters; {} ended in a tie. Of the others the left picture won {} and the \
         right one {}.",
        grouped(num),
        grouped(analysis.scenes.len()),
        analysis.habits.len(),
        grouped(num_ties),
        grouped(num_left),
        grouped(num - num_ties - num_left)
    ));
    raters(page, analysis);
    for scene in &analysis.scenes {
        prompt(page, record, scene);
    }
}

fn raters(page: &mut Page, analysis: &Analysis) {
    page.heading(3, "Raters");
    let rows: Vec<Vec<Cell>> = analysis
        .habits
        .iter()
        .map(|habits| {
            vec![
                Cell::Name(habits.rater.clone()),
                Cell::number(habits.num_votes),
                Cell::number(habits.num_training),
                Cell::number(habits.num_repeats),
                Cell::number(habits.num_taken_back),
                Cell::number(habits.num_sessions),
                Cell::Number(number(habits.longest_session_min, 1)),
                Cell::Number(number(habits.median_reaction_ms / 1000.0, 1)),
            ]
        })
        .collect();
    page.table(
        &[
            "Rater",
            "Votes",
            "Training",
            "Repeats",
            "Taken back",
            "Sessions",
            "Longest (min)",
            "Seconds a vote",
        ],
        &rows,
    );
}

fn prompt(page: &mut Page, record: &StudyRecord<'_>, scene: &Scene) {
    let title = if scene.prompt.is_empty() {
        "Pictures without a known prompt"
    } else {
        scene.prompt.as_str()
    };
    page.heading(3, title);
    let fitted = match &scene.strengths {
        Ok(fitted) => fitted,
        Err(why) => {
            page.paragraph(&format!(
                "{} comparisons. Strengths are undefined: {why}. Compare more pairs.",
                scene.num_comparisons
            ));
            win_rates(page, record, scene);
            return;
        }
    };
    let mut order: Vec<usize> = (0..scene.pictures.len()).collect();
    order.sort_by(|a, b| fitted.strength[*b].total_cmp(&fitted.strength[*a]));
    let rows: Vec<(String, Mean)> = order
        .iter()
        .map(|at| {
            let mean = Mean {
                value: fitted.strength[*at],
                half: Some(fitted.ci95[*at]),
            };
            (record.path(scene.pictures[*at]), mean)
        })
        .collect();
    let ties = if fitted.prior_ties > 0.0 {
        " A picture won or lost every comparison, so one tie was added to every compared pair."
    } else {
        ""
    };
    page.chart(
        &charts::strengths(&rows),
        &format!(
            "Strength with its 95 % confidence interval, on the logit scale; n = {} comparisons.{ties}",
            scene.num_comparisons
        ),
    );
    let rows: Vec<Vec<Cell>> = order
        .iter()
        .map(|at| {
            vec![
                Cell::Path(record.path(scene.pictures[*at])),
                Cell::Number(number(fitted.strength[*at], 3)),
                Cell::Number(number(fitted.ci95[*at], 3)),
                win_rate(scene, *at),
                Cell::Number(number(scene.counts.num_comparisons(*at), 0)),
            ]
        })
        .collect();
    page.table(
        &["Picture", "Strength", "CI95 \u{b1}", "Won", "Comparisons"],
        &rows,
    );
}

fn win_rates(page: &mut Page, record: &StudyRecord<'_>, scene: &Scene) {
    let rows: Vec<Vec<Cell>> = (0..scene.pictures.len())
        .map(|at| {
            vec![
                Cell::Path(record.path(scene.pictures[at])),
                win_rate(scene, at),
                Cell::Number(number(scene.counts.num_comparisons(at), 0)),
            ]
        })
        .collect();
    page.table(&["Picture", "Won", "Comparisons"], &rows);
}

fn win_rate(scene: &Scene, at: usize) -> Cell {
    Cell::Number(scene.counts.win_rate(at).map_or_else(
        || "never compared".to_owned(),
        |rate| format!("{} %", number(100.0 * rate, 0)),
    ))
}
