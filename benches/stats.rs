//! What the user waits for in Compare: the figures of a test list, with and without intervals.

use assay::stats::Resampling;
use assay::stats::SplitMix64;
use assay::stats::StatsError;
use assay::stats::agreement;
use assay::stats::bootstrap_interval;
use assay::stats::krcc;
use assay::stats::polynomial_fit;
use assay::stats::srcc;

fn main() {
    divan::main();
}

/// Truth in hundredths from 0 to 5, with ties, and predictions around it.
fn scores(count: usize) -> (Vec<f64>, Vec<f64>) {
    let mut random = SplitMix64::new(1);
    let pairs = (0..count).map(|_| {
        let truth = random.below(500) as f64 / 100.0;
        (truth + random.below(200) as f64 / 100.0 - 1.0, truth)
    });
    pairs.unzip()
}

#[divan::bench(args = [600, 10_000])]
fn all_figures(bencher: divan::Bencher<'_, '_>, count: usize) {
    let (pred, truth) = scores(count);
    bencher.bench(|| agreement(&pred, &truth));
}

#[divan::bench(args = [600, 10_000])]
fn kendall(bencher: divan::Bencher<'_, '_>, count: usize) {
    let (pred, truth) = scores(count);
    bencher.bench(|| krcc(&pred, &truth));
}

#[divan::bench(args = [600])]
fn correlation_with_bootstrap_of_1000(bencher: divan::Bencher<'_, '_>, count: usize) {
    let (pred, truth) = scores(count);
    let resampling = Resampling {
        count: 1000,
        level: 0.95,
        seed: 1,
    };
    bencher.bench(|| -> Result<f64, StatsError> {
        Ok(bootstrap_interval(&pred, &truth, resampling, srcc)?.low)
    });
}

#[divan::bench(args = [600, 10_000])]
fn curve_through_the_scatter_plot(bencher: divan::Bencher<'_, '_>, count: usize) {
    let (pred, truth) = scores(count);
    bencher.bench(|| polynomial_fit(&pred, &truth, 4));
}
