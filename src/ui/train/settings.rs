//! Step 2: the head, the budget, and everything else folded away.

use egui::Button;
use egui::Checkbox;
use egui::ComboBox;
use egui::DragValue;
use egui::Grid;
use egui::Response;
use egui::RichText;
use egui::Ui;
use egui::Widget;
use egui::vec2;

use crate::domain::{
    Aspect, HeadInput, HeadKind, Loss, Pooling, Projection, Rounds, Schedule, Selection,
    TrainSettings,
};
use crate::state::AppState;
use crate::state::Command;
use crate::state::actions;
use crate::state::train::TrainCommand;
use crate::state::train::plan;
use crate::state::train::plan::Budget;
use crate::state::train::runs;
use crate::ui::tokens::GAP;
use crate::ui::tokens::ROW_HEIGHT;
use crate::ui::tokens::SMALL;

use super::set;

/// Width of a field.
const FIELD: f32 = 140.0;

/// Width of a name.
const NAME: f32 = 96.0;

/// Room in which the advanced settings stand in two columns.
const TWO_COLUMNS: f32 = 500.0;

/// Numbers of parts that a cross-validation is offered in.
const FOLDS: [u32; 3] = [3, 5, 10];

/// Clipping that is set when it is switched on.
const USUAL_NORM: f64 = 1.0;

/// Patience that is set when it is switched on.
const USUAL_PATIENCE: u32 = 5;

/// Draws the step.
pub(super) fn show(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let settings = &state.train.settings;
    ui.horizontal_wrapped(|ui| {
        let label = ui.weak("Head");
        let heads = HeadKind::ALL.map(|kind| (kind, kind.name()));
        choose(
            ui,
            ("train_head", FIELD),
            &heads,
            settings.head.kind,
            |kind| {
                set(settings, out, |settings| {
                    settings.head = settings.head.with_kind(kind);
                    keep_whole(settings);
                });
            },
        )
        .labelled_by(label.id);
        let label = ui.weak("Pooling");
        let poolings = Pooling::ALL.map(|pooling| (pooling, pooling.name()));
        choose(
            ui,
            ("train_pooling", FIELD),
            &poolings,
            settings.head.pooling,
            |pooling| {
                set(settings, out, |settings| settings.head.pooling = pooling);
            },
        )
        .labelled_by(label.id);
    });
    budgets(ui, state, out);
    let model = state.models.tag(settings.aspect);
    let model = model.map_or("the model in use", |tag| tag.name.as_str());
    ui.label(format!(
        "{}. It learns from what {model} says of each picture; the model itself is not changed.",
        runs::head_words(settings)
    ));
    let words = match state.train.is_advanced {
        true => "Hide advanced settings",
        false => "Advanced settings",
    };
    if ui.button(words).clicked() {
        out.push(Command::Train(TrainCommand::ToggleAdvanced));
    }
    if state.train.is_advanced {
        advanced(ui, state, out);
    } else {
        let words = format!(
            "{}, best epoch chosen on the {}",
            runs::settings_words(settings),
            settings.selection.name()
        );
        ui.label(RichText::new(words).weak().size(SMALL));
    }
}

/// Settings that the new head has no use for go back to what it has.
fn keep_whole(settings: &mut TrainSettings) {
    let head = &mut settings.head;
    if matches!(head.kind, HeadKind::Xlstm | HeadKind::Mlp) {
        head.published_quirks = false;
    }
    if head.input == HeadInput::Hidden {
        head.projection = Projection::Folded;
    }
    if head.published_quirks && matches!(head.kind, HeadKind::Lstm | HeadKind::Gru) {
        head.pooling = Pooling::FirstLast;
    }
}

