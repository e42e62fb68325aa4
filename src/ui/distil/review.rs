//! Step 2: a picture beside what a teacher wrote about it, and the keys that say what becomes of the text.

use egui::Button;
use egui::CentralPanel;
use egui::Frame;
use egui::Key;
use egui::Label;
use egui::Margin;
use egui::Panel;
use egui::RichText;
use egui::ScrollArea;
use egui::TextEdit;
use egui::Ui;

use crate::domain::{Aspect, Description, Judgement, ReviewRecord};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::Row;
use crate::state::actions::grouped;
use crate::state::dialogs::DialogCommand;
use crate::state::distil::DistilCommand;
use crate::state::distil::ReviewCommand;
use crate::state::distil::Step;
use crate::state::distil::review;
use crate::state::distil::review::Filter;
use crate::state::distil::review::Item;
use crate::state::distil::review::REASONS;
use crate::state::keys;
use crate::state::keys::Action;
use crate::state::train::runs::time_words;
use crate::ui::inspect;
use crate::ui::panel;
use crate::ui::textures::Textures;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::RADIUS;
use crate::ui::tokens::SMALL;
use crate::ui::tokens::STEP;
use crate::ui::train;
use crate::ui::widgets::chip;

use super::texts;

/// Lines of the field for a text, at least.
const FIELD_LINES: usize = 6;

/// Draws the step.
pub(super) fn show(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    let palette = Palette::in_use(ui);
    let frame = Frame::new()
        .fill(palette.panel)
        .inner_margin(Margin::symmetric(20, 8));
    Panel::top("review_filter")
        .frame(frame)
        .show_separator_line(false)
        .show(ui, |ui| filter(ui, state, out));
    if state.distil.review.current.is_none() {
        let frame = Frame::new().inner_margin(Margin::symmetric(20, 16));
        CentralPanel::default()
            .frame(frame)
            .show(ui, |ui| empty(ui, state, out));
        return;
    }
    let width = ui.available_width();
    let column_frame = Frame::new()
        .fill(palette.panel)
        .inner_margin(Margin::symmetric(12, 8));
    Panel::right("review_column")
        .resizable(true)
        .default_size((width * 0.5).clamp(380.0, 720.0))
        .min_size(340.0)
        .max_size((width - 240.0).max(340.0))
        .frame(column_frame)
        .show(ui, |ui| column(ui, state, out));
    CentralPanel::default()
        .frame(Frame::new().fill(palette.ground))
        .show(ui, |ui| {
            inspect::picture_ui(ui, state, textures, out);
        });
}

fn push(out: &mut Vec<Command>, command: ReviewCommand) {
    out.push(Command::Distil(DistilCommand::Review(command)));
}

/// Which texts are listed, with the number of each kind.
fn filter(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let review = &state.distil.review;
    ui.horizontal_wrapped(|ui| {
        for (filter, count) in Filter::ALL.into_iter().zip(review.counts) {
            let words = format!("{} {}", filter.title(), grouped(count));
            let button = Button::selectable(review.filter == filter, words);
            if ui.add(button).clicked() {
                push(out, ReviewCommand::SetFilter(filter));
            }
        }
        let label = ui.weak("Aspect");
        let none = (None, "All aspects");
        let aspects: Vec<(Option<Aspect>, &str)> = std::iter::once(none)
            .chain(Aspect::ALL.map(|aspect| (Some(aspect), aspect.title())))
            .collect();
        train::choose(
            ui,
            ("review_aspect", 120.0),
            &aspects,
            review.aspect,
            |aspect| {
                push(out, ReviewCommand::SetAspect(aspect));
            },
        )
        .labelled_by(label.id);
        whole_list(ui, state, out);
    });
}

/// What can be done with all that is listed.
fn whole_list(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let review = &state.distil.review;
    let num = review.items.len();
    if review.filter == Filter::Of(Judgement::Unreviewed) && num > 1 {
        let words = format!("Accept all {}", grouped(num));
        let hint = "Every text of this list, as one change; undo takes it back";
        if ui.button(words).on_hover_text(hint).clicked() {
            push(out, ReviewCommand::AcceptAll);
        }
    }
    if review.filter == Filter::Failed && num > 0 {
        let hint = "Asks the teacher of step 1 about these pictures";
        if ui.button("Ask again").on_hover_text(hint).clicked() {
            push(out, ReviewCommand::AskAgain);
        }
    }
    let hint = "Conversation files in the published format, without what was rejected";
    if ui.button("Write files…").on_hover_text(hint).clicked() {
        out.push(Command::Dialog(DialogCommand::ExportConversations));
    }
}

