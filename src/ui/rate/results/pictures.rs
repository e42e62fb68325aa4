//! Pictures as rows: score with interval, the votes as bars, and what screening changes.

use egui::Align;
use egui::Button;
use egui::Color32;
use egui::Label;
use egui::Layout;
use egui::Rect;
use egui::Role;
use egui::Sense;
use egui::Stroke;
use egui::Ui;
use egui::WidgetInfo;
use egui::pos2;
use egui::vec2;
use egui_extras::Column;
use egui_extras::TableBuilder;

use crate::domain::ImageId;
use crate::state::Command;
use crate::state::actions::grouped;
use crate::state::rate::RateCommand;
use crate::state::rate::results::Digest;
use crate::state::rate::results::Order;
use crate::state::rate::results::PairRow;
use crate::state::rate::results::PictureRow;
use crate::state::rate::results::ResultsCommand;
use crate::state::selection::SelectionCommand;
use crate::stats::signed;
use crate::ui::textures::Textures;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::ROW_HEIGHT;

use super::View;

/// Height of a row: a small picture and its bars.
const ROW: f32 = 40.0;

/// Draws the table with the choice of its order.
pub(super) fn show(
    ui: &mut Ui,
    view: View<'_>,
    digest: &Digest,
    textures: &mut Textures,
    out: &mut Vec<Command>,
) {
    ui.horizontal(|ui| {
        let num = digest.pictures.len().max(digest.pairs.len());
        let unrated = match digest.num_unrated {
            0 => String::new(),
            num => format!(", {} not rated yet", grouped(num)),
        };
        ui.strong(format!("{} pictures{unrated}", grouped(num)));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            order(ui, view, digest, out);
        });
    });
    if digest.pairs.is_empty() {
        scores(ui, view, digest, textures, out);
    } else {
        pairs(ui, view, digest, textures, out);
    }
}

fn order(ui: &mut Ui, view: View<'_>, digest: &Digest, out: &mut Vec<Command>) {
    let mut orders = vec![(Order::Worst, "Worst"), (Order::Best, "Best")];
    if digest.pairs.is_empty() {
        orders.insert(0, (Order::Unsure, "Least sure"));
    }
    if digest.change.is_some() {
        orders.insert(0, (Order::Changed, "Most changed"));
    }
    for (order, words) in orders {
        let is_on = view.state.rate.results.order == order;
        if ui.add(Button::selectable(is_on, words)).clicked() {
            let command = ResultsCommand::SetOrder(order);
            out.push(Command::Rate(RateCommand::Results(command)));
        }
    }
    ui.weak("First");
}

fn scores(
    ui: &mut Ui,
    view: View<'_>,
    digest: &Digest,
    textures: &mut Textures,
    out: &mut Vec<Command>,
) {
    let scale = view.study.protocol.method.scale();
    let table = TableBuilder::new(ui)
        .id_salt("study_pictures")
        .striped(true)
        .sense(Sense::click())
        .auto_shrink([false, false])
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::exact(ROW + GAP))
        .column(Column::remainder().at_least(96.0).clip(true))
        .column(Column::initial(120.0).at_least(104.0))
        .column(Column::initial(96.0).at_least(64.0))
        .column(Column::initial(40.0).at_least(32.0))
        .column(Column::initial(112.0).at_least(88.0));
    let headings = [
        ("", ""),
        ("Picture", ""),
        ("MOS", "Score with its 95 % interval"),
        (
            "Votes",
            "How often which answer was given, lowest on the left",
        ),
        ("n", "Ratings"),
        (
            "Screening",
            "How much screening moves the score, and by how many ranks",
        ),
    ];
    table
        .header(ROW_HEIGHT, |mut header| {
            for (name, hint) in headings {
                header.col(|ui| match name {
                    "MOS" => {
                        ui.weak(format!("MOS, {scale}")).on_hover_text(hint);
                    }
                    name => {
                        ui.weak(name).on_hover_text(hint);
                    }
                });
            }
        })
        .body(|body| {
            body.rows(ROW, digest.pictures.len(), |mut row| {
                let picture = &digest.pictures[row.index()];
                row.set_selected(is_selected(view, picture.image));
                row.col(|ui| thumbnail(ui, picture.image, textures));
                row.col(|ui| name(ui, view, (picture.image, &picture.path), out));
                row.col(|ui| score(ui, picture));
                row.col(|ui| bars(ui, view, picture));
                row.col(|ui| {
                    let num = picture.plain.as_ref().map_or(0, |plain| plain.num_ratings);
                    ui.label(num.to_string());
                });
                row.col(|ui| match &digest.change {
                    Some(_) => change(ui, picture),
                    None => {
                        ui.weak("–");
                    }
                });
                click(&row.response(), picture.image, out);
            });
        });
}

