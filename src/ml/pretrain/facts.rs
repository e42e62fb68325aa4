//! What is known of a picture beside words, and the loss of foretelling it.

use candle_core::{Device, Result, Tensor};

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
    let softplus = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    let labels = (((logits.relu()? - (&logits * &target)?)? + softplus)? * &mask)?;
    scores + mean_of_known(&labels, &mask)?.affine(label_weight, 0.0)?
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
