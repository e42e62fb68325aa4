//! Whether the embedded model sees what was planted in demo scenes that it never learned from.

use std::collections::BTreeMap;

use assay::dataset;
use assay::dataset::demo;
use assay::domain::Aspect;
use assay::domain::Interrupted;
use assay::media;
use assay::ml::vlm::LocalModel;

use crate::device::device;

/// Of a defect: times it was planted, planted and named, not planted, not planted and named.
#[derive(Default, Clone, Copy)]
struct Tally([usize; 4]);

impl Tally {
    fn add(&mut self, [is_planted, is_named]: [bool; 2]) {
        let at = if is_planted { 0 } else { 2 };
        self.0[at] += 1;
        self.0[at + 1] += usize::from(is_named);
    }

    fn line(self) -> String {
        let [planted, named, clean, invented] = self.0;
        let share = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
        let (named, invented) = (share(named, planted), share(invented, clean));
        format!(
            "planted {planted:4}, named {named:5.1} %; not planted {clean:5}, invented {invented:5.1} %"
        )
    }
}

/// A longest run of words that stands in a text twice in succession, as a model that loops writes it.
fn loops(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    (4..=words.len() / 2).any(|len| {
        let windows = words.windows(2 * len);
        windows.into_iter().any(|both| both[..len] == both[len..])
    })
}

fn is_whole(text: &str) -> bool {
    text.trim_end_matches(['"', '\'', ')'])
        .ends_with(['.', '!', '?'])
        && !text.contains(['{', '}'])
}

/// Prints the share of planted defects that are named and of those that are invented, on scenes of a seed that no
/// recipe has. `ASSAY_MODEL` names a model folder to ask in place of the embedded one.
#[test]
#[ignore = "describes 200 scenes, some minutes; prints figures for models/mini/README.md"]
fn planted_defects_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = folder.path().join("scenes");
    let settings = demo::DemoSettings {
        seed: 4_242,
        count: 200,
    };
    demo::write(&scenes, &settings, &mut |_, _| Ok::<(), Interrupted>(())).unwrap();
    let source = dataset::Source {
        path: scenes.clone(),
        layout: None,
        conversations: Vec::new(),
        columns: Vec::new(),
    };
    let batch = dataset::read(&source, &mut |_, _| Ok::<(), Interrupted>(())).unwrap();
    let model = match std::env::var_os("ASSAY_MODEL") {
        Some(folder) => LocalModel::load(folder.as_ref(), device()),
        None => LocalModel::embedded(device()),
    };
    let (model, preset) = (model.unwrap(), dataset::default_preset());
    let (mut tallies, mut texts) = (BTreeMap::<&str, Tally>::new(), Vec::new());
    for row in &batch.rows {
        let picture = media::load(&scenes.join(&row.path)).unwrap();
        for aspect in [Aspect::Quality, Aspect::Authenticity] {
            let request = preset.request(aspect, &row.prompt);
            let question = preset.aspect(aspect).question.as_str();
            let both = (request.as_str(), question);
            let text = model
                .describe(&picture, both, &model.settings(), &mut |_| Ok(()))
                .unwrap()
                .text;
            for (tag, word) in demo::telling_words(aspect) {
                let is_planted = row.tags.iter().any(|own| own == tag);
                tallies
                    .entry(tag)
                    .or_default()
                    .add([is_planted, text.to_lowercase().contains(word)]);
            }
            texts.push(text);
        }
    }
    let mut all = Tally::default();
    for (tag, tally) in &tallies {
        eprintln!("{tag:18} {}", tally.line());
        (0..4).for_each(|at| all.0[at] += tally.0[at]);
    }
    let whole = texts.iter().filter(|text| is_whole(text)).count();
    let looping = texts.iter().filter(|text| loops(text)).count();
    eprintln!("{:18} {}", "all", all.line());
    eprintln!(
        "{} texts: {whole} of whole sentences, {looping} that loop",
        texts.len()
    );
    assert!(all.0[1] > 0, "no defect was named in {} texts", texts.len());
}