fn budgets(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let chosen = Budget::of(&state.train.settings);
    ui.horizontal_wrapped(|ui| {
        for budget in Budget::ALL {
            let time = plan::training_seconds(state, budget.epochs())
                .map_or_else(String::new, |seconds| {
                    format!(", {}", actions::duration_in_words(seconds))
                });
            let hint = match budget.patience() {
                None => format!("{} epochs{time}", budget.epochs()),
                Some(patience) => format!(
                    "{} epochs at most{time}; ends after {patience} epochs without a better one",
                    budget.epochs()
                ),
            };
            let button = Button::selectable(chosen == Some(budget), budget.title());
            if ui.add(button).on_hover_text(hint).clicked() {
                out.push(Command::Train(TrainCommand::SetBudget(budget)));
            }
        }
        let settings = &state.train.settings;
        let at_most = match settings.patience {
            Some(_) => " at most",
            None => "",
        };
        let time = plan::training_seconds(state, settings.epochs);
        let time = time.map_or_else(String::new, |seconds| {
            format!(", {}", actions::duration_in_words(seconds))
        });
        ui.weak(format!("{} epochs{at_most}{time}", settings.epochs));
    });
}

fn advanced(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let settings = &state.train.settings;
    let mut new = settings.clone();
    ui.horizontal_wrapped(|ui| {
        let aspect = settings.aspect;
        let dataset = state
            .project
            .as_ref()
            .map_or("", |project| &project.info.dataset);
        let kept = |bundle: TrainSettings| TrainSettings {
            descriptions: settings.descriptions,
            reading: settings.reading.clone(),
            learn_from: settings.learn_from.clone(),
            seed: settings.seed,
            ..bundle
        };
        let hint = "A small head on hidden states, chosen on a validation part";
        if ui.button("Usual settings").on_hover_text(hint).clicked() {
            new = kept(TrainSettings::new(aspect));
        }
        let hint = "What M3-AGIQA's code did, which chooses the best epoch on the test list; slow";
        if ui
            .button("Published protocol")
            .on_hover_text(hint)
            .clicked()
        {
            new = kept(TrainSettings::published_on(aspect, dataset));
        }
    });
    if ui.available_width() >= TWO_COLUMNS {
        ui.columns(2, |columns| {
            if let [left, right] = columns {
                grid(left, "train_advanced_left", |ui| {
                    network(ui, &mut new);
                    messages(ui, &mut new);
                    steps(ui, &mut new);
                });
                grid(right, "train_advanced_right", |ui| {
                    limits(ui, &mut new);
                    selection(ui, state, &mut new, out);
                });
            }
        });
    } else {
        grid(ui, "train_advanced", |ui| {
            network(ui, &mut new);
            messages(ui, &mut new);
            steps(ui, &mut new);
            limits(ui, &mut new);
            selection(ui, state, &mut new, out);
        });
    }
    if new != *settings {
        keep_whole(&mut new);
        set(&new, out, |_| {});
    }
}

fn grid(ui: &mut Ui, salt: &str, fields: impl FnOnce(&mut Ui)) {
    Grid::new(salt)
        .num_columns(2)
        .min_col_width(NAME)
        .spacing(vec2(GAP, GAP / 2.0))
        .show(ui, fields);
}

fn network(ui: &mut Ui, new: &mut TrainSettings) {
    let head = &mut new.head;
    let dim = DragValue::new(&mut head.dim).range(4..=4096).speed(4.0);
    row(
        ui,
        "Width",
        "Of the head, a multiple of 4; 512 as published",
        dim,
    );
    let inputs = HeadInput::ALL.map(|input| (input, input.name()));
    let hint = "Hidden states themselves, or logits through a projection as the paper does it";
    pick(ui, ("Input", hint), &inputs, &mut head.input);
    if head.input == HeadInput::Logits {
        let projections = Projection::ALL.map(|projection| (projection, projection.name()));
        let hint = "Folded trains its product with the language model's last layer; full is as published, and slow";
        pick(ui, ("Projection", hint), &projections, &mut head.projection);
    }
    if !matches!(head.kind, HeadKind::Xlstm | HeadKind::Mlp) {
        let hint = "Rebuild the slips of the published head, to compare with its figures";
        row(
            ui,
            "Published quirks",
            hint,
            Checkbox::without_text(&mut head.published_quirks),
        );
    }
}

