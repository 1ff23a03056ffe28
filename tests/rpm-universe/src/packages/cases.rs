//! What readers and resolvers must get right and no real package here shows: every operator of rich dependencies, weak
//! dependencies, obsoletes, conflicts, versions, choices, hard links, links to directories, odd names, large headers.
//!
//! `case-…` packages ask; `part-…` packages are asked for. The oracle test asks for each of them.

use crate::recipe::{EMPTY, Kind, Recipe};

/// A package that holds nothing and has these relations.
const fn relations(name: &'static str, tags: &'static str) -> Recipe {
    Recipe { name, tags, kind: Kind::Independent, ..EMPTY }
}

/// The same of a version.
const fn version(name: &'static str, version: &'static str, tags: &'static str) -> Recipe {
    Recipe { name, version, tags, kind: Kind::Independent, ..EMPTY }
}

pub const RECIPES: &[Recipe] = &[
    // What the cases choose from.
    relations("part-a", "Provides: part\n"),
    version("part-b", "1-1", "Provides: part\nProvides: part-animal(dog)\n"),
    version("part-b", "2-1", "Provides: part\nProvides: part-animal(dog)\n"),
    relations("part-c", "Provides: part\nProvides: part-number = 1\n"),
    relations("part-d", "Provides: part-number = 2\nProvides: part-animal(dog)\n"),
    relations("part-e", "Provides: part-number = 3\nProvides: part-animal(cat)\n"),
    // Rich dependencies, each operator.
    relations("case-and", "Requires: (part-a and part-b)\n"),
    relations("case-or", "Requires: (part-b or part-a)\n"),
    relations("case-or-versions", "Requires: (part-a >= 2 or part-b >= 2)\n"),
    relations("case-if", "Requires: (part-a if part-b)\n"),
    relations("case-if-true", "Requires: (part-a if part-b)\nRequires: part-b\n"),
    relations("case-if-else", "Requires: (part-a if part-d else part-c)\nRequires: part-d\n"),
    relations("case-if-else-false", "Requires: (part-a if case-nobody else part-c)\n"),
    relations("case-unless", "Requires: part-c\nConflicts: (part-a unless part-b)\n"),
    relations(
        "case-unless-else",
        "Requires: part-a\nRequires: part-b\nConflicts: (part-a unless part-b else part-c)\n",
    ),
    relations("case-with", "Requires: (part-number with part-animal(dog))\n"),
    relations("case-with-range", "Requires: (part-number >= 1 with part-number < 2)\n"),
    relations("case-without", "Requires: (part-number without part-animal(dog))\n"),
    relations("case-nested", "Requires: ((part-a and part-c) or (part-d and part-e))\n"),
    relations(
        "case-nested-if",
        "Requires: (part-a if (part-b and part-c))\nRequires: part-b\nRequires: part-c\n",
    ),
    relations("case-rich-conflict", "Requires: part-a\nConflicts: (part-a and part-c)\n"),
    relations("case-rich-conflict-2", "Requires: part-c\nRequires: part-a\nConflicts: (part-a and part-d)\n"),
    // Choices.
    relations("case-choice", "Requires: part\n"),
    relations("case-choice-number", "Requires: part-number\n"),
    relations("case-choice-recommended", "Requires: part\nRecommends: part-c\n"),
    relations("case-choice-suggested", "Requires: part\nSuggests: part-c\n"),
    relations("case-choice-supplemented", "Requires: part\n"),
    version("part-f", "1-1", "Provides: part\nSupplements: case-choice-supplemented\n"),
    relations("case-choice-enhanced", "Requires: part\n"),
    version("part-g", "1-1", "Provides: part\nEnhances: case-choice-enhanced\n"),
    relations("case-choice-certain", "Requires: part\nRequires: part-number >= 1\nRequires: part-c\n"),
    relations("case-choice-redundant", "Requires: redundant-1\nRequires: redundant-2\n"),
    relations("redundant-first", "Provides: redundant-1\n"),
    relations("redundant-other", "Provides: redundant-1\n"),
    relations("redundant-second", "Provides: redundant-2\nRequires: redundant-other\n"),
    relations("redundant-third", "Provides: redundant-2\n"),
    relations("case-weak", "Recommends: part-a\nSuggests: part-b\nEnhances: part-c\n"),
    // Obsoletes and conflicts.
    version("old-name", "1.0-1", ""),
    version("new-name", "2.0-1", "Obsoletes: old-name < 2\nProvides: old-name = 2.0\n"),
    relations("case-obsoleted", "Requires: old-name\n"),
    version("old-silent", "1.0-1", ""),
    version("new-silent", "2.0-1", "Obsoletes: old-silent < 2\n"),
    relations("case-obsoleted-silently", "Requires: old-silent\n"),
    version("old-kept", "3.0-1", ""),
    version("new-kept", "2.0-1", "Obsoletes: old-kept < 2\nProvides: old-kept = 2\n"),
    relations("case-not-obsoleted", "Requires: old-kept\n"),
    relations("case-conflict", "Requires: part\nConflicts: part-a\n"),
    relations("case-conflict-version", "Requires: part-b\nConflicts: part-b >= 2\n"),
    relations("case-conflict-itself", "Provides: case-thing\nConflicts: case-thing\n"),
    version("case-broken-newest", "2-1", "Requires: case-nobody\n"),
    version("case-broken-newest", "1-1", ""),
    relations("case-older", "Requires: case-broken-newest\n"),
    // Versions.
    version("version-tilde", "1.0~rc1-1", ""),
    version("version-caret", "1.0^20260101git1234567-1", ""),
    version("version-epoch", "3:0.5-2.fc44", ""),
    relations("case-tilde", "Requires: version-tilde < 1.0\nRequires: version-tilde >= 1.0~\n"),
    relations("case-caret", "Requires: version-caret > 1.0\n"),
    relations("case-epoch", "Requires: version-epoch >= 2\nRequires: version-epoch = 3:0.5\n"),
    relations("case-release", "Requires: version-epoch = 3:0.5-2.fc44\n"),
    relations("case-unversioned", "Requires: part >= 7\n"),
    // Paths.
    relations("case-path", "Requires: /usr/share/case/only-in-filelists\n"),
    relations("case-path-in-primary", "Requires: /etc/case.conf\n"),
    relations("case-path-provided", "Requires: /bin/sh\n"),
    Recipe {
        name: "part-files",
        tree: r#"
printf 'found\n' | file usr/share/case/only-in-filelists
printf 'found\n' | file etc/case.conf
printf 'read me\n' | file usr/share/doc/part-files/README
printf 'licence\n' | file usr/share/licenses/part-files/LICENSE
printf 'manual\n' | file usr/share/man/man1/case.1
mkdir usr/share/case/directory
printf 'behind a link\n' > usr/share/case/directory/file
ln -s directory usr/share/case/link-to-directory
printf 'linked\n' > usr/share/case/hard-1
ln usr/share/case/hard-1 usr/share/case/hard-2
ln usr/share/case/hard-1 usr/share/case/hard-3
: > usr/share/case/empty
ln usr/share/case/empty usr/share/case/empty-2
printf 'a name with spaces and more\n' > 'usr/share/case/an odd name, 100% ä'
chmod 4755 usr/share/case/hard-1
mkdir -p var/lib/case var/cache/case
chmod 2770 var/lib/case
"#,
        marks: &[
            ("/etc/case.conf", "%config"),
            ("/usr/share/doc/part-files/README", "%doc %readme"),
            ("/var/cache/case", "%ghost %attr(0755,root,root)"),
        ],
        files: "%ghost %attr(0600,root,root) /var/lib/case/state\n",
        ..EMPTY
    },
    // Files below directories that are links in filesystem.
    Recipe {
        name: "part-behind-links",
        kind: Kind::Independent,
        tags: "Requires: filesystem\n",
        tree: r#"
printf '#!/bin/sh\n' | program usr/sbin/case-behind-link
printf 'found\n' | file lib/case-behind-link/file
printf 'found\n' | file var/mail/case-behind-link
"#,
        ..EMPTY
    },
    Recipe {
        name: "part-many-files",
        kind: Kind::Independent,
        tree: "mkdir -p usr/share/case-many\nfor one in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do for two in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do printf '%s\\n' \"$one$two\" > usr/share/case-many/$one$two; done; done\nhead -c 3000000 /dev/zero > usr/share/case-many/large\n",
        payload: "w1.gzdio",
        ..EMPTY
    },
    Recipe {
        name: "part-uncompressed",
        kind: Kind::Independent,
        tree: "printf 'plain\\n' | file usr/share/case-plain/file\n",
        payload: "w.ufdio",
        ..EMPTY
    },
    // 32 bits beside 64.
    relations("case-multilib", "Requires: libz.so.1\n"),
    relations("case-multilib-name", "Requires: zlib-ng-compat\n"),
    // Scriptlets of every kind that an installation runs, and of those that it does not.
    Recipe {
        name: "case-scriptlets",
        kind: Kind::Independent,
        sections: r#"
%pretrans -p <lua>
local unused = 1

%pre
getent group case-scripted > /dev/null || groupadd -r case-scripted
exit 0

%post -p /sbin/ldconfig

%preun
true

%postun -p /sbin/ldconfig

%posttrans
touch --no-create /usr/share/icons/hicolor || :

%verifyscript
true

%triggerin -- part-a, part-b > 1
echo "a part came"

%triggerun -- part-a
echo "a part goes"

%triggerprein -p <lua> -- part-c
local unused = 2

%filetriggerin -- /usr/share/case
while read path; do :; done

%transfiletriggerpostun -p <lua> -- /usr/share/case
local unused = 3
"#,
        ..EMPTY
    },
];
