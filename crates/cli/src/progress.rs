//! Progress of long work, to standard error: a bar on terminals, lines elsewhere, JSON lines for programs
//! (`--progress-fd`).

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result};
use calypte_pipeline::Reporter;
use calypte_store::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::output::printable;

/// Shows the progress of one command.
#[derive(Debug)]
pub struct Terminal {
    bar: ProgressBar,
    quiet: bool,
    events: Option<Mutex<fs_err::File>>,
}

impl Terminal {
    /// Progress for people on standard error (none if `quiet`), and for programs on the open file descriptor
    /// `events`, one JSON object a line.
    ///
    /// # Errors
    /// When `events` is no open file descriptor that can be written.
    pub fn new(quiet: bool, events: Option<u32>) -> Result<Self> {
        let bar = ProgressBar::no_length();
        let target = if quiet || !std::io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        bar.set_draw_target(target);
        let events = events.map(|number| {
            let path = format!("/dev/fd/{number}");
            let open = fs_err::OpenOptions::new().write(true).open(path);
            open.with_context(|| format!("--progress-fd {number} is no open file that can be written"))
                .map(Mutex::new)
        });
        Ok(Self { bar, quiet, events: events.transpose()? })
    }

    /// Takes the bar away when the work is done.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints a line above the bar, if there is one.
    fn line(&self, text: &str) {
        // A closed standard error must not end the work.
        self.bar.suspend(|| drop(writeln!(anstream::stderr(), "{text}")));
    }

    fn event(&self, event: &Value) {
        // Whoever reads the events may go away; the work goes on.
        if let Some(Ok(mut file)) = self.events.as_ref().map(Mutex::lock) {
            let _ = writeln!(file, "{event}");
        }
    }
}

impl Reporter for Terminal {
    fn step(&self, what: &str) {
        self.event(&json!({"event": "step", "what": what}));
        if self.bar.is_hidden() {
            if !self.quiet {
                self.line(&printable(what));
            }
            return;
        }
        self.bar.set_style(
            ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        self.bar.set_message(printable(what));
        self.bar.enable_steady_tick(Duration::from_millis(120));
    }

    fn warn(&self, text: &str) {
        self.event(&json!({"event": "warning", "text": text}));
        let yellow = anstyle::AnsiColor::Yellow.on_default().bold();
        self.line(&format!("{yellow}warning:{yellow:#} {}", printable(text)));
    }

    fn downloads(&self) -> &dyn Progress {
        self
    }
}

impl Progress for Terminal {
    fn started(&self, files: usize, bytes: u64) {
        self.event(&json!({"event": "download", "files": files, "bytes": bytes}));
        if self.bar.is_hidden() {
            if !self.quiet {
                let word = if files == 1 { "file" } else { "files" };
                self.line(&format!("downloading {files} {word}, {}", crate::output::bytes(bytes)));
            }
            return;
        }
        let template = "downloading {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        self.bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        self.bar.set_length(bytes);
        self.bar.set_position(0);
    }

    fn advanced(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn finished_one(&self, name: &str) {
        self.event(&json!({"event": "downloaded", "what": name}));
    }
}
