//! The counts in sentences: what takes part, what is doubtful, and what stands in the way.

use super::DataSummary;
use crate::state::actions::grouped;

/// Fewest training pictures that the workers accept.
const LEAST_TO_TRAIN: usize = 8;

/// Below so many training pictures the outcome is mostly chance.
const FEW: usize = 30;

impl DataSummary {
    /// Why training is not possible with these rows, and what to do; `None` where it is.
    pub fn obstacle(&self) -> Option<String> {
        let aspect = self.aspect?;
        if self.num_train + self.num_val + self.num_test == 0 {
            return Some(match self.num_without_file {
                _ if self.num_lacking > 0 => format!(
                    "No picture has a published description of {aspect}; import a conversation file with response_0, or read the local model's own"
                ),
                _ if self.num_filtered > 0 => {
                    "No training image is left by these generators and this tag; choose others"
                        .to_owned()
                }
                0 => format!(
                    "No picture has an opinion score of {aspect}; choose another aspect, or import a table with scores"
                ),
                number => format!(
                    "All {} pictures with a score of {aspect} have no file; put the files back and import again",
                    grouped(number)
                ),
            });
        }
        if self.num_learned() < LEAST_TO_TRAIN {
            return Some(format!(
                "Only {} training images; training needs at least {LEAST_TO_TRAIN}",
                self.num_learned()
            ));
        }
        if self.selects_on_test {
            return (self.num_test == 0).then(|| {
                "There is no test list to choose the best epoch by; choose it on the validation part"
                    .to_owned()
            });
        }
        if self.num_val == 0 && self.num_cut == 0 {
            return Some(
                "No image is left to choose the best epoch; make the validation part larger"
                    .to_owned(),
            );
        }
        if self.num_val == 0 && self.num_prompts < 2 {
            return Some(
                "All training images have the same prompt (or none is known), so no validation part can be cut by prompt; import prompts, or a split with val rows"
                    .to_owned(),
            );
        }
        None
    }

    /// What takes part, in sentences.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = vec![self.roles_words()];
        if self.selects_on_test {
            // The test list was named already.
        } else {
            sentences.push(self.test_words());
        }
        let mut left_out = |number: usize, words: &str| {
            if number > 0 {
                sentences.push(format!("{} {words}", capital(&images(number))));
            }
        };
        left_out(
            self.num_filtered,
            "of other generators or without the tag are left out.",
        );
        left_out(
            self.num_lacking,
            "without a published description are left out.",
        );
        left_out(
            self.num_without_file,
            "with a score but without a usable file are left out.",
        );
        left_out(self.num_left_out, "stand in no list and are left out.");
        sentences
    }

    /// What is learned from, and what chooses the best epoch.
    fn roles_words(&self) -> String {
        let learned = images(self.num_learned());
        match (self.folds, self.selects_on_test, self.num_val) {
            (Some(folds), _, _) => format!(
                "{folds} runs, each learning from about {learned}; the other part, about {}, chooses its best epoch.",
                grouped(self.num_cut)
            ),
            (None, true, _) => format!(
                "Learns from {learned}; the {} of the test list choose the best epoch, as the published code does it.",
                images(self.num_test)
            ),
            (None, false, 0) => format!(
                "Learns from {learned}; about {} more, cut from the training images by prompt, choose the best epoch.",
                grouped(self.num_cut)
            ),
            (None, false, number) => format!(
                "Learns from {learned}; the {} of the validation list choose the best epoch.",
                images(number)
            ),
        }
    }

    fn test_words(&self) -> String {
        match (self.num_test, self.has_split) {
            (0, _) => "There is no test image, so nothing can be reported but validation figures."
                .to_owned(),
            (number, true) => format!(
                "{} of the test list are only reported, never learned from.",
                capital(&images(number))
            ),
            (number, false) => format!(
                "The dataset has no split: about {} will be set aside by prompt for testing, the same ones in every run.",
                images(number)
            ),
        }
    }

    /// What is doubtful about the data, in sentences.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.selects_on_test {
            warnings.push(
                "The test list chooses the best epoch, so its figures will be too good; run and predictor will be marked."
                    .to_owned(),
            );
        }
        if let Some(others) = &self.others {
            warnings.push(format!(
                "{} were described by {others} alone; features of another model or wording cannot be learned from, so they are described anew.",
                capital(&images(self.num_of_others))
            ));
        }
        if self.shared_with_test > 0 {
            warnings.push(format!(
                "{} in both train and test: test figures will look better than they are.",
                prompts_stand(self.shared_with_test)
            ));
        }
        if self.shared_with_val > 0 {
            warnings.push(format!(
                "{} in both train and validation: the best epoch may be chosen too late.",
                prompts_stand(self.shared_with_val)
            ));
        }
        if self.is_constant {
            warnings.push(
                "All training images have the same score: there is nothing to learn from them."
                    .to_owned(),
            );
        }
        if (1..FEW).contains(&self.num_learned()) {
            warnings.push(format!(
                "Only {} to learn from: with fewer than {FEW} the outcome is mostly chance.",
                images(self.num_learned())
            ));
        }
        warnings
    }
}

fn prompts_stand(number: usize) -> String {
    match number {
        1 => "1 prompt stands".to_owned(),
        number => format!("{} prompts stand", grouped(number)),
    }
}

/// "1 image", "2,982 images".
pub fn images(number: usize) -> String {
    match number {
        1 => "1 image".to_owned(),
        number => format!("{} images", grouped(number)),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
