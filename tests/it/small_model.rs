//! `assay models train`: a small model from nothing, also when it is cut off.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::world::World;

const RECIPE: &str = "
demo_count = 72
demo_seed = 5
label_words = 8
label_weight = 1.0
channels = [8, 8, 8, 8, 8, 16]
spectrum = 8
see_dropout = 0.0
see_epochs = 2
look_epochs = 1
speak_epochs = 2
score_weight = 1.0
facts_weight = 1.0
vocab_size = 600
seed = 1

[survey]
scenes = 64
seed = 9
epochs = 2
";

const TRAIN: [&str; 5] = ["models", "train", "recipe.toml", "--out", "small"];

fn world() -> World {
    let world = World::new();
    world.write("recipe.toml", RECIPE);
    world
}

#[test]
#[ignore = "a minute and more: three small models are trained"]
fn a_model_that_was_cut_off_while_it_was_made_ends_with_the_same_bits() {
    let model = |world: &World| fs::read(world.path("small/model.safetensors")).unwrap();
    let whole = world();
    let said = whole.run(&TRAIN);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(!whole.path("small/steps/speak.safetensors").exists());
    let world = world();
    for (step, seconds) in [("see", 90), ("survey", 90), ("speak", 90)] {
        let mut child = world.start(&TRAIN);
        let note = world.path(&format!("small/steps/{step}.safetensors"));
        for _ in 0..seconds * 20 {
            if note.exists() {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        assert!(note.exists(), "{step} leaves notes behind its first pass");
        child.kill().ok();
        child.wait().unwrap();
    }
    let ended = world.run(&TRAIN);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("goes on behind"), "{}", ended.stderr);
    assert_eq!(model(&world), model(&whole));
    let again = world.run(&["models", "check", "--model", "small"]);
    assert_ne!(again.code, Some(0), "it lacks its model.toml");
}
