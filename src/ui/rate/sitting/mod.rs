//! A sitting: nothing but the picture, the prompt, the question and the scale, on a neutral grey.
//!
//! Blind by construction: nothing in this folder is handed a score, a vote, a description, a path, a generator or the
//! name of a dataset, and nothing else is drawn while a sitting is on.

mod keys;
mod pages;
mod picture;
mod prompt;
mod scale;
mod slider;

use egui::Align;
use egui::Align2;
use egui::CentralPanel;
use egui::FontId;
use egui::Frame;
use egui::Layout;
use egui::Margin;
use egui::Panel;
use egui::Rect;
use egui::RichText;
use egui::Ui;
use egui::vec2;

use crate::domain::Method;
use crate::state::AppState;
use crate::state::Command;
use crate::state::actions::grouped;
use crate::state::rate::RateCommand;
use crate::state::rate::SittingCommand;
use crate::state::rate::sitting::Showing;
use crate::state::rate::sitting::Sitting;
use crate::state::rate::sitting::Step;
use crate::ui::textures::Textures;
use crate::ui::tokens;
use crate::ui::tokens::GAP;
use crate::ui::tokens::QUESTION;
use crate::ui::tokens::ROW_HEIGHT;
use crate::ui::tokens::STUDY;

pub(in crate::ui) use keys::read as read_keys;

/// Height of the line on top.
const TOP: f32 = 36.0;

/// Margin above and below question, prompt and scale.
const SCALE_MARGIN: i8 = 12;

/// Draws the sitting over the whole window.
pub(in crate::ui) fn show(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    out: &mut Vec<Command>,
) {
    let Some(sitting) = &state.rate.sitting else {
        return;
    };
    tokens::apply_study(ui);
    let mut ahead: Vec<_> = sitting
        .showing()
        .map(|showing| showing.images.clone())
        .unwrap_or_default();
    ahead.extend(&sitting.ahead);
    textures.prepare(&ahead);
    match &sitting.step {
        Step::Trial(showing) => trial(ui, state, (sitting, showing.as_ref()), textures, out),
        _ => {
            CentralPanel::default()
                .frame(Frame::new().fill(STUDY.ground))
                .show(ui, |ui| pages::show(ui, state, sitting, out));
        }
    }
}

/// What a part of the screen asks for.
fn command(command: SittingCommand) -> Command {
    Command::Rate(RateCommand::Sitting(command))
}

fn trial(
    ui: &mut Ui,
    state: &AppState,
    (sitting, showing): (&Sitting, &Showing),
    textures: &mut Textures,
    out: &mut Vec<Command>,
) {
    let bar = |vertical| {
        Frame::new()
            .fill(STUDY.panel)
            .inner_margin(Margin::symmetric(16, vertical))
    };
    Panel::top("sitting_top")
        .frame(bar(4))
        .exact_size(TOP)
        .show_separator_line(false)
        .show(ui, |ui| top(ui, (sitting, showing), out));
    let picture = sitting.tallest_px as f32 / ui.ctx().pixels_per_point() + picture::MARGIN;
    let room = ui.available_height() - picture;
    Panel::bottom("sitting_scale")
        .frame(bar(SCALE_MARGIN))
        .resizable(false)
        .show_separator_line(false)
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = GAP;
            let question = question(ui, sitting, showing);
            let rest = question + scale::WHOLE_HEIGHT + 2.0 * GAP + 2.0 * f32::from(SCALE_MARGIN);
            let is_scrolled = prompt::show(ui, (sitting, showing), room - rest);
            scale::show(ui, state, (sitting, showing, is_scrolled), out);
        });
    CentralPanel::default()
        .frame(Frame::new().fill(STUDY.ground))
        .show(ui, |ui| {
            picture::show(ui, (sitting, showing), textures, out);
        });
}

/// Practice or how far, and the way out. Nothing that hurries: no clock, no rate.
fn top(ui: &mut Ui, (sitting, showing): (&Sitting, &Showing), out: &mut Vec<Command>) {
    progress_line(ui, sitting);
    ui.horizontal_centered(|ui| {
        ui.set_min_height(ROW_HEIGHT);
        if showing.trial.is_training {
            ui.label(RichText::new("Practice: these answers do not count").color(STUDY.warning));
        } else {
            let place = (sitting.num_done + 1).min(sitting.num_trials);
            let (place, all) = (grouped(place), grouped(sitting.num_trials));
            ui.weak(format!("{place} of {all}"));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let hint = "Your answers are saved; it goes on here another time (Esc)";
            if ui.button("Leave").on_hover_text(hint).clicked() {
                out.push(command(SittingCommand::Leave));
            }
            let can = sitting.can_take_back();
            let hint = "Shows the picture before again (Backspace or Ctrl+Z)";
            if ui
                .add_enabled(can, egui::Button::new("Back"))
                .on_hover_text(hint)
                .clicked()
            {
                out.push(command(SittingCommand::TakeBack));
            }
            if showing.display.is_shrunk {
                ui.label(
                    RichText::new("The window is too small for this study's picture size")
                        .color(STUDY.warning),
                );
            }
        });
    });
}

/// A thin line at the very top, as long as what lies behind.
fn progress_line(ui: &Ui, sitting: &Sitting) {
    let whole = ui.ctx().content_rect();
    let share = sitting.num_done as f32 / sitting.num_trials.max(1) as f32;
    let line = Rect::from_min_size(whole.min, vec2(whole.width() * share.min(1.0), 2.0));
    ui.painter()
        .with_clip_rect(whole)
        .rect_filled(line, 0.0, STUDY.faint);
}

/// The question; its height.
fn question(ui: &mut Ui, sitting: &Sitting, showing: &Showing) -> f32 {
    let question = sitting.protocol().questions.get(showing.trial.aspect);
    let label = ui.vertical_centered(|ui| {
        ui.label(RichText::new(question).size(QUESTION).strong());
    });
    label.response.rect.height()
}

/// The keys of a method, as the pages and the line below the scale name them.
const fn key_words(method: Method) -> &'static str {
    match method {
        Method::Acr5 => "Keys 1 to 5 answer, Backspace goes back",
        Method::Continuous => {
            "Type two digits for a score (37 is 3.7) or use the arrows, Enter answers, Backspace goes back"
        }
        Method::Pairs => "Left and Right arrow choose, Down is no difference, Backspace goes back",
    }
}

/// Text in the middle of a rectangle.
fn centred(ui: &Ui, rect: Rect, text: &str, size: f32) {
    let font = FontId::proportional(size);
    ui.painter()
        .text(rect.center(), Align2::CENTER_CENTER, text, font, STUDY.ink);
}
