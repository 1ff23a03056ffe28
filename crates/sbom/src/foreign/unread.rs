//! Records of packages in forms that are not read here → gaps. Whoever keeps such a record has packages that the bill
//! lacks.

use super::bill::Found;
use super::kind::RPM_DIRECTORIES;
use super::tree::Tree;

/// The directory or file of a record, and what it is.
const UNREAD: [(&str, &str); 9] = [
    ("var/lib/pacman/local", "pacman's records"),
    ("var/db/pkg", "Portage's records"),
    ("var/lib/chisel/manifest.wall", "Chisel's record"),
    ("usr/lib/opkg/info", "opkg's records"),
    ("var/lib/opkg/info", "opkg's records"),
    ("nix/store", "Nix's store"),
    ("gnu/store", "Guix's store"),
    ("var/lib/snapd/snaps", "snaps"),
    ("var/lib/flatpak/app", "Flatpak's applications"),
];

/// Names each record that is there.
pub(super) fn note(tree: &Tree, found: &mut Found) {
    for (place, what) in UNREAD {
        if tree.files.contains_key(place) || tree.below(place).next().is_some() {
            found.gaps.push(format!("/{place}: {what} cannot be read, so its packages are missing"));
        }
    }
    for directory in RPM_DIRECTORIES {
        if tree.files.contains_key(format!("{directory}/Packages").as_str()) {
            let what = "rpm's database of the Berkeley DB form cannot be read, so its packages are missing";
            found.gaps.push(format!("/{directory}/Packages: {what}"));
        }
        // What SQLite has not written into the database yet.
        let journal = format!("{directory}/rpmdb.sqlite-wal");
        if tree.files.get(journal.as_str()).is_some_and(|file| file.size > 0) {
            found
                .gaps
                .push(format!("/{journal}: changes to rpm's database that are only here cannot be read"));
        }
    }
}
