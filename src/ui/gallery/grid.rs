//! The virtual grid: only the rows on screen are laid out, only their thumbnails are wished for.

use std::ops::Range;

use egui::Id;
use egui::Rect;
use egui::ScrollArea;
use egui::Ui;
use egui::vec2;

use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::gallery::GalleryCommand;
use crate::state::selection::SelectionCommand;
use crate::ui::textures::Textures;
use crate::ui::tokens::GAP;

use super::cell;
use super::cell::Cell;

/// Where the grid stands, remembered from the last frame.
#[derive(Clone, Copy, Default)]
struct Stand {
    offset: f32,
    height: f32,
    scroll_request: u64,
}

/// Draws the grid.
pub(super) fn show(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    let Some(project) = &state.project else {
        return;
    };
    if state.view.visible.is_empty() {
        empty(ui, state, out);
        return;
    }
    let width = ui.available_width() - 2.0 * GAP - ui.spacing().scroll.bar_width;
    let columns = (width / (state.gallery.cell_size + GAP)).floor().max(1.0) as usize;
    if columns != state.gallery.columns {
        out.push(Command::Gallery(GalleryCommand::SetColumns(columns)));
    }
    // Cells share the whole width, so that the right margin equals the left one.
    let side = (width / columns as f32 - GAP).floor();
    let row_height = cell::height(state, side) + GAP;
    let num_rows = state.view.visible.len().div_ceil(columns);
    ui.spacing_mut().item_spacing = vec2(0.0, 0.0);
    let stand_id = ui.scope_id().with("grid_stand");
    let mut area = ScrollArea::vertical().auto_shrink(false);
    if let Some(offset) = wanted_offset(ui, state, project, stand_id, columns, row_height) {
        area = area.vertical_scroll_offset(offset);
    }
    let output = area.show_rows(ui, row_height, num_rows, |ui, rows| {
        let layout = Layout {
            columns,
            side,
            row_height,
            first_row: rows.start,
        };
        show_rows(ui, state, textures, out, (project, layout, rows));
    });
    let stand = Stand {
        offset: output.state.clamped_offset().y,
        height: output.inner_rect.height(),
        scroll_request: state.selection.scroll_request,
    };
    ui.data_mut(|data| data.insert_temp(stand_id, stand));
}

/// How cells lie.
#[derive(Clone, Copy)]
struct Layout {
    columns: usize,
    side: f32,
    row_height: f32,
    first_row: usize,
}

fn show_rows(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    out: &mut Vec<Command>,
    (project, layout, rows): (&Project, Layout, Range<usize>),
) {
    let origin = ui.max_rect().left_top() + vec2(GAP, GAP / 2.0);
    let last = (rows.end * layout.columns).min(state.view.visible.len());
    for position in rows.start * layout.columns..last {
        let row = &project.rows[state.view.visible[position]];
        let column = position % layout.columns;
        let line = position / layout.columns - layout.first_row;
        let corner = origin
            + vec2(
                column as f32 * (layout.side + GAP),
                line as f32 * layout.row_height,
            );
        let size = vec2(layout.side, layout.row_height - GAP);
        let cell = Cell {
            row,
            rect: Rect::from_min_size(corner, size),
            scale: project.info.scale,
        };
        cell::show(ui, state, textures, out, &cell);
    }
}

/// The offset that brings the focus into sight, when something other than the mouse moved it.
fn wanted_offset(
    ui: &Ui,
    state: &AppState,
    project: &Project,
    stand_id: Id,
    columns: usize,
    row_height: f32,
) -> Option<f32> {
    let stand: Stand = ui.data(|data| data.get_temp(stand_id)).unwrap_or_default();
    if stand.scroll_request == state.selection.scroll_request {
        return None;
    }
    let position = state.view.position(project, state.selection.focus?)?;
    let top = (position / columns) as f32 * row_height;
    // Before the first frame there is nothing to be in sight of.
    if top < stand.offset || stand.height == 0.0 {
        Some(top)
    } else if top + row_height > stand.offset + stand.height {
        Some((top + row_height - stand.height).max(0.0))
    } else {
        None
    }
}

fn empty(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    ui.vertical_centered(|ui| {
        ui.add_space(ui.available_height() * 0.3);
        ui.heading("No picture fits these conditions");
        if state.view.is_filtered() && ui.button("Show all pictures").clicked() {
            let filter = crate::domain::Filter {
                aspect: state.view.filter.aspect,
                ..crate::domain::Filter::default()
            };
            out.push(Command::Gallery(GalleryCommand::SetFilter(filter)));
            out.push(Command::Selection(SelectionCommand::First));
        }
    });
}