fn is_selected(view: View<'_>, image: Option<ImageId>) -> bool {
    image.is_some_and(|image| view.state.selection.contains(image))
}

fn click(response: &egui::Response, image: Option<ImageId>, out: &mut Vec<Command>) {
    let Some(image) = image else {
        return;
    };
    if response.double_clicked() {
        out.push(Command::Inspect(image));
    } else if response.clicked() {
        out.push(Command::Selection(SelectionCommand::Only(image)));
    }
}

fn thumbnail(ui: &mut Ui, image: Option<ImageId>, textures: &mut Textures) {
    let (frame, _) = ui.allocate_exact_size(vec2(ROW, ROW - 4.0), Sense::hover());
    if let Some(texture) = image.and_then(|image| textures.thumbnail(image)) {
        let size = texture.texture.size_vec2();
        let fit = (frame.width() / size.x).min(frame.height() / size.y);
        let place = Rect::from_center_size(frame.center(), size * fit);
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        ui.painter()
            .image(texture.texture.id(), place, whole, Color32::WHITE);
    }
}

fn name(
    ui: &mut Ui,
    view: View<'_>,
    (image, path): (Option<ImageId>, &str),
    out: &mut Vec<Command>,
) {
    let file_name = path.rsplit('/').next().unwrap_or(path);
    if image.is_none() {
        let palette = Palette::in_use(ui);
        let hint = format!("{path} is not there; its votes are kept");
        ui.colored_label(palette.error, file_name)
            .on_hover_text(hint);
        return;
    }
    let prompt = image
        .and_then(|image| view.project.row(image))
        .map_or("", |row| row.record.prompt.as_str());
    let label = Label::new(file_name).truncate().sense(Sense::click());
    let response = ui.add(label).on_hover_text(format!("{path}\n{prompt}"));
    click(&response, image, out);
}

fn score(ui: &mut Ui, picture: &PictureRow) {
    match &picture.screened {
        Ok(opinion) => {
            ui.strong(format!("{:.2}", opinion.mos));
            match &opinion.ci95 {
                Ok(ci95) => ui.weak(format!("± {ci95:.2}")),
                Err(reason) => ui.weak("no interval").on_hover_text(reason.to_string()),
            };
        }
        Err(reason) => {
            ui.weak("–").on_hover_text(reason.to_string());
        }
    }
}

