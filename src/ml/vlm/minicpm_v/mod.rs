//! MiniCPM-Llama3-V-2.5: SigLIP tower, perceiver resampler, Llama decoder.

pub mod stem;
