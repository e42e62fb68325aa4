//! Compare: figures, the plot, residuals, and what is offered while there is nothing to compare.

use assay::domain::Aspect;
use assay::domain::ImageId;
use assay::domain::ModelTag;
use assay::domain::OpinionScale;
use assay::domain::PredictorCard;
use assay::domain::PredictorId;
use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::state::Command;
use assay::state::Effect;
use assay::state::Screen;
use assay::state::compare::CompareCommand;
use egui_kittest::kittest::Queryable as _;

use super::world;
use super::world::World;

const SIZE: [f32; 2] = [1280.0, 800.0];

fn card() -> PredictorCard {
    PredictorCard {
        id: PredictorId(0),
        name: "small predictor".to_owned(),
        aspect: Aspect::Quality,
        scale: OpinionScale::ZERO_TO_FIVE,
        dataset: "World".to_owned(),
        split: "80 train images".to_owned(),
        model: ModelTag {
            name: "mini".to_owned(),
            sha256: "0".repeat(64),
        },
        preset: "assay".to_owned(),
        head: "mean pooling".to_owned(),
        val: None,
        test: None,
        run: None,
    }
}

/// A world on Compare; scores are the truth and an error that grows with the number of the picture.
fn comparing(scored: impl Iterator<Item = i64>) -> World {
    let mut catalog = world::catalog(100);
    for image in scored {
        let mos = catalog.images[image as usize - 1]
            .mos(Aspect::Quality)
            .expect("every picture is rated");
        catalog
            .scores
            .push(world::score(image, mos + image as f64 / 200.0));
    }
    let mut world = World::with(catalog);
    world.hear(Event::EmbeddedPredictors(vec![card()]));
    world.tell(Command::Show(Screen::Compare));
    world
}

#[test]
fn figures_of_the_test_list_come_first_and_all_warns_of_training_pictures() {
    let mut window = world::window(comparing(1..=100), SIZE);
    window.get_by_label("Agreement over 20 pictures");
    window.get_by_label("Predicted over true quality scores of 20 pictures");
    assert!(
        window
            .query_by_label_contains("learned from: they")
            .is_none()
    );
    window.get_by_label("All").click();
    window.run_steps(3);
    window.get_by_label("Agreement over 100 pictures");
    window.get_by_label_contains("include 80 of 100 pictures that the predictor learned from");
    window.get_by_label("small predictor, quality, scale 0-5");
}

#[test]
fn the_worst_residual_stands_on_top_and_a_click_selects_it() {
    let mut window = world::window(comparing(1..=100), SIZE);
    let worst = "p00100.png, predicted 0.50, people 0.00, error +0.50";
    window.get_by_label(worst).click();
    window.run_steps(3);
    assert_eq!(window.state().state.selection.focus, Some(ImageId(100)));
    window.get_by_label("Best first").click();
    window.run_steps(3);
    assert!(window.query_by_label(worst).is_none());
    window.get_by_label_contains("p00005.png, predicted");
}

#[test]
fn a_generator_selects_its_pictures() {
    let mut window = world::window(comparing(1..=100), SIZE);
    window.get_by_label("alpha").click();
    window.run_steps(3);
    let selection = &window.state().state.selection;
    assert_eq!(selection.images.len(), 6);
    assert!(selection.images.iter().all(|image| image.0 % 15 == 0));
}

#[test]
fn a_click_on_a_point_selects_its_picture() {
    let mut window = world::window(comparing([5, 15, 25].into_iter()), SIZE);
    let plot = window
        .get_by_label("Predicted over true quality scores of 3 pictures")
        .rect();
    // Axes reach two hundredths beyond the scale; picture 5 is rated 3.5 and predicted 3.525.
    let part = |value: f32| (value + 0.1) / 5.2;
    let at = egui::pos2(
        plot.left() + plot.width() * part(3.5),
        plot.bottom() - plot.height() * part(3.525),
    );
    window.hover_at(at);
    window.run_steps(2);
    for pressed in [true, false] {
        window.event(egui::Event::PointerButton {
            pos: at,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: egui::Modifiers::NONE,
        });
        window.run_steps(1);
    }
    window.run_steps(2);
    assert_eq!(window.state().state.selection.focus, Some(ImageId(5)));
}

#[test]
fn without_scores_it_offers_to_score_the_test_list() {
    let mut window = world::window(comparing(std::iter::empty()), SIZE);
    window.get_by_label("No scores to compare yet");
    window.get_by_label("Score 10 test pictures").click();
    window.run_steps(2);
    let expected = Effect::Submit(Job::Score {
        images: (0..10).map(|idx| ImageId(idx * 10 + 5)).collect(),
        aspects: vec![Aspect::Quality],
        descriptions: None,
    });
    assert_eq!(window.state().effects, [expected]);
}

#[test]
fn undefined_figures_say_why_and_an_unrated_aspect_says_so() {
    let mut window = world::window(comparing(std::iter::once(5)), SIZE);
    let reasons = window.query_all_by_label_contains("at least 2 pictures are needed");
    assert!(reasons.count() >= 3);
    let authenticity = CompareCommand::SetAspect(Aspect::Authenticity);
    window.state_mut().tell(Command::Compare(authenticity));
    window.run_steps(3);
    window.get_by_label("Nobody rated authenticity here");
}

#[test]
fn every_widget_of_compare_has_a_name() {
    let window = world::window(comparing(1..=100), SIZE);
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
}