/// The votes as bars over the scale, with a tick at the score.
fn bars(ui: &mut Ui, view: View<'_>, picture: &PictureRow) {
    let palette = Palette::in_use(ui);
    let colour = palette.aspect(view.state.rate.results.aspect);
    let size = vec2(ui.available_width().min(112.0), ROW - 12.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let counts: Vec<String> = picture.histogram.iter().map(u32::to_string).collect();
    let words = format!(
        "Votes from the lowest to the highest answer: {}",
        counts.join(", ")
    );
    response.widget_info(|| WidgetInfo::labeled(Role::Meter, true, &words));
    let most = picture.histogram.iter().copied().max().unwrap_or(0).max(1);
    let width = rect.width() / picture.histogram.len().max(1) as f32;
    for (idx, &count) in picture.histogram.iter().enumerate() {
        let left = rect.left() + idx as f32 * width;
        let top = rect.bottom() - (rect.height() * count as f32 / most as f32).max(1.0);
        let bar = Rect::from_min_max(
            pos2(left + 1.0, top),
            pos2(left + width - 1.0, rect.bottom()),
        );
        let ink = if count == 0 { palette.line } else { colour };
        ui.painter().rect_filled(bar, 0.0, ink);
    }
    response.on_hover_text(words);
}

fn change(ui: &mut Ui, picture: &PictureRow) {
    let Some(change) = picture.change() else {
        return;
    };
    ui.label(signed(change, 2));
    let ranks = picture.rank_change;
    if ranks != 0 {
        let way = if ranks > 0 { "up" } else { "down" };
        ui.weak(format!("{} {way}", ranks.abs()));
    }
}

fn pairs(
    ui: &mut Ui,
    view: View<'_>,
    digest: &Digest,
    textures: &mut Textures,
    out: &mut Vec<Command>,
) {
    let reach = digest.pairs.iter().filter_map(extent).fold(1.0, f64::max);
    TableBuilder::new(ui)
        .id_salt("study_pairs")
        .striped(true)
        .sense(Sense::click())
        .auto_shrink([false, false])
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::exact(ROW + GAP))
        .column(Column::initial(150.0).at_least(96.0).clip(true))
        .column(Column::remainder().at_least(96.0).clip(true))
        .column(Column::initial(120.0).at_least(104.0))
        .column(Column::initial(120.0).at_least(80.0))
        .column(Column::initial(88.0).at_least(64.0))
        .header(ROW_HEIGHT, |mut header| {
            let headings = [
                ("", ""),
                ("Picture", ""),
                ("Prompt", "Strengths hold among the pictures of one prompt"),
                ("Strength", "Bradley-Terry, logit scale, with its 95 % interval; 0 is the middle of the prompt"),
                ("", ""),
                ("Won", "Share of comparisons won, ties half, and their number"),
            ];
            for (name, hint) in headings {
                header.col(|ui| {
                    ui.weak(name).on_hover_text(hint);
                });
            }
        })
        .body(|body| {
            body.rows(ROW, digest.pairs.len(), |mut row| {
                let picture = &digest.pairs[row.index()];
                row.set_selected(is_selected(view, picture.image));
                row.col(|ui| thumbnail(ui, picture.image, textures));
                row.col(|ui| name(ui, view, (picture.image, &picture.path), out));
                row.col(|ui| {
                    ui.add(Label::new(&picture.prompt).truncate());
                });
                row.col(|ui| strength(ui, picture));
                row.col(|ui| whiskers(ui, view, picture, reach));
                row.col(|ui| {
                    let (share, num) = (picture.win_rate * 100.0, picture.num_comparisons);
                    ui.label(format!("{share:.0} % of {num}"));
                });
                click(&row.response(), picture.image, out);
            });
        });
}

/// How far a strength with its interval reaches from the middle.
fn extent(row: &PairRow) -> Option<f64> {
    let (strength, ci95) = row.strength.as_ref().ok()?;
    Some(strength.abs() + ci95)
}

fn strength(ui: &mut Ui, picture: &PairRow) {
    match &picture.strength {
        Ok((strength, ci95)) => {
            ui.strong(signed(*strength, 2));
            ui.weak(format!("± {ci95:.2}"));
        }
        Err(reason) => {
            ui.weak("–").on_hover_text(reason.to_string());
        }
    }
}

/// The strength with its interval on a line that all rows share.
fn whiskers(ui: &mut Ui, view: View<'_>, picture: &PairRow, reach: f64) {
    let palette = Palette::in_use(ui);
    let size = vec2(ui.available_width().min(140.0), ROW - 12.0);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let x = |value: f64| rect.center().x + rect.width() / 2.0 * (value / reach) as f32;
    let middle = rect.center().y;
    let painter = ui.painter();
    painter.hline(rect.x_range(), middle, Stroke::new(1.0, palette.line));
    painter.vline(
        rect.center().x,
        rect.y_range(),
        Stroke::new(1.0, palette.line),
    );
    if let Ok((strength, ci95)) = &picture.strength {
        let colour = palette.aspect(view.state.rate.results.aspect);
        let ends = x(strength - ci95)..=x(strength + ci95);
        painter.hline(ends, middle, Stroke::new(2.0, colour));
        painter.circle_filled(pos2(x(*strength), middle), 4.0, colour);
    }
}
