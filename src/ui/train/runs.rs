//! The runs of the project as a table, and the chosen one with its curves and what it brought.

use egui::Align;
use egui::Button;
use egui::Grid;
use egui::Layout;
use egui::RichText;
use egui::Ui;
use egui::vec2;
use egui_extras::Column;
use egui_extras::TableBuilder;
use egui_extras::TableRow;

use crate::domain::{Figures, RunRecord};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::actions::grouped;
use crate::state::train;
use crate::state::train::TrainCommand;
use crate::state::train::data::images;
use crate::state::train::runs as words;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::ROW_HEIGHT;
use crate::ui::tokens::STEP;
use crate::ui::widgets::chip;

use super::card;
use super::curves;

/// Height of a line of figures.
const FIGURE_HEIGHT: f32 = 20.0;

/// Most rows before the table scrolls on its own.
const MOST_ROWS: f32 = 8.0;

/// Headings of the table with the width of their columns.
const COLUMNS: [(&str, f32); 9] = [
    ("Aspect", 112.0),
    ("Images", 64.0),
    ("Epochs", 60.0),
    ("Best", 48.0),
    ("Val SRCC", 76.0),
    ("Test SRCC", 116.0),
    ("Test PLCC", 116.0),
    ("Test RMSE", 116.0),
    ("Status", 96.0),
];

/// A figure of a set.
type Pick = fn(&Figures) -> Option<f64>;

/// Draws table and chosen run.
pub(super) fn show(ui: &mut Ui, state: &AppState, project: &Project, out: &mut Vec<Command>) {
    if project.runs.is_empty() {
        ui.weak("Runs will be listed here, with their figures before and after.");
        return;
    }
    card(ui, "Runs", |ui| table(ui, state, project, out));
    let is_live = |run: &RunRecord| state.train.active == Some(run.id);
    if let Some(run) = train::shown_run(state).filter(|run| !is_live(run)) {
        let title = format!(
            "Run {}: {}, {}",
            run.id.0,
            run.settings.aspect,
            words::status_words(run, false)
        );
        card(ui, &title, |ui| chosen(ui, state, (project, run), out));
    }
}

