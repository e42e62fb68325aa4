//! The test images whose error changed most, for better and for worse, with their thumbnails.

use egui::Color32;
use egui::FontId;
use egui::Rect;
use egui::Role;
use egui::Sense;
use egui::Ui;
use egui::WidgetInfo;
use egui::pos2;
use egui::vec2;

use crate::domain::Tested;
use crate::state::AppState;
use crate::state::Command;
use crate::stats::signed;
use crate::ui::textures::Textures;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::RADIUS;
use crate::ui::tokens::SMALL;
use crate::ui::tokens::STEP;

/// Side of a thumbnail.
const SIDE: f32 = 88.0;

/// Height of the words below it.
const WORDS: f32 = 20.0;

/// A half of the pictures: by the sign of their gain.
type Half = fn(f64) -> bool;

/// Draws both rows, each as long as there is room. `pictures` are sorted by their change, the largest
/// first; `first` names the side that they are held against.
pub(super) fn show(
    ui: &mut Ui,
    state: &AppState,
    (pictures, first): (&[Tested], &str),
    textures: &mut Textures,
    out: &mut Vec<Command>,
) {
    let than = match first {
        "Before" => "before".to_owned(),
        run => run.to_lowercase(),
    };
    let most = (ui.available_width() / (SIDE + GAP)).floor().max(1.0) as usize;
    let halves: [(String, Half); 2] = [
        (format!("Closer to people than {than}"), |gain| gain > 0.0),
        (format!("Further from people than {than}"), |gain| {
            gain < 0.0
        }),
    ];
    for (title, is_of_half) in halves {
        let half: Vec<&Tested> = pictures
            .iter()
            .filter(|picture| picture.gain().is_some_and(is_of_half))
            .take(most)
            .collect();
        if half.is_empty() {
            continue;
        }
        ui.weak(title);
        ui.horizontal_top(|ui| {
            for picture in half {
                cell(ui, state, picture, textures, out);
            }
        });
    }
}

fn cell(
    ui: &mut Ui,
    state: &AppState,
    picture: &Tested,
    textures: &mut Textures,
    out: &mut Vec<Command>,
) {
    let Some(row) = state.row(picture.image) else {
        return;
    };
    let size = vec2(SIDE, SIDE + WORDS);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let is_selected = state.selection.contains(picture.image);
    let errors = picture.first.map_or_else(String::new, |first| {
        format!(
            "{} to {}",
            signed(first - picture.mos, 2),
            signed(picture.second - picture.mos, 2)
        )
    });
    let name = row.record.file_name();
    response.widget_info(|| {
        let words = format!("{name}, error {errors}");
        WidgetInfo::selected(Role::ListBoxOption, true, is_selected, words)
    });
    let palette = Palette::in_use(ui);
    let ground = match (is_selected, response.hovered()) {
        (true, _) => palette.accent_ground,
        (false, true) => palette.hover,
        (false, false) => palette.panel,
    };
    ui.painter().rect_filled(rect, RADIUS, ground);
    let frame = Rect::from_min_size(rect.min, vec2(SIDE, SIDE)).shrink(STEP / 2.0);
    if let Some(thumbnail) = textures.thumbnail(picture.image) {
        let size = thumbnail.texture.size_vec2();
        let fit = (frame.width() / size.x).min(frame.height() / size.y);
        let place = Rect::from_center_size(frame.center(), size * fit);
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        ui.painter()
            .image(thumbnail.texture.id(), place, whole, Color32::WHITE);
    }
    let below = pos2(rect.center().x, rect.bottom() - WORDS / 2.0);
    ui.painter().text(
        below,
        egui::Align2::CENTER_CENTER,
        &errors,
        FontId::proportional(SMALL),
        palette.ink,
    );
    if response.double_clicked() {
        out.push(Command::Inspect(picture.image));
    } else if response.clicked() {
        response.surrender_focus();
        out.push(super::select(ui, picture.image));
    }
    let people = format!(
        "{name}\nPeople {:.2}; error {errors}\nDouble click inspects (Enter)",
        picture.mos
    );
    response.on_hover_text(people);
}
