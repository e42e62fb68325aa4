//! The form that weights take in memory.

use std::fmt;
use std::str::FromStr;

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};

/// What matrices are kept in; vectors are kept in what activations are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Single precision.
    F32,
    /// Half of single precision with its range.
    Bf16,
    /// Half precision.
    F16,
    /// 8.5 bits a weight: blocks of 32 with one scale (ggml's `Q8_0`).
    #[serde(rename = "q8_0")]
    Q8,
    /// About 4.5 bits a weight: super-blocks of 256 (ggml's `Q4_K`); the head gets `Q6_K`.
    #[serde(rename = "q4_k")]
    Q4K,
}

/// How one matrix is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As a tensor of this type.
    Plain(DType),
    /// In blocks.
    Blocks(GgmlDType),
}

impl Form {
    /// All forms, the most exact first.
    pub const ALL: [Self; 5] = [Self::F32, Self::Bf16, Self::F16, Self::Q8, Self::Q4K];

    /// The word of `--dtype`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Q8 => "q8_0",
            Self::Q4K => "q4_k",
        }
    }

    /// What activations are computed in: on a GPU the half types stay what they are; a CPU computes in single
    /// precision, and so does everything that is quantised.
    pub const fn activations(self, device: &Device) -> DType {
        match (self, device) {
            (Self::F16, Device::Cuda(_) | Device::Metal(_)) => DType::F16,
            (Self::Bf16, Device::Cuda(_) | Device::Metal(_)) => DType::BF16,
            _ => DType::F32,
        }
    }

    /// How a matrix `(out, width)` of this name is kept. Widths that no super-block divides get `Q8_0`, and where that
    /// does not fit either, half precision, as llama.cpp does. The head decides every word, so it gets `Q6_K`.
    pub fn kind_of(self, name: &str, dims: &[usize]) -> Kind {
        let width = dims.last().copied().unwrap_or(0);
        let divides = |kind: GgmlDType| width > 0 && width.is_multiple_of(kind.block_size());
        match self {
            Self::F32 => Kind::Plain(DType::F32),
            Self::Bf16 => Kind::Plain(DType::BF16),
            Self::Q4K if divides(GgmlDType::Q4K) => {
                Kind::Blocks(if name.ends_with("lm_head.weight") {
                    GgmlDType::Q6K
                } else {
                    GgmlDType::Q4K
                })
            }
            Self::Q8 | Self::Q4K if divides(GgmlDType::Q8_0) => Kind::Blocks(GgmlDType::Q8_0),
            Self::F16 | Self::Q8 | Self::Q4K => Kind::Plain(DType::F16),
        }
    }
}

impl Kind {
    /// Bytes of a matrix of so many elements.
    pub fn bytes(self, elements: u64) -> u64 {
        match self {
            Self::Plain(dtype) => elements * dtype.size_in_bytes() as u64,
            Self::Blocks(kind) => elements / kind.block_size() as u64 * kind.type_size() as u64,
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|form| form.name() == text)
            .ok_or_else(|| format!("expected f32, bf16, f16, q8_0 or q4_k, got {text:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_that_no_block_divides_fall_back_to_what_does() {
        let kind = |form: Form, name, width| form.kind_of(name, &[8, width]);
        assert_eq!(
            kind(Form::Q4K, "q_proj.weight", 4096),
            Kind::Blocks(GgmlDType::Q4K)
        );
        assert_eq!(
            kind(Form::Q4K, "llm.lm_head.weight", 4096),
            Kind::Blocks(GgmlDType::Q6K)
        );
        assert_eq!(
            kind(Form::Q4K, "vpm.fc1.weight", 1152),
            Kind::Blocks(GgmlDType::Q8_0)
        );
        assert_eq!(
            kind(Form::Q4K, "vpm.fc2.weight", 4304),
            Kind::Plain(DType::F16)
        );
        assert_eq!(Kind::Blocks(GgmlDType::Q4K).bytes(256), 144);
    }

    #[test]
    fn words_come_back() {
        for form in Form::ALL {
            assert_eq!(form.name().parse(), Ok(form));
        }
        assert!("int8".parse::<Form>().is_err());
    }
}
