//! Many pictures described at once, and one of them taken apart: what comes out does not depend on the way.

use std::collections::BTreeMap;

use assay::compute::DeviceChoice;
use assay::domain::Origin;
use assay::media;
use assay::ml::vlm::LocalModel;
use assay::store::Project;

use crate::minicpm::SmallModel;
use crate::minicpm::picture;
use crate::world::World;

#[test]
fn a_job_says_of_each_picture_what_is_said_of_it_alone() {
    let world = World::with_demo(5);
    let describe = || world.run_on_demo("describe", "all");
    let json = describe().json();
    assert_eq!(json["done"].as_u64(), Some(15), "{json}");
    let project = Project::open(&world.path("demo.assay")).unwrap();
    let catalog = project.catalog().unwrap();
    let model = LocalModel::embedded(DeviceChoice::Cpu).unwrap();
    let paths: BTreeMap<_, _> = catalog.images.iter().map(|i| (i.id, &i.path)).collect();
    let made = catalog.descriptions.iter();
    let mut num_checked = 0;
    for description in made.filter(|description| description.origin == Origin::Local) {
        let path = world.path("demo").join(paths[&description.image]);
        let messages = (description.request.as_str(), description.question.as_str());
        let alone = model.describe(
            &media::load(&path).unwrap(),
            messages,
            &model.settings(),
            &mut |_| Ok(()),
        );
        let alone = alone.unwrap();
        assert_eq!(description.text, alone.text);
        assert_eq!(description.answer.as_deref(), Some(alone.answer.as_str()));
        num_checked += 1;
    }
    assert_eq!(num_checked, 15);
}

#[test]
fn scoring_describes_what_it_lacks_and_scores_all_of_it() {
    let world = World::with_demo(4);
    let described = world.run(&[
        "describe",
        "--project",
        "demo.assay",
        "--aspect",
        "quality",
        "--limit",
        "2",
        "--json",
    ]);
    assert_eq!(described.json()["done"].as_u64(), Some(2));
    let score = || world.run_on_demo("score", "quality");
    let first = score().json();
    assert_eq!(first["done"].as_u64(), Some(4), "{first}");
    let second = score().json();
    assert_eq!(
        (second["done"].as_u64(), second["skipped"].as_u64()),
        (Some(0), Some(4))
    );
}

#[test]
fn everything_on_the_way_to_the_features_is_written_when_asked_for() {
    let (world, small) = (World::new(), SmallModel::new());
    let png = media::encode_png(&picture(512, 512)).unwrap();
    std::fs::write(world.path("a.png"), png).unwrap();
    let out = world.path("out.safetensors");
    let run = world.run(&[
        "features",
        "a.png",
        "--prompt",
        "a boat",
        "--aspect",
        "quality",
        "--model",
        small.path().to_str().unwrap(),
        "--out",
        "out.safetensors",
        "--request",
        "Describe it.",
        "--description",
        "It is sharp.",
        "--question",
        "Rate it.",
        "--all",
        "--json",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let bytes = std::fs::read(out).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| file.tensor(name).unwrap().shape().to_vec();
    let num_tokens = shape("token_ids")[0];
    assert_eq!(shape("hidden"), [num_tokens, 256]);
    assert_eq!(shape("embeds"), [num_tokens, 256]);
    assert_eq!(shape("logits")[0], num_tokens);
    assert_eq!(shape("image_bounds"), [3, 2]);
    for (index, (size, patches)) in [([448, 448], 1024), ([322, 630], 1035), ([322, 630], 1035)]
        .into_iter()
        .enumerate()
    {
        assert_eq!(shape(&format!("pixels.{index}"))[1..], size);
        assert_eq!(shape(&format!("position_ids.{index}")), [patches]);
        assert_eq!(shape(&format!("vision.{index}")), [patches, 96]);
        assert_eq!(shape(&format!("resampler.{index}")), [96, 256]);
    }
    for name in ["greedy.token_ids", "beam.token_ids"] {
        assert!((1..=32).contains(&shape(name)[0]), "{name}");
    }
}
