//! Whether a model fits into the memory of a device, in bytes and in words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a model needs while it describes a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryNeed {
    /// Bytes of its weights in the form that was asked for.
    pub weights: u64,
    /// Bytes of keys and values of full conversations.
    pub cache: u64,
    /// Bytes of what is computed on the way, at the widest place.
    pub activations: u64,
}

impl MemoryNeed {
    /// All of it.
    pub const fn total(&self) -> u64 {
        self.weights + self.cache + self.activations
    }
}

/// A form of the weights with what it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormNeed {
    /// Word of the form, e.g. `q4_k`.
    pub form: String,
    /// Whether it is quantised.
    pub is_quantised: bool,
    /// What it needs.
    pub need: MemoryNeed,
}

/// Whether, and in which form, a model fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// In full or half precision.
    Fits,
    /// Only quantised.
    FitsQuantised,
    /// In no form.
    DoesNotFit,
}

/// How a model fits a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// The device in words, e.g. "CPU".
    pub device: String,
    /// Bytes free on it; `None` where it does not tell.
    pub free: Option<u64>,
    /// Forms from the most exact to the smallest.
    pub forms: Vec<FormNeed>,
    /// Which of them is taken: the first that fits, or else the last.
    pub chosen: usize,
    /// Adapters that were counted, of several aspects over one base.
    #[serde(default)]
    pub adapters: usize,
}

impl Fit {
    /// Takes the first form that fits, or the smallest where none does. A device that does not tell what is free is
    /// taken at its word: the first form.
    pub fn choose(device: &str, free: Option<u64>, forms: Vec<FormNeed>) -> Self {
        let fits = |form: &FormNeed| free.is_none_or(|free| form.need.total() <= free);
        let last = forms.len().saturating_sub(1);
        Self {
            device: device.to_owned(),
            free,
            chosen: forms.iter().position(fits).unwrap_or(last),
            forms,
            adapters: 0,
        }
    }

    /// Whether a form fits; `None` where it is not known what is free.
    pub fn fits(&self, form: &FormNeed) -> Option<bool> {
        self.free.map(|free| form.need.total() <= free)
    }

    /// The form that is taken.
    pub fn form(&self) -> Option<&FormNeed> {
        self.forms.get(self.chosen)
    }

    /// The verdict.
    pub fn verdict(&self) -> Verdict {
        match (self.form(), self.free) {
            (Some(form), Some(free)) if form.need.total() > free => Verdict::DoesNotFit,
            (Some(form), _) if form.is_quantised => Verdict::FitsQuantised,
            (Some(_), _) => Verdict::Fits,
            (None, _) => Verdict::DoesNotFit,
        }
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(form) = self.form() else {
            return f.write_str("nothing is known of its size");
        };
        let need = gigabytes(form.need.total());
        let of = self
            .free
            .map_or_else(String::new, |free| format!(" of {} free", gigabytes(free)));
        match self.verdict() {
            Verdict::Fits => write!(f, "fits on {} as {}: {need}{of}", self.device, form.form),
            Verdict::FitsQuantised => write!(
                f,
                "fits quantised ({}) on {}: {need}{of}",
                form.form, self.device
            ),
            Verdict::DoesNotFit => write!(
                f,
                "does not fit on {}: needs {need} at the smallest ({}){}",
                self.device,
                form.form,
                self.free
                    .map_or_else(String::new, |free| format!(", has {}", gigabytes(free)))
            ),
        }
    }
}

/// How long a picture's description took on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Device and form of the weights, e.g. CPU, `q4_k`.
    pub place: String,
    /// Seconds a description, over the last job that made any.
    pub seconds: f64,
    /// Descriptions of that job.
    pub count: u64,
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.seconds < 10.0 { 2 } else { 0 };
        write!(
            f,
            "{:.digits$} s a description on {} (mean of {})",
            self.seconds, self.place, self.count
        )
    }
}

/// How a model would do on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// Whether it fits with its adapters; or why that is not known.
    pub fit: Result<Fit, String>,
    /// How long it took so far; nothing where nobody has tried.
    pub speeds: Vec<Speed>,
}

/// "4.7 GB".
fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms() -> Vec<FormNeed> {
        [("f32", 32, false), ("q8_0", 9, true), ("q4_k", 5, true)]
            .map(|(form, gigabytes, is_quantised)| FormNeed {
                form: form.to_owned(),
                is_quantised,
                need: MemoryNeed {
                    weights: gigabytes * 1_000_000_000,
                    ..MemoryNeed::default()
                },
            })
            .to_vec()
    }

    #[test]
    fn the_most_exact_form_that_fits_is_taken() {
        let fit = |free: u64| Fit::choose("CPU", Some(free * 1_000_000_000), forms());
        assert_eq!(
            fit(40).to_string(),
            "fits on CPU as f32: 32.0 GB of 40.0 GB free"
        );
        assert_eq!(fit(10).verdict(), Verdict::FitsQuantised);
        assert_eq!(
            fit(6).to_string(),
            "fits quantised (q4_k) on CPU: 5.0 GB of 6.0 GB free"
        );
        assert_eq!(
            fit(3).to_string(),
            "does not fit on CPU: needs 5.0 GB at the smallest (q4_k), has 3.0 GB"
        );
        assert_eq!(Fit::choose("Metal", None, forms()).chosen, 0);
    }
}