/// Why there is nothing to read, and what to do.
fn empty(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let review = &state.distil.review;
    let all: usize = review.counts[..4].iter().sum();
    let (words, next) = match (all, review.filter) {
        (0, Filter::Failed) => ("No teacher has failed.", None),
        (0, _) => (
            "No teacher has described anything yet. Ask one, or import conversation files with the dataset.",
            Some(("Go to Teacher", Step::Teacher)),
        ),
        (_, Filter::Of(Judgement::Unreviewed)) => (
            "Every text has been read. What was rejected is not learned from.",
            Some(("Go to Fine-tune", Step::Tune)),
        ),
        (_, Filter::Of(Judgement::Accepted)) => ("No text was accepted yet.", None),
        (_, Filter::Of(Judgement::Edited)) => ("No text was edited yet.", None),
        (_, Filter::Of(Judgement::Rejected)) => ("No text was rejected.", None),
        (_, Filter::Failed) => (
            "Nothing failed: every picture that was asked about has its text.",
            None,
        ),
        (_, Filter::All) => ("No text about this aspect.", None),
    };
    ui.label(words);
    if let Some((words, step)) = next
        && ui.button(words).clicked()
    {
        out.push(Command::Distil(DistilCommand::Go(step)));
    }
}

fn column(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let (Some(project), Some((row, item))) = (&state.project, review::current(state)) else {
        return;
    };
    Panel::bottom("review_bar")
        .frame(Frame::new().inner_margin(Margin::symmetric(0, 4)))
        .show(ui, |ui| bar(ui, state, out));
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.set_max_width(ui.available_width() - GAP);
        place(ui, state, item, out);
        head(ui, (project, row), item);
        panel::prompt(ui, state, row, out);
        truth(ui, project, row, item.aspect);
        match review::current_text(state) {
            Some(text) => {
                told(ui, state, text, out);
                history(ui, (state, project), text, out);
            }
            None => failure(ui, state),
        }
    });
}

/// Where the text stands in the list, and the way to its neighbours.
fn place(ui: &mut Ui, state: &AppState, item: Item, out: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        for (words, action) in [
            ("Previous", Action::PreviousText),
            ("Next", Action::NextText),
        ] {
            let hint = state.keys.map.hint(action.title(), action);
            if ui.button(words).on_hover_text(hint).clicked() {
                out.extend(keys::command(action, state));
            }
        }
        let items = &state.distil.review.items;
        if let Some(at) = items.iter().position(|known| *known == item) {
            ui.weak(format!("{} of {}", grouped(at + 1), grouped(items.len())));
        }
    });
}

fn head(ui: &mut Ui, (project, row): (&Project, &Row), item: Item) {
    let palette = Palette::in_use(ui);
    ui.horizontal_wrapped(|ui| {
        let aspect = item.aspect;
        ui.label(
            RichText::new(aspect.title())
                .strong()
                .color(palette.aspect(aspect)),
        );
        ui.label(row.record.file_name())
            .on_hover_text(&row.record.path);
        if let Some(split) = row.record.split.get(aspect) {
            chip::chip(ui, split.name(), "The list that the picture is in");
        }
        if let Some(id) = item.description {
            judged(ui, project.reviews.verdict(id));
        }
    });
}

fn judged(ui: &mut Ui, judgement: Judgement) {
    match judgement {
        Judgement::Unreviewed => {
            chip::chip(
                ui,
                "unreviewed",
                "Nobody has read it; it is learned from all the same",
            );
        }
        Judgement::Accepted => {
            chip::chip(ui, "accepted", "It is learned from as the teacher wrote it");
        }
        Judgement::Edited => {
            chip::chip(ui, "edited", "It is learned from in these words");
        }
        Judgement::Rejected => {
            chip::warning(ui, "rejected", "It is not learned from");
        }
    }
}

/// What people said, where whoever reviews may know it.
fn truth(ui: &mut Ui, project: &Project, row: &Row, aspect: Aspect) {
    let scale = project.info.scale;
    match review::shown_mos(row, aspect) {
        Some(mos) => ui.label(format!("People: {mos:.2} on {scale}")),
        None if row.record.mos(aspect).is_some() => {
            ui.weak("The opinion score is not shown: the picture is not one to learn from")
        }
        None => ui.weak("No opinion score"),
    };
}

