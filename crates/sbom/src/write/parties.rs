//! `Name <address>` as packages write their maintainers → person or organisation, as documents want to know.

/// Words of which one in a name tells an organisation.
const ORGANISATIONS: &[&str] = &[
    "team",
    "maintainers",
    "maintainer",
    "group",
    "project",
    "developers",
    "packagers",
    "debian",
    "fedora",
    "foundation",
    "inc",
    "inc.",
    "ltd",
    "gmbh",
    "hat",
    "linux",
    "almalinux",
    "authors",
    "community",
    "list",
];

/// Somebody who supplies something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Whether it is an organisation and no person.
    pub is_organization: bool,
    /// The name.
    pub name: String,
    /// The address for mail.
    pub mail: Option<String>,
}

impl Party {
    /// Reads `Name <address>`, or a name alone.
    pub fn parse(text: &str) -> Self {
        let (name, mail) = match text.split_once('<') {
            Some((name, rest)) => (name.trim(), Some(rest.trim_end().trim_end_matches('>').to_owned())),
            None => (text.trim(), None),
        };
        let name = name.trim_matches('"').to_owned();
        let mut words = name.split(|letter: char| letter.is_whitespace() || letter == ',');
        let is_organization =
            mail.is_none() || words.any(|word| ORGANISATIONS.contains(&word.to_lowercase().as_str()));
        Self { is_organization, name, mail: mail.filter(|mail| !mail.is_empty()) }
    }

    /// As SPDX 2.3 writes it (clause 7.5).
    pub fn spdx2(&self) -> String {
        let kind = if self.is_organization { "Organization" } else { "Person" };
        // Brackets would be taken for those of the address.
        let name = self.name.replace(['(', ')'], "");
        match &self.mail {
            Some(mail) => format!("{kind}: {name} ({mail})"),
            None => format!("{kind}: {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_teams_are_told_apart() {
        for (text, expected) in [
            ("Debian GCC Maintainers <a@b.c>", "Organization: Debian GCC Maintainers (a@b.c)"),
            ("Jane (J) Doe <a@b.c>", "Person: Jane J Doe (a@b.c)"),
            ("Fedora Project", "Organization: Fedora Project"),
            ("A <>", "Person: A"),
        ] {
            assert_eq!(Party::parse(text).spdx2(), expected);
        }
    }
}
