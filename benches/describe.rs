//! What the user waits for most: the embedded model describes one picture, or reads a text about it.

use assay::compute;
use assay::compute::DeviceChoice;
use assay::domain::Conversation;
use assay::domain::Picture;
use assay::ml::vlm::Ask;
use assay::ml::vlm::Ending;
use assay::ml::vlm::KvCache;
use assay::ml::vlm::LocalModel;

/// Messages 1 and 3, about as long as the default wording's.
const REQUEST: &str = "Look at this AI-generated image. It was made from the prompt: 'a boat on a lake in the evening'. Describe its visual quality.";
const QUESTION: &str = "Judging by what you said, rate the quality. Answer with one word of [bad, poor, fair, good, excellent].";

fn main() {
    compute::settle();
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
    let (model, picture) = (model(), picture());
    let settings = model.settings();
    bencher
        .bench_local(|| model.describe(&picture, (REQUEST, QUESTION), &settings, &mut |_| Ok(())));
}

/// Features of a text that is there already, such as a published one: one pass without generating.
#[divan::bench(sample_count = 5)]
fn features_of_a_given_text(bencher: divan::Bencher<'_, '_>) {
    let (model, picture) = (model(), picture());
    let conversation = Conversation {
        request: REQUEST.to_owned(),
        description: "The boat is sharp and well lit. ".repeat(6),
        question: QUESTION.to_owned(),
    };
    bencher.bench_local(|| model.features(&picture, &conversation));
}

/// A picture under three aspects: encoded once, its tokens read once, three answers in one batch.
#[divan::bench(sample_count = 5)]
fn describe_one_picture_under_three_aspects(bencher: divan::Bencher<'_, '_>) {
    let (model, picture) = (model(), picture());
    let settings = model.settings();
    let ask = Ask {
        request: REQUEST.to_owned(),
        question: QUESTION.to_owned(),
    };
    let asks = [ask.clone(), ask.clone(), ask];
    bencher.bench_local(|| {
        let mut batch = model.batch(&settings)?;
        batch.join(&picture, &asks)?;
        let mut done = Vec::new();
        while !batch.is_empty() {
            done.extend(batch.step(&mut |_, _| Ok(()))?);
        }
        Ok::<_, assay::ml::MlError>(done)
    });
}

/// Tokens that are timed together.
const TOKENS: usize = 32;

/// The next 32 tokens behind a conversation of 400, of so many answers at once.
#[divan::bench(args = [1, 3, 8], sample_count = 5)]
fn next_tokens(bencher: divan::Bencher<'_, '_>, rows: usize) {
    let (model, picture) = (model(), picture());
    let backbone = model.backbone();
    let read = || {
        let seen = backbone.look(&picture)?;
        let text = "The boat is sharp and well lit. ".repeat(48);
        let sequence = backbone.sequence(&seen, &[REQUEST, &text], Ending::Bare)?;
        let mut cache = KvCache::default();
        backbone.pass(&sequence, sequence.ids.len().min(400), &seen, &mut cache)?;
        Ok::<_, assay::ml::MlError>(cache)
    };
    let cache = read().expect("the embedded model reads");
    bencher
        .with_inputs(|| {
            let mut cache = cache.fork().expect("a copy");
            cache.select(&vec![0; rows]).expect("rows");
            cache
        })
        .bench_local_values(|mut cache| {
            for id in 0..TOKENS as u32 {
                let states = backbone.step(&vec![id + 300; rows], &mut cache)?;
                divan::black_box(backbone.logits(&states)?);
            }
            Ok::<_, assay::ml::MlError>(cache)
        });
}
