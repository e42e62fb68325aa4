//! The window's behaviour without a window.

use std::path::PathBuf;

use crate::domain::{
    Aspect, AspectMap, Catalog, ContentHash, Description, DescriptionId, FileState, Filter,
    ImageId, ImageRecord, OpinionScale, Origin, PredictorCard, PredictorId, ProjectInfo,
    Provenance, Score, Settings, SortKey, Split, Truth,
};
use crate::jobs::message::Event;
use crate::jobs::message::FailedItem;
use crate::jobs::message::Job;
use crate::jobs::message::JobId;
use crate::jobs::message::JobReport;
use crate::jobs::message::Progress;

use super::AppState;
use super::Command;
use super::Effect;
use super::Screen;
use super::apply;
use super::command::Pick;
use super::command::Target;
use super::dialogs::Dialog;
use super::dialogs::DialogCommand;
use super::dialogs::ExportChoices;
use super::gallery::GalleryCommand;
use super::jobs::JobsCommand;
use super::selection::SelectionCommand;
use super::tags;
use super::tags::TagsCommand;
use super::update;

fn record(number: i64) -> ImageRecord {
    let truth = Truth {
        mos: number as f64 / 2.0,
        std: None,
        num_ratings: None,
    };
    ImageRecord {
        id: ImageId(number),
        path: format!("p{number:02}.png"),
        file: if number == 3 {
            FileState::Missing {
                reason: "not there".to_owned(),
            }
        } else {
            FileState::Present {
                hash: ContentHash([number as u8; 32]),
                width: 8,
                height: 8,
            }
        },
        prompt: format!("Prompt number {number}"),
        prompt_source: "test".to_owned(),
        generator: None,
        style: None,
        tags: Vec::new(),
        truth: AspectMap::from_fn(|_| Some(truth)),
        split: AspectMap::from_fn(|_| Some(Split::Train)),
    }
}

fn catalog() -> Catalog {
    Catalog {
        images: (1..=8).map(record).collect(),
        ..Catalog::of(ProjectInfo::any())
    }
}

fn opened() -> AppState {
    let mut state = AppState::default();
    apply(&mut state, Event::ProjectOpened(Box::new(catalog())));
    state
}

fn made() -> Provenance {
    Provenance {
        model: None,
        preset: None,
        settings: serde_json::Value::Null,
        seed: 0,
        program_version: String::new(),
        unix_time: 0,
    }
}

fn described(image: i64) -> Event {
    Event::Described(Description {
        id: DescriptionId(image),
        image: ImageId(image),
        aspect: Aspect::Quality,
        origin: Origin::Local,
        request: String::new(),
        text: "Sharp.".to_owned(),
        question: String::new(),
        answer: None,
        made: made(),
    })
}

fn score(image: i64, predictor: i64, value: f64) -> Score {
    Score {
        image: ImageId(image),
        aspect: Aspect::Quality,
        value,
        predictor: PredictorId(predictor),
        description: None,
        made: made(),
    }
}

fn shown(state: &AppState) -> Vec<i64> {
    let project = state.project.as_ref().expect("a project is open");
    state
        .view
        .visible
        .iter()
        .map(|&idx| project.rows[idx].record.id.0)
        .collect()
}

fn select(state: &mut AppState, command: SelectionCommand) {
    update(state, Command::Selection(command));
}

#[test]
fn opening_shows_the_gallery_with_the_first_picture_in_focus() {
    let state = opened();
    assert_eq!(state.screen, Screen::Gallery);
    assert_eq!(state.selection.focus, Some(ImageId(1)));
    assert_eq!(shown(&state).len(), 8);
    assert_eq!(state.scope.num_usable(), 7);
}

#[test]
fn the_same_project_again_keeps_filter_and_selection() {
    let mut state = opened();
    select(&mut state, SelectionCommand::Only(ImageId(5)));
    let filter = Filter {
        search: "number".to_owned(),
        ..Filter::default()
    };
    update(
        &mut state,
        Command::Gallery(GalleryCommand::SetFilter(filter)),
    );
    apply(&mut state, Event::ProjectOpened(Box::new(catalog())));
    assert_eq!(state.selection.focus, Some(ImageId(5)));
    assert!(state.view.is_filtered());
}

