//! A shell and the usual tools; a file with capabilities; set-user-ID; and, as a few lines of shell, the programs that
//! builder images name and that would bring half a distribution.

use crate::recipe::{EMPTY, Kind, Recipe};

pub const RECIPES: &[Recipe] = &[
    Recipe {
        name: "bash",
        version: "{bash}-3.fc44",
        debs: &["bash"],
        tags: "Requires: filesystem >= 3\nProvides: /bin/sh\nProvides: /bin/bash\nProvides: /usr/bin/sh\nProvides: bash-completion-base\n",
        tree: "rm -rf usr/bin/bashbug usr/bin/clear_console usr/bin/rbash etc/bash.bashrc usr/share/doc usr/share/locale usr/share/info\nln -s bash usr/bin/sh\n",
        sections: r#"
%post -p <lua>
local shells = {}
local file = io.open("/etc/shells", "r")
if file then
  for line in file:lines() do
    shells[line] = true
  end
  file:close()
end
local out = io.open("/etc/shells", "a")
for _, name in ipairs({ "/bin/sh", "/bin/bash", "/usr/bin/sh", "/usr/bin/bash" }) do
  if out and not shells[name] then
    out:write(name .. "\n")
  end
end
if out then
  out:close()
end

%postun -p <lua>
if arg[2] == 0 then
  os.remove("/etc/shells.rpmsave")
end
"#,
        ..EMPTY
    },
    Recipe {
        name: "busybox",
        version: "1:{busybox-static}-2.fc44",
        debs: &["busybox-static"],
        tree: "keep usr/bin/busybox usr/share/licenses\n",
        ..EMPTY
    },
    Recipe {
        name: "coreutils",
        version: "{coreutils}-6.fc44",
        debs: &["coreutils"],
        tags: "Requires: coreutils-common = %{version}-%{release}\nConflicts: coreutils-single\nProvides: bundled(gnulib)\n\
               Provides: /bin/cat\n",
        tree: "mv usr/share/man/man1 man1 2> /dev/null || true\nrm -rf usr/share/doc usr/share/info usr/share/man usr/share/locale man1\n",
        payload: "w3.gzdio",
        ..EMPTY
    },
    Recipe {
        name: "coreutils-common",
        version: "{coreutils}-6.fc44",
        debs: &["coreutils"],
        tags: "Recommends: hostname\nObsoletes: coreutils < 8.24-100\n",
        tree: "keep usr/share/man/man1 usr/share/locale usr/share/licenses\nprintf 'colours\\n' | file etc/DIR_COLORS\n",
        marks: &[("/usr/share/locale/de/", "%lang(de)"), ("/usr/share/locale/de/LC_TIME/", "%lang(de)")],
        ..EMPTY
    },
    Recipe {
        name: "coreutils-single",
        version: "{coreutils}-6.fc44",
        debs: &["coreutils"],
        tags: "Provides: coreutils = %{version}-%{release}\nProvides: coreutils%{?_isa} = %{version}-%{release}\nConflicts: coreutils\n\
               Suggests: coreutils-common = %{version}-%{release}\n",
        tree: "keep usr/bin/cat usr/bin/ls usr/bin/env usr/bin/id usr/bin/chroot usr/share/licenses\n",
        ..EMPTY
    },
    Recipe {
        name: "diffutils",
        version: "{diffutils}-10.fc44",
        debs: &["diffutils"],
        tags: "Provides: bundled(gnulib)\n",
        tree: STRIP,
        ..EMPTY
    },
    Recipe {
        name: "findutils",
        version: "1:{findutils}-2.fc44",
        debs: &["findutils"],
        tags: "Provides: bundled(gnulib)\nProvides: /bin/find\n",
        tree: STRIP,
        ..EMPTY
    },
    Recipe {
        name: "gawk",
        version: "{gawk}-4.fc44",
        debs: &["gawk"],
        tags: "Requires: filesystem >= 3\nProvides: /bin/awk\nProvides: /bin/gawk\nRecommends: (gawk-all-langpacks if glibc-all-langpacks)\n",
        tree: "keep usr/bin/gawk usr/share/licenses usr/share/awk\nln -s gawk usr/bin/awk\n",
        ..EMPTY
    },
    Recipe {
        name: "grep",
        version: "{grep}-10.fc44",
        debs: &["grep"],
        tags: "Provides: /bin/grep\n",
        tree: STRIP,
        ..EMPTY
    },
    Recipe {
        name: "gzip",
        version: "{gzip}-5.fc44",
        debs: &["gzip"],
        tags: "Requires: coreutils\nConflicts: filesystem < 3\nProvides: /bin/gzip\n",
        tree: STRIP,
        ..EMPTY
    },
    Recipe { name: "hostname", version: "{hostname}-9.fc44", debs: &["hostname"], tree: STRIP, ..EMPTY },
    Recipe {
        name: "sed",
        version: "{sed}-4.fc44",
        debs: &["sed"],
        tags: "Provides: /bin/sed\n",
        tree: STRIP,
        ..EMPTY
    },
    Recipe {
        name: "tar",
        version: "2:{tar}-6.fc44",
        debs: &["tar"],
        tags: "Provides: /bin/tar\nProvides: /bin/gtar\n",
        tree: "rm -rf usr/share usr/lib etc\nln -s tar usr/bin/gtar\n",
        ..EMPTY
    },
    Recipe {
        name: "iputils",
        version: "{iputils-ping}-6.fc44",
        debs: &["iputils-ping"],
        tags: "Conflicts: filesystem < 3\nProvides: /bin/ping\nRequires: filesystem >= 3\n",
        tree: STRIP,
        marks: &[("/usr/bin/ping", "%attr(0755,root,root) %caps(cap_net_raw=p)")],
        payload: "w2.xzdio",
        ..EMPTY
    },
    Recipe {
        name: "shadow-utils",
        version: "2:4.18.0-3.fc44",
        tags: "Requires: setup\nRequires: audit-libs >= 1.6.5\nProvides: shadow = %{epoch}:%{version}-%{release}\n",
        tree: r#"
for name in useradd groupadd; do printf '#!/bin/sh\nexit 0\n' | program "usr/bin/$name"; done
for name in newgrp gpasswd; do printf '#!/bin/sh\nexit 1\n' | program "usr/bin/$name"; done
for name in newuidmap newgidmap; do printf '#!/bin/sh\nexit 1\n' | program "usr/bin/$name"; done
ln usr/bin/useradd usr/bin/adduser
printf 'UID_MIN 1000\n' | file etc/login.defs
"#,
        marks: &[
            ("/usr/bin/newgrp", "%attr(4755,root,root)"),
            ("/usr/bin/newuidmap", "%attr(0755,root,root) %caps(cap_setuid=ep)"),
            ("/usr/bin/newgidmap", "%attr(0755,root,root) %caps(cap_setgid=ep)"),
        ],
        ..EMPTY
    },
    Recipe {
        name: "audit-libs",
        version: "4.1.2-1.fc44",
        tree: "printf 'log_file = /dev/null\\n' | file etc/libaudit.conf\n",
        marks: &[("/etc/libaudit.conf", "%attr(0640,root,root) %config(noreplace)")],
        ..EMPTY
    },
    Recipe {
        name: "rpm",
        version: "5.99.92-1.fc44",
        tags: "Requires: coreutils\nRequires: rpm-libs%{?_isa} = %{version}-%{release}\n",
        tree: "printf '#!/bin/sh\\nexit 0\\n' | program usr/bin/rpm\n",
        ..EMPTY
    },
    Recipe {
        name: "rpm-libs",
        version: "5.99.92-1.fc44",
        tree: "printf 'macros\\n' | file usr/lib/rpm/macros\n",
        ..EMPTY
    },
    Recipe {
        name: "dnf5",
        version: "5.3.0.0-1.fc44",
        tags: "Provides: dnf = %{version}-%{release}\nObsoletes: dnf < 5\nProvides: yum = %{version}-%{release}\nObsoletes: yum < 5\n\
               Requires: rpm >= 4.17\nRequires: (libdnf5-plugin-actions if libdnf5-plugins)\nRecommends: bash-completion\n",
        tree: "printf '#!/bin/sh\\nexit 0\\n' | program usr/bin/dnf5\nln -s dnf5 usr/bin/dnf\n",
        ..EMPTY
    },
    Recipe {
        name: "dnf",
        version: "4.24.0-1.fc44",
        kind: Kind::Independent,
        tags: "Requires: rpm\n",
        tree: "printf '#!/bin/sh\\nexit 4\\n' | program usr/bin/dnf-4\n",
        ..EMPTY
    },
    Recipe {
        name: "alternatives",
        version: "1.33-3.fc44",
        tree: "printf '#!/bin/sh\\nexit 0\\n' | program usr/bin/alternatives\nln -s alternatives usr/bin/update-alternatives\n\
               mkdir -p etc/alternatives etc/alternatives.admindir var/lib/alternatives\n",
        ..EMPTY
    },
];

/// Only what a program needs to run.
const STRIP: &str = "rm -rf usr/share/doc usr/share/info usr/share/locale usr/share/man etc usr/lib/mime\nsed -i '1s,^#! */bin/bash,#!/usr/bin/bash,' usr/bin/* 2> /dev/null || true\n";
