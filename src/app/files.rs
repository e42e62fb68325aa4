//! File dialogs of the desktop and the reading of a table's header, each on a thread of its own.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::jobs;
use crate::state::Command;
use crate::state::command::Pick;

/// Nobody sees a dialog and cancels it in less.
const SOONEST_CANCEL: Duration = Duration::from_millis(250);

/// Runs `answer` on a thread; a command that comes out goes to the window, which `wake` brings to draw.
pub(super) fn in_background(
    sender: SyncSender<Command>,
    wake: egui::Context,
    answer: impl FnOnce() -> Option<Command> + Send + 'static,
) -> io::Result<()> {
    thread::Builder::new()
        .name("assay-files".to_owned())
        .spawn(move || {
            if let Some(command) = answer() {
                // Only a closed window does not listen.
                sender.send(command).ok();
                wake.request_repaint();
            }
        })
        .map(drop)
}

/// Asks with the desktop's own dialog; `None` when it is cancelled. A desktop without dialogs answers as if it was
/// cancelled, but sooner than anybody could have.
pub(super) fn pick(pick: Pick) -> Option<Command> {
    let variables = ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "PATH"];
    if cfg!(target_os = "linux") && !can_ask(variables.map(std::env::var_os)) {
        return Some(Command::NoPicker(pick));
    }
    let since = Instant::now();
    match ask(pick) {
        Some(path) => Some(Command::Picked { pick, path }),
        None if since.elapsed() < SOONEST_CANCEL => Some(Command::NoPicker(pick)),
        None => None,
    }
}

/// Whether a Linux desktop has what dialogs go through: a session bus, or zenity, which stands in for its portal.
fn can_ask([bus, runtime, path]: [Option<OsString>; 3]) -> bool {
    let has_bus = bus.is_some_and(|bus| !bus.is_empty())
        || runtime.is_some_and(|folder| Path::new(&folder).join("bus").exists());
    let has_zenity = || {
        let path = path.unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join("zenity").is_file())
    };
    has_bus || has_zenity()
}

fn ask(pick: Pick) -> Option<PathBuf> {
    let dialog = rfd::FileDialog::new();
    match pick {
        Pick::OpenFolder => dialog.set_title("Open a folder").pick_folder(),
        Pick::OpenFile => dialog
            .set_title("Open a project or a table")
            .add_filter("Projects and tables", &["assay", "csv", "tsv"])
            .pick_file(),
        Pick::ModelFolder => dialog.set_title("Add a model folder").pick_folder(),
        Pick::ExportFile => dialog
            .set_title("Export")
            .set_file_name("scores.csv")
            .save_file(),
        Pick::StudyFile => dialog.set_title("Write about the study").save_file(),
        Pick::VotesFile => dialog
            .set_title("Take votes in")
            .add_filter(
                "Packages, projects and tables of votes",
                &["assaystudy", "assay", "csv", "tsv", "txt", "json"],
            )
            .pick_file(),
        Pick::ImageRoot => dialog.set_title("Where the pictures are").pick_folder(),
    }
}

/// Reads the column names of a table.
pub(super) fn table_columns(path: PathBuf) -> Command {
    // A file that cannot be read has no columns here; the reader of the table says why.
    let columns = jobs::table_columns(&path);
    Command::TableColumns { path, columns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_the_import_reads_it() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("table.csv");
        for text in [
            "\u{feff}\"picture\",words\r\na.png,x\r\n",
            "picture;words\r\na.png;x, y\r\n",
        ] {
            std::fs::write(&path, text)?;
            let Command::TableColumns { columns, .. } = table_columns(path.clone()) else {
                panic!("expected the columns");
            };
            assert_eq!(columns, ["picture", "words"]);
        }
        Ok(())
    }

    #[test]
    fn dialogs_need_a_bus_or_zenity() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let here = || Some(folder.path().as_os_str().to_owned());
        assert!(!can_ask([None, None, None]));
        assert!(!can_ask([Some(OsString::new()), here(), here()]));
        assert!(can_ask([Some("unix:path=/run/bus".into()), None, None]));
        std::fs::write(folder.path().join("zenity"), "")?;
        assert!(can_ask([None, None, here()]));
        std::fs::write(folder.path().join("bus"), "")?;
        assert!(can_ask([None, here(), None]));
        Ok(())
    }

    #[test]
    fn a_table_that_is_not_there_has_no_columns() {
        let command = table_columns(PathBuf::from("no/such/table.csv"));
        assert!(matches!(command, Command::TableColumns { columns, .. } if columns.is_empty()));
    }
}
