//! What is known of a picture beside words, and the loss of foretelling it.

use candle_core::{Device, Result, Tensor};

use crate::ml::layers::softplus;

/// Opinion scores and yes/no labels of a picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Opinion scores, one column a dataset and aspect; `None` where not rated.
    pub scores: Vec<Option<f32>>,
    /// Labels, 1 yes and 0 no; `None` where not known.
    pub labels: Vec<Option<bool>>,
}

/// Loss of `out (batch, scores + labels)`: squared error of the known scores, and beside it, weighted, the cross entropy
/// of the known labels.
///
/// # Errors
/// Failed tensor operations.
pub fn facts_loss(out: &Tensor, facts: &[&Facts], label_weight: f64) -> Result<Tensor> {
    let columns = facts.first().map_or(0, |facts| facts.scores.len());
    let scores = facts.iter().map(|facts| facts.scores.clone()).collect();
    let (target, mask) = known(scores)?;
    let scores = ((out.narrow(1, 0, columns)? - target)?.sqr()? * &mask)?;
    let scores = mean_of_known(&scores, &mask)?;
    let num_labels = out.dim(1)? - columns;
    if num_labels == 0 {
        return Ok(scores);
    }
    let labels = |facts: &&Facts| facts.labels.iter().map(|l| l.map(f32::from)).collect();
    let (target, mask) = known(facts.iter().map(labels).collect())?;
    let logits = out.narrow(1, columns, num_labels)?;
    let labels = (cross_entropies(&logits, &target, 1.0)? * &mask)?;
    scores + mean_of_known(&labels, &mask)?.affine(label_weight, 0.0)?
}

/// Cross entropies of logits against 0 and 1, where ones count so many times.
pub(super) fn cross_entropies(
    logits: &Tensor,
    truth: &Tensor,
    presence_weight: f64,
) -> Result<Tensor> {
    let counted = (softplus(logits)? * truth.affine(presence_weight - 1.0, 1.0)?)?;
    counted - (logits * truth)?.affine(presence_weight, 0.0)?
}

/// Means of the known scores, a column each: what an untrained head answers.
pub fn column_means(facts: &[&Facts]) -> Vec<f32> {
    let columns = facts.first().map_or(0, |facts| facts.scores.len());
    (0..columns)
        .map(|column| {
            let known: Vec<f32> = facts.iter().filter_map(|f| f.scores[column]).collect();
            known.iter().sum::<f32>() / known.len().max(1) as f32
        })
        .collect()
}

/// Values and which of them are known, both `(batch, columns)`.
fn known(rows: Vec<Vec<Option<f32>>>) -> Result<(Tensor, Tensor)> {
    let shape = (rows.len(), rows.first().map_or(0, Vec::len));
    let values: Vec<Option<f32>> = rows.into_iter().flatten().collect();
    let mask = values.iter().map(|v| f32::from(v.is_some())).collect();
    let values = values.iter().map(|v| v.unwrap_or(0.0)).collect();
    Ok((
        Tensor::from_vec(values, shape, &Device::Cpu)?,
        Tensor::from_vec(mask, shape, &Device::Cpu)?,
    ))
}

fn mean_of_known(losses: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let count = f64::from(mask.sum_all()?.to_scalar::<f32>()?.max(1.0));
    losses.sum_all()?.affine(1.0 / count, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_count_several_times_in_a_cross_entropy() -> Result<()> {
        let logits = Tensor::new(&[[0.3f32, -1.2], [2.0, 0.7]], &Device::Cpu)?;
        let truth = Tensor::new(&[[1f32, 0.0], [0.0, 1.0]], &Device::Cpu)?;
        let found = cross_entropies(&logits, &truth, 4.0)?.flatten_all()?;
        let minus_log = |logit: f32| (1.0 + (-logit).exp()).ln();
        let expected = [
            4.0 * minus_log(0.3),
            minus_log(1.2),
            minus_log(-2.0),
            4.0 * minus_log(0.7),
        ];
        let apart = found.to_vec1::<f32>()?.into_iter().zip(expected);
        assert!(apart.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-6);
        Ok(())
    }

    #[test]
    fn only_what_is_known_counts() -> Result<()> {
        let facts = [
            Facts {
                scores: vec![Some(2.0), None],
                labels: vec![Some(true)],
            },
            Facts {
                scores: vec![None, None],
                labels: vec![None],
            },
        ];
        let rows: Vec<&Facts> = facts.iter().collect();
        let out = Tensor::new(&[[3f32, 9.0, 0.0], [9.0, 9.0, 9.0]], &Device::Cpu)?;
        let loss = facts_loss(&out, &rows, 2.0)?.to_scalar::<f32>()?;
        assert!((loss - (1.0 + 2.0 * 2f32.ln())).abs() < 1e-5, "{loss}");
        assert_eq!(column_means(&rows), [2.0, 0.0]);
        Ok(())
    }
}
