//! Step 1: aspects, whose opinions, which pictures; what that comes to, in sentences.

use egui::Button;
use egui::ComboBox;
use egui::PopupCloseBehavior;
use egui::RichText;
use egui::Ui;
use egui::containers::menu::MenuButton;
use egui::containers::menu::MenuConfig;

use crate::domain::{Aspect, Descriptions, LearnFrom, Method, StudyId, TrainSettings};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::actions;
use crate::state::actions::grouped;
use crate::state::train::DataSummary;
use crate::state::train::TrainCommand;
use crate::state::train::data::images;
use crate::ui::tokens::GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::STEP;

use super::set;

/// Widest text of a chooser before it is cut.
const CHOOSER: f32 = 176.0;

/// Draws the step.
pub(super) fn show(ui: &mut Ui, state: &AppState, project: &Project, out: &mut Vec<Command>) {
    aspects(ui, state, out);
    choosers(ui, state, project, out);
    ui.add_space(STEP);
    let is_many = state.train.data.len() > 1;
    for data in &state.train.data {
        summary(ui, state, project, (data, is_many));
    }
}

fn aspects(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    ui.horizontal_wrapped(|ui| {
        for aspect in Aspect::ALL {
            let is_on = state.train.aspects.contains(&aspect);
            let palette = Palette::in_use(ui);
            let ink = match is_on {
                true => palette.aspect(aspect),
                false => palette.faint,
            };
            let words = RichText::new(aspect.title()).color(ink);
            let hint = match is_on {
                true => format!("Learns what people said of {aspect}; click to leave it out"),
                false => {
                    format!("Learn what people said of {aspect} as well, a predictor of its own")
                }
            };
            let button = ui.add(Button::selectable(is_on, words)).on_hover_text(hint);
            if button.clicked() {
                out.push(Command::Train(TrainCommand::ToggleAspect(aspect)));
            }
        }
    });
}

fn choosers(ui: &mut Ui, state: &AppState, project: &Project, out: &mut Vec<Command>) {
    let settings = &state.train.settings;
    ui.horizontal_wrapped(|ui| {
        truth(ui, (project, settings), out);
        if project.generators.len() > 1 {
            generators(ui, (project, settings), out);
        }
        if !project.tags.is_empty() {
            tags(ui, (project, settings), out);
        }
        if state.train.has_published {
            descriptions(ui, settings, out);
        }
    });
}

fn change(settings: &TrainSettings, out: &mut Vec<Command>, change: impl FnOnce(&mut LearnFrom)) {
    set(settings, out, |settings| change(&mut settings.learn_from));
}

/// Whose opinions are the truth: those in use, or a study's for these runs alone.
fn truth(ui: &mut Ui, (project, settings): (&Project, &TrainSettings), out: &mut Vec<Command>) {
    let studies = project.studies.iter().filter(|study| {
        study.protocol.method != Method::Pairs && project.tally(study.id).num_votes > 0
    });
    let own = "Scores in use";
    let chosen = settings.learn_from.study;
    let name = |id: StudyId| {
        let study = project.studies.iter().find(|study| study.id == id);
        study.map_or_else(
            || format!("study {}", id.0),
            |study| study.protocol.name.clone(),
        )
    };
    let mut studies = studies.peekable();
    if studies.peek().is_none() && chosen.is_none() {
        return;
    }
    ComboBox::from_id_salt("train_truth")
        .selected_text(chosen.map_or_else(|| own.to_owned(), name))
        .width(CHOOSER)
        .truncate()
        .show_ui(ui, |ui| {
            let hint = "The dataset's own, or the study that is the ground truth of the aspect";
            if ui
                .selectable_label(chosen.is_none(), own)
                .on_hover_text(hint)
                .clicked()
            {
                change(settings, out, |from| from.study = None);
            }
            for study in studies {
                let is_on = chosen == Some(study.id);
                let hint = "Only pictures that its raters rated, with their mean as the truth";
                let label = ui.selectable_label(is_on, &study.protocol.name);
                if label.on_hover_text(hint).clicked() {
                    change(settings, out, |from| from.study = Some(study.id));
                }
            }
        })
        .response
        .accessible_name("Opinions to learn from");
}