#[test]
fn searching_asks_for_every_word_and_ignores_case() {
    let mut state = opened();
    let filter = Filter {
        search: "NUMBER 4".to_owned(),
        ..Filter::default()
    };
    update(
        &mut state,
        Command::Gallery(GalleryCommand::SetFilter(filter)),
    );
    assert_eq!(shown(&state), [4]);
}

#[test]
fn a_range_of_truth_includes_its_ends() {
    let mut state = opened();
    let filter = Filter {
        mos_range: Some([1.0, 2.0]),
        ..Filter::default()
    };
    update(
        &mut state,
        Command::Gallery(GalleryCommand::SetFilter(filter)),
    );
    assert_eq!(shown(&state), [2, 3, 4]);
    // The histogram shows what the range cuts off, too.
    assert_eq!(state.view.mos_histogram.iter().sum::<u32>(), 8);
}

#[test]
fn images_that_lack_the_value_come_last_in_both_orders() {
    let mut state = opened();
    apply(
        &mut state,
        Event::Scored(vec![score(2, 0, 3.0), score(5, 0, 1.0)]),
    );
    for (descending, first) in [(false, [5, 2]), (true, [2, 5])] {
        let key = SortKey::Score(Aspect::Quality);
        update(
            &mut state,
            Command::Gallery(GalleryCommand::Sort { key, descending }),
        );
        assert_eq!(shown(&state)[..2], first);
    }
}

#[test]
fn results_that_arrive_do_not_move_the_list() {
    let mut state = opened();
    let key = SortKey::Score(Aspect::Quality);
    update(
        &mut state,
        Command::Gallery(GalleryCommand::Sort {
            key,
            descending: true,
        }),
    );
    let before = shown(&state);
    apply(&mut state, Event::Scored(vec![score(8, 0, 4.0)]));
    assert_eq!(shown(&state), before);
    assert!(state.view.is_stale);
    update(&mut state, Command::Gallery(GalleryCommand::Refresh));
    assert_eq!(shown(&state)[0], 8);
    assert!(!state.view.is_stale);
}

#[test]
fn shift_extends_from_the_last_plain_click() {
    let mut state = opened();
    select(&mut state, SelectionCommand::Only(ImageId(6)));
    select(&mut state, SelectionCommand::ExtendTo(ImageId(4)));
    let selected: Vec<i64> = state.selection.images.iter().map(|image| image.0).collect();
    assert_eq!(selected, [4, 5, 6]);
    select(&mut state, SelectionCommand::Toggle(ImageId(5)));
    assert!(!state.selection.contains(ImageId(5)));
    assert_eq!(state.scope.num_images, 2);
}

#[test]
fn describing_leaves_out_what_is_described_and_what_has_no_file() {
    let mut state = opened();
    apply(&mut state, described(1));
    assert_eq!(*state.scope.to_describe.get(Aspect::Quality), 6);
    let effects = update(
        &mut state,
        Command::Describe {
            target: Target::Scope,
            aspects: vec![Aspect::Quality],
            again: false,
        },
    );
    let images = [2, 4, 5, 6, 7, 8].map(ImageId).to_vec();
    let job = Job::Describe {
        images,
        aspects: vec![Aspect::Quality],
        again: false,
    };
    assert_eq!(effects, [Effect::Submit(job)]);
}

