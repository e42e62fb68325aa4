//! The house keeps its order: rooms use only what stands above them, each outside library has its room.
//!
//! The table is `docs/ARCHITECTURE.md`'s, as data. A change of the house changes both, with the reason in the commit.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Rooms from the bottom up, each with the rooms that it may use.
const ROOMS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("stats", &[]),
    ("compute", &[]),
    ("media", &["domain"]),
    ("dataset", &["domain", "media"]),
    ("store", &["domain"]),
    ("net", &["domain"]),
    ("ml", &["domain", "stats", "compute"]),
    ("export", &["domain", "stats"]),
    (
        "jobs",
        &[
            "domain", "stats", "compute", "media", "dataset", "store", "net", "ml", "export",
        ],
    ),
    ("state", &["domain", "stats", "jobs::message"]),
    // What to draw decides which thumbnails are wished for; everything else ui asks of state.
    ("ui", &["domain", "stats", "state", "jobs::message::Wish"]),
    ("app", &["domain", "state", "ui", "jobs"]),
    (
        "cli",
        &[
            "domain", "stats", "compute", "media", "dataset", "store", "net", "ml", "export",
            "jobs",
        ],
    ),
];

/// Outside libraries with the rooms that may name them; `main.rs` stands outside the rooms.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("candle_core", &["compute", "ml"]),
    ("candle_nn", &["compute", "ml"]),
    ("clap", &["cli"]),
    ("crossbeam_channel", &["jobs"]),
    // export writes what dataset reads: one CSV grammar, one library.
    ("csv", &["dataset", "export"]),
    ("eframe", &["app"]),
    ("egui", &["ui", "app"]),
    ("egui_extras", &["ui"]),
    ("egui_plot", &["ui"]),
    ("encoding_rs", &["dataset"]),
    ("fancy_regex", &["ml"]),
    ("fast_image_resize", &["media"]),
    ("flate2", &["media"]),
    ("image", &["media"]),
    ("indicatif", &["cli"]),
    ("keyring", &["net"]),
    ("memmap2", &["compute"]),
    ("rfd", &["app"]),
    ("rusqlite", &["store"]),
    // Pictures, features, models, downloads, protocols and votes are all known by their SHA-256.
    ("sha2", &["domain", "media", "store", "net", "ml"]),
    ("tokenizers", &["ml"]),
    ("zip", &["ml"]),
    ("ureq", &["net"]),
];

/// Lines of one file at most.
const MAX_FILE_LINES: usize = 800;

/// Lines of one function at most, as in `.ci/clippy.toml`.
const MAX_FUNCTION_LINES: usize = 80;

/// Words that say that something is unfinished, put together so that this file does not hold them.
const UNFINISHED: &[[&str; 2]] = &[
    ["TO", "DO"],
    ["FIX", "ME"],
    ["to", "do!("],
    ["unimple", "mented!("],
];

#[test]
fn the_house_is_in_order() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    let files = rust_files(&src);
    assert!(files.len() > 20, "found only {} files", files.len());
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file is readable UTF-8");
        let path = file.strip_prefix(&src).expect("a file below src");
        faults.extend(faults_of(&path.to_string_lossy().replace('\\', "/"), &text));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_folder_of_src_is_a_room() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let known: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    let found: BTreeSet<String> = fs::read_dir(src)
        .expect("src is readable")
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(found, known);
}

#[test]
fn every_room_stands_above_those_that_use_it() {
    for (position, (room, uses)) in ROOMS.iter().enumerate() {
        for used in *uses {
            let used = used.split("::").next();
            let stands = ROOMS.iter().position(|(name, _)| Some(*name) == used);
            assert!(stands < Some(position), "{room} uses {used:?}");
        }
    }
}

#[test]
fn the_architecture_page_names_every_room() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md");
    let page = fs::read_to_string(page).expect("docs/ARCHITECTURE.md is readable");
    for (room, _) in ROOMS {
        assert!(page.contains(&format!("| `{room}` |")), "{room} is missing");
    }
}

