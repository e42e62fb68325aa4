//! Windows of the tower: which image tokens lie together, and where each window ends.
//!
//! Source: `get_vision_window_index` of transformers 5.23.

/// Image tokens sorted by window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Windows {
    /// The image token, counted row by row, that stands at each place.
    pub(super) order: Vec<u32>,
    /// The place of each image token.
    pub(super) back: Vec<u32>,
    /// Image tokens of each window.
    pub(super) lens: Vec<usize>,
}

impl Windows {
    /// Windows of `side` x `side` image tokens over `[rows, cols]` of them; those at the right and lower edge are
    /// smaller.
    pub(super) fn new([rows, cols]: [usize; 2], side: usize) -> Self {
        let (mut order, mut lens) = (Vec::with_capacity(rows * cols), Vec::new());
        for top in (0..rows).step_by(side) {
            for left in (0..cols).step_by(side) {
                let before = order.len();
                for row in top..(top + side).min(rows) {
                    order.extend(
                        (left..(left + side).min(cols)).map(|col| (row * cols + col) as u32),
                    );
                }
                lens.push(order.len() - before);
            }
        }
        let mut back = vec![0; order.len()];
        for (place, token) in order.iter().enumerate() {
            back[*token as usize] = place as u32;
        }
        Self { order, back, lens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_at_the_edges_are_smaller() {
        let windows = Windows::new([3, 5], 2);
        assert_eq!(windows.lens, [4, 4, 2, 2, 2, 1]);
        assert_eq!(
            windows.order,
            [0, 1, 5, 6, 2, 3, 7, 8, 4, 9, 10, 11, 12, 13, 14]
        );
        for (token, place) in windows.back.iter().enumerate() {
            assert_eq!(windows.order[*place as usize] as usize, token);
        }
    }
}