#[test]
fn what_another_model_or_wording_described_is_to_be_described() {
    let mut state = opened();
    apply(&mut state, described(1));
    let num_lacking = |state: &AppState| *state.scope.to_describe.get(Aspect::Quality);
    assert_eq!(num_lacking(&state), 6);
    let preset = |name: &str| Settings {
        preset: Some(name.to_owned()),
        ..Settings::default()
    };
    apply(&mut state, Event::SettingsChanged(preset("published-1")));
    assert_eq!(num_lacking(&state), 7);
    // The default wording by its name is the one of a project that chose none.
    apply(&mut state, Event::SettingsChanged(preset("assay")));
    assert_eq!(num_lacking(&state), 6);
    let tag = crate::domain::ModelTag {
        name: "another".to_owned(),
        sha256: "1".to_owned(),
    };
    let tags = AspectMap::from_fn(|_| tag.clone());
    apply(&mut state, Event::ModelTags(tags));
    assert_eq!(num_lacking(&state), 7);
    let effects = update(
        &mut state,
        Command::Describe {
            target: Target::Images(vec![ImageId(1)]),
            aspects: vec![Aspect::Quality],
            again: false,
        },
    );
    assert!(matches!(
        effects.as_slice(),
        [Effect::Submit(Job::Describe { images, .. })] if *images == [ImageId(1)]
    ));
}

#[test]
fn asking_for_nothing_says_so_and_does_nothing() {
    let mut state = opened();
    let effects = update(
        &mut state,
        Command::Score {
            target: Target::Images(vec![ImageId(3)]),
            aspects: vec![Aspect::Quality],
        },
    );
    assert!(effects.is_empty());
    assert_eq!(state.notices.iter().count(), 1);
}

fn picture_failed(image: i64, hash: u8) -> Event {
    Event::PictureFailed {
        hash: ContentHash([hash; 32]),
        image: ImageId(image),
        reason: "the disk is not there".to_owned(),
    }
}

#[test]
fn a_picture_that_failed_is_tried_again_on_refresh_and_when_the_project_is_opened() {
    let mut state = opened();
    apply(&mut state, picture_failed(1, 1));
    assert_eq!(state.picture_failures.len(), 1);
    update(&mut state, Command::Gallery(GalleryCommand::Refresh));
    assert!(state.picture_failures.is_empty());
    apply(&mut state, picture_failed(1, 1));
    apply(&mut state, Event::ProjectOpened(Box::new(catalog())));
    assert!(state.picture_failures.is_empty());
}

#[test]
fn what_was_decoded_for_another_project_is_not_laid_to_this_ones_charge() {
    let mut state = opened();
    apply(&mut state, picture_failed(1, 2));
    assert!(state.picture_failures.is_empty());
    assert!(state.has_file(ImageId(1), ContentHash([1; 32])));
    assert!(!state.has_file(ImageId(1), ContentHash([2; 32])));
    assert!(!state.has_file(ImageId(3), ContentHash([3; 32])));
}

#[test]
fn streamed_text_gives_way_to_the_saved_one() {
    let mut state = opened();
    apply(
        &mut state,
        Event::Streaming {
            image: ImageId(1),
            aspect: Aspect::Quality,
            text: "Sha".to_owned(),
        },
    );
    let row = state.row(ImageId(1)).expect("row 1");
    assert_eq!(row.streaming.get(Aspect::Quality).as_deref(), Some("Sha"));
    apply(&mut state, described(1));
    let row = state.row(ImageId(1)).expect("row 1");
    assert!(row.streaming.get(Aspect::Quality).is_none());
    let text = row.local_description(Aspect::Quality).map(|d| &d.text);
    assert_eq!(text.map(String::as_str), Some("Sharp."));
}

#[test]
fn nothing_seems_to_be_written_once_its_job_has_ended() {
    let mut state = opened();
    let describing = Job::Describe {
        images: vec![ImageId(1)],
        aspects: vec![Aspect::Quality],
        again: false,
    };
    for (id, job) in [(1, describing), (2, Job::ListModels)] {
        state.jobs.submitted(JobId(id), job);
        apply(
            &mut state,
            Event::JobStarted {
                job: JobId(id),
                title: "A job".to_owned(),
                can_pause: false,
            },
        );
    }
    apply(
        &mut state,
        Event::Streaming {
            image: ImageId(1),
            aspect: Aspect::Quality,
            text: "Sha".to_owned(),
        },
    );
    let report = JobReport {
        cancelled: true,
        ..JobReport::default()
    };
    apply(&mut state, Event::JobDone(JobId(1), report));
    assert_eq!(state.jobs.running.len(), 1);
    let row = state.row(ImageId(1)).expect("row 1");
    assert!(row.streaming.get(Aspect::Quality).is_none());
}