/// Everything wrong with one file. `path` is relative to `src`, with `/` between parts.
fn faults_of(path: &str, text: &str) -> Vec<String> {
    let room = path.split_once('/').map(|(room, _)| room);
    let lines = code_lines(text);
    let own = own_modules(&lines);
    let mut faults = Vec::new();
    for (idx, line) in lines.iter().enumerate() {
        let mut fault = |what: String| faults.push(format!("src/{path}:{}: {what}", idx + 1));
        if let Some(room) = room {
            room_faults(room, line, &own, &mut fault);
        }
        if room != Some("compute") {
            if has_word(line, "unsafe") {
                fault("unsafe belongs in compute".to_owned());
            }
            if line.contains("cfg(feature") || line.contains("cfg!(feature") {
                fault("cfg(feature) belongs in compute".to_owned());
            }
        }
        // Tests may reach over to the room's shared fixtures; code may not reach past its parent.
        if line.contains("super::super") && !is_in_tests(&lines, idx) {
            fault("reaches past its parent: start at crate:: instead".to_owned());
        }
    }
    for (idx, line) in text.lines().enumerate() {
        for word in UNFINISHED.iter().map(|halves| halves.concat()) {
            if line.contains(&word) {
                faults.push(format!("src/{path}:{}: {word} is left", idx + 1));
            }
        }
    }
    if lines.len() > MAX_FILE_LINES {
        faults.push(format!("src/{path}: {} lines, split it", lines.len()));
    }
    faults.extend(long_functions(&lines).map(|(idx, num)| {
        format!(
            "src/{path}:{}: a function of {num} lines, split it",
            idx + 1
        )
    }));
    faults
}

fn room_faults(room: &str, line: &str, own: &BTreeSet<&str>, fault: &mut impl FnMut(String)) {
    let allowed = ROOMS
        .iter()
        .find(|(name, _)| *name == room)
        .map_or(&[][..], |(_, uses)| *uses);
    for target in targets(line) {
        let is_allowed = allowed
            .iter()
            .any(|used| target == *used || target.starts_with(&format!("{used}::")));
        let first = target.split("::").next().unwrap_or(&target);
        let is_room = ROOMS.iter().any(|(name, _)| *name == first);
        if is_room && first != room && !is_allowed {
            fault(format!("{room} may not use {target}"));
        }
        if first == "{" {
            fault("name one room a line, not crate::{...}".to_owned());
        }
    }
    for (library, rooms) in LIBRARIES {
        if !rooms.contains(&room) && !own.contains(library) && names_library(line, library) {
            fault(format!("{library} belongs in {}", rooms.join(" and ")));
        }
    }
}

/// Modules of our own that a file names alone, and that may have a library's name: `mod image;`, `use super::image;`.
fn own_modules(lines: &[String]) -> BTreeSet<&str> {
    lines
        .iter()
        .filter_map(|line| line.trim().strip_suffix(';'))
        .filter_map(|line| {
            let module = line.strip_prefix("mod ").or(line.strip_prefix("pub mod "));
            let import = ["use super::", "use crate::", "use self::"]
                .iter()
                .find_map(|prefix| line.strip_prefix(prefix));
            module.or_else(|| import?.rsplit("::").next())
        })
        .collect()
}

/// What stands behind each `crate::` of a line, up to three names deep; `{` where a list begins.
fn targets(line: &str) -> Vec<String> {
    line.match_indices("crate::")
        .filter(|(at, _)| !ends_in_name(&line[..*at]))
        .map(|(at, prefix)| {
            let rest = &line[at + prefix.len()..];
            if rest.starts_with('{') {
                return "{".to_owned();
            }
            let names = rest.split("::").take(3);
            let names: Vec<&str> = names
                .map(|name| {
                    let end = name.find(|c: char| !is_name(c)).unwrap_or(name.len());
                    &name[..end]
                })
                .take_while(|name| !name.is_empty())
                .collect();
            names.join("::")
        })
        .collect()
}

/// Whether a line names an outside library as a path: `use csv::Reader`, `csv::Reader::new`, `use csv;`.
fn names_library(line: &str, library: &str) -> bool {
    line.match_indices(library).any(|(at, _)| {
        let before = &line[..at];
        let after = &line[at + library.len()..];
        let is_import = before.trim_end().ends_with("use") && after.starts_with([';', ' ']);
        let is_path = after.starts_with("::");
        // `self::image::x`, `super::image::x` and `crate::media::image::x` are modules of our own.
        (is_path || is_import) && !ends_in_name(before) && !before.ends_with("::")
            || before.ends_with("<::") && is_path
    })
}

