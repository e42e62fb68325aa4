//! Where a checkpoint keeps the model's parts: the names changed between versions of transformers.

use crate::ml::vlm::weights::Weights;

/// The parts of a checkpoint.
pub(super) struct Parts {
    /// `embeddings`, `pre_layrnorm`, `encoder`.
    pub(super) vision: Weights,
    /// `linear_1`, `linear_2`.
    pub(super) projector: Weights,
    /// `embed_tokens`, `layers`, `norm`.
    pub(super) llm: Weights,
    all: Weights,
}

impl Parts {
    /// Finds them.
    ///
    /// # Errors
    /// Names of another layout, in words.
    pub(super) fn find(weights: &Weights) -> Result<Self, String> {
        if weights.contains("model.mm_projector.0.weight") {
            return Err(
                "these weights are in the layout of the model's own code: take the model of the same name from \
                 llava-hf, which is in the hub's"
                    .to_owned(),
            );
        }
        // The hub's names come first; loading says what is lacking of them where no others are there.
        let below = |names: &[&str], probe: &str| {
            let mut parts = names.iter().map(|name| weights.pp(name));
            let found = parts.find(|part| part.contains(probe));
            found.unwrap_or_else(|| weights.pp(names[0]))
        };
        let vision = [
            "vision_tower.vision_model",
            "model.vision_tower.vision_model",
            "model.vision_tower",
            "vision_tower",
        ];
        let projector = ["multi_modal_projector", "model.multi_modal_projector"];
        let llm = ["language_model.model", "model.language_model"];
        Ok(Self {
            vision: below(&vision, "embeddings.class_embedding"),
            projector: below(&projector, "linear_1.weight"),
            llm: below(&llm, "embed_tokens.weight"),
            all: weights.clone(),
        })
    }

    /// What holds the `weight` of the head; nothing where it is tied to the token embedding.
    pub(super) fn head(&self, is_tied: bool) -> Option<Weights> {
        let newer = self.all.pp("lm_head");
        match (is_tied, newer.contains("weight")) {
            (true, _) => None,
            (false, true) => Some(newer),
            (false, false) => Some(self.all.pp("language_model").pp("lm_head")),
        }
    }
}
