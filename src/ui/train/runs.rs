//! The runs of the project as a table, and the chosen one with its curves and what it brought.

use egui::Align;
use egui::Button;
use egui::Checkbox;
use egui::Layout;
use egui::ScrollArea;
use egui::Ui;
use egui_extras::Column;
use egui_extras::TableBuilder;
use egui_extras::TableRow;

use crate::domain::{Figures, RunRecord, RunStatus};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::actions::grouped;
use crate::state::train;
use crate::state::train::TrainCommand;
use crate::state::train::runs as words;
use crate::ui::textures::Textures;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::ROW_HEIGHT;
use crate::ui::widgets::chip;

use super::card;
use super::chosen;
use super::versus;

/// Most rows before the table scrolls on its own.
const MOST_ROWS: f32 = 8.0;

/// Headings of the table with the width of their columns.
const COLUMNS: [(&str, f32); 8] = [
    ("Compare", 64.0),
    ("Aspect", 112.0),
    ("Head", 92.0),
    ("Images", 60.0),
    ("Best epoch", 80.0),
    ("Val SRCC", 76.0),
    ("Test SRCC", 116.0),
    ("Test PLCC", 116.0),
];

/// Least width of the last column, which takes what is left, so that a row reaches the card's edge.
const STATUS: f32 = 112.0;

/// Width of the column that names the run.
const NAME: f32 = 168.0;

/// A figure of a set.
type Pick = fn(&Figures) -> Option<f64>;

/// Draws the table, and below it the two runs that are compared or the chosen one.
pub(super) fn show(
    ui: &mut Ui,
    state: &AppState,
    project: &Project,
    (textures, out): (&mut Textures, &mut Vec<Command>),
) {
    if project.runs.is_empty() {
        ui.weak("Runs will be listed here, with their figures before and after.");
        return;
    }
    card(ui, "Runs", |ui| {
        // A window too narrow for all columns scrolls them, and nothing else.
        ScrollArea::horizontal()
            .id_salt("runs_table")
            .show(ui, |ui| table(ui, state, project, out));
    });
    let pair = state.train.reports.pair();
    let pair = pair.and_then(|(a, b)| Some((project.run(a)?, project.run(b)?)));
    if let Some((first, second)) = pair {
        let title = format!("Run {} against run {}", second.id.0, first.id.0);
        card(ui, &title, |ui| {
            versus::two_runs(ui, (state, project), (first, second), (textures, out));
        });
        return;
    }
    let is_live = |run: &RunRecord| train::active(state) == Some(run.id);
    if let Some(run) = train::shown_run(state).filter(|run| !is_live(run)) {
        let title = format!(
            "Run {}: {}, {}",
            run.id.0,
            run.settings.aspect,
            words::status_words(run, state.train.working.contains(&run.id))
        );
        card(ui, &title, |ui| {
            chosen::show(ui, (state, project), run, (textures, out));
        });
    }
}

fn table(ui: &mut Ui, state: &AppState, project: &Project, out: &mut Vec<Command>) {
    let chosen = train::shown_run(state).map(|run| run.id);
    let mut builder = TableBuilder::new(ui)
        .id_salt("runs")
        .max_scroll_height((ROW_HEIGHT + GAP) * MOST_ROWS)
        .auto_shrink([false, true])
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::initial(NAME).at_least(150.0));
    for (_, width) in COLUMNS {
        builder = builder.column(Column::initial(width).at_least(width * 0.8).clip(true));
    }
    builder = builder.column(Column::remainder().at_least(STATUS).clip(true));
    builder
        .header(ROW_HEIGHT, |mut header| {
            header.col(|ui| {
                ui.weak("Begun (UTC)");
            });
            for name in COLUMNS.map(|(name, _)| name).into_iter().chain(["Status"]) {
                header.col(|ui| {
                    ui.weak(name);
                });
            }
        })
        .body(|body| {
            let num_runs = project.runs.len();
            body.rows(ROW_HEIGHT, num_runs, |mut row| {
                let run = &project.runs[num_runs - 1 - row.index()];
                row.set_selected(chosen == Some(run.id));
                table_row(&mut row, state, (project, run), out);
            });
        });
}

