//! Decoding, thumbnails, and prompts read out of image files.