fn table(ui: &mut Ui, state: &AppState, project: &Project, out: &mut Vec<Command>) {
    let chosen = train::shown_run(state).map(|run| run.id);
    let mut builder = TableBuilder::new(ui)
        .id_salt("runs")
        .max_scroll_height(ROW_HEIGHT * MOST_ROWS)
        .auto_shrink([false, true])
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::initial(176.0).at_least(150.0));
    for (_, width) in COLUMNS {
        builder = builder.column(Column::initial(width).at_least(width * 0.8).clip(true));
    }
    builder
        .header(ROW_HEIGHT, |mut header| {
            header.col(|ui| {
                ui.weak("Begun (UTC)");
            });
            for (name, _) in COLUMNS {
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
    row.col(|ui| {
        let aspect = run.settings.aspect;
        ui.colored_label(Palette::in_use(ui).aspect(aspect), aspect.title());
    });
    row.col(|ui| {
        let [train, val, test] = run.num_images;
        let hint = format!("{train} to learn from, {val} for the best epoch, {test} for testing");
        ui.label(grouped(train)).on_hover_text(hint);
    });
    row.col(|ui| {
        let (done, wanted) = (run.epochs.len(), run.settings.epochs);
        ui.label(format!("{done}/{wanted}"));
    });
    row.col(|ui| {
        ui.label(
            run.best_epoch
                .map_or_else(String::new, |best| best.to_string()),
        );
    });
    row.col(|ui| {
        if let Some(best) = words::best(run) {
            figure(ui, &best.val, |figures| figures.srcc);
        }
    });
    let picks: [Pick; 3] = [|f| f.srcc, |f| f.plcc, |f| f.rmse];
    for pick in picks {
        row.col(|ui| before_after(ui, run, pick));
    }
    row.col(|ui| {
        let is_active = state.train.active == Some(run.id);
        if words::is_in_use(project, run) {
            chip::chip(ui, "in use", "Its predictor gives the scores on screen");
        } else {
            ui.label(words::status_words(run, is_active));
        }
    });
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

fn chosen(
    ui: &mut Ui,
    state: &AppState,
    (project, run): (&Project, &RunRecord),
    out: &mut Vec<Command>,
) {
    ui.label(words::verdict(run));
    ui.horizontal(|ui| buttons(ui, state, (project, run), out));
    if run.test_after.is_some() {
        figures_table(ui, run);
    }
    if run.epochs.is_empty() {
        ui.weak("No epoch was done, so there is no curve.");
    } else {
        curves::show(ui, run, None);
    }
    let settings = &run.settings;
    ui.weak(format!(
        "{} to learn from, {} for the best epoch, {} for testing. Read by {} with the wording {}. \
         Batches of {}, learning rate {}, weight decay {}, seed {}.",
        images(run.num_images[0]),
        grouped(run.num_images[1]),
        grouped(run.num_images[2]),
        run.model.name,
        run.preset,
        settings.batch_size,
        settings.learning_rate,
        settings.weight_decay,
        settings.seed
    ));
}

fn buttons(
    ui: &mut Ui,
    state: &AppState,
    (project, run): (&Project, &RunRecord),
    out: &mut Vec<Command>,
) {
    let aspect = run.settings.aspect;
    let is_busy = train::is_busy(state);
    if train::is_cut_off(state, run) {
        let hint = "Goes on after the last epoch that was saved";
        if ui
            .add_enabled(!is_busy, Button::new("Go on"))
            .on_hover_text(hint)
            .on_disabled_hover_text("A training runs already; wait for it or stop it")
            .clicked()
        {
            out.push(Command::Train(TrainCommand::Resume(run.id)));
        }
        return;
    }
    let Some(predictor) = run.predictor else {
        return;
    };
    if words::is_in_use(project, run) {
        chip::chip(ui, "in use", "Its predictor gives the scores on screen");
        let hint = words::roll_back_words(project, run);
        if ui.button("Roll back").on_hover_text(&hint).clicked() {
            out.push(Command::Train(TrainCommand::Use {
                aspect,
                predictor: run.previous,
            }));
        }
        ui.weak(hint);
    } else {
        let hint = format!("Gives the scores of {aspect} from now on. Can be undone.");
        if ui.button("Use").on_hover_text(&hint).clicked() {
            out.push(Command::Train(TrainCommand::Use {
                aspect,
                predictor: Some(predictor),
            }));
        }
        ui.weak(hint);
    }
}

fn figures_table(ui: &mut Ui, run: &RunRecord) {
    let rows: [(&str, Pick); 5] = [
        ("SRCC", |figures| figures.srcc),
        ("PLCC", |figures| figures.plcc),
        ("PLCC, 4-parameter fit", |figures| figures.plcc_fit4),
        ("KRCC", |figures| figures.krcc),
        ("RMSE", |figures| figures.rmse),
    ];
    let Some(after) = &run.test_after else {
        return;
    };
    let before = run.test_before.as_ref();
    Grid::new(("before_after", run.id.0))
        .num_columns(4)
        .min_col_width(88.0)
        .min_row_height(FIGURE_HEIGHT)
        .spacing(vec2(GAP, STEP))
        .show(ui, |ui| {
            for name in ["Test list", "Before", "After", "Change"] {
                ui.weak(name);
            }
            ui.end_row();
            for (name, pick) in rows {
                ui.label(name);
                match before {
                    Some(before) => figure(ui, before, pick),
                    None => {
                        ui.weak("no predictor");
                    }
                }
                figure(ui, after, pick);
                if let (Some(old), Some(new)) = (before.and_then(pick), pick(after)) {
                    ui.label(format!("{:+.3}", new - old));
                }
                ui.end_row();
            }
            ui.label("Images");
            ui.label(before.map_or_else(String::new, |before| grouped(before.n)));
            ui.label(grouped(after.n));
            ui.end_row();
        });
    for (when, figures) in [("Before", before), ("After", Some(after))] {
        if let Some(figures) = figures
            && let Some(reason) = &figures.reason
        {
            ui.label(RichText::new(format!("{when}: {reason}")).weak());
        }
    }
}
