//! The local multimodal model, the predictor, and their training.
