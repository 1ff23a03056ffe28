//! The words, quotes, escapes and specifiers that systemd's configuration formats share: one line in, words out.
//!
//! As `extract_first_word()` and `specifier_printf()` of systemd read them; anything that they refuse is refused here.

/// Longest line in bytes; systemd has the same limit for its unit files.
pub const LINE_LIMIT: usize = 1024 * 1024;

/// What a backslash means inside of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backslash {
    /// The next character stands for itself (sysusers.d).
    Literal,
    /// It starts a C-style escape (tmpfiles.d).
    Escape,
}

/// The lines that say something, with their numbers from 1.
pub fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_ascii()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// Takes the first word off a line; gives the word and what follows it and the blanks behind it. None at the end.
pub fn first_word(line: &str, backslash: Backslash) -> Result<Option<(String, &str)>, String> {
    let line = line.trim_ascii_start();
    if line.is_empty() {
        return Ok(None);
    }
    let bytes = line.as_bytes();
    let mut word = Vec::new();
    let mut quote = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        at += 1;
        match (byte, quote) {
            (b'\\', _) if backslash == Backslash::Escape => at += unescape(&bytes[at..], &mut word)?,
            (b'\\', _) => {
                word.push(*bytes.get(at).ok_or("the line ends after a backslash")?);
                at += 1;
            }
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(open)) if open == byte => quote = None,
            (b' ' | b'\t' | b'\r' | b'\n', None) => {
                at -= 1;
                break;
            }
            _ => word.push(byte),
        }
    }
    if quote.is_some() {
        return Err("a quotation mark is not closed".to_owned());
    }
    let word = String::from_utf8(word).map_err(|_| "a word is not UTF-8".to_owned())?;
    // Words end at ASCII bytes only, so this is the start of a character.
    Ok(Some((word, line.get(at..).unwrap_or_default().trim_ascii_start())))
}

/// Resolves the C-style escapes of a whole field.
pub fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let bytes = text.as_bytes();
    let mut result = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        at += 1;
        if byte == b'\\' {
            at += unescape(&bytes[at..], &mut result)?;
        } else {
            result.push(byte);
        }
    }
    Ok(result)
}

/// Resolves the escape after a backslash; gives the number of bytes that it takes.
fn unescape(bytes: &[u8], result: &mut Vec<u8>) -> Result<usize, String> {
    let first = *bytes.first().ok_or("the line ends after a backslash")?;
    let plain = match first {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b's' => b' ',
        b'\\' | b'"' | b'\'' => first,
        b'x' => return numeric(bytes, 1, 2, 16, false, result),
        b'u' => return numeric(bytes, 1, 4, 16, true, result),
        b'U' => return numeric(bytes, 1, 8, 16, true, result),
        b'0'..=b'7' => return numeric(bytes, 0, 3, 8, false, result),
        other => return Err(format!("unknown escape `\\{}`", other.escape_ascii())),
    };
    result.push(plain);
    Ok(1)
}

/// An escape of a fixed number of digits: of one byte, or of a character. NUL is refused as systemd does.
fn numeric(
    bytes: &[u8],
    start: usize,
    digits: usize,
    radix: u32,
    character: bool,
    result: &mut Vec<u8>,
) -> Result<usize, String> {
    let text = bytes.get(start..start + digits).and_then(|digits| std::str::from_utf8(digits).ok());
    let value = text
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|text| u32::from_str_radix(text, radix).ok())
        .filter(|value| *value != 0);
    let bad = || "a numeric escape is malformed".to_owned();
    let value = value.ok_or_else(bad)?;
    if character {
        let character = char::from_u32(value).ok_or_else(bad)?;
        result.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        result.push(u8::try_from(value).map_err(|_| bad())?);
    }
    Ok(start + digits)
}

/// A text with its specifiers resolved.
#[derive(Debug, PartialEq, Eq)]
pub enum Expanded {
    /// The text.
    Text(String),
    /// It has a specifier whose value only a booted machine has.
    AtBoot,
}

/// Resolves specifiers with the values that they have for the system manager.
pub fn expand(text: &str) -> Result<Expanded, String> {
    let mut parts = text.split('%');
    let mut result = parts.next().unwrap_or_default().to_owned();
    let mut at_boot = false;
    while let Some(part) = parts.next() {
        let value = match part.chars().next() {
            // Two percent signs in a row: this part is empty, and the next one is plain text.
            None => {
                let following = parts.next().ok_or("the text ends after a percent sign")?;
                result.push('%');
                result.push_str(following);
                continue;
            }
            Some('t') => "/run",
            Some('S') => "/var/lib",
            Some('C') => "/var/cache",
            Some('L') => "/var/log",
            Some('T') => "/tmp",
            Some('V') => "/var/tmp",
            Some('h') => "/root",
            Some('u' | 'g') => "root",
            Some('U' | 'G') => "0",
            // Machine, boot, host, kernel, and what os-release says of the running system.
            Some('a' | 'A' | 'b' | 'B' | 'H' | 'l' | 'm' | 'M' | 'o' | 'q' | 'v' | 'w' | 'W') => {
                at_boot = true;
                ""
            }
            Some(other) => return Err(format!("unknown specifier `%{}`", other.escape_default())),
        };
        result.push_str(value);
        result.push_str(&part[1..]);
    }
    Ok(if at_boot { Expanded::AtBoot } else { Expanded::Text(result) })
}

/// A field whose value is given; systemd writes `-` for one that is not.
pub fn given(word: Option<String>) -> Option<String> {
    word.filter(|word| !word.is_empty() && word != "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str, backslash: Backslash) -> Result<Vec<String>, String> {
        let (mut words, mut rest) = (Vec::new(), line);
        while let Some((word, following)) = first_word(rest, backslash)? {
            words.push(word);
            rest = following;
        }
        Ok(words)
    }

    #[test]
    fn words_are_split_as_systemd_does() {
        let split = |line| words(line, Backslash::Escape).unwrap();
        assert_eq!(split(" a\tb  c "), ["a", "b", "c"]);
        assert_eq!(split(r#""a b" 'c "d' e"f g"h """#), ["a b", "c \"d", "ef gh", ""]);
        assert_eq!(split(r"a\x20b \101\n \u00e9\s"), ["a b", "A\n", "é "]);
        assert_eq!(words(r"a\ b \n", Backslash::Literal).unwrap(), ["a b", "n"]);
        for bad in ["\"a", "a\\", r"\q", r"\x0", r"\x00", r"\xff", r"\400", r"\u+123", r"\ud800", r"\é"] {
            assert!(words(bad, Backslash::Escape).is_err(), "{bad}");
        }
    }

    #[test]
    fn specifiers_have_the_system_managers_values() {
        let text = |text: &str| Ok(Expanded::Text(text.to_owned()));
        assert_eq!(expand("%S/x%%t%t"), text("/var/lib/x%t/run"));
        assert_eq!(expand("100%%"), text("100%"));
        assert_eq!(expand("plain"), text("plain"));
        assert_eq!(expand("/var/log/%m"), Ok(Expanded::AtBoot));
        assert_eq!(expand("50%"), Err("the text ends after a percent sign".to_owned()));
        assert!(expand("%é").is_err() && expand("%Z").is_err());
    }
}
