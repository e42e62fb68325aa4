//! Keys and values of what a decoder has read: a row for each sequence, grown by chunks, forked, joined and cut.
//!
//! Rows of unequal length are aligned at their ends: a shorter one has columns before its first token that nothing
//! looks at. So every step writes one column for all rows, whichever their lengths, and members of a batch can leave
//! and join between any two tokens. Positions are turned into keys before they come here, so moving a row to another
//! column changes nothing.

use candle_core::{DType, Device, Result, Tensor};

/// Columns by which a cache grows: few enough to waste little, many enough that growing is rare.
const CHUNK: usize = 128;

/// Keys and values of every layer for the tokens read so far, `(rows, kv_heads, columns, head_dim)` each.
///
/// Tensors inside are written in place, so this is deliberately not `Clone`: see [`KvCache::fork`].
#[derive(Debug, Default)]
pub struct KvCache {
    layers: Vec<Option<(Tensor, Tensor)>>,
    len: usize,
    rows: Vec<Row>,
}

/// One sequence of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    /// Its first column; those before are padding.
    first: usize,
    /// Position of its next token. Not its length where pictures take fewer positions than tokens (M-RoPE).
    next_position: usize,
}

impl KvCache {
    /// Columns in use: the tokens of the longest row.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was read yet.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sequences.
    pub const fn num_rows(&self) -> usize {
        self.rows.len()
    }

    /// Position of each row's next token; `[0]` for an empty cache.
    pub fn next_positions(&self) -> Vec<usize> {
        if self.rows.is_empty() {
            return vec![0];
        }
        self.rows.iter().map(|row| row.next_position).collect()
    }

    /// Each row's first column; those before it are padding.
    pub fn firsts(&self) -> Vec<usize> {
        self.rows.iter().map(|row| row.first).collect()
    }

    /// Writes the new keys and values `(rows, kv_heads, seq, head_dim)` of a layer behind what is there, and answers
    /// all of them as views. The columns count as read only after [`KvCache::advance`].
    ///
    /// # Errors
    /// Another number of rows than before.
    pub fn extend(
        &mut self,
        layer: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        if self.layers.len() <= layer {
            self.layers.resize(layer + 1, None);
        }
        let wanted = self.len + keys.dim(2)?;
        let (all_keys, all_values) = match self.layers[layer].take() {
            Some((keys, values)) if keys.dim(2)? >= wanted => (keys, values),
            Some((keys, values)) => {
                let grow = |old: &Tensor| moved(&old.narrow(2, 0, self.len)?, wanted);
                (grow(&keys)?, grow(&values)?)
            }
            None => (
                room(keys, keys.dim(0)?, wanted)?,
                room(values, values.dim(0)?, wanted)?,
            ),
        };
        all_keys.slice_set(&keys.contiguous()?, 2, self.len)?;
        all_values.slice_set(&values.contiguous()?, 2, self.len)?;
        let views = (
            all_keys.narrow(2, 0, wanted)?,
            all_values.narrow(2, 0, wanted)?,
        );
        self.layers[layer] = Some((all_keys, all_values));
        Ok(views)
    }

    /// Takes `seq` columns as read that every layer has written; `next_positions` are those of the tokens to come,
    /// one a row.
    pub fn advance(&mut self, seq: usize, next_positions: &[usize]) {
        if self.rows.is_empty() {
            let row = |_: &usize| Row {
                first: 0,
                next_position: 0,
            };
            self.rows = next_positions.iter().map(row).collect();
        }
        for (row, next) in self.rows.iter_mut().zip(next_positions) {
            row.next_position = *next;
        }
        self.len += seq;
    }

