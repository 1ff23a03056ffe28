//! The variables with which a container is started. A secret can be in the variable itself, or in a file that the
//! variable with `_FILE` behind its name points to. An empty variable counts as one that is not set.

use std::collections::BTreeMap;
use std::path::Path;

use crate::failure::{Failure, Result};
use crate::files;

/// A secret is a line or two; what is larger is another file by mistake.
const SECRET_LIMIT: u64 = 64 * 1024;

/// The variables, by name.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process. What is not UTF-8 is not seen, and passed on to the server all the same.
    pub fn of_process() -> Self {
        let texts = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self(texts.collect())
    }

    #[cfg(test)]
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The first of these names that is set: the same setting as different images spell it.
    pub fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Whether one of these switches is on. `0`, `no`, `false` and `off` are off, as an empty one is.
    pub fn switch(&self, names: &[&str]) -> bool {
        let off = |value: &str| ["0", "no", "false", "off"].contains(&value.to_ascii_lowercase().as_str());
        self.first(names).is_some_and(|value| !off(value))
    }

    /// The variable, or the content of the file that `NAME_FILE` names, line breaks at its end taken off.
    ///
    /// # Errors
    /// When both are set, or the file cannot be read.
    pub fn value(&self, name: &str) -> Result<Option<String>> {
        let file = format!("{name}_FILE");
        match (self.get(name), self.get(&file)) {
            (Some(_), Some(_)) => {
                Err(Failure::new(format!("{name} and {file} are both set")).hint("set one of the two"))
            }
            (Some(value), None) => Ok(Some(value.to_owned())),
            (None, Some(path)) => {
                let text = files::read_text(Path::new(path), SECRET_LIMIT).map_err(|failure| {
                    failure.hint(format!("{file} names it: mount it where this container's user can read it"))
                })?;
                Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()).filter(|text| !text.is_empty()))
            }
            (None, None) => Ok(None),
        }
    }

    /// The first of these names that is set, in itself or by its file.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn first_value(&self, names: &[&str]) -> Result<Option<String>> {
        for name in names {
            if let Some(value) = self.value(name)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_either_place_and_never_from_both() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "a b\r\n\n").unwrap();
        let path = path.to_str().unwrap();
        let value = |pairs: &[(&str, &str)]| Environment::of(pairs).value("P");
        assert_eq!(value(&[("P", "x\n")]), Ok(Some("x\n".to_owned())));
        assert_eq!(value(&[("P_FILE", path)]), Ok(Some("a b".to_owned())));
        assert_eq!(value(&[("P", ""), ("P_FILE", path)]), Ok(Some("a b".to_owned())));
        assert_eq!(value(&[]), Ok(None));
        let both = value(&[("P", "x"), ("P_FILE", path)]).unwrap_err();
        assert_eq!(both.to_string(), "error: P and P_FILE are both set\nhint: set one of the two");
        let none = value(&[("P_FILE", "/nonexistent/p")]).unwrap_err().to_string();
        assert!(none.contains("/nonexistent/p") && none.contains("P_FILE names it"), "{none}");
    }

    #[test]
    fn switches() {
        let environment = Environment::of(&[("A", "1"), ("B", "no"), ("C", ""), ("D", "yes")]);
        assert!(environment.switch(&["A"]) && environment.switch(&["C", "D"]));
        assert!(!environment.switch(&["B"]) && !environment.switch(&["C"]) && !environment.switch(&["E"]));
        assert_eq!(environment.first(&["E", "C", "B"]), Some("no"));
    }
}
