//! What the window knows. No egui, no threads, no files.