/// Which messages are read: the ablations of the paper.
fn messages(ui: &mut Ui, new: &mut TrainSettings) {
    let rounds = Rounds::ALL.map(|rounds| (rounds, rounds.title()));
    let hint = "How far the conversation is read; with the description and without the answer is the paper's system";
    pick(ui, ("Reads", hint), &rounds, &mut new.reading.rounds);
    ui.label("After").on_hover_text(
        "What was said of other aspects comes first; it is described where it is lacking",
    );
    // One below the other: side by side they are wider than the column of a narrow window.
    ui.vertical(|ui| {
        for aspect in Aspect::ALL {
            if aspect == new.aspect {
                continue;
            }
            let also = &mut new.reading.also;
            let mut is_read = also.contains(&aspect);
            let name = format!("Read what is said of {aspect} as well");
            let field = ui.checkbox(&mut is_read, aspect.name());
            if field.accessible_name(name).changed() {
                also.retain(|other| *other != aspect);
                if is_read {
                    also.push(aspect);
                }
            }
        }
    });
    ui.end_row();
}

fn steps(ui: &mut Ui, new: &mut TrainSettings) {
    let losses = Loss::ALL.map(|loss| (loss, loss.name()));
    pick(
        ui,
        ("Loss", "What a step makes smaller"),
        &losses,
        &mut new.loss,
    );
    let epochs = DragValue::new(&mut new.epochs).range(1..=500).speed(0.2);
    row(
        ui,
        "Epochs",
        "Passes over the training images at most",
        epochs,
    );
    let batch = DragValue::new(&mut new.batch_size)
        .range(1..=256)
        .speed(0.2);
    row(ui, "Batch size", "Images a step", batch);
    let rate = DragValue::new(&mut new.learning_rate)
        .range(1e-6..=0.1)
        .speed(1e-5)
        .max_decimals(6);
    row(ui, "Learning rate", "The highest one, of AdamW", rate);
    let schedules = Schedule::ALL.map(|schedule| (schedule, schedule.name()));
    let hint = "Cosine rises in a line and falls as a cosine; constant is as published";
    pick(ui, ("Schedule", hint), &schedules, &mut new.schedule);
    let decay = DragValue::new(&mut new.weight_decay)
        .range(0.0..=1.0)
        .speed(1e-3)
        .max_decimals(5);
    row(ui, "Weight decay", "Holds the weights small", decay);
}

fn limits(ui: &mut Ui, new: &mut TrainSettings) {
    let mut is_clipped = new.max_norm.is_some();
    let hint = "Largest norm of a step's gradient";
    optional(ui, ("Clip gradients", hint), &mut is_clipped, |ui| {
        let mut norm = new.max_norm.unwrap_or(USUAL_NORM);
        let field = DragValue::new(&mut norm).range(0.01..=100.0).speed(0.01);
        let response = ui.add(field).accessible_name("Largest gradient norm");
        if response.changed() {
            new.max_norm = Some(norm);
        }
    });
    if is_clipped != new.max_norm.is_some() {
        new.max_norm = is_clipped.then_some(USUAL_NORM);
    }
    let mut is_patient = new.patience.is_some();
    let hint = "End after so many epochs without a better one";
    optional(ui, ("End early", hint), &mut is_patient, |ui| {
        let mut patience = new.patience.unwrap_or(USUAL_PATIENCE);
        let field = DragValue::new(&mut patience).range(1..=100).speed(0.1);
        let response = ui.add(field).accessible_name("Patience in epochs");
        if response.changed() {
            new.patience = Some(patience);
        }
    });
    if is_patient != new.patience.is_some() {
        new.patience = is_patient.then_some(USUAL_PATIENCE);
    }
}

