//! Sittings at length: long prompts beside pictures of a fixed size, and the default session with its break.

use assay::domain::FileState;
use assay::domain::Method;
use assay::domain::Picture;
use assay::domain::StudyId;
use assay::state::Command;
use assay::state::rate::RateCommand;
use assay::state::rate::sitting::Showing;
use assay::state::rate::sitting::Step;
use egui::Key;
use egui::Modifiers;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::blind::pass;
use super::rate;
use super::world;
use super::world::World;

/// Side of the pictures, as most generators make them.
const SIDE: u32 = 512;

/// A prompt of 300 words.
fn long_prompt() -> String {
    let words: Vec<String> = (0..300).map(|number| format!("word{number}")).collect();
    words.join(" ")
}

/// A study with prompts shown, the first of them of 300 words.
fn with_long_prompts(method: Method) -> World {
    let mut catalog = world::catalog(8);
    for record in &mut catalog.images {
        if let FileState::Present { width, height, .. } = &mut record.file {
            (*width, *height) = (SIDE, SIDE);
        }
        record.prompt = match record.id.0 {
            4.. if method != Method::Pairs => "a fox".to_owned(),
            _ => long_prompt(),
        };
    }
    let mut study = rate::study(&catalog, method);
    study.protocol.hide_prompt = assay::domain::AspectMap::from_fn(|_| false);
    study.hash = study.protocol.hash();
    catalog.studies = vec![study];
    World::with(catalog)
}

/// The pictures of the sitting come from the disk in their size.
fn prepare(window: &mut Harness<'static, World>) {
    let ctx = window.ctx.clone();
    for image in 1..=8 {
        let picture = Picture {
            width: SIDE,
            height: SIDE,
            rgb: vec![90; (SIDE * SIDE * 3) as usize].into(),
        };
        let textures = &mut window.state_mut().textures;
        textures.add_picture(&ctx, assay::domain::ImageId(image), &picture);
    }
    window.run_steps(3);
}

fn showing(window: &Harness<'static, World>) -> Showing {
    let sitting = window.state().state.rate.sitting.as_ref();
    let showing = sitting.and_then(|sitting| sitting.showing());
    showing.expect("a trial is on screen").clone()
}

fn step(window: &Harness<'static, World>) -> Step {
    let sitting = window.state().state.rate.sitting.as_ref();
    sitting.expect("somebody sits").step.clone()
}

#[test]
fn one_to_one_holds_beside_a_prompt_of_three_hundred_words() {
    for method in Method::ALL {
        let mut window = rate::seated(with_long_prompts(method));
        prepare(&mut window);
        let mut places = Vec::new();
        for _ in 0..3 {
            let showing = showing(&window);
            let display = showing.display;
            assert!(!display.is_shrunk, "{method}: {display:?}");
            assert!((display.zoom - 1.0).abs() < 1e-6, "{method}: {display:?}");
            let name = match method {
                Method::Pairs => "Left picture",
                _ => "Picture to rate",
            };
            places.push(window.get_by_label(name).rect());
            answer(&mut window, method);
        }
        let is_same = |place: &egui::Rect| *place == places[0];
        assert!(places.iter().all(is_same), "{method}: {places:?}");
    }
}

fn answer(window: &mut Harness<'static, World>, method: Method) {
    for key in match method {
        Method::Acr5 => vec![Key::Num3],
        Method::Continuous => vec![Key::Num3, Key::Num1, Key::Enter],
        Method::Pairs => vec![Key::ArrowDown],
    } {
        window.key_press(key);
        window.run_steps(1);
    }
    rate::commit(window);
    window.run_steps(2);
}

#[test]
fn keys_read_a_long_prompt_to_its_end_and_answer_nothing() {
    let mut window = rate::seated(with_long_prompts(Method::Acr5));
    prepare(&mut window);
    while showing(&window).prompt != Some(long_prompt()) {
        answer(&mut window, Method::Acr5);
    }
    let num_effects = window.state().effects.len();
    let prompt = long_prompt();
    let top = |window: &Harness<'static, World>| window.get_by_label(&prompt).rect().top();
    let start = top(&window);
    let mut tops = vec![start];
    for _ in 0..40 {
        window.key_press(Key::Space);
        window.run_steps(3);
        tops.push(top(&window));
        if (top(&window) - start).abs() < 0.5 {
            break;
        }
    }
    assert!(tops.len() > 4, "several pages: {tops:?}");
    assert!((tops[tops.len() - 1] - start).abs() < 0.5, "{tops:?}");
    window.key_press(Key::PageDown);
    window.run_steps(3);
    assert!(top(&window) < start);
    window.key_press_modifiers(Modifiers::SHIFT, Key::Space);
    window.run_steps(3);
    assert!((top(&window) - start).abs() < 0.5);
    assert_eq!(window.state().effects.len(), num_effects);
    window.get_by_label_contains("Space reads on in the prompt");
}

#[test]
fn a_default_session_ends_in_a_break_that_leaving_does_not_shorten() {
    let mut catalog = world::catalog(120);
    let mut study = rate::study(&catalog, Method::Acr5);
    assert_eq!(study.protocol.session_minutes, 30, "the default");
    assert_eq!(study.protocol.break_seconds, 300, "the default");
    study.protocol.num_discarded_training = 0;
    study.hash = study.protocol.hash();
    catalog.studies = vec![study];
    let mut window = rate::seated(World::with(catalog));
    let mut num_votes = 0;
    while let Step::Trial(_) = step(&window) {
        rate::prepare(&mut window);
        pass(&mut window, 20_000);
        window.key_press(Key::Num3);
        window.run_steps(2);
        assert_eq!(rate::commit(&mut window).session, 1);
        num_votes += 1;
    }
    assert_eq!(num_votes, 90, "half an hour, three a minute");
    window.get_by_label("Time for a break");
    window.get_by_label("It goes on in 5:00.");
    window.key_press(Key::Enter);
    window.run_steps(2);
    assert!(
        matches!(step(&window), Step::Break { .. }),
        "no way round it"
    );

    // Taking the last answer back brings no session back.
    window.key_press(Key::Backspace);
    window.run_steps(2);
    rate::commit(&mut window);
    assert!(matches!(step(&window), Step::Break { .. }));

    // Quitting inside the break and coming back finds the rest of it.
    pass(&mut window, 120_000);
    window.key_press(Key::Escape);
    window.run_steps(2);
    assert!(window.state().state.rate.sitting.is_none());
    pass(&mut window, 60_000);
    let sit = Command::Rate(RateCommand::Sit(StudyId(1)));
    window.state_mut().tell(sit);
    window.run_steps(3);
    window.get_by_label("Rater's name").type_text("Ada");
    window.run_steps(2);
    for _ in 0..2 {
        window.key_press(Key::Enter);
        window.run_steps(2);
    }
    window.get_by_label("It goes on in 2:00.");
    pass(&mut window, 119_000);
    window.key_press(Key::Enter);
    window.run_steps(2);
    assert!(matches!(step(&window), Step::Break { .. }));
    window.get_by_label("It goes on in 0:01.");
    pass(&mut window, 1_000);
    window.run_steps(2);
    window.get_by_label("Go on whenever you like.");
    window.key_press(Key::Enter);
    window.run_steps(2);
    rate::prepare(&mut window);
    assert_eq!(showing(&window).trial.index, 89, "the answer taken back");
    window.key_press(Key::Num4);
    window.run_steps(2);
    assert_eq!(rate::commit(&mut window).session, 2);
}
