//! Notices: sentences that float above the jobs strip and go by themselves, unless something went wrong.

use egui::Align2;
use egui::Area;
use egui::Frame;
use egui::Id;
use egui::Order;
use egui::Ui;
use egui::vec2;

use crate::state::AppState;
use crate::state::Command;
use crate::state::notices::Notice;
use crate::state::notices::Tone;

use super::tokens::GROUP_GAP;
use super::tokens::Palette;
use super::tokens::ROW_HEIGHT;

/// Seconds that good news stay on screen.
const SECONDS: f64 = 6.0;

/// Widest notice.
const WIDTH: f32 = 420.0;

/// Draws the notices.
pub fn show(ui: &Ui, state: &AppState, out: &mut Vec<Command>) {
    if state.notices.iter().next().is_none() {
        return;
    }
    Area::new(Id::unique("notices"))
        .order(Order::Foreground)
        .anchor(
            Align2::CENTER_BOTTOM,
            vec2(0.0, -3.0 * ROW_HEIGHT - 2.0 * GROUP_GAP),
        )
        .show(ui.ctx(), |ui| {
            for notice in state.notices.iter() {
                card(ui, notice, out);
            }
        });
}

fn card(ui: &mut Ui, notice: &Notice, out: &mut Vec<Command>) {
    let palette = Palette::in_use(ui);
    let ink = match notice.tone {
        Tone::Info => palette.ink,
        Tone::Error => palette.error,
    };
    Frame::popup(ui.style()).show(ui, |ui| {
        ui.set_max_width(WIDTH);
        ui.horizontal(|ui| {
            let label = egui::Label::new(egui::RichText::new(&notice.text).color(ink)).wrap();
            ui.add(label);
            if ui.small_button("Dismiss").clicked() {
                out.push(Command::DismissNotice(notice.id));
            }
        });
    });
    if notice.tone == Tone::Info && is_over(ui, notice.id) {
        out.push(Command::DismissNotice(notice.id));
    }
}

/// Whether a notice has been on screen long enough; asks for a frame when it will have been.
fn is_over(ui: &Ui, notice: u64) -> bool {
    let id = Id::unique(("notice_since", notice));
    let now = ui.input(|input| input.time);
    let since = ui.data_mut(|data| *data.get_temp_mut_or(id, now));
    let left = SECONDS - (now - since);
    if left > 0.0 {
        ui.request_repaint_after_secs(left as f32);
    }
    left <= 0.0
}