/// The lines without comments and without the insides of string literals: words in prose are no code.
fn code_lines(text: &str) -> Vec<String> {
    let mut state = Lexer::Code;
    text.lines().map(|line| strip(line, &mut state)).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Lexer {
    Code,
    /// In a string literal with that many `#` to end it; `None` for one with escapes.
    Text(Option<usize>),
    /// In nested block comments.
    Comment(usize),
}

fn strip(line: &str, state: &mut Lexer) -> String {
    let mut code = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let mut step = first.len_utf8();
        match *state {
            Lexer::Code if rest.starts_with("//") => return code,
            Lexer::Code if rest.starts_with("/*") => {
                *state = Lexer::Comment(1);
                step = 2;
            }
            Lexer::Code => {
                if let Some((hashes, len)) = raw_text_start(rest, &code) {
                    *state = Lexer::Text(Some(hashes));
                    step = len;
                } else if first == '"' {
                    *state = Lexer::Text(None);
                } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
                    step = rest[1..].find('\'').map_or(1, |end| end + 2);
                } else {
                    code.push(first);
                }
            }
            Lexer::Text(None) if first == '\\' => {
                step += rest[1..].chars().next().map_or(0, char::len_utf8);
            }
            Lexer::Text(None) if first == '"' => *state = Lexer::Code,
            Lexer::Text(Some(hashes)) if first == '"' => {
                if rest[1..].starts_with(&"#".repeat(hashes)) {
                    *state = Lexer::Code;
                    step += hashes;
                }
            }
            Lexer::Comment(depth) if rest.starts_with("*/") => {
                *state = if depth == 1 {
                    Lexer::Code
                } else {
                    Lexer::Comment(depth - 1)
                };
                step = 2;
            }
            Lexer::Comment(depth) if rest.starts_with("/*") => {
                *state = Lexer::Comment(depth + 1);
                step = 2;
            }
            Lexer::Text(_) | Lexer::Comment(_) => {}
        }
        rest = &rest[step..];
    }
    code
}

/// Number of `#` and length of the opening of a raw string that starts here.
fn raw_text_start(rest: &str, before: &str) -> Option<(usize, usize)> {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let opens = body[hashes..].starts_with('"') && !ends_in_name(before);
    opens.then(|| (hashes, rest.len() - body.len() + hashes + 1))
}

/// Functions over the limit: line of the heading, lines between it and the closing brace. Ends are found by
/// rustfmt's indentation.
fn long_functions(lines: &[String]) -> impl Iterator<Item = (usize, usize)> {
    lines.iter().enumerate().filter_map(|(start, line)| {
        let heading = line.trim_start();
        let is_whole = heading.ends_with([';', '}']);
        if !is_function_heading(heading) || is_whole {
            return None;
        }
        let indent = &line[..line.len() - heading.len()];
        let end = lines[start + 1..].iter().position(|line| {
            line.strip_prefix(indent)
                .is_some_and(|rest| rest.starts_with('}'))
        })?;
        (end > MAX_FUNCTION_LINES).then_some((start, end))
    })
}

fn is_function_heading(heading: &str) -> bool {
    let before = heading.split_whitespace().take_while(|word| *word != "fn");
    let is_qualifier = |word: &str| {
        word.starts_with("pub") || ["const", "async", "unsafe", "extern"].contains(&word)
    };
    has_word(heading, "fn") && before.into_iter().all(is_qualifier)
}

/// Whether a line stands below the file's `#[cfg(test)]`: our tests are the last thing in a file.
fn is_in_tests(lines: &[String], idx: usize) -> bool {
    lines[..idx].iter().any(|line| line.trim() == "mod tests {")
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let after = line[at + word.len()..].chars().next();
        !ends_in_name(&line[..at]) && !after.is_some_and(is_name)
    })
}

fn ends_in_name(text: &str) -> bool {
    text.chars().next_back().is_some_and(is_name)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).expect("a source folder is readable");
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Planted faults: each must be seen, and what only looks like one must not.
mod planted {
    use super::*;

    fn num_faults(path: &str, text: &str) -> usize {
        faults_of(path, text).len()
    }

    #[test]
    fn an_arrow_the_other_way_is_caught() {
        assert_eq!(
            num_faults("store/image.rs", "use crate::domain::Aspect;"),
            0
        );
        assert_eq!(
            num_faults("store/image.rs", "use crate::jobs::message::Job;"),
            1
        );
        assert_eq!(
            num_faults("domain/image.rs", "fn f() { crate::ui::draw() }"),
            1
        );
        assert_eq!(num_faults("ui/gallery.rs", "pub(crate) use crate::ml;"), 1);
        assert_eq!(num_faults("ui/gallery.rs", "use crate::ui::tokens;"), 0);
        assert_eq!(num_faults("main.rs", "use crate::app::run;"), 0);
    }

    #[test]
    fn state_sees_messages_and_nothing_else_of_jobs() {
        assert_eq!(
            num_faults("state/a.rs", "use crate::jobs::message::Job;"),
            0
        );
        assert_eq!(num_faults("state/a.rs", "use crate::jobs::message;"), 0);
        assert_eq!(num_faults("state/a.rs", "use crate::jobs::Workers;"), 1);
        assert_eq!(num_faults("state/a.rs", "use crate::jobs;"), 1);
    }

