//! Positions in three directions (M-RoPE): text moves through time, row and column alike; an image token has the time
//! of its picture and its own row and column. The text behind a picture goes on from its largest position.
//!
//! Source: `get_rope_index` of transformers 5.23.

use candle_core::{DType, Device, Result, Tensor};

use super::config::Config;
use crate::ml::vlm::backbone::Sequence;
use crate::ml::vlm::llama::Rotary;

/// Time, row and column.
pub(super) type Position = [u32; 3];

/// The position of every token of a sequence, and of the one that would follow. `grid` is rows and columns of the
/// picture's image tokens.
pub(super) fn positions(sequence: &Sequence, [rows, cols]: [usize; 2]) -> Vec<Position> {
    let mut positions: Vec<Position> = Vec::with_capacity(sequence.ids.len() + 1);
    let mut next = 0u32;
    for [start, end] in &sequence.image_bounds {
        while positions.len() < *start {
            positions.push([next; 3]);
            next += 1;
        }
        let tokens =
            (0..end - start).map(|at| [next, next + (at / cols) as u32, next + (at % cols) as u32]);
        positions.extend(tokens);
        next += rows.max(cols) as u32;
    }
    while positions.len() <= sequence.ids.len() {
        positions.push([next; 3]);
        next += 1;
    }
    positions
}

/// What turns the keys of tokens at these positions: the first frequencies turn by time, then rows, then columns.
pub(super) fn rotary(
    positions: &[Position],
    config: &Config,
    dtype: DType,
    device: &Device,
) -> Result<Rotary> {
    let frequencies = config.llm.inverse_wavelengths();
    let mut axes = Vec::with_capacity(frequencies.len());
    for (axis, count) in config.mrope_section.iter().enumerate() {
        axes.extend(std::iter::repeat_n(axis, *count));
    }
    let turned = |position: &Position| -> Vec<f32> {
        let turns = frequencies.iter().zip(&axes);
        turns
            .map(|(frequency, axis)| position[*axis] as f32 * frequency)
            .collect()
    };
    let angles: Vec<f32> = positions.iter().flat_map(turned).collect();
    let shape = (positions.len(), frequencies.len());
    Rotary::of_angles(&Tensor::from_vec(angles, shape, device)?, dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_on_behind_the_longer_side_of_the_picture() {
        let sequence = Sequence {
            ids: vec![0; 9],
            image_bounds: vec![[2, 8]],
        };
        let expected = [
            [0, 0, 0],
            [1, 1, 1],
            [2, 2, 2],
            [2, 2, 3],
            [2, 2, 4],
            [2, 3, 2],
            [2, 3, 3],
            [2, 3, 4],
            [5, 5, 5],
            [6, 6, 6],
        ];
        assert_eq!(positions(&sequence, [2, 3]), expected);
    }
}
