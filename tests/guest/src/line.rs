//! Orders and answers, each in a line: fields apart by tabs, `\\`, `\t`, `\n` and `\r` in them written as such.

use std::convert::Infallible;
use std::io::{self, BufRead as _, BufReader, Write as _};

use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// Answers every order that comes over a line, one after the other; comes back only when the line is no more.
pub fn serve(path: &str, obey: fn(&[String]) -> Result<String, String>) -> io::Result<Infallible> {
    let line = fs_err::OpenOptions::new().read(true).write(true).open(path)?;
    let mut attributes = tcgetattr(line.file())?;
    // No echo, no translation of line ends.
    attributes.make_raw();
    tcsetattr(line.file(), OptionalActions::Now, &attributes)?;
    let mut answers = line.try_clone()?;
    let mut orders = BufReader::new(line);
    answers.write_all(b"ready\n")?;
    loop {
        let mut order = Vec::new();
        if orders.read_until(b'\n', &mut order)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let order = String::from_utf8_lossy(&order);
        let fields: Vec<String> = order.trim_end_matches('\n').split('\t').map(unescape).collect();
        let answer = match obey(&fields) {
            Ok(output) => format!("done\t{}\n", escape(&output)),
            Err(reason) => format!("failed\t{}\n", escape(&reason)),
        };
        answers.write_all(answer.as_bytes())?;
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
            letter => letter,
        });
    }
    plain
}
