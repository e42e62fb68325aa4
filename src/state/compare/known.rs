//! What is known of other methods on AGIQA-3K, and a sentence that places ours among them.
//!
//! **Source** M3-AGIQA (arXiv 2502.13763), table of results on AGIQA-3K: SRCC of VGG16 and `ResNet50` trained on it, and of
//! M3-AGIQA itself. Knowing the generator alone means the mean score of its pictures over the whole dataset as the
//! prediction, measured on the same lists.

use crate::domain::{Aspect, Split};

use super::comparison::Comparison;

/// A method with its SRCC of quality and of correspondence over the published test pictures.
struct Known {
    name: &'static str,
    quality: f64,
    correspondence: f64,
}

impl Known {
    const fn srcc(&self, aspect: Aspect) -> Option<f64> {
        match aspect {
            Aspect::Quality => Some(self.quality),
            Aspect::Correspondence => Some(self.correspondence),
            Aspect::Authenticity => None,
        }
    }
}

/// Methods from the weakest to the strongest, for both aspects.
const METHODS: [Known; 4] = [
    Known {
        name: "knowing the generator alone",
        quality: 0.722,
        correspondence: 0.606,
    },
    Known {
        name: "VGG16",
        quality: 0.8167,
        correspondence: 0.6867,
    },
    Known {
        name: "ResNet50",
        quality: 0.8552,
        correspondence: 0.7493,
    },
    Known {
        name: "M3-AGIQA",
        quality: 0.9045,
        correspondence: 0.8523,
    },
];

/// Whether methods are known that were measured on this dataset.
fn has_methods(dataset: &str, aspect: Aspect) -> bool {
    dataset.to_lowercase().contains("agiqa-3k")
        && METHODS.iter().any(|method| method.srcc(aspect).is_some())
}

/// How good the figures are against known methods; `None` where the dataset is another one or the figure undefined.
/// A place among them is one over all that they were measured on: without that, the sentence says what is lacking.
pub(super) fn verdict(dataset: &str, aspect: Aspect, comparison: &Comparison) -> Option<String> {
    if !has_methods(dataset, aspect) {
        return None;
    }
    let ours = *comparison.figures.srcc.as_ref().ok()?;
    let (num_pairs, num_rated) = (comparison.pairs.len(), comparison.num_rated);
    if comparison.split != Some(Split::Test) {
        let words = "Published methods were measured on AGIQA-3K's test list. Choose test to hold the predictor \
                     against them.";
        return Some(words.to_owned());
    }
    if num_pairs != num_rated {
        return Some(format!(
            "Published methods were measured on all of AGIQA-3K's test list; {num_pairs} of {num_rated} pictures have \
             a score. Score the others to hold the predictor against them."
        ));
    }
    let mut below = Vec::new();
    let mut above = Vec::new();
    for method in &METHODS {
        let srcc = method.srcc(aspect)?;
        let words = format!("{} ({srcc})", method.name);
        match srcc < ours {
            true => below.push(words),
            false => above.push(words),
        }
    }
    let place = match (below.is_empty(), above.is_empty()) {
        (true, _) => format!("below {}", listed(&above)),
        (_, true) => format!("above {}", listed(&below)),
        _ => format!("above {}, below {}", listed(&below), listed(&above)),
    };
    Some(format!(
        "SRCC {ours:.3} is {place} on AGIQA-3K's test list."
    ))
}

/// What is said where the ground truth is a study's: no method is known that was held against it.
pub(super) fn against_study(dataset: &str, aspect: Aspect) -> Option<String> {
    let words = "Published methods were measured against AGIQA-3K's own opinion scores. Take them as the ground truth \
                 to hold the predictor against those methods.";
    has_methods(dataset, aspect).then(|| words.to_owned())
}

/// "a, b and c".
fn listed(words: &[String]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::ImageId;

    use super::super::comparison::Pair;
    use super::*;

    fn comparison(order: [f64; 5], split: Option<Split>) -> Comparison {
        let pairs = (1..=5).zip(order).map(|(image, predicted)| Pair {
            image: ImageId(image),
            truth: image as f64,
            predicted,
        });
        let mut comparison = Comparison::of_pairs(pairs.collect());
        comparison.split = split;
        comparison.num_rated = 5;
        comparison
    }

    #[test]
    fn the_sentence_names_methods_above_and_below() {
        let ours = comparison([1.0, 2.0, 4.0, 5.0, 3.0], Some(Split::Test));
        assert_eq!(
            verdict("AGIQA-3K", Aspect::Quality, &ours).as_deref(),
            Some(
                "SRCC 0.700 is below knowing the generator alone (0.722), VGG16 (0.8167), ResNet50 (0.8552) \
                 and M3-AGIQA (0.9045) on AGIQA-3K's test list."
            )
        );
        let words = verdict("AGIQA-3K", Aspect::Correspondence, &ours).unwrap_or_default();
        assert!(
            words.contains("above knowing the generator alone (0.606) and VGG16 (0.6867), below")
        );
    }

    #[test]
    fn another_part_than_test_gives_no_place() {
        let ours = comparison([1.0, 2.0, 3.0, 4.0, 5.0], None);
        let words = verdict("AGIQA-3K", Aspect::Quality, &ours).unwrap_or_default();
        assert!(
            !words.contains("above") && words.contains("Choose test"),
            "{words}"
        );
    }

    #[test]
    fn a_handful_of_the_test_list_gives_no_place() {
        let mut ours = comparison([1.0, 2.0, 3.0, 4.0, 5.0], Some(Split::Test));
        ours.num_rated = 598;
        let words = verdict("AGIQA-3K", Aspect::Quality, &ours).unwrap_or_default();
        assert!(
            !words.contains("above") && words.contains("5 of 598 pictures"),
            "{words}"
        );
    }

    #[test]
    fn opinions_of_a_study_give_no_place() {
        let words = against_study("AGIQA-3K", Aspect::Quality).unwrap_or_default();
        assert!(words.contains("own opinion scores"), "{words}");
        assert_eq!(against_study("World", Aspect::Quality), None);
        assert_eq!(against_study("AGIQA-3K", Aspect::Authenticity), None);
    }

    #[test]
    fn there_is_no_sentence_where_nothing_is_known() {
        let ours = comparison([1.0, 2.0, 3.0, 4.0, 5.0], Some(Split::Test));
        assert_eq!(verdict("World", Aspect::Quality, &ours), None);
        assert_eq!(verdict("AGIQA-3K", Aspect::Authenticity, &ours), None);
        let equal = comparison([2.0; 5], Some(Split::Test));
        assert_eq!(verdict("AGIQA-3K", Aspect::Quality, &equal), None);
    }
}
