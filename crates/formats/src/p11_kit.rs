//! p11-kit's text format of trust objects (`ca-bundle.trust.p11-kit`), and PEM blocks (RFC 7468): bytes in, objects with
//! their attributes out.
//!
//! A file is a list of objects, each below a `[p11-kit-object-v1]` line: `name: value` lines, and PEM blocks that stand
//! for a certificate's or a public key's bytes (p11-kit's `persist-format.txt`). A name that is not known is refused, as
//! p11-kit refuses it: it could take trust away, and a reader that passed over it would trust too much.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The line that begins an object, without its brackets.
pub const SECTION: &str = "p11-kit-object-v1";

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Most components of an object identifier that is written with dots, and most digits of one: far more than any has.
const IDENTIFIER_COMPONENTS: usize = 64;

/// The attributes that objects of trust have. p11-kit knows more, of keys and tokens, which have no place in a file of
/// certificates.
const KNOWN: [&str; 36] = [
    "application",
    "certificate-category",
    "certificate-type",
    "check-value",
    "class",
    "end-date",
    "hash-of-certificate",
    "hash-of-issuer-public-key",
    "hash-of-subject-public-key",
    "id",
    "issuer",
    "java-midp-security-domain",
    "label",
    "modifiable",
    "name-hash-algorithm",
    "nss-email",
    "nss-email-distrust-after",
    "nss-mozilla-ca-policy",
    "nss-server-distrust-after",
    "nss-trust-client-auth",
    "nss-trust-code-signing",
    "nss-trust-email-protection",
    "nss-trust-server-auth",
    "object-id",
    "private",
    "public-key-info",
    "serial-number",
    "start-date",
    "subject",
    "token",
    "trusted",
    "unique-id",
    "url",
    "value",
    "x-distrusted",
    "x-origin",
];

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct P11KitError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// A number.
    Number(u64),
    /// A name out of PKCS#11: `certificate`, `x-509`, `authority`.
    Word(String),
    /// Any bytes, from a quoted text with `%20` escapes; an object identifier's DER, where one was written with dots.
    Bytes(Vec<u8>),
}

/// One object: its attributes by p11-kit's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object(pub BTreeMap<String, Value>);

impl Object {
    /// An attribute that is a flag.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.0.get(name) {
            Some(Value::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// An attribute that is bytes.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        match self.0.get(name) {
            Some(Value::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// An attribute that is a name.
    #[must_use]
    pub fn word(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Value::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn absorb(&mut self, block: PemBlock) -> Result<(), String> {
        let mut add = |name: &str, value: Value| {
            self.0.entry(name.to_owned()).or_insert(value);
        };
        match block.label.as_str() {
            "CERTIFICATE" => {
                add("class", Value::Word("certificate".to_owned()));
                add("certificate-type", Value::Word("x-509".to_owned()));
                add("value", Value::Bytes(block.der));
            }
            "PUBLIC KEY" => add("public-key-info", Value::Bytes(block.der)),
            other => return Err(format!("a PEM block of type `{other}` has no place in an object")),
        }
        Ok(())
    }
}

/// A PEM block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemBlock {
    /// What stands behind `BEGIN`: `CERTIFICATE`.
    pub label: String,
    /// The decoded bytes.
    pub der: Vec<u8>,
}

/// Whether these bytes are a file of this format: p11-kit looks for a section anywhere in it.
#[must_use]
pub fn is_p11_kit(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, format!("[{SECTION}]").as_bytes()).is_some()
}

/// Reads the objects of a file in their order. Sections of another name are passed over.
///
/// # Errors
/// At the first line that is none of the format, or names an attribute that is not known.
pub fn parse(bytes: &[u8]) -> Result<Vec<Object>, P11KitError> {
    let text = text(bytes)?;
    let mut objects: Vec<Object> = Vec::new();
    let mut place = Place::Outside;
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let failed = |problem: String| P11KitError { line: index + 1, problem };
        if line.starts_with(BEGIN) {
            let block = block(index, line, &mut lines)?;
            match (place, objects.last_mut()) {
                (Place::Object, Some(object)) => object.absorb(block).map_err(failed)?,
                (Place::Skipped, _) => {}
                _ => return Err(failed("a PEM block before the first section".to_owned())),
            }
            continue;
        }
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            let section = section.strip_suffix(']');
            let section = section.ok_or_else(|| failed("a section without its bracket".to_owned()))?;
            place = if section == SECTION { Place::Object } else { Place::Skipped };
            if place == Place::Object {
                objects.push(Object::default());
            }
            continue;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| failed("no colon".to_owned()))?;
        match (place, objects.last_mut()) {
            (Place::Object, Some(object)) => {
                let (name, value) = attribute(name.trim_ascii(), value.trim_ascii()).map_err(failed)?;
                object.0.insert(name, value);
            }
            (Place::Skipped, _) => {}
            _ => return Err(failed("an attribute before the first section".to_owned())),
        }
    }
    Ok(objects)
}

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Object,
    Skipped,
}

