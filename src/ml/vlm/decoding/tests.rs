use std::collections::BTreeMap;

use super::*;
use crate::compute::DeviceChoice;
use crate::domain::{Conversation, Picture};
use crate::ml::vlm::{Described, LocalModel};

fn picture([width, height]: [u32; 2], salt: u32) -> Picture {
    let rgb: Vec<u8> = (0..width * height * 3)
        .map(|at| {
            let (x, y) = (at / 3 % width, at / 3 / width);
            ((x * x + y * (salt + 3) + at % 3 * 40) / 90 + salt * 13) as u8
        })
        .collect();
    Picture {
        width,
        height,
        rgb: rgb.into(),
    }
}

fn asks() -> Vec<Ask> {
    ["quality", "correspondence with its prompt", "authenticity"]
        .map(|aspect| Ask {
            request: format!("Describe the {aspect} of this image."),
            question: format!("Rate the {aspect} with one word."),
        })
        .to_vec()
}

fn model() -> LocalModel {
    LocalModel::embedded(DeviceChoice::Cpu).expect("the embedded model is whole")
}

fn drain(batch: &mut Batch<'_>, into: &mut BTreeMap<Ticket, Described>) -> Result<(), MlError> {
    for (ticket, described) in batch.step(&mut |_, _| Ok(()))? {
        into.insert(ticket, described?);
    }
    Ok(())
}

fn worst(a: &Described, b: &Described) -> f32 {
    let pairs = a.features.values.iter().zip(b.features.values.iter());
    pairs.fold(0.0, |worst, (a, b)| {
        worst.max((a.to_f32() - b.to_f32()).abs())
    })
}

/// Pictures join at different times and leave as they end; each gets what it gets alone.
fn company_changes_nothing(settings: GenerateSettings) -> Result<(), MlError> {
    let model = model();
    let pictures = [[512, 512], [700, 400], [300, 520]].map(|size| picture(size, size[0] % 7));
    let mut batch = model.batch(&settings)?;
    let (mut together, mut tickets) = (BTreeMap::new(), Vec::new());
    for (number, picture) in pictures.iter().enumerate() {
        tickets.extend(batch.join(picture, &asks())?);
        for _ in 0..5 + 7 * number {
            drain(&mut batch, &mut together)?;
        }
    }
    while !batch.is_empty() {
        drain(&mut batch, &mut together)?;
    }
    let mut tickets = tickets.into_iter();
    for picture in &pictures {
        for ask in asks() {
            let messages = (ask.request.as_str(), ask.question.as_str());
            let alone = model.describe(picture, messages, &settings, &mut |_| Ok(()))?;
            let ticket = tickets.next().expect("a ticket for every ask");
            let made = &together[&ticket];
            assert_eq!(made.text, alone.text);
            assert_eq!(
                (&made.answer, made.num_tokens),
                (&alone.answer, alone.num_tokens)
            );
            assert_eq!(made.features.num_tokens, alone.features.num_tokens);
            // Half precision of values up to 8 rounds by 4e-3.
            assert!(worst(made, &alone) < 1e-2, "{}", worst(made, &alone));
        }
    }
    Ok(())
}

#[test]
fn greedy_answers_do_not_depend_on_their_company() -> Result<(), MlError> {
    let settings = model().settings();
    company_changes_nothing(GenerateSettings {
        max_new_tokens: 40,
        ..settings
    })
}

#[test]
fn beams_do_not_depend_on_their_company() -> Result<(), MlError> {
    company_changes_nothing(GenerateSettings {
        max_new_tokens: 24,
        repetition_penalty: 1.2,
        num_beams: 3,
        ..GenerateSettings::default()
    })
}

#[test]
fn draws_do_not_depend_on_their_company() -> Result<(), MlError> {
    company_changes_nothing(GenerateSettings {
        max_new_tokens: 24,
        repetition_penalty: 1.05,
        sampling: Some(Sampling {
            seed: 9,
            ..Sampling::default()
        }),
        ..GenerateSettings::default()
    })
}

#[test]
fn the_winning_beams_states_are_those_of_a_pass_over_its_text() -> Result<(), MlError> {
    let model = model();
    let picture = picture([512, 512], 3);
    for (num_beams, max_new_tokens) in [(3, 160), (3, 20), (1, 20)] {
        let settings = GenerateSettings {
            max_new_tokens,
            repetition_penalty: 1.2,
            num_beams,
            ..GenerateSettings::default()
        };
        let ask = asks().remove(0);
        let messages = (ask.request.as_str(), ask.question.as_str());
        let made = model.describe(&picture, messages, &settings, &mut |_| Ok(()))?;
        let conversation = Conversation {
            request: ask.request,
            description: made.text.clone(),
            question: ask.question,
        };
        let features = model.features(&picture, &conversation)?;
        assert_eq!(features.num_tokens, made.features.num_tokens);
        let again = Described {
            features,
            ..made.clone()
        };
        assert!(worst(&made, &again) < 1e-2, "{}", worst(&made, &again));
    }
    Ok(())
}

#[test]
fn speaking_alone_says_what_the_batch_says() -> Result<(), MlError> {
    let model = model();
    let picture = picture([512, 512], 5);
    for num_beams in [1, 3] {
        let settings = GenerateSettings {
            num_beams,
            ..GenerateSettings::default()
        };
        let ask = asks().remove(1);
        let messages = (ask.request.as_str(), ask.question.as_str());
        let made = model.describe(&picture, messages, &settings, &mut |_| Ok(()))?;
        let ids = model.speak(&picture, &[&ask.request], &settings)?;
        let said = model.backbone().decode(&ids)?;
        assert!(
            said.trim().starts_with(&made.text),
            "{said:?} {:?}",
            made.text
        );
    }
    Ok(())
}

#[test]
fn a_prompt_beyond_the_limit_says_how_much_was_left_out() -> Result<(), MlError> {
    let model = model();
    let settings = GenerateSettings {
        max_new_tokens: 2,
        ..model.settings()
    };
    let cut = |request: &str| -> Result<usize, MlError> {
        let messages = (request, "Rate it.");
        let made = model.describe(&picture([64, 64], 1), messages, &settings, &mut |_| Ok(()))?;
        Ok(made.num_cut)
    };
    assert_eq!(cut("Describe it.")?, 0);
    let limit = model.backbone().facts().max_prompt;
    assert!(cut(&"a boat ".repeat(limit))? >= limit / 2);
    Ok(())
}

#[test]
fn a_picture_that_cannot_be_read_leaves_the_others_alone() -> Result<(), MlError> {
    let model = model();
    let settings = GenerateSettings {
        max_new_tokens: 4,
        ..GenerateSettings::default()
    };
    let mut batch = model.batch(&settings)?;
    batch.join(&picture([512, 512], 1), &asks()[..1])?;
    let nothing = Picture {
        width: 0,
        height: 0,
        rgb: Vec::new().into(),
    };
    assert!(batch.join(&nothing, &asks()).is_err());
    let mut done = BTreeMap::new();
    while !batch.is_empty() {
        drain(&mut batch, &mut done)?;
    }
    assert_eq!(done.len(), 1);
    Ok(())
}
