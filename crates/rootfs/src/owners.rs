//! Owners that a package names → the numbers that they have in every image.
//!
//! A Debian package gives its files to numbers, which are fixed by policy. An RPM package gives them to names, and
//! which number a name gets depends on the order of installation where packages are installed. Here it is the
//! universe's table of accounts, or the image's own user.

use calypte_definition::image::User;
use calypte_universe::rules::Accounts;

use crate::finishers::FinishError;
use crate::package::UnpackedPackage;

/// Who answers for an owner that is not known.
pub const NAME: &str = "users";

/// Puts numbers to the names that the package's entries have.
///
/// # Errors
/// When a name is neither in the table nor the image's user.
pub fn number(package: &mut UnpackedPackage, accounts: &Accounts, own: &User) -> Result<(), FinishError> {
    let unknown = |kind, name: &str, path: &calypte_base::TreePath| FinishError::UnknownAccount {
        kind,
        name: name.to_owned(),
        wanted_by: format!("{path} of package {}", package.name),
    };
    for entry in &mut package.entries {
        if let Some(name) = &entry.user {
            let known = accounts.user(name).map(|user| user.uid);
            let uid = known.or_else(|| (*name == own.name).then_some(own.uid));
            entry.node.uid = uid.ok_or_else(|| unknown("user", name, &entry.path))?;
        }
        if let Some(name) = &entry.group {
            let known = accounts.group(name).map(|group| group.gid);
            let gid = known.or_else(|| (*name == own.name).then_some(own.gid));
            entry.node.gid = gid.ok_or_else(|| unknown("group", name, &entry.path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn names_become_numbers_or_are_reported() {
        let accounts: Accounts = calypte_definition::yaml::from_str(
            "a",
            "users:\n  - {name: nginx, uid: 401, group: nginx, home: /}\ngroups:\n  - {name: nginx, gid: 402}\n",
        )
        .unwrap();
        let own = crate::finishers::tests::definition().user;
        let owned = |user: &str, group: &str| {
            let mut package = Fixture::new("p").file("etc/x", "x").0;
            let entry = package.entries.last_mut().unwrap();
            (entry.user, entry.group) = (Some(user.to_owned()), Some(group.to_owned()));
            number(&mut package, &accounts, &own).map(|()| {
                let node = &package.entries.last().unwrap().node;
                (node.uid, node.gid)
            })
        };
        assert_eq!(owned("nginx", "nginx").unwrap(), (401, 402));
        assert_eq!(owned(&own.name, "nginx").unwrap(), (own.uid, 402));
        assert_eq!(
            owned("apache", "nginx").unwrap_err().to_string(),
            "/etc/x of package p wants the user `apache`, which is not in the universe's accounts.yaml"
        );
    }
}
