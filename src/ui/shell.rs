//! The whole window: bar on top, screens on the left, jobs at the bottom, the selected picture on the right.

use egui::Align;
use egui::Button;
use egui::CentralPanel;
use egui::Frame;
use egui::Layout;
use egui::Margin;
use egui::Panel;
use egui::Ui;
use egui::vec2;

use crate::state::AppState;
use crate::state::Command;
use crate::state::Screen;
use crate::state::dialogs::DialogCommand;
use crate::state::keys;
use crate::state::keys::Action;

use super::compare;
use super::dialogs;
use super::distil;
use super::gallery;
use super::inspect;
use super::jobs_strip;
use super::keys as pressed_keys;
use super::models;
use super::notices;
use super::palette;
use super::panel;
use super::rate;
use super::start;
use super::textures::Textures;
use super::tokens::GAP;
use super::tokens::NAVIGATION_WIDTH;
use super::tokens::PANEL_WIDTH;
use super::tokens::Palette;
use super::tokens::ROW_HEIGHT;
use super::train;
use super::widgets::chip;

/// Draws the window and collects what the user asked for.
pub fn show(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    pressed_keys::read(ui.ctx(), state, out);
    let is_sitting = state.rate.sitting.is_some();
    textures.be_smooth(is_sitting);
    if is_sitting {
        rate::sitting(ui, state, textures, out);
        return;
    }
    let palette = Palette::in_use(ui);
    let chrome = Frame::new()
        .fill(palette.panel)
        .inner_margin(Margin::symmetric(12, 6));
    Panel::top("top_bar")
        .frame(chrome)
        .show(ui, |ui| top_bar(ui, state, out));
    Panel::bottom("jobs_strip")
        .frame(chrome)
        .show(ui, |ui| jobs_strip::show(ui, state, out));
    if state.project.is_some() {
        Panel::left("navigation")
            .frame(chrome)
            .resizable(false)
            .exact_size(NAVIGATION_WIDTH)
            .show(ui, |ui| navigation(ui, state, out));
    }
    let has_panel = matches!(state.screen, Screen::Gallery | Screen::Compare);
    if has_panel && state.is_panel_open && state.project.is_some() {
        Panel::right("selected_picture")
            .frame(chrome)
            .resizable(true)
            .default_size(PANEL_WIDTH)
            .size_range(240.0..=560.0)
            .show(ui, |ui| panel::show(ui, state, textures, out));
    }
    CentralPanel::default()
        .frame(Frame::new().fill(palette.panel))
        .show(ui, |ui| screen(ui, state, textures, out));
    dialogs::show(ui, state, out);
    palette::show(ui, state, out);
    notices::show(ui, state, out);
    drop_hint(ui);
}

fn screen(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    match state.screen {
        Screen::Start => start::show(ui, state, textures, out),
        Screen::Gallery => gallery::show(ui, state, textures, out),
        Screen::Inspect => inspect::show(ui, state, textures, out),
        Screen::Compare => compare::show(ui, state, textures, out),
        Screen::Train => train::show(ui, state, textures, out),
        Screen::Distil => distil::show(ui, state, textures, out),
        Screen::Rate => rate::show(ui, state, textures, out),
        Screen::Models => models::show(ui, state, textures, out),
    }
}

fn top_bar(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        ui.set_min_height(ROW_HEIGHT);
        let title = Button::new(egui::RichText::new("Assay").strong()).frame(false);
        let hint = state
            .keys
            .map
            .hint("Other projects", Action::Go(Screen::Start));
        if ui.add(title).on_hover_text(hint).clicked() {
            out.push(Command::Show(Screen::Start));
        }
        if let Some(project) = &state.project {
            ui.weak(panel::dataset_words(project))
                .on_hover_text(&project.info.path);
            if project.info.is_demo {
                chip::warning(
                    ui,
                    "Synthetic demo",
                    "Scenes drawn by this program with known defects, rated by simulated people. \
                     Figures here say nothing about real pictures.",
                );
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            top_buttons(ui, state, out);
        });
    });
}

fn top_buttons(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let keys = &state.keys.map;
    let mut button = |ui: &mut Ui, words: &str, hint: &str, action: Action| {
        let hint = keys.hint(hint, action);
        if ui.button(words).on_hover_text(hint).clicked() {
            out.extend(keys::command(action, state));
        }
    };
    let hint = "Every command by name";
    button(ui, "Commands", hint, Action::Palette);
    let theme = format!("{:?}", state.theme.other());
    let hint = format!("Use {} colours", theme.to_lowercase());
    button(ui, &theme, &hint, Action::Theme);
    if let Some(project) = &state.project {
        button(ui, "Export…", "Write a table of scores", Action::Export);
        if let Some(redo) = &project.redo {
            button(ui, "Redo", &format!("Redo {}", redo.0), Action::Redo);
        }
        if let Some(undo) = &project.undo {
            button(ui, "Undo", &format!("Undo {}", undo.0), Action::Undo);
        }
    }
    let hint = "A project, a dataset, a table or a folder";
    button(ui, "Open…", hint, Action::Open);
    if state
        .import
        .as_ref()
        .is_some_and(|summary| !summary.problems.is_empty())
        && ui
            .button("Import report")
            .on_hover_text("What was wrong with the input")
            .clicked()
    {
        out.push(Command::Dialog(DialogCommand::ImportReport));
    }
}

fn navigation(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    ui.add_space(GAP);
    for screen in Screen::NAVIGATION {
        let button = Button::selectable(state.screen == screen, screen.title())
            .min_size(vec2(ui.available_width(), ROW_HEIGHT + 4.0));
        let title = format!("Go to {}", screen.title());
        let hint = state.keys.map.hint(&title, Action::Go(screen));
        if ui.add(button).on_hover_text(hint).clicked() {
            out.push(Command::Show(screen));
        }
    }
}

/// Says what will happen to a file that is held over the window.
fn drop_hint(ui: &Ui) {
    let is_held = ui.input(|input| !input.raw.hovered_files.is_empty());
    if !is_held {
        return;
    }
    let palette = Palette::in_use(ui);
    let screen = ui.ctx().content_rect();
    let layer = egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop_hint"));
    let painter = ui.ctx().layer_painter(layer);
    painter.rect_filled(screen, 0.0, palette.veil);
    painter.text(
        screen.center(),
        egui::Align2::CENTER_CENTER,
        "Drop to open",
        egui::FontId::proportional(super::tokens::HEADING),
        palette.ink,
    );
}
