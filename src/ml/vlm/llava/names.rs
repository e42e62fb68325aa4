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
        let below = |prefixes: &[&str], probe: &str| {
            let found = prefixes
                .iter()
                .map(|prefix| weights.pp(prefix))
                .find(|part| part.contains(probe));
            found.ok_or_else(|| {
                format!(
                    "the weights have no {}.{probe}: they are not in the layout of the hub's llava-hf models{}",
                    prefixes[0],
                    if weights.contains("model.mm_projector.0.weight") {
                        ", but of LLaVA's own code; take the model of the same name from llava-hf"
                    } else {
                        ""
                    }
                )
            })
        };
        let vision = [
            "vision_tower.vision_model",
            "model.vision_tower.vision_model",
            "model.vision_tower",
            "vision_tower",
        ];
        let llm = ["language_model.model", "model.language_model"];
        let llm = below(&llm, "embed_tokens.weight")?;
        Ok(Self {
            vision: below(&vision, "embeddings.class_embedding")?,
            projector: below(
                &["multi_modal_projector", "model.multi_modal_projector"],
                "linear_1.weight",
            )?,
            llm,
            all: weights.clone(),
        })
    }

    /// What holds the `weight` of the head; nothing where it is tied to the token embedding.
    pub(super) fn head(&self, is_tied: bool) -> Option<Weights> {
        let older = self.all.pp("language_model").pp("lm_head");
        match (is_tied, older.contains("weight")) {
            (true, _) => None,
            (false, true) => Some(older),
            (false, false) => Some(self.all.pp("lm_head")),
        }
    }
}
