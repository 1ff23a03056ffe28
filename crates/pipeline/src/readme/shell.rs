//! Commands as a reader types them: words quoted for a shell, long lines parted.

/// The widest line, where words allow it.
const WIDTH: usize = 100;

/// One command, of words and of parts that are the shell's own.
#[derive(Debug, Default)]
pub struct Line(Vec<String>);

impl Line {
    /// A command of these words, which need no quotes.
    pub fn new(words: &[&str]) -> Self {
        Self(words.iter().map(ToString::to_string).collect())
    }

    /// Adds what is to stand together on a line, as it is.
    pub fn raw(&mut self, text: impl Into<String>) -> &mut Self {
        self.0.push(text.into());
        self
    }

    /// Adds a word, quoted where a shell would read it otherwise.
    pub fn word(&mut self, word: &str) -> &mut Self {
        self.raw(quoted(word))
    }

    /// Adds an option and its value, which stay together.
    pub fn option(&mut self, name: &str, value: &str) -> &mut Self {
        self.raw(format!("{name} {}", quoted(value)))
    }

    /// Adds words.
    pub fn words(&mut self, words: &[String]) -> &mut Self {
        for word in words {
            self.word(word);
        }
        self
    }

    /// The command, parted where it is too long.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut column = 0;
        for part in &self.0 {
            let first = part.split('\n').next().unwrap_or_default().chars().count();
            if column > 0 {
                // Room for the blank before it, and for the sign that the line goes on.
                if column + first + 3 > WIDTH {
                    text.push_str(" \\\n    ");
                    column = 4;
                } else {
                    text.push(' ');
                    column += 1;
                }
            }
            text.push_str(part);
            column = match part.rsplit_once('\n') {
                Some((_, last)) => last.chars().count(),
                None => column + first,
            };
        }
        text
    }
}

/// A word as a POSIX shell reads it back.
pub fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A text as the format of printf(1), quoted.
pub fn printf(text: &str) -> String {
    let mut format = String::new();
    for character in text.chars() {
        match character {
            '%' => format.push_str("%%"),
            '\\' => format.push_str(r"\\"),
            '\n' => format.push_str(r"\n"),
            '\r' => format.push_str(r"\r"),
            '\t' => format.push_str(r"\t"),
            control if control.is_ascii_control() => {
                format.push_str(&format!(r"\{:03o}", u32::from(control)))
            }
            other => format.push(other),
        }
    }
    format!("'{}'", format.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What a shell prints for a command.
    fn shell(command: &str) -> Vec<u8> {
        Command::new("sh").args(["-c", command]).output().unwrap().stdout
    }

    #[test]
    fn a_shell_reads_the_words_back() {
        let words = ["a", "", "it's", "$HOME `id` \"x\"", "two\nlines", "back\\slash", "*", "~", "a=b", "#"];
        for word in words {
            let given = format!("printf %s {}", quoted(word));
            assert_eq!(shell(&given), word.as_bytes(), "{given}");
            let given = format!("printf {}", printf(&format!("{word}%\r\u{1}\t")));
            assert_eq!(shell(&given), format!("{word}%\r\u{1}\t").as_bytes(), "{given}");
        }
    }

    #[test]
    fn long_lines_are_parted_between_words() {
        let mut line = Line::new(&["printf", "%s."]);
        let words: Vec<String> = (0..40).map(|number| format!("word {number}")).collect();
        line.words(&words);
        let text = line.text();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().count() > 3, "{text}");
        assert_eq!(shell(&text), words.iter().map(|word| format!("{word}.")).collect::<String>().as_bytes());
    }
}