    #[test]
    fn ui_sees_wishes_and_no_jobs() {
        assert_eq!(num_faults("ui/a.rs", "use crate::jobs::message::Wish;"), 0);
        assert_eq!(num_faults("ui/a.rs", "use crate::jobs::message::Job;"), 1);
        assert_eq!(num_faults("ui/a.rs", "use crate::jobs::message;"), 1);
    }

    #[test]
    fn rooms_in_one_list_are_caught() {
        assert_eq!(num_faults("jobs/a.rs", "use crate::{domain, store};"), 1);
    }

    #[test]
    fn a_library_outside_its_room_is_caught() {
        assert_eq!(num_faults("store/a.rs", "use rusqlite::Connection;"), 0);
        assert_eq!(num_faults("jobs/a.rs", "use rusqlite::Connection;"), 1);
        assert_eq!(num_faults("state/a.rs", "let c = egui::Color32::RED;"), 1);
        assert_eq!(num_faults("jobs/a.rs", "use rusqlite;"), 1);
        assert_eq!(num_faults("store/a.rs", "use super::image::all;"), 0);
        assert_eq!(num_faults("store/a.rs", "image::file(conn, id)"), 1);
        let text = "use super::image;\nfn f() { image::file(conn, id) }";
        assert_eq!(num_faults("store/a.rs", text), 0);
        assert_eq!(num_faults("domain/a.rs", "let csv = 1; my_csv::f();"), 0);
    }

    #[test]
    fn unsafe_and_features_outside_compute_are_caught() {
        let block = "let x = unsafe { read(p) };";
        assert_eq!(num_faults("compute/weights.rs", block), 0);
        assert_eq!(num_faults("ml/a.rs", block), 1);
        assert_eq!(num_faults("ml/a.rs", "#![deny(unsafe_code)]"), 0);
        assert_eq!(num_faults("ml/a.rs", "#[cfg(feature = \"cuda\")]"), 1);
        assert_eq!(num_faults("main.rs", "if cfg!(feature = \"cuda\") {}"), 1);
    }

    #[test]
    fn words_in_comments_and_strings_are_no_code() {
        let text =
            "//! See crate::ui.\n/* unsafe\n/* egui::a */ crate::app */\nlet a = \"crate::ui\";\n";
        assert_eq!(num_faults("domain/a.rs", text), 0);
        let text = "let a = r#\"a \" crate::ui \"#; let b = '\"'; use crate::ui;";
        assert_eq!(num_faults("domain/a.rs", text), 1);
        let text = "let a = \"two \\\" lines\nunsafe\"; crate::ui::f();";
        assert_eq!(num_faults("domain/a.rs", text), 1);
    }

    #[test]
    fn reaching_past_the_parent_is_caught_outside_tests() {
        let line = "use super::super::Project;";
        assert_eq!(num_faults("store/a.rs", line), 1);
        let text = format!("#[cfg(test)]\nmod tests {{\n    {line}\n}}");
        assert_eq!(num_faults("store/a.rs", &text), 0);
    }

    #[test]
    fn unfinished_work_is_caught_in_comments_too() {
        for halves in UNFINISHED {
            let line = format!("// {} later", halves.concat());
            assert_eq!(num_faults("store/a.rs", &line), 1);
        }
    }

    #[test]
    fn a_type_with_fn_in_it_is_no_function() {
        let text = format!(
            "struct A {{\n    f: fn(u8),\n{}    }}\n",
            "    a: u8,\n".repeat(90)
        );
        assert_eq!(num_faults("store/a.rs", &text), 0);
        let text = format!(
            "fn f() {{}}\nconst A: [u8; 90] = [\n{}];\n}}",
            "    1,\n".repeat(90)
        );
        assert_eq!(num_faults("store/a.rs", &text), 0);
    }

    #[test]
    fn long_files_and_functions_are_caught() {
        let lines = |num: usize| "    f();\n".repeat(num);
        assert_eq!(
            num_faults("store/a.rs", &format!("fn g() {{\n{}}}\n", lines(80))),
            0
        );
        assert_eq!(
            num_faults("store/a.rs", &format!("fn g() {{\n{}}}\n", lines(81))),
            1
        );
        assert_eq!(num_faults("store/a.rs", &lines(800)), 0);
        assert_eq!(num_faults("store/a.rs", &lines(801)), 1);
    }
}
