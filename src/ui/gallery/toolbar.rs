//! Conditions and order of the list shown, each behind a chip that says what it is set to.

use egui::Align;
use egui::Button;
use egui::Layout;
use egui::Slider;
use egui::TextEdit;
use egui::Ui;
use egui::containers::menu::MenuButton;
use egui::containers::menu::MenuConfig;
use egui::vec2;

use crate::domain::{Aspect, Filter, OpinionScale, SortKey, Split};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::actions::grouped;
use crate::state::gallery::GalleryCommand;
use crate::state::gallery::MAX_CELL;
use crate::state::gallery::MIN_CELL;
use crate::state::keys::Action;
use crate::state::selection::SelectionCommand;
use crate::state::view;
use crate::state::view::View;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::ROW_HEIGHT;
use crate::ui::widgets::histogram;
use crate::ui::widgets::icon::Icon;
use crate::ui::widgets::icon::icon_button;

/// Width of the search field.
const SEARCH_WIDTH: f32 = 200.0;

/// Width of the size slider.
const SIZE_WIDTH: f32 = 80.0;

/// Draws the toolbar.
pub(super) fn show(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let Some(project) = &state.project else {
        return;
    };
    let counts = counts(state, project);
    let fits = ui.horizontal(|ui| {
        search(ui, state, out);
        sort(ui, state, out);
        let fits = width_of(ui, &counts) <= ui.available_width();
        if fits {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                show_counts(ui, state, &counts, out);
            });
        }
        fits
    });
    if !fits.inner {
        ui.horizontal_wrapped(|ui| show_counts(ui, state, &counts, out));
    }
    ui.horizontal_top(|ui| {
        let width = ui.available_width() - SIZE_WIDTH - 2.0 * GAP;
        ui.allocate_ui(vec2(width, ROW_HEIGHT), |ui| {
            ui.set_min_width(width);
            ui.horizontal_wrapped(|ui| chips(ui, state, project, out));
        });
        size(ui, state, out);
    });
}

fn chips(ui: &mut Ui, state: &AppState, project: &Project, out: &mut Vec<Command>) {
    let mut filter = state.view.filter.clone();
    filters(ui, state, project, &mut filter);
    if state.view.is_filtered() && ui.button("Clear filters").clicked() {
        filter = Filter {
            aspect: filter.aspect,
            ..Filter::default()
        };
    }
    if filter != state.view.filter {
        out.push(Command::Gallery(GalleryCommand::SetFilter(filter)));
    }
}

fn search(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let mut text = state.view.filter.search.clone();
    let field = TextEdit::singleline(&mut text)
        .hint_text("Search")
        .align(egui::Align2::LEFT_CENTER)
        .desired_width(SEARCH_WIDTH);
    let response = ui.add(field).accessible_name("Search").on_hover_text(
        state
            .keys
            .map
            .hint("Words in prompts and file names", Action::Search),
    );
    if response.changed() {
        let filter = Filter {
            search: text,
            ..state.view.filter.clone()
        };
        out.push(Command::Gallery(GalleryCommand::SetFilter(filter)));
    }
    let seen_id = ui.scope_id().with("search_request");
    let seen = ui.data(|data| data.get_temp::<u64>(seen_id)).unwrap_or(0);
    if seen != state.gallery.search_request {
        ui.data_mut(|data| data.insert_temp(seen_id, state.gallery.search_request));
        response.request_focus();
    }
}

fn sort_words(key: SortKey) -> String {
    match key {
        SortKey::Path => "File name".to_owned(),
        SortKey::Prompt => "Prompt".to_owned(),
        SortKey::Mos(aspect) => format!("{} by people", aspect.title()),
        SortKey::Score(aspect) => format!("{} score", aspect.title()),
        SortKey::Error(aspect) => format!("{} error", aspect.title()),
    }
}

fn sort(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let view = &state.view;
    let order = |key, descending| Command::Gallery(GalleryCommand::Sort { key, descending });
    let words = format!("Sort: {}", sort_words(view.sort).to_lowercase());
    ui.menu_button(words, |ui| {
        let mut keys = vec![SortKey::Path, SortKey::Prompt];
        keys.extend(Aspect::ALL.map(SortKey::Mos));
        keys.extend(Aspect::ALL.map(SortKey::Score));
        keys.extend(Aspect::ALL.map(SortKey::Error));
        for key in keys {
            if ui
                .selectable_label(view.sort == key, sort_words(key))
                .clicked()
            {
                // The worst prediction is what one wants to see first.
                let descending = matches!(key, SortKey::Error(_));
                out.push(order(key, descending));
                ui.close();
            }
        }
    });
    let (icon, words) = if view.descending {
        (Icon::Down, "Highest first")
    } else {
        (Icon::Up, "Lowest first")
    };
    if icon_button(ui, icon, words).clicked() {
        out.push(order(view.sort, !view.descending));
    }
}

