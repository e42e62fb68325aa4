//! The three steps: data, settings, and the button with what it will do.

use egui::Button;
use egui::DragValue;
use egui::Grid;
use egui::RichText;
use egui::Ui;
use egui::vec2;

use crate::domain::{Aspect, TrainSettings};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::actions;
use crate::state::actions::grouped;
use crate::state::train;
use crate::state::train::TrainCommand;
use crate::state::train::data::images;
use crate::state::train::runs::train_seconds;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::ROW_HEIGHT;
use crate::ui::tokens::SMALL;

/// The predictor's head as the program builds it.
const HEAD: &str = "xLSTM with blocks m, s, m, m, mean pooling, two layers to one score";

/// The aspect chooser and the data in sentences.
pub(super) fn data(ui: &mut Ui, state: &AppState, project: &Project, out: &mut Vec<Command>) {
    let settings = &state.train.settings;
    ui.horizontal_wrapped(|ui| {
        for aspect in Aspect::ALL {
            let is_on = settings.aspect == aspect;
            let palette = Palette::in_use(ui);
            let ink = match is_on {
                true => palette.aspect(aspect),
                false => palette.faint,
            };
            let words = RichText::new(aspect.title()).color(ink);
            let hint = format!("Learn what people said of {aspect}");
            if ui
                .add(Button::selectable(is_on, words))
                .on_hover_text(hint)
                .clicked()
            {
                set(settings, out, |settings| settings.aspect = aspect);
            }
        }
    });
    let data = &state.train.data;
    ui.label(format!(
        "{}, opinion scores of {} {}on the scale {}.",
        project.info.dataset,
        settings.aspect,
        project
            .truth_study(settings.aspect)
            .map_or_else(String::new, |study| {
                format!("from the study {} ", study.protocol.name)
            }),
        project.info.scale
    ));
    if data.num_taking_part() == 0 {
        if let Some(reason) = data.obstacle() {
            ui.colored_label(Palette::in_use(ui).warning, reason);
        }
        return;
    }
    for sentence in data.sentences() {
        ui.label(sentence);
    }
    ui.label(described_words(state));
    for warning in data.warnings() {
        ui.colored_label(Palette::in_use(ui).warning, warning);
    }
}

fn described_words(state: &AppState) -> String {
    let data = &state.train.data;
    let number = data.num_to_describe();
    if number == 0 {
        return "All of them are described already.".to_owned();
    }
    let time = actions::describe_seconds(&state.jobs, number).map_or_else(
        || "how long that takes is not known before the first one".to_owned(),
        actions::duration_in_words,
    );
    format!(
        "{} of {} are described already; {} must be described first ({time}).",
        grouped(data.num_described),
        grouped(data.num_taking_part()),
        images(number)
    )
}

/// The head as it is, the epochs, and the rest folded away.
pub(super) fn settings(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let settings = &state.train.settings;
    let model = state
        .models
        .cards
        .first()
        .map_or("the model in use", |card| card.tag.name.as_str());
    ui.label(HEAD);
    ui.label(format!(
        "It reads what {model} says of each picture. The model itself is not changed."
    ));
    Grid::new("train_budget").num_columns(3).show(ui, |ui| {
        let mut epochs = settings.epochs;
        let field = DragValue::new(&mut epochs).range(1..=500).speed(0.2);
        if row(ui, "Epochs", field, "Passes over the training images") {
            set(settings, out, |settings| settings.epochs = epochs);
        }
    });
    let words = match state.train.is_advanced {
        true => "Hide advanced settings",
        false => "Advanced settings",
    };
    if ui.button(words).clicked() {
        out.push(Command::Train(TrainCommand::ToggleAdvanced));
    }
    if state.train.is_advanced {
        Grid::new("train_advanced")
            .num_columns(3)
            .show(ui, |ui| advanced(ui, settings, out));
    } else {
        let words = format!(
            "Batches of {}, learning rate {}, weight decay {}, validation part {:.0} %, seed {}",
            settings.batch_size,
            settings.learning_rate,
            settings.weight_decay,
            settings.val_fraction * 100.0,
            settings.seed
        );
        ui.label(RichText::new(words).weak().size(SMALL));
    }
}

