//! Dimensions of an xLSTM stack.

use serde::Deserialize;
use serde::Serialize;

/// Projections are rounded up to a multiple of this, as in `xlstm` 1.0.6.
const ROUND_TO: usize = 64;

/// Everything that fixes the shapes of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct XlstmConfig {
    /// Width of the residual stream.
    pub dim: usize,
    /// Number of blocks.
    pub num_blocks: usize,
    /// Blocks, counted from 0, that are sLSTM; the others are mLSTM.
    pub slstm_at: Vec<usize>,
    /// Heads of every cell.
    pub num_heads: usize,
    /// Taps of the causal convolutions.
    pub conv_kernel: usize,
    /// Width of the blocks of the q, k and v projections.
    pub qkv_block_size: usize,
    /// Inner width of an mLSTM block by `dim`.
    pub proj_factor: f64,
    /// Inner width of the feed-forward part of an sLSTM block by `dim`.
    pub ffn_factor: f64,
    /// Longest sequence.
    pub context_length: usize,
}

impl XlstmConfig {
    /// The stack of M3-AGIQA (m, s, m, m) at any width; 512 is the published one.
    pub fn m3_agiqa(dim: usize, context_length: usize) -> Self {
        Self {
            dim,
            num_blocks: 4,
            slstm_at: vec![1],
            num_heads: 4,
            conv_kernel: 4,
            qkv_block_size: 4,
            proj_factor: 2.0,
            ffn_factor: 1.3,
            context_length,
        }
    }

    /// Inner width of an mLSTM block.
    pub fn inner(&self) -> usize {
        rounded(self.proj_factor * self.dim as f64)
    }

    /// Inner width of the feed-forward part.
    pub fn ffn_inner(&self) -> usize {
        rounded(self.ffn_factor * self.dim as f64)
    }

    /// Whether block `index` is an sLSTM.
    pub fn is_slstm(&self, index: usize) -> bool {
        self.slstm_at.contains(&index)
    }

    /// The order of cells in words, e.g. "m,s,m,m".
    pub fn pattern(&self) -> String {
        let words: Vec<&str> = (0..self.num_blocks)
            .map(|index| if self.is_slstm(index) { "s" } else { "m" })
            .collect();
        words.join(",")
    }

    /// Why these dimensions do not fit together, if they do not.
    pub fn problem(&self) -> Option<String> {
        let inner = self.inner();
        let whole = |what: &str, width: usize, part: usize| {
            (part == 0 || !width.is_multiple_of(part))
                .then(|| format!("{what} {width} does not divide into parts of {part}"))
        };
        if self.num_blocks == 0 || self.conv_kernel == 0 || self.dim == 0 {
            return Some("blocks, convolution taps and width must be at least 1".to_owned());
        }
        if self.num_heads == 0 {
            return Some("there must be at least one head".to_owned());
        }
        whole("the width", self.dim, self.num_heads)
            .or_else(|| whole("the inner width", inner, self.num_heads))
            .or_else(|| whole("the inner width", inner, self.qkv_block_size))
    }
}

fn rounded(width: f64) -> usize {
    (width / ROUND_TO as f64).ceil() as usize * ROUND_TO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_widths_are_those_of_the_published_stack() {
        let config = XlstmConfig::m3_agiqa(512, 512);
        assert_eq!((config.inner(), config.ffn_inner()), (1024, 704));
        assert_eq!(config.pattern(), "m,s,m,m");
        assert_eq!(config.problem(), None);
    }

    #[test]
    fn dimensions_that_do_not_fit_are_named() {
        let config = XlstmConfig::m3_agiqa(90, 512);
        assert!(config.problem().is_some_and(|why| why.contains("90")));
    }
}