fn size(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let mut size = state.gallery.cell_size;
    let slider = Slider::new(&mut size, MIN_CELL..=MAX_CELL).show_value(false);
    ui.spacing_mut().slider_width = SIZE_WIDTH;
    if ui
        .add(slider)
        .accessible_name("Size of the pictures")
        .on_hover_text("Size of the pictures")
        .changed()
    {
        out.push(Command::Gallery(GalleryCommand::SetCellSize(size)));
    }
}

fn filters(ui: &mut Ui, state: &AppState, project: &Project, filter: &mut Filter) {
    let aspect = state.view.aspect();
    choice(
        ui,
        aspect.title(),
        &mut filter.aspect,
        Aspect::ALL
            .into_iter()
            .map(|aspect| (Some(aspect), aspect.title().to_owned())),
    );
    choice(
        ui,
        &chip_words("Split", filter.split.map(Split::name)),
        &mut filter.split,
        any_or(Split::ALL.map(|split| (split, split.name().to_owned()))),
    );
    if !project.generators.is_empty() {
        let names = project.generators.iter();
        choice(
            ui,
            &chip_words("Generator", filter.generator.as_deref()),
            &mut filter.generator,
            any_or(names.map(|name| (name.clone(), name.clone()))),
        );
    }
    range(ui, state, project, filter);
    files_and_results(ui, filter);
    if !project.tags.is_empty() {
        let names = project.tags.iter();
        choice(
            ui,
            &chip_words("Tag", filter.tag.as_deref()),
            &mut filter.tag,
            any_or(names.map(|name| (name.clone(), name.clone()))),
        );
    }
}

fn files_and_results(ui: &mut Ui, filter: &mut Filter) {
    let mut yes_or_no = |title: &str, with: &str, without: &str, value: &mut Option<bool>| {
        let chosen = value.map(|yes| if yes { with } else { without });
        choice(
            ui,
            &chip_words(title, chosen),
            value,
            any_or([(true, with.to_owned()), (false, without.to_owned())]),
        );
    };
    yes_or_no("File", "present", "missing", &mut filter.has_file);
    yes_or_no(
        "Description",
        "described",
        "not described",
        &mut filter.has_description,
    );
    yes_or_no("Score", "scored", "not scored", &mut filter.has_score);
}

fn chip_words(title: &str, chosen: Option<&str>) -> String {
    match chosen {
        Some(chosen) => format!("{title}: {chosen}"),
        None => title.to_owned(),
    }
}

fn any_or<T>(
    values: impl IntoIterator<Item = (T, String)>,
) -> impl Iterator<Item = (Option<T>, String)> {
    std::iter::once((None, "any".to_owned())).chain(
        values
            .into_iter()
            .map(|(value, words)| (Some(value), words)),
    )
}

fn choice<T: PartialEq>(
    ui: &mut Ui,
    title: &str,
    value: &mut Option<T>,
    choices: impl Iterator<Item = (Option<T>, String)>,
) {
    let button = Button::new(title).selected(title.contains(": "));
    MenuButton::from_button(button).ui(ui, |ui| {
        egui::ScrollArea::vertical()
            .max_height(360.0)
            .show(ui, |ui| {
                for (wanted, words) in choices {
                    if ui.selectable_label(*value == wanted, words).clicked() {
                        *value = wanted;
                        ui.close();
                    }
                }
            });
    });
}

fn range(ui: &mut Ui, state: &AppState, project: &Project, filter: &mut Filter) {
    let set: Vec<String> = [
        ("people", filter.mos_range),
        ("predicted", filter.score_range),
        ("error", filter.error_range),
    ]
    .into_iter()
    .filter_map(|(who, range)| range.map(|[low, high]| format!("{who} {low:.1} to {high:.1}")))
    .collect();
    let chosen = (!set.is_empty()).then(|| set.join(", "));
    let words = chip_words("Range", chosen.as_deref());
    let config = MenuConfig::new().close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside);
    let button = Button::new(words).selected(chosen.is_some());
    MenuButton::from_button(button)
        .config(config)
        .ui(ui, |ui| ranges(ui, &state.view, project.info.scale, filter));
}