fn selection(ui: &mut Ui, state: &AppState, new: &mut TrainSettings, out: &mut Vec<Command>) {
    let selections = Selection::ALL.map(|selection| (selection, selection.name()));
    let hint = "What chooses the epoch that is kept; the test list is as published, and makes its own figures too good";
    pick(ui, ("Best epoch by", hint), &selections, &mut new.selection);
    if new.selection == Selection::Validation && state.train.num_folds.is_none() {
        let mut percent = new.val_fraction * 100.0;
        let part = DragValue::new(&mut percent)
            .range(1.0..=50.0)
            .speed(0.2)
            .max_decimals(0)
            .suffix(" %");
        let hint = "Of the training images, cut by prompt; chooses the best epoch";
        if row(ui, "Validation part", hint, part).changed() {
            new.val_fraction = percent / 100.0;
        }
    }
    let none = (None, "no".to_owned());
    let folds = FOLDS.map(|num| (Some(num), format!("{num} parts")));
    let folds: Vec<(Option<u32>, String)> = std::iter::once(none).chain(folds).collect();
    let folds: Vec<(Option<u32>, &str)> = folds
        .iter()
        .map(|(num, words)| (*num, words.as_str()))
        .collect();
    let mut num = state.train.num_folds;
    let hint = "Train once for each part of the training images, with that part to choose the best epoch; nothing is taken into use";
    pick(ui, ("Cross-validation", hint), &folds, &mut num);
    if num != state.train.num_folds {
        out.push(Command::Train(TrainCommand::SetFolds(num)));
    }
    let seed = DragValue::new(&mut new.seed).speed(0.2);
    let hint = "Same seed, data and settings: same predictor";
    row(ui, "Seed", hint, seed);
}

/// A named field; what it means stands at the pointer.
pub(in crate::ui) fn row(ui: &mut Ui, name: &str, hint: &str, field: impl Widget) -> Response {
    let label = ui.label(name).on_hover_text(hint);
    let response = ui
        .add_sized(vec2(FIELD, ROW_HEIGHT), field)
        .labelled_by(label.id)
        .on_hover_text(hint);
    ui.end_row();
    response
}

/// A named field that can be switched off.
pub(in crate::ui) fn optional(
    ui: &mut Ui,
    (name, hint): (&str, &str),
    is_on: &mut bool,
    field: impl FnOnce(&mut Ui),
) {
    let label = ui.label(name).on_hover_text(hint);
    ui.horizontal(|ui| {
        ui.add(Checkbox::without_text(is_on)).labelled_by(label.id);
        if *is_on {
            field(ui);
        } else {
            ui.weak("no");
        }
    });
    ui.end_row();
}

/// A named choice of a few words.
fn pick<T: Copy + PartialEq>(
    ui: &mut Ui,
    (name, hint): (&str, &str),
    all: &[(T, &str)],
    value: &mut T,
) {
    let label = ui.label(name).on_hover_text(hint);
    let before = *value;
    choose(ui, (name, FIELD), all, before, |chosen| *value = chosen)
        .labelled_by(label.id)
        .on_hover_text(hint);
    ui.end_row();
}

pub(in crate::ui) fn choose<T: Copy + PartialEq>(
    ui: &mut Ui,
    (salt, width): (&str, f32),
    all: &[(T, &str)],
    chosen: T,
    mut take: impl FnMut(T),
) -> Response {
    let words = all.iter().find(|(value, _)| *value == chosen);
    ComboBox::from_id_salt(salt)
        .selected_text(words.map_or("", |(_, words)| words))
        .width(width)
        .truncate()
        .show_ui(ui, |ui| {
            for (value, words) in all {
                if ui.selectable_label(*value == chosen, *words).clicked() {
                    take(*value);
                }
            }
        })
        .response
}