fn told(ui: &mut Ui, state: &AppState, text: &Description, out: &mut Vec<Command>) {
    ui.add_space(STEP);
    let draft = state.distil.review.drafts.get(&text.id);
    if let Some(draft) = draft.filter(|_| state.distil.review.is_editing) {
        field(ui, state, draft, out);
    } else {
        Frame::new()
            .fill(Palette::in_use(ui).raised)
            .corner_radius(RADIUS)
            .inner_margin(Margin::same(12))
            .show(ui, |ui| {
                ui.set_min_width(ui.available_width());
                ui.add(Label::new(&text.text).wrap().selectable(true));
            });
        if draft.is_some_and(|draft| *draft != text.text) {
            ui.weak("There is a draft of other words; Edit goes on with it");
        }
    }
    if let Some(rejection) = &state.distil.review.rejection {
        reject(ui, rejection, out);
    }
    ui.label(RichText::new(written_by(text)).weak().size(SMALL));
}

/// "Written by gemini-2.5-flash on 24 Nov 2026; it knew the opinion score".
fn written_by(text: &Description) -> String {
    let made = &text.made;
    let knew = match made.settings.get("shown_score") {
        Some(score) if score.is_number() => "; it knew the opinion score",
        Some(_) => "; it did not know the opinion score",
        None => "",
    };
    let imported = made.settings.get("imported_from");
    let imported = imported.and_then(|name| name.as_str());
    match (text.teacher(), imported) {
        (Some(teacher), _) => format!("Written by {teacher}, {}{knew}", time_words(made.unix_time)),
        (None, Some(file)) => format!("Imported from {file}; its teacher may have known the score"),
        (None, None) => "Written by an unknown teacher".to_owned(),
    }
}

fn field(ui: &mut Ui, state: &AppState, draft: &str, out: &mut Vec<Command>) {
    let mut text = draft.to_owned();
    let field = TextEdit::multiline(&mut text)
        .desired_rows(FIELD_LINES)
        .desired_width(f32::INFINITY);
    let response = ui.add(field).accessible_name("The text");
    if !state.distil.review.is_field_focused {
        response.request_focus();
        push(out, ReviewCommand::FieldFocused);
    }
    if response.changed() {
        push(out, ReviewCommand::SetDraft(text.clone()));
    }
    ui.horizontal_wrapped(|ui| {
        let hint = state
            .keys
            .map
            .hint("Keep these words and go on", Action::SaveText);
        let has_words = !text.trim().is_empty();
        if ui
            .add_enabled(has_words, Button::new("Save the text"))
            .on_hover_text(hint)
            .on_disabled_hover_text("An empty text teaches nothing: reject it instead")
            .clicked()
        {
            push(out, ReviewCommand::SaveDraft);
        }
        if ui.button("Leave it as it was").clicked() {
            push(out, ReviewCommand::DropDraft);
        }
        let num_words = text.split_whitespace().count();
        ui.weak(format!("{num_words} words"));
    });
}

/// The question for a reason: one of a few by a click, or any other by typing.
fn reject(ui: &mut Ui, rejection: &review::Rejection, out: &mut Vec<Command>) {
    let shown = Frame::new()
        .stroke(egui::Stroke::new(1.0, Palette::in_use(ui).warning))
        .corner_radius(RADIUS)
        .inner_margin(Margin::same(8))
        .show(ui, |ui| {
            ui.horizontal_wrapped(|ui| {
                ui.label("Why is it wrong?");
                for reason in REASONS {
                    if ui.button(reason).clicked() {
                        push(out, ReviewCommand::RejectFor(reason.to_owned()));
                    }
                }
            });
            ui.horizontal(|ui| {
                let mut reason = rejection.reason.clone();
                let width = (ui.available_width() - 170.0).max(100.0);
                let field = TextEdit::singleline(&mut reason)
                    .hint_text("or in your words")
                    .align(egui::Align2::LEFT_CENTER)
                    .desired_width(width);
                let response = ui.add(field).accessible_name("Reason");
                if !rejection.is_focused {
                    response.request_focus();
                    push(out, ReviewCommand::ReasonFocused);
                }
                if response.changed() {
                    push(out, ReviewCommand::SetReason(reason.clone()));
                }
                let is_entered =
                    response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
                if ui.button("Reject").clicked() || is_entered {
                    push(out, ReviewCommand::RejectFor(reason));
                }
                if ui.button("Keep it").clicked() {
                    push(out, ReviewCommand::KeepIt);
                }
            });
        });
    if !rejection.is_focused {
        shown.response.scroll_to_me(Some(egui::Align::BOTTOM));
    }
}

