//! The `assay` program: a window without arguments, commands with them.

fn main() {}