fn table_row(
    row: &mut TableRow<'_, '_>,
    state: &AppState,
    (project, run): (&Project, &RunRecord),
    out: &mut Vec<Command>,
) {
    row.col(|ui| {
        let is_chosen = train::shown_run(state).is_some_and(|shown| shown.id == run.id);
        let text = format!("{}  {}", run.id.0, words::time_words(run.unix_time));
        let name = format!("Run {}, {}", run.id.0, words::time_words(run.unix_time));
        if ui
            .add(Button::selectable(is_chosen, text).frame(false))
            .accessible_name(name)
            .clicked()
        {
            out.push(Command::Train(TrainCommand::Choose(run.id)));
        }
    });
    row.col(|ui| mark(ui, state, run, out));
    row.col(|ui| {
        let aspect = run.settings.aspect;
        ui.colored_label(Palette::in_use(ui).aspect(aspect), aspect.title());
    });
    row.col(|ui| {
        let hint = words::head_words(&run.settings);
        ui.label(run.settings.head.kind.name()).on_hover_text(hint);
    });
    row.col(|ui| {
        let [train, val, test] = run.num_images;
        let hint = format!("{train} to learn from, {val} for the best epoch, {test} for testing");
        ui.label(grouped(train)).on_hover_text(hint);
    });
    row.col(|ui| {
        let done = run.epochs.len();
        let words = match run.best_epoch {
            Some(best) => format!("{best} of {done}"),
            None => format!("none of {done}"),
        };
        let hint = format!("{done} epochs were done of {} at most", run.settings.epochs);
        ui.label(words).on_hover_text(hint);
    });
    row.col(|ui| {
        if let Some(best) = words::best(run) {
            figure(ui, &best.val, |figures| figures.srcc);
        }
    });
    let picks: [Pick; 2] = [|f| f.srcc, |f| f.plcc];
    for pick in picks {
        row.col(|ui| before_after(ui, run, pick));
    }
    row.col(|ui| {
        let is_active = state.train.working.contains(&run.id);
        if words::is_in_use(project, run) {
            chip::chip(ui, "in use", "Its predictor gives the scores on screen");
        } else if let (RunStatus::Done, Some(fold)) = (&run.status, run.settings.fold) {
            ui.label(format!("part {} of {}", fold.number + 1, fold.of));
        } else {
            ui.label(words::status_words(run, is_active));
        }
        if run.settings.selects_on_test() {
            super::test_list_chip(ui);
        }
    });
}

/// The box that marks a run to be compared.
fn mark(ui: &mut Ui, state: &AppState, run: &RunRecord, out: &mut Vec<Command>) {
    let mut is_on = state.train.reports.marked.contains(&run.id);
    // On the ground of a selected row the usual line can't be seen.
    let palette = Palette::in_use(ui);
    ui.visuals_mut().widgets.inactive.bg_stroke.color = palette.faint;
    let response = ui
        .add(Checkbox::without_text(&mut is_on))
        .accessible_name(format!("Compare run {}", run.id.0))
        .on_hover_text("Mark two runs to hold them against each other");
    if response.clicked() {
        out.push(Command::Train(TrainCommand::Mark(run.id)));
    }
}

/// A figure; where it is undefined, the reason for the pointer.
fn figure(ui: &mut Ui, figures: &Figures, pick: Pick) {
    let value = pick(figures);
    let label = ui.label(words::figure(value));
    if value.is_none() {
        label.on_hover_text(words::reason(figures));
    }
}

fn before_after(ui: &mut Ui, run: &RunRecord, pick: Pick) {
    let Some(after) = &run.test_after else {
        return;
    };
    ui.spacing_mut().item_spacing.x = 4.0;
    if let Some(before) = &run.test_before {
        let value = pick(before);
        let text = ui.weak(value.map_or_else(|| "none".to_owned(), |_| words::figure(value)));
        if value.is_none() {
            text.on_hover_text(words::reason(before));
        }
        ui.weak("to");
    }
    figure(ui, after, pick);
}