/// All PEM blocks of a file in their order; what stands between them is passed over, as PEM allows.
///
/// # Errors
/// When a block does not end, or is not Base64.
pub fn pem_blocks(bytes: &[u8]) -> Result<Vec<PemBlock>, P11KitError> {
    // Explanations around the blocks may be in any encoding.
    let text = String::from_utf8_lossy(bytes);
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if line.starts_with(BEGIN) {
            blocks.push(block(index, line, &mut lines)?);
        }
    }
    Ok(blocks)
}

fn text(bytes: &[u8]) -> Result<&str, P11KitError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        P11KitError { line, problem: "it is not UTF-8 text".to_owned() }
    })
}

/// The rest of a block whose first line was read.
fn block<'a>(
    start: usize,
    first: &str,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<PemBlock, P11KitError> {
    let failed = |problem: &str| P11KitError { line: start + 1, problem: problem.to_owned() };
    let label = first.trim_ascii_end().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES));
    let label = label.ok_or_else(|| failed("the line does not begin a PEM block"))?;
    let mut body = String::new();
    for (_, line) in lines.by_ref() {
        let line = line.trim_ascii();
        if let Some(rest) = line.strip_prefix(END) {
            if rest.strip_suffix(DASHES) != Some(label) {
                return Err(failed("the PEM block ends as another type than it began"));
            }
            let der = decoder().decode(body).map_err(|_| failed("the PEM block is not Base64"))?;
            return Ok(PemBlock { label: label.to_owned(), der });
        }
        // Headers of old PEM (RFC 1421), which the blank line after them ends.
        if line.contains(':') {
            continue;
        }
        body.extend(line.chars().filter(|letter| !letter.is_ascii_whitespace()));
    }
    Err(failed("the PEM block does not end"))
}

/// As lenient as OpenSSL and p11-kit: padding may be missing.
fn decoder() -> GeneralPurpose {
    let configuration = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&STANDARD, configuration)
}

fn attribute(name: &str, value: &str) -> Result<(String, Value), String> {
    // Both spellings are in use: the nick, and PKCS#11's own.
    let nick = match name.strip_prefix("CKA_") {
        Some(long) => long.to_ascii_lowercase().replace('_', "-"),
        None => name.to_owned(),
    };
    if KNOWN.binary_search(&nick.as_str()).is_err() {
        return Err(format!("the attribute `{name}` is not known"));
    }
    let value = parse_value(value).ok_or_else(|| format!("the value of `{name}` cannot be read"))?;
    Ok((nick, value))
}

fn parse_value(value: &str) -> Option<Value> {
    if let Some(quoted) = value.strip_prefix('"') {
        return unescape(quoted.strip_suffix('"')?).map(Value::Bytes);
    }
    if let "true" | "false" = value {
        return Some(Value::Flag(value == "true"));
    }
    if let Ok(number) = value.parse() {
        return Some(Value::Number(number));
    }
    if value.starts_with(|first: char| first.is_ascii_digit()) {
        return identifier(value).map(Value::Bytes);
    }
    let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let word = value.strip_prefix("CKO_").or_else(|| value.strip_prefix("CKC_"));
    let word = word.map_or_else(|| value.to_owned(), |word| word.to_ascii_lowercase().replace('_', "-"));
    (!word.is_empty() && word.chars().all(letter)).then_some(Value::Word(word))
}

/// `%XX` escapes; every other character stands for itself.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(*digits.first()?)? << 4 | digit(*digits.get(1)?)?);
        rest = after;
    }
    Some(bytes)
}