#[test]
fn another_predictor_in_use_shows_its_scores() {
    let mut state = opened();
    apply(
        &mut state,
        Event::Scored(vec![score(1, 0, 1.0), score(1, 7, 4.0)]),
    );
    let predicted = |state: &AppState| {
        state
            .row(ImageId(1))
            .and_then(|row| row.predicted(Aspect::Quality))
    };
    assert_eq!(predicted(&state), Some(1.0));
    let mut settings = Settings::default();
    *settings.predictor.get_mut(Aspect::Quality) = Some(PredictorId(7));
    apply(&mut state, Event::SettingsChanged(settings));
    assert_eq!(predicted(&state), Some(4.0));
}

fn card(id: i64, name: &str) -> PredictorCard {
    PredictorCard {
        id: PredictorId(id),
        name: name.to_owned(),
        aspect: Aspect::Quality,
        scale: OpinionScale::ZERO_TO_FIVE,
        dataset: String::new(),
        split: String::new(),
        model: crate::domain::ModelTag {
            name: "mini".to_owned(),
            sha256: String::new(),
        },
        preset: "assay".to_owned(),
        head: String::new(),
        val: None,
        test: None,
        run: None,
    }
}

#[test]
fn a_predictor_that_is_not_in_use_any_more_shows_no_scores() {
    let mut state = opened();
    // A published one belongs to no run, as the embedded ones do.
    apply(&mut state, Event::PredictorSaved(card(7, "Published")));
    apply(
        &mut state,
        Event::Scored(vec![score(1, 0, 1.0), score(1, 7, 4.0)]),
    );
    let row = state.row(ImageId(1)).expect("row 1");
    assert_eq!(row.predicted(Aspect::Quality), Some(1.0));
    let project = state.project.as_ref().expect("open");
    assert_eq!(project.predictor_card(Aspect::Quality), None);
    apply(&mut state, Event::EmbeddedPredictors(vec![card(0, "Own")]));
    let project = state.project.as_ref().expect("open");
    let shown = project.predictor_card(Aspect::Quality);
    assert_eq!(shown.map(|card| card.name.as_str()), Some("Own"));
}

#[test]
fn the_card_of_the_embedded_predictor_stands_in_where_none_is_chosen() {
    let mut state = opened();
    let card = card(0, "Embedded");
    apply(&mut state, Event::EmbeddedPredictors(vec![card]));
    let project = state.project.as_ref().expect("open");
    assert!(project.predictor_card(Aspect::Quality).is_some());
    assert!(project.predictor_card(Aspect::Authenticity).is_none());
}

#[test]
fn retry_runs_the_failed_items_only() {
    let mut state = opened();
    let job = Job::Describe {
        images: (1..=8).map(ImageId).collect(),
        aspects: vec![Aspect::Quality],
        again: false,
    };
    state.jobs.submitted(JobId(1), job);
    apply(
        &mut state,
        Event::JobStarted {
            job: JobId(1),
            title: "Describe 8 images".to_owned(),
            can_pause: true,
        },
    );
    let failed = vec![FailedItem {
        image: Some(ImageId(4)),
        path: "p04.png".to_owned(),
        reason: "cut off".to_owned(),
    }];
    let report = JobReport {
        failed,
        ..JobReport::default()
    };
    apply(&mut state, Event::JobDone(JobId(1), report));
    let effects = update(&mut state, Command::Jobs(JobsCommand::Retry(JobId(1))));
    let again = Job::Describe {
        images: vec![ImageId(4)],
        aspects: vec![Aspect::Quality],
        again: false,
    };
    assert_eq!(effects, [Effect::Submit(again)]);
}

#[test]
fn back_closes_one_thing_at_a_time() {
    let mut state = opened();
    update(&mut state, Command::Inspect(ImageId(2)));
    update(&mut state, Command::Dialog(DialogCommand::Keys));
    update(&mut state, Command::Back);
    assert_eq!(
        (state.dialog.clone(), state.screen),
        (Dialog::None, Screen::Inspect)
    );
    update(&mut state, Command::Back);
    assert_eq!(state.screen, Screen::Gallery);
}

