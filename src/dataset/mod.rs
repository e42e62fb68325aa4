//! Readers of dataset layouts, tables and conversation files; presets; the demo generator.