    /// The additive mask `(rows or 1, 1, seq, columns + seq)` of `seq` new tokens a row: causal, and blind to padding.
    /// `None` where nothing is to be hidden.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn mask(&self, seq: usize, dtype: DType, device: &Device) -> Result<Option<Tensor>> {
        let is_padded = self.rows.iter().any(|row| row.first > 0);
        if seq == 1 && !is_padded {
            return Ok(None);
        }
        let firsts = match is_padded {
            true => self.firsts(),
            false => vec![0],
        };
        let (past, columns) = (self.len, self.len + seq);
        let mut values = Vec::with_capacity(firsts.len() * seq * columns);
        for first in &firsts {
            for query in 0..seq {
                values.extend((0..columns).map(|key| {
                    if key < *first || key > past + query {
                        f32::NEG_INFINITY
                    } else {
                        0.0
                    }
                }));
            }
        }
        let shape = (firsts.len(), 1, seq, columns);
        Ok(Some(
            Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?,
        ))
    }

    /// A copy that goes its own way.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn fork(&self) -> Result<Self> {
        self.aligned(self.len)
    }

    /// A copy of one row alone.
    ///
    /// # Errors
    /// A row that is not there.
    pub fn row(&self, index: usize) -> Result<Self> {
        let Some(&row) = self.rows.get(index) else {
            candle_core::bail!("a cache of {} rows has no row {index}", self.rows.len())
        };
        let len = self.len - row.first;
        let copy = |all: &Tensor| moved(&all.narrow(0, index, 1)?.narrow(2, row.first, len)?, len);
        Ok(Self {
            layers: self.each_layer(copy)?,
            len,
            rows: vec![Row { first: 0, ..row }],
        })
    }

    /// Keeps these rows, in this order; a row may be named several times (beams) or not at all.
    ///
    /// # Errors
    /// A row that is not there.
    pub fn select(&mut self, rows: &[usize]) -> Result<()> {
        if rows.iter().copied().eq(0..self.rows.len()) {
            return Ok(());
        }
        if rows.is_empty() {
            *self = Self::default();
            return Ok(());
        }
        let picked: Vec<Row> = rows
            .iter()
            .filter_map(|row| self.rows.get(*row).copied())
            .collect();
        // What stands before every row's first token is given up with the row that needed it.
        let unused = picked.iter().map(|row| row.first).min().unwrap_or(0);
        let len = self.len - unused;
        let ids: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
        self.layers = self.each_layer(|all| {
            let ids = Tensor::new(ids.as_slice(), all.device())?;
            if unused < CHUNK {
                return all.index_select(&ids, 0);
            }
            moved(&all.narrow(2, unused, len)?.index_select(&ids, 0)?, len)
        })?;
        self.rows = picked;
        if unused >= CHUNK {
            self.len = len;
            for row in &mut self.rows {
                row.first -= unused;
            }
        }
        Ok(())
    }

    /// Takes the rows of another cache of the same model behind its own.
    ///
    /// # Errors
    /// A cache of another shape.
    pub fn join(&mut self, other: Self) -> Result<()> {
        if self.rows.is_empty() {
            *self = other;
            return Ok(());
        }
        let len = self.len.max(other.len);
        let both =
            |mine: &Tensor, theirs: &Tensor| aligned(&[(mine, self.len), (theirs, other.len)], len);
        let layers = self.layers.iter().zip(&other.layers);
        self.layers = layers
            .map(|pair| match pair {
                (Some((keys, values)), Some((other_keys, other_values))) => {
                    let joined = (both(keys, other_keys)?, both(values, other_values)?);
                    Ok(Some(joined))
                }
                _ => Ok(None),
            })
            .collect::<Result<_>>()?;
        let (mine, theirs) = (self.rows_of(len), other.rows_of(len));
        self.rows = mine.chain(theirs).collect();
        self.len = len;
        Ok(())
    }

    /// Forgets all but the first `len` columns. Only tokens of text may be cut: each of them takes one position.
    pub fn truncate(&mut self, len: usize) {
        let cut = self.len.saturating_sub(len);
        self.len -= cut;
        for row in &mut self.rows {
            row.next_position = row.next_position.saturating_sub(cut);
        }
    }

    /// A copy whose last column is column `len - 1`, with room for a chunk more.
    fn aligned(&self, len: usize) -> Result<Self> {
        Ok(Self {
            layers: self.each_layer(|all| aligned(&[(all, self.len)], len))?,
            len,
            rows: self.rows_of(len).collect(),
        })
    }

    /// The rows as they are where the last column is column `len - 1`.
    fn rows_of(&self, len: usize) -> impl Iterator<Item = Row> + '_ {
        let shift = len - self.len;
        self.rows.iter().map(move |row| Row {
            first: row.first + shift,
            ..*row
        })
    }

    fn each_layer(
        &self,
        change: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Vec<Option<(Tensor, Tensor)>>> {
        let layers = self.layers.iter();
        layers
            .map(|layer| match layer {
                Some((keys, values)) => Ok(Some((change(keys)?, change(values)?))),
                None => Ok(None),
            })
            .collect()
    }
}

/// Empty columns of so many rows for tensors like `sample`, at least `columns`.
fn room(sample: &Tensor, rows: usize, columns: usize) -> Result<Tensor> {
    let (_, heads, _, width) = sample.dims4()?;
    let shape = (rows, heads, columns.next_multiple_of(CHUNK), width);
    Tensor::zeros(shape, sample.dtype(), sample.device())
}

/// The rows of tensors of which so many columns are used, so that the last of those is column `len - 1`, with room for a
/// chunk more.
fn aligned(parts: &[(&Tensor, usize)], len: usize) -> Result<Tensor> {
    let num_rows = |tensor: &Tensor| tensor.dims()[0];
    let rows = parts.iter().map(|(tensor, _)| num_rows(tensor)).sum();
    let all = room(parts[0].0, rows, len + CHUNK / 2)?;
    let mut row = 0;
    for &(tensor, used) in parts {
        let shift = len - used;
        // Columns that nobody has written yet come along where there is room: to leave them out would be a copy more.
        let columns = match shift + tensor.dim(2)? <= all.dim(2)? {
            true => tensor.clone(),
            false => tensor.narrow(2, 0, used)?.contiguous()?,
        };
        let place = all.narrow(0, row, num_rows(tensor))?;
        place.slice_set(&columns, 2, shift)?;
        row += num_rows(tensor);
    }
    Ok(all)
}

/// A copy of `part` in a tensor with at least `columns` columns.
fn moved(part: &Tensor, columns: usize) -> Result<Tensor> {
    let all = room(part, part.dim(0)?, columns.max(part.dim(2)?))?;
    all.slice_set(&part.contiguous()?, 2, 0)?;
    Ok(all)
}
