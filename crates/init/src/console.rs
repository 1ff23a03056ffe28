//! What this program says: into the kernel's log, and failures on the console as well, as the log may be too quiet for it.

use std::io::Write as _;

/// The kernel's log and the console. Both are opened for each message: early on they are not there yet.
#[derive(Debug, Default)]
pub struct Console {}

impl Console {
    /// A line for whoever looks into the log.
    pub fn note(&self, message: &str) {
        log(6, message);
    }

    /// Something is wrong, and it may do no harm.
    pub fn warn(&self, message: &str) {
        log(4, message);
    }

    /// Something that a person must see.
    pub fn fail(&self, message: &str) {
        for line in message.lines() {
            log(3, line);
        }
        if let Ok(mut console) = fs_err::OpenOptions::new().write(true).open("/dev/console") {
            // A console that takes nothing cannot be helped, and the log has it.
            let _ = console.write_all(format!("\r\n{}\r\n", message.replace('\n', "\r\n")).as_bytes());
        }
    }
}

/// One record of the kernel's log, at a level as the kernel counts them.
fn log(level: u8, message: &str) {
    if let Ok(mut log) = fs_err::OpenOptions::new().write(true).open("/dev/kmsg") {
        let _ = log.write_all(format!("<{level}>calypte-init: {message}\n").as_bytes());
    }
}
