//! Local multimodal language models, a folder per backbone.

pub mod minicpm_v;