/// `2.5.29.37` as DER (X.690, section 8.19), tag and length included.
fn identifier(text: &str) -> Option<Vec<u8>> {
    let numbers: Vec<u64> = text
        .split('.')
        .take(IDENTIFIER_COMPONENTS + 1)
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    if numbers.len() > IDENTIFIER_COMPONENTS {
        return None;
    }
    let [first @ 0..=2, second, rest @ ..] = numbers.as_slice() else { return None };
    if rest.is_empty() || *first < 2 && *second > 39 {
        return None;
    }
    let mut content = Vec::new();
    for number in std::iter::once(first.checked_mul(40)?.checked_add(*second)?).chain(rest.iter().copied()) {
        let groups = (1..10).rev().map(|group| number >> (7 * group)).filter(|high| *high != 0);
        content.extend(groups.map(|high| 0x80 | (high & 0x7f) as u8));
        content.push((number & 0x7f) as u8);
    }
    let length = u8::try_from(content.len()).ok().filter(|length| *length < 0x80)?;
    let mut der = vec![0x06, length];
    der.append(&mut content);
    Some(der)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PUBLIC KEY-----\nAAEC\n-----END PUBLIC KEY-----\n";

    #[test]
    fn objects_have_their_attributes_and_blocks() {
        let text = format!(
            "# a comment\n[p11-kit-object-v1]\nclass: x-certificate-extension\nlabel: \"A%20b c\"\nobject-id: \
             2.5.29.37\nvalue: \"0%2a\"\nmodifiable: false\n{KEY}\n[other]\nanything: at all\n{KEY}\n\
             [p11-kit-object-v1]\nCKA_TRUSTED: true\njava-midp-security-domain: 0\n-----BEGIN CERTIFICATE-----\n\
             //8=\n-----END CERTIFICATE-----\n"
        );
        assert!(is_p11_kit(text.as_bytes()));
        let objects = parse(text.as_bytes()).unwrap();
        let [extension, certificate] = &objects[..] else { panic!("{objects:?}") };
        assert_eq!(extension.word("class"), Some("x-certificate-extension"));
        assert_eq!(extension.bytes("label"), Some(&b"A b c"[..]));
        assert_eq!(extension.bytes("object-id"), Some(&[6, 3, 0x55, 0x1d, 0x25][..]));
        assert_eq!(extension.bytes("value"), Some(&b"0*"[..]));
        assert_eq!(extension.flag("modifiable"), Some(false));
        assert_eq!(extension.bytes("public-key-info"), Some(&[0, 1, 2][..]));
        assert_eq!(certificate.word("class"), Some("certificate"));
        assert_eq!(certificate.bytes("value"), Some(&[0xff, 0xff][..]));
        assert_eq!(certificate.flag("trusted"), Some(true));
    }

    #[test]
    fn what_is_known_is_in_order() {
        assert!(KNOWN.is_sorted());
    }

    #[test]
    fn identifiers_are_der() {
        for (text, der) in [
            ("1.3.6.1.4.1.3319.6.10.1", &[6, 10, 0x2b, 6, 1, 4, 1, 0x99, 0x77, 6, 10, 1][..]),
            ("2.999.3", &[6, 3, 0x88, 0x37, 3]),
        ] {
            assert_eq!(identifier(text).as_deref(), Some(der), "{text}");
        }
        for text in ["1.2", "3.1.1", "1.40.1", "1..2.3", "1.2.x", "18446744073709551616.1.1"] {
            assert_eq!(identifier(text), None, "{text}");
        }
    }

    #[test]
    fn blocks_stand_between_anything() {
        let text = b"Certificate:\n  \xff\n-----BEGIN TRUSTED CERTIFICATE-----\r\nAA\r\nEC\r\n-----END TRUSTED CERTIFICATE-----\r\n";
        let blocks = pem_blocks(text).unwrap();
        assert_eq!(blocks, [PemBlock { label: "TRUSTED CERTIFICATE".into(), der: vec![0, 1, 2] }]);
        assert_eq!(pem_blocks(b"nothing").unwrap(), []);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, message) in [
            ("trusted: true\n", "line 1: an attribute before the first section"),
            ("[p11-kit-object-v1]\nno\n", "line 2: no colon"),
            ("[p11-kit-object-v1\n", "line 1: a section without its bracket"),
            ("[p11-kit-object-v1]\nnss-trusted: true\n", "line 2: the attribute `nss-trusted` is not known"),
            ("[p11-kit-object-v1]\nlabel: \"%2\"\n", "line 2: the value of `label` cannot be read"),
            ("\n-----BEGIN CERTIFICATE-----\nAA\n", "line 2: the PEM block does not end"),
            (
                "[p11-kit-object-v1]\n-----BEGIN X-----\nAAEC\n-----END X-----\n",
                "line 2: a PEM block of type `X` has no place in an object",
            ),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), message);
        }
    }
}