/// Scores of people, predictions, and how far these are off, each with a range to drag.
fn ranges(ui: &mut Ui, view: &View, scale: OpinionScale, filter: &mut Filter) {
    let aspect = view.aspect().title();
    let whole = [scale.min, scale.max];
    let range = |ui: &mut Ui, title: String, name, bars: &[u32], bounds, value: &mut _| {
        ui.strong(title);
        if let Some(changed) = histogram::range_to_drag(ui, name, bars, bounds, *value) {
            *value = changed;
        }
    };
    range(
        ui,
        format!("{aspect} by people, scale {scale}"),
        "Range of people's scores",
        &view.mos_histogram,
        whole,
        &mut filter.mos_range,
    );
    range(
        ui,
        format!("{aspect} predicted, scale {scale}"),
        "Range of predicted scores",
        &view.score_histogram,
        whole,
        &mut filter.score_range,
    );
    range(
        ui,
        format!("{aspect} error: predicted minus people"),
        "Range of errors",
        &view.error_histogram,
        view::error_bounds(scale),
        &mut filter.error_range,
    );
}

/// What stands beside search and order or, where that is too narrow, below them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Count {
    Shown,
    ClearSelection,
    Selected,
    WithoutFile,
    Refresh,
}

impl Count {
    const fn is_button(self) -> bool {
        matches!(self, Self::ClearSelection | Self::Refresh)
    }
}

/// How many are shown, selected and lacking, in words, with what can be done about it.
fn counts(state: &AppState, project: &Project) -> Vec<(Count, String)> {
    let (shown, all) = (state.view.visible.len(), project.rows.len());
    let words = format!("{} of {} shown", grouped(shown), grouped(all));
    let mut counts = vec![(Count::Shown, words)];
    if state.selection.is_many() {
        counts.push((Count::ClearSelection, "Clear".to_owned()));
        let words = format!("{} selected", grouped(state.scope.num_images));
        counts.push((Count::Selected, words));
    }
    if project.num_without_file > 0 {
        let words = format!("{} without a file", grouped(project.num_without_file));
        counts.push((Count::WithoutFile, words));
    }
    if state.view.is_stale {
        counts.push((Count::Refresh, "Refresh".to_owned()));
    }
    counts
}

/// Width that they take in one line.
fn width_of(ui: &Ui, counts: &[(Count, String)]) -> f32 {
    let font = egui::TextStyle::Body.resolve(ui.style());
    let spacing = ui.spacing();
    let one = |(count, words): &(Count, String)| {
        let (font, color) = (font.clone(), egui::Color32::WHITE);
        let galley = ui.painter().layout_no_wrap(words.clone(), font, color);
        let padding = 2.0 * spacing.button_padding.x * f32::from(u8::from(count.is_button()));
        galley.size().x + padding + spacing.item_spacing.x
    };
    counts.iter().map(one).sum()
}

fn show_counts(ui: &mut Ui, state: &AppState, counts: &[(Count, String)], out: &mut Vec<Command>) {
    for (count, words) in counts {
        match count {
            Count::Shown => {
                ui.label(words);
            }
            Count::ClearSelection => clear_selection(ui, state, words, out),
            Count::Selected => {
                ui.strong(words);
            }
            Count::WithoutFile => without_file(ui, state, words, out),
            Count::Refresh => refresh(ui, state, words, out),
        }
    }
}

fn clear_selection(ui: &mut Ui, state: &AppState, words: &str, out: &mut Vec<Command>) {
    let hint = state.keys.map.hint("Clear the selection", Action::Back);
    if ui
        .button(words)
        .accessible_name("Clear selection")
        .on_hover_text(hint)
        .clicked()
    {
        out.push(Command::Selection(SelectionCommand::Clear));
    }
}

fn without_file(ui: &mut Ui, state: &AppState, words: &str, out: &mut Vec<Command>) {
    let words = egui::RichText::new(words).color(Palette::in_use(ui).error);
    if ui.link(words).on_hover_text("Show only these").clicked() {
        let filter = Filter {
            aspect: state.view.filter.aspect,
            has_file: Some(false),
            ..Filter::default()
        };
        out.push(Command::Gallery(GalleryCommand::SetFilter(filter)));
    }
}

fn refresh(ui: &mut Ui, state: &AppState, words: &str, out: &mut Vec<Command>) {
    let why = "Results came in since; the list waits for you, so that nothing jumps";
    let hint = state.keys.map.hint(why, Action::Refresh);
    if ui.button(words).on_hover_text(hint).clicked() {
        out.push(Command::Gallery(GalleryCommand::Refresh));
    }
}
