//! What the user waits for most: the embedded model describes one picture, or reads a text about it.

use assay::compute;
use assay::compute::DeviceChoice;
use assay::domain::Conversation;
use assay::domain::Picture;
use assay::ml::vlm::LocalModel;

/// Messages 1 and 3, about as long as the default wording's.
const REQUEST: &str = "Look at this AI-generated image. It was made from the prompt: 'a boat on a lake in the evening'. Describe its visual quality.";
const QUESTION: &str = "Judging by what you said, rate the quality. Answer with one word of [bad, poor, fair, good, excellent].";

fn main() {
    compute::settle_threads();
    divan::main();
}

/// Stripes and squares at the size of AGIQA-3K's pictures.
fn picture() -> Picture {
    let rgb: Vec<u8> = (0..512 * 512_u32)
        .flat_map(|at| {
            let (x, y) = (at % 512, at / 512);
            [x / 2, y / 2, (x / 64 + y / 64) % 2 * 200].map(|value| value as u8)
        })
        .collect();
    Picture {
        width: 512,
        height: 512,
        rgb: rgb.into(),
    }
}

fn model() -> LocalModel {
    LocalModel::embedded(DeviceChoice::Cpu).expect("the embedded model is whole")
}

#[divan::bench(sample_count = 5)]
fn load_the_embedded_model() -> LocalModel {
    model()
}

/// Both rounds and the features: what one row of `assay describe` costs.
#[divan::bench(sample_count = 5)]
fn describe_one_picture(bencher: divan::Bencher<'_, '_>) {
    let (mut model, picture) = (model(), picture());
    let settings = model.settings();
    bencher
        .bench_local(|| model.describe(&picture, (REQUEST, QUESTION), &settings, &mut |_| Ok(())));
}

/// Features of a text that is there already, such as a published one: one pass without generating.
#[divan::bench(sample_count = 5)]
fn features_of_a_given_text(bencher: divan::Bencher<'_, '_>) {
    let (mut model, picture) = (model(), picture());
    let conversation = Conversation {
        request: REQUEST.to_owned(),
        description: "The boat is sharp and well lit. ".repeat(6),
        question: QUESTION.to_owned(),
    };
    bencher.bench_local(|| model.features(&picture, &conversation));
}
