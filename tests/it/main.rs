//! Stories told through the public interface, one file each.

mod datasets;
mod house_rules;
mod project;
mod window;
