//! Two sets of test predictions held against each other: a sentence, figures with intervals, plots and pictures.

use egui::Ui;

use crate::domain::{Contest, Figures, RunRecord, RunReport};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::train::TrainCommand;
use crate::state::train::runs as words;
use crate::ui::textures::Textures;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;

use super::curves;
use super::figures;
use super::figures::Sides;
use super::pictures;
use super::scatter;

/// Draws what the workers found; `fallback` has the figures that were kept with the runs, until that comes.
pub(super) fn show(
    ui: &mut Ui,
    (state, project): (&AppState, &Project),
    contest: Contest,
    (names, fallback): ([&str; 2], (Option<&Figures>, &Figures)),
    (textures, out): (&mut Textures, &mut Vec<Command>),
) {
    let found = state.train.reports.of(contest);
    let report = match found {
        Some(Ok(report)) => Some(report),
        Some(Err(reason)) => {
            let palette = Palette::in_use(ui);
            ui.colored_label(palette.error, format!("No intervals: {reason}"));
            None
        }
        None => None,
    };
    let is_empty = report.is_none_or(|report| report.pictures.is_empty());
    let sides = match report {
        Some(report) if !is_empty => Sides {
            first: report.first.as_ref(),
            second: &report.second,
            names,
            report: Some(report),
            is_comparable: true,
        },
        _ => Sides {
            first: fallback.0,
            second: fallback.1,
            names,
            report: None,
            is_comparable: true,
        },
    };
    figures::show(ui, &format!("{contest:?}"), &sides);
    let Some(report) = report else {
        if found.is_none() {
            ui.weak("Intervals and the paired test are being computed");
        }
        return;
    };
    for note in &report.notes {
        ui.weak(format!("{note}."));
    }
    if is_empty {
        return;
    }
    ui.add_space(GAP);
    let view = scatter::View {
        state,
        pictures: &report.pictures,
        aspect: report.aspect.unwrap_or(state.train.settings.aspect),
        scale: project.info.scale,
        names,
    };
    scatter::show(ui, view, out);
    let shown = (report.pictures.as_slice(), names[0]);
    pictures::show(ui, state, shown, textures, out);
}

/// Draws two runs over each other.
pub(super) fn two_runs(
    ui: &mut Ui,
    (state, project): (&AppState, &Project),
    (first, second): (&RunRecord, &RunRecord),
    (textures, out): (&mut Textures, &mut Vec<Command>),
) {
    let contest = Contest::Runs(first.id, second.id);
    let found = state.train.reports.of(contest);
    ui.label(sentence(first, second, found.and_then(Result::ok)));
    if ui.button("Close the comparison").clicked() {
        out.push(Command::Train(TrainCommand::ClearMarks));
    }
    for run in [first, second] {
        ui.weak(format!(
            "Run {}: {}. {}.",
            run.id.0,
            words::head_words(&run.settings),
            words::settings_words(&run.settings)
        ));
    }
    if !(first.epochs.is_empty() && second.epochs.is_empty()) {
        curves::show(ui, &[first, second], state.train.live);
    }
    let names = [
        format!("Run {}", first.id.0),
        format!("Run {}", second.id.0),
    ];
    let names = [names[0].as_str(), names[1].as_str()];
    match &second.test_after {
        Some(after) if first.settings.aspect != second.settings.aspect => {
            let sides = Sides {
                first: first.test_after.as_ref(),
                second: after,
                names,
                report: None,
                is_comparable: false,
            };
            figures::show(ui, &format!("{contest:?}"), &sides);
        }
        Some(after) => {
            let fallback = (first.test_after.as_ref(), after);
            show(
                ui,
                (state, project),
                contest,
                (names, fallback),
                (textures, out),
            );
        }
        None => {
            ui.weak(format!("Run {} has no test figures yet.", second.id.0));
        }
    }
}

/// Which of two runs is better, and how sure that is.
fn sentence(first: &RunRecord, second: &RunRecord, report: Option<&RunReport>) -> String {
    let (a, b) = (first.id.0, second.id.0);
    if first.settings.aspect != second.settings.aspect {
        return format!(
            "Run {a} scores {}, run {b} {}: there is nothing to test between them.",
            first.settings.aspect, second.settings.aspect
        );
    }
    let Some(report) = report else {
        return format!("Run {b} against run {a}.");
    };
    let srcc = report.figures.iter().find(|figure| figure.name == "SRCC");
    match srcc.map(|figure| &figure.paired) {
        Some(Ok(paired)) => {
            let better = if paired.difference.value >= 0.0 { b } else { a };
            let sure = words::difference_words(paired);
            format!(
                "On {} images that both were tested on, SRCC is {:.3} for run {a} and {:.3} for run {b}, {sure}{}",
                report.second.n,
                paired.first.value,
                paired.second.value,
                match paired.p_value < words::SURE {
                    true => format!(": run {better} is better."),
                    false => ": neither is shown to be better.".to_owned(),
                }
            )
        }
        Some(Err(reason)) => format!("No paired test of run {b} against run {a}: {reason}."),
        None => format!("Run {b} against run {a}."),
    }
}
