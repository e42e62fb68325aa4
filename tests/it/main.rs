//! Stories told through the public interface, one file each.

mod backbones;
mod cli;
mod commands;
mod conversations;
mod datasets;
mod describing;
mod fetch;
mod full_disk;
mod house_rules;
mod hub_server;
mod kill;
mod minicpm;
mod pipeline;
mod project;
mod ratings;
mod resume;
mod shelf;
mod study;
mod teach;
mod train_choices;
mod tune;
mod tune_command;
mod votes;
mod weights;
mod window;
mod world;
