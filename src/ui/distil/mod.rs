//! Distil: four steps in a row, of which one fills the screen: teacher, review, fine-tune, evaluate.

mod curves;
mod evaluate;
mod review;
mod runs;
mod teacher;
mod texts;
mod tune;

use egui::FontId;
use egui::Response;
use egui::Role;
use egui::Sense;
use egui::Ui;
use egui::WidgetInfo;
use egui::epaint::text::LayoutJob;
use egui::pos2;
use egui::vec2;

use crate::state::AppState;
use crate::state::Command;
use crate::state::distil;
use crate::state::distil::DistilCommand;
use crate::state::distil::Step;

use super::textures::Textures;
use super::tokens::BODY;
use super::tokens::GAP;
use super::tokens::Palette;
use super::tokens::RADIUS;
use super::tokens::SMALL;
use super::tokens::STEP;
use super::train::WIDEST;

/// Height of a step's card.
const CARD_HEIGHT: f32 = 48.0;

/// Room left and right of the steps, as on other screens.
const MARGIN: i8 = 20;

/// Draws the screen.
pub fn show(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    if state.project.is_none() {
        ui.weak("Open a project to let a teacher describe its pictures.");
        return;
    }
    // While somebody types, every key would ask the keyring and count anew.
    if !ui.ctx().egui_wants_keyboard_input() {
        out.extend(distil::wanted(state).into_iter().map(Command::Distil));
    }
    egui::Frame::new()
        .inner_margin(egui::Margin {
            left: MARGIN,
            right: MARGIN,
            top: 12,
            bottom: 0,
        })
        .show(ui, |ui| {
            // As wide as the cards below.
            ui.set_max_width(ui.available_width().min(WIDEST));
            steps(ui, state, out);
        });
    match state.distil.step {
        Step::Teacher => teacher::show(ui, state, out),
        Step::Review => review::show(ui, state, textures, out),
        Step::Tune => tune::show(ui, state, out),
        Step::Evaluate => evaluate::show(ui, state, out),
    }
}

/// The four steps with how far each is.
fn steps(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    ui.columns(Step::ALL.len(), |columns| {
        for (number, (ui, step)) in columns.iter_mut().zip(Step::ALL).enumerate() {
            let title = format!("{}  {}", number + 1, step.title());
            let status = distil::status(state, step);
            if card(ui, &title, &status, state.distil.step == step).clicked() {
                out.push(Command::Distil(DistilCommand::Go(step)));
            }
        }
    });
}

fn card(ui: &mut Ui, title: &str, status: &str, is_shown: bool) -> Response {
    let palette = Palette::in_use(ui);
    let size = vec2(ui.available_width(), CARD_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| {
        let name = format!("Step {title}: {status}");
        WidgetInfo::selected(Role::Button, true, is_shown, name)
    });
    let fill = match (is_shown, response.hovered()) {
        (true, _) => palette.accent_ground,
        (false, true) => palette.hover,
        (false, false) => palette.raised,
    };
    ui.painter().rect_filled(rect, RADIUS, fill);
    if response.has_focus() {
        let stroke = egui::Stroke::new(1.0, palette.accent);
        let inside = egui::StrokeKind::Inside;
        ui.painter().rect_stroke(rect, RADIUS, stroke, inside);
    }
    let width = rect.width() - 2.0 * (GAP + STEP);
    let line = |text: &str, size: f32, ink| {
        let font = FontId::proportional(size);
        let mut job = LayoutJob::simple_singleline(text.to_owned(), font, ink);
        job.wrap.max_width = width;
        job.wrap.max_rows = 1;
        job
    };
    let title = ui.fonts_mut(|fonts| fonts.layout_job(line(title, BODY, palette.ink)));
    let status = ui.fonts_mut(|fonts| fonts.layout_job(line(status, SMALL, palette.faint)));
    let left = rect.left() + GAP + STEP;
    let height = title.size().y + status.size().y;
    let top = rect.center().y - height / 2.0;
    ui.painter()
        .galley(pos2(left, top), title.clone(), palette.ink);
    ui.painter()
        .galley(pos2(left, top + title.size().y), status, palette.faint);
    response
}
