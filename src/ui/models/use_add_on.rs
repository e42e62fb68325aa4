//! The buttons that take an adapter or a published predictor into use.

use egui::Button;
use egui::Ui;

use crate::domain::AddOn;
use crate::state::AppState;
use crate::state::Command;
use crate::state::models;
use crate::state::models::ModelsCommand;
use crate::ui::widgets::chip;

/// For each aspect that the adapter can serve: put it in, or take it out.
pub(super) fn adapter(ui: &mut Ui, state: &AppState, add_on: &AddOn, out: &mut Vec<Command>) {
    for aspect in models::aspects_of(add_on) {
        let add_on_name = &add_on.name;
        let (label, name, hint, folder) = if models::is_put_in(state, add_on, aspect) {
            chip::chip(
                ui,
                &format!("in use for {aspect}"),
                "The model describes this aspect with it",
            );
            (
                "Take out".to_owned(),
                format!("Take out {add_on_name} for {aspect}"),
                "Describes without it from now on",
                None,
            )
        } else {
            (
                format!("Use for {aspect}"),
                format!("Use {add_on_name} for {aspect}"),
                "Describes with it from now on; what others described is kept",
                Some(add_on.folder.clone()),
            )
        };
        if button(ui, state, add_on, (&label, &name, hint)) {
            out.push(Command::Models(ModelsCommand::UseAdapter(aspect, folder)));
        }
    }
}

/// Take the predictor into the project and into use.
pub(super) fn predictor(ui: &mut Ui, state: &AppState, add_on: &AddOn, out: &mut Vec<Command>) {
    let name = format!("Use {}", add_on.name);
    let hint = "Takes it into the project: it gives the scores of its aspect from now on";
    if button(ui, state, add_on, ("Use", &name, hint)) {
        let folder = add_on.folder.clone();
        out.push(Command::Models(ModelsCommand::UsePublished(folder)));
    }
}

fn button(
    ui: &mut Ui,
    state: &AppState,
    add_on: &AddOn,
    (label, name, hint): (&str, &str, &str),
) -> bool {
    let obstacle = match &add_on.problem {
        Some(problem) => Some(problem.clone()),
        None => models::add_on_obstacle(state, add_on),
    };
    ui.add_enabled(obstacle.is_none(), Button::new(label))
        .accessible_name(name)
        .on_hover_text(hint)
        .on_disabled_hover_text(obstacle.unwrap_or_default())
        .clicked()
}