#[test]
fn a_table_is_looked_at_before_it_is_opened() {
    let mut state = AppState::default();
    let path = PathBuf::from("scores.CSV");
    let effects = update(&mut state, Command::Open(path.clone()));
    assert_eq!(effects, [Effect::ReadColumns(path.clone())]);
    let columns = vec!["image_path".to_owned(), "prompt".to_owned()];
    let effects = update(
        &mut state,
        Command::TableColumns {
            path: path.clone(),
            columns,
        },
    );
    assert_eq!(effects, [Effect::Submit(Job::Open { path })]);
}

#[test]
fn a_mapped_table_is_read_with_the_chosen_columns() {
    let mut state = AppState::default();
    let columns = vec!["bild".to_owned(), "worte".to_owned()];
    let path = PathBuf::from("odd.csv");
    update(&mut state, Command::TableColumns { path, columns });
    let mapping = DialogCommand::MapColumn {
        ours: 0,
        theirs: Some(0),
    };
    assert!(update(&mut state, Command::Dialog(DialogCommand::ImportMapped)).is_empty());
    update(&mut state, Command::Dialog(mapping));
    let effects = update(&mut state, Command::Dialog(DialogCommand::ImportMapped));
    let [Effect::Submit(Job::Import(request))] = effects.as_slice() else {
        panic!("expected an import, got {effects:?}");
    };
    assert_eq!(
        request.columns,
        [("image_path".to_owned(), "bild".to_owned())]
    );
}

#[test]
fn an_export_of_no_shown_picture_does_not_write_all_of_them() {
    let mut state = opened();
    update(&mut state, Command::Dialog(DialogCommand::Export));
    let Dialog::Export(choices) = state.dialog.clone() else {
        panic!("expected the export, got {:?}", state.dialog);
    };
    let choices = ExportChoices {
        path_text: "out.csv".to_owned(),
        only_scope: true,
        ..choices
    };
    let search = |search: &str| {
        let filter = Filter {
            search: search.to_owned(),
            ..Filter::default()
        };
        Command::Gallery(GalleryCommand::SetFilter(filter))
    };
    update(&mut state, search("nothing is called so"));
    update(
        &mut state,
        Command::Dialog(DialogCommand::SetExport(choices)),
    );
    let confirm = || Command::Dialog(DialogCommand::ConfirmExport);
    assert!(update(&mut state, confirm()).is_empty());
    assert!(matches!(state.dialog, Dialog::Export(_)));
    update(&mut state, search("number 4"));
    let effects = update(&mut state, confirm());
    let [Effect::Submit(Job::Export(request))] = effects.as_slice() else {
        panic!("expected an export, got {effects:?}");
    };
    assert_eq!(request.images, [ImageId(4)]);
}

#[test]
fn no_screen_but_start_and_models_shows_without_a_project() {
    let mut state = AppState::default();
    update(&mut state, Command::Show(Screen::Compare));
    assert_eq!(state.screen, Screen::Start);
    update(&mut state, Command::Show(Screen::Models));
    assert_eq!(state.screen, Screen::Models);
}

#[test]
fn the_first_of_several_dropped_things_is_opened_and_that_is_said() {
    let mut state = AppState::default();
    let paths = ["/a", "/b"].map(PathBuf::from).to_vec();
    let path = PathBuf::from("/a");
    let effects = update(&mut state, Command::Drop(paths));
    assert_eq!(effects, [Effect::Submit(Job::Open { path })]);
    assert!(
        state
            .notices
            .iter()
            .any(|notice| notice.text.contains("first of 2"))
    );
}

#[test]
fn a_dropped_manifest_adds_its_model() {
    let mut state = opened();
    let paths = vec![PathBuf::from("/models/big/model.toml")];
    let folder = PathBuf::from("/models/big");
    let effects = update(&mut state, Command::Drop(paths));
    assert_eq!(effects, [Effect::Submit(Job::AddModel { folder })]);
}

