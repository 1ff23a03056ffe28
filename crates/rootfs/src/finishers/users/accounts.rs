//! Names to ids, from the universe's table and the definition.

use calypte_definition::image::User;
use calypte_universe::rules;

use crate::finishers::FinishError;

/// The ids of all accounts that an image may have.
#[derive(Debug, Clone, Copy)]
pub(in crate::finishers) struct Accounts<'a> {
    /// The universe's fixed table.
    pub table: &'a rules::Accounts,
    /// The image's own user, whose group bears the same name.
    pub image: &'a User,
}

impl<'a> Accounts<'a> {
    pub(in crate::finishers) const fn new(table: &'a rules::Accounts, image: &'a User) -> Self {
        Self { table, image }
    }

    /// The id of a user, given by name or by number.
    pub(in crate::finishers) fn uid(
        &self,
        name: &str,
        wanted_by: impl FnOnce() -> String,
    ) -> Result<u32, FinishError> {
        let known = self.table.user(name).map(|user| user.uid);
        let own = (name == self.image.name).then_some(self.image.uid);
        let unknown =
            || FinishError::UnknownAccount { kind: "user", name: name.to_owned(), wanted_by: wanted_by() };
        known.or(own).or_else(|| name.parse().ok()).ok_or_else(unknown)
    }

    /// The id of a group, given by name or by number.
    pub(in crate::finishers) fn gid(
        &self,
        name: &str,
        wanted_by: impl FnOnce() -> String,
    ) -> Result<u32, FinishError> {
        let known = self.table.group(name).map(|group| group.gid);
        let own = (name == self.image.name).then_some(self.image.gid);
        let unknown =
            || FinishError::UnknownAccount { kind: "group", name: name.to_owned(), wanted_by: wanted_by() };
        known.or(own).or_else(|| name.parse().ok()).ok_or_else(unknown)
    }
}
