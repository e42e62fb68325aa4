//! A private world for the program: a folder, a data folder in it, and the built binary run there.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use assay::domain::Picture;
use assay::media;
use serde_json::Value;
use tempfile::TempDir;

/// A folder that is gone when the test ends.
pub(crate) struct World {
    folder: TempDir,
}

/// What a run of the program answered.
pub(crate) struct Answer {
    /// Exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Everything on stdout.
    pub(crate) stdout: String,
    /// Everything on stderr.
    pub(crate) stderr: String,
}

impl Answer {
    /// The one JSON document on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "stdout is no JSON document: {error}\n{}\n{}",
                self.stdout, self.stderr
            )
        })
    }
}

impl World {
    /// An empty world.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        Self { folder }
    }

    /// A world with a small demo dataset in `demo` and its project `demo.assay`.
    pub(crate) fn with_demo(num_scenes: usize) -> Self {
        let world = Self::new();
        let limit = num_scenes.to_string();
        assert_eq!(
            world.run(&["demo", "demo", "--limit", &limit]).code,
            Some(0)
        );
        let imported = world.run(&["import", "demo", "--project", "demo.assay"]);
        assert_eq!(imported.code, Some(0), "{}", imported.stderr);
        world
    }

    /// A world with small pictures in `pictures`, four of each prompt, and their project `demo.assay`: quickly made,
    /// for stories about something else than what is to be seen.
    pub(crate) fn with_pictures(num: usize) -> Self {
        let world = Self::new();
        fs::create_dir(world.path("pictures")).expect("the world can be written");
        let mut table = "name,prompt,mos_quality,mos_correspondence\n".to_owned();
        for number in 0..num {
            let picture = Picture {
                width: 16,
                height: 16,
                rgb: (0..16 * 16 * 3)
                    .map(|at| (at * 7 + number * 5) as u8)
                    .collect(),
            };
            let bytes = media::encode_png(&picture).expect("a picture of 16 by 16");
            let name = format!("generator-{number}.png");
            fs::write(world.path("pictures").join(&name), bytes).expect("the world can be written");
            let mos = number % 5;
            let prompt = number / 4;
            writeln!(table, "{name},prompt {prompt},{mos},{mos}").expect("a text takes it");
        }
        world.write("pictures/data.csv", &table);
        let imported = world.run(&["import", "pictures", "--project", "demo.assay"]);
        assert_eq!(imported.code, Some(0), "{}", imported.stderr);
        world
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a small file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the world can be written");
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        let output = self.command(arguments).output();
        answer(&output.expect("the program starts"))
    }

    /// Runs a command about one aspect of the project `demo.assay`, which answers in JSON.
    pub(crate) fn run_on_demo(&self, command: &str, aspect: &str) -> Answer {
        self.run(&[
            command,
            "--project",
            "demo.assay",
            "--aspect",
            aspect,
            "--json",
        ])
    }

    /// Runs the program to its end with these variables in its environment, and nothing to read on its stdin.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Answer {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied()).stdin(Stdio::null());
        answer(&command.output().expect("the program starts"))
    }

    /// Runs the program to its end with these variables in its environment and this text on its stdin.
    pub(crate) fn run_fed(
        &self,
        variables: &[(&str, &str)],
        arguments: &[&str],
        text: &str,
    ) -> Answer {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("it has a stdin");
        // A program that ends without reading is no failure of the feeding.
        stdin.write_all(text.as_bytes()).ok();
        drop(stdin);
        answer(&child.wait_with_output().expect("the program ends"))
    }

    /// Starts the program with these variables in its environment and leaves it running.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Child {
        self.command(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts")
    }

    /// Starts the program and leaves it running.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts")
    }

    /// Starts the program and leaves it running; its stdout goes into a file.
    pub(crate) fn start_into(&self, arguments: &[&str], out: &Path) -> Child {
        let out = fs::File::create(out).expect("the world can be written");
        self.command(arguments)
            .stdout(out)
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts")
    }

    /// Another program in this world, told by `ASSAY` where ours is.
    pub(crate) fn shell(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("ASSAY", env!("CARGO_BIN_EXE_assay"))
            .env("ASSAY_HOME", self.path("home"));
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.shell(env!("CARGO_BIN_EXE_assay"), arguments)
    }
}

fn answer(output: &Output) -> Answer {
    Answer {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