fn failure(ui: &mut Ui, state: &AppState) {
    if let Some(failure) = review::current_failure(state) {
        let words = format!(
            "{} gave no description, {}: {}",
            failure.teacher,
            time_words(failure.unix_time),
            failure.reason
        );
        texts::wrong(ui, &words);
    }
}

/// What can be said of the text in hand, each with its key.
fn bar(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let text = review::current_text(state);
    let judgement = text.map(|text| {
        let reviews = state.project.as_ref().map(|project| &project.reviews);
        reviews.map_or(Judgement::Unreviewed, |reviews| reviews.verdict(text.id))
    });
    let is_settled = matches!(judgement, Some(Judgement::Accepted | Judgement::Edited));
    ui.horizontal_wrapped(|ui| {
        let mut button = |ui: &mut Ui, is_on: bool, words: &str, hint: &str, action: Action| {
            let hint = state.keys.map.hint(hint, action);
            let shown = ui
                .add_enabled(is_on, Button::new(words))
                .on_hover_text(hint);
            if shown.clicked() {
                out.extend(keys::command(action, state));
            }
        };
        let has_text = text.is_some();
        let can_accept = has_text && !is_settled;
        button(
            ui,
            can_accept,
            "Accept",
            "It is right; on to the next",
            Action::Accept,
        );
        button(ui, has_text, "Edit", "Say it in other words", Action::Edit);
        let is_wrong = judgement == Some(Judgement::Rejected);
        button(
            ui,
            has_text && !is_wrong,
            "Reject…",
            "Do not learn from it",
            Action::Reject,
        );
        let is_reviewed = judgement.is_some_and(|judgement| judgement != Judgement::Unreviewed);
        let hint = "Say nothing of it; it stands as the teacher wrote it";
        button(ui, is_reviewed, "Take back", hint, Action::Unreview);
    });
}

/// Earlier forms of the text, with who wrote them and when.
fn history(
    ui: &mut Ui,
    (state, project): (&AppState, &Project),
    text: &Description,
    out: &mut Vec<Command>,
) {
    let records: Vec<&ReviewRecord> = project.reviews.history(text.id).collect();
    if records.is_empty() {
        return;
    }
    let is_unfolded = state.distil.review.is_history_unfolded;
    let words = match is_unfolded {
        true => "Hide the history".to_owned(),
        false => format!("History, {}", records.len()),
    };
    let hint = state
        .keys
        .map
        .hint("Every earlier form, and who said what", Action::History);
    if ui.small_button(words).on_hover_text(hint).clicked() {
        push(out, ReviewCommand::ToggleHistory);
    }
    if !is_unfolded {
        return;
    }
    let original = project.reviews.originals.get(&text.id);
    let original = original.unwrap_or(&text.text);
    past(ui, &written_by(text), Some(original));
    let standing = project.reviews.standing(text.id).map(|record| record.id);
    for record in records {
        let holds = match standing == Some(record.id) {
            true => ", holds",
            false => "",
        };
        let author = match record.author.as_str() {
            "" => String::new(),
            author => format!(" by {author}"),
        };
        let reason = record
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {reason}"));
        let from = match record.edited_from {
            Some(_) => " from an earlier edit",
            None if record.verdict == Judgement::Edited => " from the teacher's words",
            None => "",
        };
        let words = format!(
            "{}{from}{author}, {}{reason}{holds}",
            record.verdict.title(),
            time_words(record.unix_time)
        );
        past(ui, &words, record.text.as_ref());
    }
}

fn past(ui: &mut Ui, words: &str, text: Option<&String>) {
    ui.add(Label::new(RichText::new(words).weak().size(SMALL)).wrap());
    if let Some(text) = text {
        ui.indent(words, |ui| {
            ui.add(Label::new(RichText::new(text).size(SMALL)).wrap());
        });
    }
}
