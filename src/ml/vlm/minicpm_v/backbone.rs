//! MiniCPM-V behind the trait of all backbones.

use candle_core::Tensor;

use super::chat::Chat;
use super::model::MiniCpmV;
use super::slicing::{Slices, plan, slice};
use crate::domain::Picture;
use crate::ml::MlError;
use crate::ml::vlm::backbone::{Backbone, Ending, Facts, Inspected, Seen, Sequence};
use crate::ml::vlm::kv_cache::KvCache;
use crate::ml::vlm::tape::Tape;

/// `max_inp_length` of the published `chat`: prompts are cut behind it before generating.
const MAX_PROMPT: usize = 2048;

/// The model with its tokenizer and template.
pub struct MiniCpmBackbone {
    model: MiniCpmV,
    chat: Chat,
    ends: [u32; 2],
}

impl MiniCpmBackbone {
    /// Joins a model and its template.
    pub const fn new(model: MiniCpmV, chat: Chat) -> Self {
        let ends = chat.ends();
        Self { model, chat, ends }
    }

    fn cut(&self, picture: &Picture) -> Result<Slices, MlError> {
        if picture.width == 0 || picture.height == 0 {
            return Err(MlError::Input("the picture has no pixels".to_owned()));
        }
        let config = self.model.config();
        let plan = plan(
            [picture.width, picture.height],
            config.max_slice_nums,
            config.scale_resolution,
            config.vision_config.patch_size as u32,
        );
        Ok(slice(picture, &plan))
    }
}

impl Backbone for MiniCpmBackbone {
    fn facts(&self) -> Facts {
        let config = self.model.config();
        Facts {
            hidden_size: config.llm.hidden_size,
            vocab_size: config.llm.vocab_size,
            max_len: config.max_len,
            max_prompt: MAX_PROMPT,
        }
    }

    fn ends(&self) -> &[u32] {
        &self.ends
    }

    fn decode(&self, ids: &[u32]) -> Result<String, MlError> {
        self.chat.decode(ids)
    }

    fn look_taped<'a>(&'a self, picture: &Picture, tape: &mut Tape<'a>) -> Result<Seen, MlError> {
        let slices = self.cut(picture)?;
        Ok(Seen {
            images: self.model.encode(&slices.pictures, tape)?,
            grid: slices.grid,
        })
    }

    fn inspect(&self, picture: &Picture) -> Result<Vec<Inspected>, MlError> {
        let slices = self.cut(picture)?;
        Ok(self.model.inspect(&slices.pictures)?)
    }

    fn sequence(
        &self,
        seen: &Seen,
        messages: &[&str],
        ending: Ending,
    ) -> Result<Sequence, MlError> {
        let queries = self.model.config().query_num;
        self.chat.messages(seen.grid, queries, messages, ending)
    }

    fn embeds(&self, sequence: &Sequence, seen: &Seen) -> Result<Tensor, MlError> {
        let all = 0..sequence.ids.len();
        Ok(self.model.embed(sequence, &seen.images, all)?)
    }

    fn pass(
        &self,
        sequence: &Sequence,
        end: usize,
        seen: &Seen,
        cache: &mut KvCache,
    ) -> Result<Tensor, MlError> {
        let new = cache.len()..end;
        let embeds = self.model.embed(sequence, &seen.images, new)?;
        Ok(self.model.llm().forward(&embeds.unsqueeze(0)?, cache)?)
    }

    fn whole_taped<'a>(
        &'a self,
        sequence: &Sequence,
        seen: &Seen,
        tape: &mut Tape<'a>,
    ) -> Result<Tensor, MlError> {
        let embeds = self.embeds(sequence, seen)?.unsqueeze(0)?;
        Ok(self.model.llm().forward_taped(&embeds, tape)?)
    }

    fn step(&self, ids: &[u32], cache: &mut KvCache) -> Result<Tensor, MlError> {
        Ok(self.model.step(ids, cache)?)
    }

    fn logits(&self, hidden: &Tensor) -> Result<Tensor, MlError> {
        Ok(self.model.llm().logits(hidden)?)
    }

    fn lm_head(&self) -> Result<Tensor, MlError> {
        Ok(self.model.llm().lm_head()?)
    }
}