fn advanced(ui: &mut Ui, settings: &TrainSettings, out: &mut Vec<Command>) {
    let mut new = settings.clone();
    let mut percent = settings.val_fraction * 100.0;
    let batch = DragValue::new(&mut new.batch_size)
        .range(1..=256)
        .speed(0.2);
    let mut is_changed = row(ui, "Batch size", batch, "Images a step");
    let rate = DragValue::new(&mut new.learning_rate)
        .range(1e-6..=0.1)
        .speed(1e-5)
        .max_decimals(6);
    is_changed |= row(ui, "Learning rate", rate, "The highest one, of AdamW");
    let decay = DragValue::new(&mut new.weight_decay)
        .range(0.0..=1.0)
        .speed(1e-3)
        .max_decimals(4);
    is_changed |= row(ui, "Weight decay", decay, "Holds the weights small");
    let part = DragValue::new(&mut percent)
        .range(1.0..=50.0)
        .speed(0.2)
        .max_decimals(0)
        .suffix(" %");
    let hint = "Of the training images, cut by prompt; chooses the best epoch";
    is_changed |= row(ui, "Validation part", part, hint);
    let seed = DragValue::new(&mut new.seed).speed(0.2);
    let hint = "Same seed, data and settings: same predictor";
    is_changed |= row(ui, "Seed", seed, hint);
    if is_changed {
        new.val_fraction = percent / 100.0;
        set(&new, out, |_| {});
    }
}

/// A named field with what it means; whether it changed.
fn row(ui: &mut Ui, name: &str, field: DragValue<'_>, hint: &str) -> bool {
    let label = ui.label(name);
    let response = ui
        .add_sized(vec2(88.0, ROW_HEIGHT), field)
        .labelled_by(label.id)
        .on_hover_text(hint);
    ui.label(RichText::new(hint).weak().size(SMALL));
    ui.end_row();
    response.changed()
}

fn set(settings: &TrainSettings, out: &mut Vec<Command>, change: impl FnOnce(&mut TrainSettings)) {
    let mut settings = settings.clone();
    change(&mut settings);
    out.push(Command::Train(TrainCommand::SetSettings(settings)));
}

/// The button, and why it cannot be pressed where it cannot.
pub(super) fn start(ui: &mut Ui, state: &AppState, project: &Project, out: &mut Vec<Command>) {
    let obstacle = train::obstacle(state);
    let number = state.train.data.num_learned();
    ui.horizontal_wrapped(|ui| {
        let words = format!("Train on {}", images(number));
        let button = Button::new(RichText::new(words).strong())
            .min_size(vec2(200.0, ROW_HEIGHT + GAP))
            .fill(Palette::in_use(ui).accent_ground);
        let reason = obstacle.clone().unwrap_or_default();
        if ui
            .add_enabled(obstacle.is_none(), button)
            .on_disabled_hover_text(reason)
            .clicked()
        {
            out.push(Command::Train(TrainCommand::Start));
        }
        match &obstacle {
            Some(reason) => ui.colored_label(Palette::in_use(ui).warning, reason),
            None => ui.weak(estimate(state, project, number)),
        };
    });
    ui.weak(
        "The new predictor is taken into use when the run ends; one click brings the former one back. \
         Runs and predictors are kept in the project.",
    );
}

fn estimate(state: &AppState, project: &Project, number: usize) -> String {
    let epochs = state.train.settings.epochs;
    let training = train_seconds(project, number, epochs);
    let to_describe = state.train.data.num_to_describe();
    let describing = match to_describe {
        0 => Some(0.0),
        number => actions::describe_seconds(&state.jobs, number),
    };
    match (training, describing) {
        (Some(training), Some(describing)) => format!(
            "{} at the speed of the last run",
            actions::duration_in_words(training + describing)
        ),
        (Some(training), None) => format!(
            "{} for the epochs, and describing {} before",
            actions::duration_in_words(training),
            images(to_describe)
        ),
        (None, _) => "How long it takes will stand here after the first run.".to_owned(),
    }
}
