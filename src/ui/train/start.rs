//! Step 3: the button with what it will do, and why it cannot be pressed where it cannot.

use egui::Ui;

use crate::state::AppState;
use crate::state::Command;
use crate::state::models::bytes_words;
use crate::state::train;
use crate::state::train::CacheState;
use crate::state::train::DataSummary;
use crate::state::train::TrainCommand;
use crate::state::train::data::images;
use crate::state::train::plan;
use crate::ui::tokens::Palette;
use crate::ui::widgets::start_button::start_button;

/// Draws the step.
pub(super) fn show(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let obstacle = train::obstacle(state);
    ui.horizontal_wrapped(|ui| {
        if start_button(ui, button_words(state), obstacle.as_deref()) {
            out.push(Command::Train(TrainCommand::Start));
        }
        match &obstacle {
            Some(reason) => ui.colored_label(Palette::in_use(ui).warning, reason),
            None => ui.weak(plan::estimate(state)),
        };
        let num_cut_off = train::cut_off(state).count();
        if num_cut_off > 1 {
            let words = format!("Go on with {num_cut_off} runs that were cut off");
            let hint = "Each goes on after the last epoch that was saved";
            if ui.button(words).on_hover_text(hint).clicked() {
                out.push(Command::Train(TrainCommand::ResumeAll));
            }
        }
    });
    ui.weak(after_words(state));
    cache(ui, state, out);
}

/// The feature cache: what it holds, what this will add, and how to make room.
fn cache(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let CacheState::Known(usage) = state.train.cache else {
        return;
    };
    let to_come = plan::num_to_describe(state);
    let held = match usage.files {
        0 => "The feature cache is empty".to_owned(),
        _ => format!("The feature cache holds {}", bytes_words(usage.bytes)),
    };
    let more = match (to_come, usage.bytes_of(to_come)) {
        (0, _) => String::new(),
        (_, Some(bytes)) => format!(
            "; what is to be described will add about {}",
            bytes_words(bytes)
        ),
        (_, None) => "; how much will be added is said once the model is loaded".to_owned(),
    };
    ui.horizontal_wrapped(|ui| {
        ui.weak(format!("{held}{more}."));
        if usage.files == 0 || train::is_busy(state) {
            return;
        }
        ui.menu_button("Make room", |ui| {
            ui.weak("Deleted features are made anew when they are needed");
            let half = usage.bytes / 2;
            let rest = bytes_words(usage.bytes - half);
            let choices = [
                (format!("Delete the oldest half ({rest})"), half),
                (format!("Delete all ({})", bytes_words(usage.bytes)), 0),
            ];
            for (words, left) in choices {
                if ui.button(words).clicked() {
                    out.push(Command::Train(TrainCommand::Prune(left)));
                    ui.close();
                }
            }
        });
    });
}

fn button_words(state: &AppState) -> String {
    let data = &state.train.data;
    let learned: Vec<usize> = data.iter().map(DataSummary::num_learned).collect();
    let num_runs = plan::runs(&state.train).len();
    match (num_runs, learned.as_slice()) {
        (0 | 1, [one]) => format!("Train on {}", images(*one)),
        (_, [first, rest @ ..]) if rest.iter().all(|other| other == first) => {
            format!("Train {num_runs} predictors on {} each", images(*first))
        }
        _ => format!("Train {num_runs} predictors"),
    }
}

fn after_words(state: &AppState) -> &'static str {
    match (state.train.num_folds, state.train.aspects.len()) {
        (Some(_), _) => {
            "Nothing is overwritten and nothing taken into use: the runs of a cross-validation are there to be compared. \
             Runs and predictors are kept in the project."
        }
        (None, 0 | 1) => {
            "Nothing is overwritten. The new predictor is taken into use when the run ends; one click brings the former one \
             back. Runs and predictors are kept in the project."
        }
        (None, _) => {
            "Nothing is overwritten. The runs follow one another, and each predictor is taken into use when its run ends; \
             one click brings the former one back. Runs and predictors are kept in the project."
        }
    }
}
