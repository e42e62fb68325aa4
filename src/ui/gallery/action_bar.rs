//! What can be done with the pictures selected or shown: how many, and how long it may take, before the click.

use egui::Button;
use egui::Ui;

use crate::domain::Aspect;
use crate::state::AppState;
use crate::state::Command;
use crate::state::actions;
use crate::state::actions::grouped;
use crate::state::command::Target;
use crate::state::gallery::GalleryCommand;
use crate::state::keys::Action;
use crate::state::selection::SelectionCommand;
use crate::ui::tokens::Palette;
use crate::ui::widgets::tags;

/// Draws the bar.
pub(super) fn show(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    // Wrapped, because on a narrow window what does not fit would lie on top of each other.
    ui.horizontal_wrapped(|ui| {
        for aspect in Aspect::ALL {
            aspect_toggle(ui, state, aspect, out);
        }
        describe(ui, state, out);
        score(ui, state, out);
        tags::button(ui, state, out);
        select_all(ui, state, out);
    });
}

fn aspect_toggle(ui: &mut Ui, state: &AppState, aspect: Aspect, out: &mut Vec<Command>) {
    let is_on = state.gallery.action_aspects.contains(&aspect);
    let ink = if is_on {
        Palette::in_use(ui).aspect(aspect)
    } else {
        Palette::in_use(ui).faint
    };
    let words = egui::RichText::new(aspect.title()).color(ink);
    let hint = format!("Show {aspect} below the pictures, and let the buttons be about it");
    let button = Button::selectable(is_on, words);
    if ui.add(button).on_hover_text(hint).clicked() {
        out.push(Command::Gallery(GalleryCommand::ToggleAspect(aspect)));
    }
}

fn describe(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let aspects = state.gallery.action_aspects.clone();
    let counts = aspects
        .iter()
        .map(|&aspect| *state.scope.to_describe.get(aspect));
    let num_texts: usize = counts.clone().sum();
    let num_images = counts.max().unwrap_or(0);
    let (words, hint) = if num_images == 0 {
        (
            "Described already".to_owned(),
            "Every picture here has a description of these aspects by the model and wording in use"
                .to_owned(),
        )
    } else {
        let time = actions::describe_seconds(&state.jobs, num_texts).map_or_else(
            || "time not known before the first one".to_owned(),
            actions::duration_in_words,
        );
        (
            format!("Describe {}", images_in_words(num_images)),
            format!(
                "{} descriptions, {time}. Nothing is overwritten; texts are kept in the project.",
                grouped(num_texts)
            ),
        )
    };
    let button = ui.add_enabled(num_images > 0, Button::new(words));
    if button
        .on_hover_text(&hint)
        .on_disabled_hover_text(&hint)
        .clicked()
    {
        out.push(Command::Describe {
            target: Target::Scope,
            aspects,
            again: false,
        });
    }
}

fn score(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let num_images = state.scope.num_usable();
    let words = format!("Score {}", images_in_words(num_images));
    let lacking: usize = state
        .gallery
        .action_aspects
        .iter()
        .map(|&aspect| *state.scope.to_score.get(aspect))
        .sum();
    let hint = format!(
        "{} scores are lacking. Describes first where a description is lacking. \
         Pictures without a file are left out.",
        grouped(lacking)
    );
    if ui
        .add_enabled(num_images > 0, Button::new(words))
        .on_hover_text(hint)
        .clicked()
    {
        out.push(Command::Score {
            target: Target::Scope,
            aspects: state.gallery.action_aspects.clone(),
        });
    }
}

fn images_in_words(number: usize) -> String {
    match number {
        1 => "1 image".to_owned(),
        number => format!("{} images", grouped(number)),
    }
}

fn select_all(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let words = "Select everything shown";
    let hint = state.keys.map.hint(words, Action::SelectAll);
    let is_many = state.selection.is_many();
    if !is_many && ui.button("Select all").on_hover_text(hint).clicked() {
        out.push(Command::Selection(SelectionCommand::All));
    }
}