fn generators(
    ui: &mut Ui,
    (project, settings): (&Project, &TrainSettings),
    out: &mut Vec<Command>,
) {
    let from = &settings.learn_from;
    let all = project.generators.len();
    let words = match from.generators.len() {
        0 => format!("All {all} generators"),
        1 => from.generators[0].clone(),
        number => format!("{number} of {all} generators"),
    };
    let config = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
    let button = Button::new(words)
        .selected(!from.generators.is_empty())
        .truncate();
    MenuButton::from_button(button).config(config).ui(ui, |ui| {
        ui.weak("Learn only from pictures of");
        for generator in &project.generators {
            let mut is_on = from.generators.contains(generator);
            if ui.checkbox(&mut is_on, generator).changed() {
                change(settings, out, |from| {
                    from.generators.retain(|known| known != generator);
                    if is_on {
                        from.generators.push(generator.clone());
                        from.generators.sort_unstable();
                    }
                });
            }
        }
        if !from.generators.is_empty() && ui.button("All generators").clicked() {
            change(settings, out, |from| from.generators.clear());
        }
    });
}

fn tags(ui: &mut Ui, (project, settings): (&Project, &TrainSettings), out: &mut Vec<Command>) {
    let chosen = settings.learn_from.tag.as_deref();
    ComboBox::from_id_salt("train_tag")
        .selected_text(chosen.unwrap_or("With or without tags"))
        .width(CHOOSER)
        .truncate()
        .show_ui(ui, |ui| {
            let any = ui.selectable_label(chosen.is_none(), "With or without tags");
            if any.clicked() {
                change(settings, out, |from| from.tag = None);
            }
            for tag in &project.tags {
                let is_on = chosen == Some(tag.as_str());
                if ui.selectable_label(is_on, tag).clicked() {
                    change(settings, out, |from| from.tag = Some(tag.clone()));
                }
            }
        })
        .response
        .accessible_name("Only pictures with this tag");
}

fn descriptions(ui: &mut Ui, settings: &TrainSettings, out: &mut Vec<Command>) {
    const KINDS: [(Descriptions, &str, &str); 2] = [
        (
            Descriptions::Local,
            "Reads its own descriptions",
            "Those of the model on this machine, made where they are lacking",
        ),
        (
            Descriptions::Published,
            "Reads published descriptions",
            "Those that came with the dataset; training images without one lend their teacher's",
        ),
    ];
    let chosen = KINDS.iter().find(|kind| kind.0 == settings.descriptions);
    ComboBox::from_id_salt("train_descriptions")
        .selected_text(chosen.map_or("", |kind| kind.1))
        .width(CHOOSER)
        .truncate()
        .show_ui(ui, |ui| {
            for (kind, words, hint) in KINDS {
                let is_on = kind == settings.descriptions;
                if ui
                    .selectable_label(is_on, words)
                    .on_hover_text(hint)
                    .clicked()
                {
                    set(settings, out, |settings| settings.descriptions = kind);
                }
            }
        })
        .response
        .accessible_name("Descriptions to read");
}

/// What one aspect's run would learn from.
fn summary(
    ui: &mut Ui,
    state: &AppState,
    project: &Project,
    (data, is_many): (&DataSummary, bool),
) {
    let Some(aspect) = data.aspect else {
        return;
    };
    let palette = Palette::in_use(ui);
    if is_many {
        ui.add_space(GAP);
        ui.label(
            RichText::new(aspect.title())
                .strong()
                .color(palette.aspect(aspect)),
        );
    }
    ui.label(truth_words(project, &state.train.settings, aspect));
    if data.num_taking_part() == 0 {
        if let Some(reason) = data.obstacle() {
            ui.colored_label(palette.warning, reason);
        }
        return;
    }
    for sentence in data.sentences() {
        ui.label(sentence);
    }
    ui.label(described_words(state, data));
    for warning in data.warnings() {
        ui.colored_label(palette.warning, warning);
    }
}

fn truth_words(project: &Project, settings: &TrainSettings, aspect: Aspect) -> String {
    let chosen = settings.learn_from.study;
    let chosen = chosen.and_then(|id| project.studies.iter().find(|study| study.id == id));
    let source = chosen
        .or_else(|| project.truth_study(aspect))
        .map_or_else(String::new, |study| {
            format!("from the study {} ", study.protocol.name)
        });
    format!(
        "{}, opinion scores of {aspect} {source}on the scale {}.",
        project.info.dataset, project.info.scale
    )
}

fn described_words(state: &AppState, data: &DataSummary) -> String {
    let number = data.num_to_describe();
    if number == 0 {
        return "All of them are described already.".to_owned();
    }
    let time = actions::describe_seconds(&state.jobs, number).map_or_else(
        || "how long that takes is not known before the first one".to_owned(),
        actions::duration_in_words,
    );
    format!(
        "{} of {} are described already; {} must be described first ({time}).",
        grouped(data.num_described),
        grouped(data.num_taking_part()),
        images(number)
    )
}