#[test]
fn a_dropped_table_is_asked_for_its_columns_first() {
    let mut state = opened();
    let table = PathBuf::from("/data/scores.csv");
    let effects = update(&mut state, Command::Drop(vec![table.clone()]));
    assert_eq!(effects, [Effect::ReadColumns(table)]);
}

#[test]
fn a_desktop_without_dialogs_is_told_and_a_path_field_shown() {
    let mut state = opened();
    update(&mut state, Command::NoPicker(Pick::OpenFolder));
    assert!(matches!(state.dialog, Dialog::Open { .. }));
    assert_eq!(state.notices.iter().count(), 1);
    let mut state = opened();
    update(&mut state, Command::Dialog(DialogCommand::Relocate));
    update(&mut state, Command::NoPicker(Pick::ImageRoot));
    assert!(matches!(state.dialog, Dialog::Relocate { .. }));
}

#[test]
fn a_range_of_errors_leaves_out_what_has_none() {
    let mut state = opened();
    apply(
        &mut state,
        Event::Scored(vec![score(2, 0, 2.5), score(4, 0, 2.0)]),
    );
    let filter = Filter {
        error_range: Some([1.0, 5.0]),
        ..Filter::default()
    };
    update(
        &mut state,
        Command::Gallery(GalleryCommand::SetFilter(filter)),
    );
    assert_eq!(state.view.visible, [1]);
    assert_eq!(state.view.error_histogram.iter().sum::<u32>(), 2);
}

#[test]
fn a_range_to_the_end_of_the_scale_keeps_what_lies_beyond_it() {
    let mut state = opened();
    apply(
        &mut state,
        Event::Scored(vec![
            score(2, 0, 5.4),
            score(4, 0, 3.0),
            score(5, 0, -0.2),
            score(8, 0, -1.5),
        ]),
    );
    let mut shown_in = |score_range, error_range| {
        let filter = Filter {
            score_range,
            error_range,
            ..Filter::default()
        };
        update(
            &mut state,
            Command::Gallery(GalleryCommand::SetFilter(filter)),
        );
        shown(&state)
    };
    assert_eq!(shown_in(Some([4.0, 5.0]), None), [2]);
    assert_eq!(shown_in(Some([0.0, 2.0]), None), [5, 8]);
    assert_eq!(shown_in(Some([0.0, 4.9]), None), [4, 5, 8]);
    // Picture 8 is rated 4.0: its error is -5.5 on a scale that is 5 wide.
    assert_eq!(shown_in(None, Some([-5.0, -1.0])), [5, 8]);
}

#[test]
fn a_tag_is_spelt_as_it_is_known_and_goes_on_the_selection_only() {
    let mut state = opened();
    let mut tagged = record(2);
    tagged.tags = vec!["Soft focus".to_owned()];
    apply(&mut state, Event::ImagesChanged(vec![tagged]));
    update(
        &mut state,
        Command::Selection(SelectionCommand::Only(ImageId(5))),
    );
    update(&mut state, Command::Tags(TagsCommand::Open));
    update(
        &mut state,
        Command::Tags(TagsCommand::SetText(" soft FOCUS ".to_owned())),
    );
    assert_eq!(tags::entered(&state).as_deref(), Some("Soft focus"));
    assert_eq!(tags::tagged(&state), [ImageId(5)]);
    let tallies = tags::tallies(&state);
    assert_eq!((tallies[0].num_tagged, tallies[0].num_images), (0, 1));
    update(&mut state, Command::Back);
    assert!(!state.tags.is_open);
}

#[test]
fn the_speed_of_describing_is_known_from_a_training_too() {
    let mut state = opened();
    let settings = crate::domain::TrainSettings::new(Aspect::Quality);
    state.jobs.submitted(JobId(1), Job::Train(settings));
    let progress = Progress {
        per_second: Some(4.0),
        stage: "Describing quality for training".to_owned(),
        ..Progress::default()
    };
    apply(&mut state, Event::JobProgress(JobId(1), progress));
    assert_eq!(state.jobs.describe_rate, Some(4.0));
}
