//! What every root begins with: directories, accounts, release, time zones, certificates, crypto policies.

use crate::recipe::{EMPTY, Kind, Recipe};

pub const RECIPES: &[Recipe] = &[
    Recipe {
        name: "filesystem",
        version: "3.18-50.fc44",
        tags: "Requires(pre): setup\nProvides: filesystem(unmerged-sbin-symlinks)\n\
               # The links at the top stand for the paths below them.\nProvides: /bin\nProvides: /sbin\n",
        tree: r#"
for directory in afs boot dev etc/opt etc/sysconfig etc/skel etc/ssl etc/profile.d etc/xdg/autostart home media mnt opt \
    proc root run srv sys tmp usr/bin usr/games usr/include usr/lib/debug usr/lib/games usr/lib/locale usr/lib/sysusers.d \
    usr/lib/tmpfiles.d usr/lib/systemd/system usr/lib64 usr/libexec usr/local/bin usr/local/lib usr/local/lib64 \
    usr/local/share/man usr/share/applications usr/share/doc usr/share/info usr/share/licenses \
    usr/share/locale/de/LC_MESSAGES usr/share/man usr/share/misc usr/share/pki usr/src var/cache var/empty var/lib/misc \
    var/log var/opt var/preserve var/spool/lpd var/tmp; do
    mkdir -p "$directory"
done
for section in 1 2 3 4 5 6 7 8 9; do mkdir "usr/share/man/man$section"; done
ln -s usr/bin bin
ln -s usr/sbin sbin
ln -s usr/lib lib
ln -s usr/lib64 lib64
ln -s bin usr/sbin
ln -s bin usr/local/sbin
ln -s ../run var/run
ln -s ../run/lock var/lock
ln -s spool/mail var/mail
mkdir -p var/spool/mail
chmod 555 . usr/bin usr/lib usr/lib64
chmod 550 root
chmod 1777 tmp var/tmp
"#,
        marks: &[
            ("/var/spool/mail", "%attr(0775,root,mail)"),
            ("/proc", "%attr(0555,root,root)"),
            ("/sys", "%attr(0555,root,root)"),
        ],
        files: "%ghost %attr(0644,root,root) /etc/machine-info\n",
        sections: r#"
%pretrans -p <lua>
for _, path in ipairs({ "/usr", "/usr/bin", "/usr/lib", "/usr/lib64" }) do
  posix.mkdir(path)
end
posix.symlink("usr/bin", "/bin")
posix.symlink("usr/lib", "/lib")
posix.symlink("usr/lib64", "/lib64")

%posttrans -p <lua>
for _, directory in ipairs({ "/usr/local/share/man", "/var/empty" }) do
  posix.chmod(directory, "u=rwx,g=rx,o=rx")
end
"#,
        ..EMPTY
    },
    Recipe {
        name: "setup",
        version: "2.15.0-26.fc44",
        kind: Kind::Independent,
        debs: &["all:netbase"],
        tags: "Requires: system-release\n",
        tree: r#"
keep etc/protocols etc/services usr/share/licenses
file etc/passwd << 'END'
root:x:0:0:Super User:/root:/bin/bash
bin:x:1:1:bin:/bin:/usr/sbin/nologin
daemon:x:2:2:daemon:/sbin:/usr/sbin/nologin
adm:x:3:4:adm:/var/adm:/usr/sbin/nologin
mail:x:8:12:mail:/var/spool/mail:/usr/sbin/nologin
nobody:x:65534:65534:Kernel Overflow User:/:/usr/sbin/nologin
END
file etc/group << 'END'
root:x:0:
bin:x:1:
daemon:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:12:
users:x:100:
utmp:x:22:
nobody:x:65534:
END
file etc/shadow << 'END'
root::20000:0:99999:7:::
END
file etc/gshadow << 'END'
root:::
END
chmod 000 etc/shadow etc/gshadow
file etc/shells << 'END'
/bin/sh
/bin/bash
END
printf '127.0.0.1 localhost\n::1 localhost\n' | file etc/hosts
printf 'multi on\n' | file etc/host.conf
printf 'umask 022\n' | file etc/profile
for name in aliases bashrc environment motd printcap subuid subgid; do : | file "etc/$name"; done
file usr/lib/sysusers.d/20-setup-groups.conf << 'END'
g root 0
g tty 5
g mail 12
g users 100
END
file usr/lib/sysusers.d/20-setup-users.conf << 'END'
u root 0:0 "Super User" /root /bin/bash
u nobody 65534:65534 "Kernel Overflow User" -
END
printf 'f /run/motd 0644 root root -\n' | file usr/lib/tmpfiles.d/setup.conf
"#,
        marks: &[
            ("/etc/shadow", "%attr(0000,root,root) %config(noreplace,missingok)"),
            ("/etc/gshadow", "%attr(0000,root,root) %config(noreplace,missingok)"),
            ("/etc/services", "%config(noreplace) %verify(not md5 size mtime)"),
        ],
        sections: r#"
%post -p <lua>
for _, name in ipairs({ "passwd", "shadow", "group", "gshadow" }) do
  os.remove("/etc/" .. name .. ".rpmnew")
end
"#,
        payload: "w3.gzdio",
        ..EMPTY
    },
    Recipe {
        name: "fedora-release-common",
        version: "44-0.12",
        kind: Kind::Independent,
        tags: "Requires: fedora-release-variant = 44\nRequires: fedora-repos(44)\nSuggests: fedora-release\n\
               Provides: system-release = %{version}-%{release}\nProvides: system-release(44)\n\
               Provides: base-module(platform:f44)\nConflicts: generic-release\n",
        tree: r#"
printf 'Fedora release 44 (Rawhide)\n' | file etc/fedora-release
ln -s fedora-release etc/system-release
ln -s ../usr/lib/os-release etc/os-release
printf '%%fedora 44\n%%dist .fc44\n' | file usr/lib/rpm/macros.d/macros.dist
printf 'enable getty@.service\ndisable *\n' | file usr/lib/systemd/system-preset/99-default-disable.preset
"#,
        ..EMPTY
    },
    Recipe {
        name: "fedora-release-identity-container",
        version: "44-0.12",
        kind: Kind::Independent,
        tags: "Provides: fedora-release-identity = %{version}-%{release}\nConflicts: fedora-release-identity\n",
        tree: r#"
file usr/lib/os-release << 'END'
NAME="Fedora Linux"
VERSION="44 (Container Image Prerelease)"
RELEASE_TYPE=development
ID=fedora
VERSION_ID=44
PLATFORM_ID="platform:f44"
PRETTY_NAME="Fedora Linux 44 (Container Image Prerelease)"
CPE_NAME="cpe:/o:fedoraproject:fedora:44"
HOME_URL="https://example.org/"
VARIANT="Container Image"
VARIANT_ID=container
END
"#,
        ..EMPTY
    },
    Recipe {
        name: "fedora-release-container",
        version: "44-0.12",
        kind: Kind::Independent,
        tags: "Provides: fedora-release = %{version}-%{release}\nProvides: fedora-release-variant = %{version}-%{release}\n\
               Requires: fedora-release-common = %{version}-%{release}\n\
               Requires: fedora-release-identity-container = %{version}-%{release}\nRecommends: glibc-all-langpacks\n",
        ..EMPTY
    },
    Recipe {
        name: "fedora-release-cinnamon",
        version: "44-0.12",
        kind: Kind::Independent,
        tags: "Provides: fedora-release = %{version}-%{release}\nProvides: fedora-release-variant = %{version}-%{release}\n\
               Requires: fedora-release-common = %{version}-%{release}\n\
               Provides: fedora-release-identity = %{version}-%{release}\nConflicts: fedora-release-identity\n",
        ..EMPTY
    },
    Recipe {
        name: "fedora-repos",
        version: "44-0.3",
        kind: Kind::Independent,
        tags: "Provides: fedora-repos(44) = %{version}-%{release}\nRequires: system-release(44)\n\
               Requires: fedora-gpg-keys >= %{version}-%{release}\n",
        tree: "printf '[fedora]\\nname=Fedora\\nenabled=1\\n' | file etc/yum.repos.d/fedora.repo\n",
        ..EMPTY
    },
    Recipe {
        name: "fedora-gpg-keys",
        version: "44-0.3",
        kind: Kind::Independent,
        tree: "printf 'a key\\n' | file etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-44-primary\n\
               ln -s RPM-GPG-KEY-fedora-44-primary etc/pki/rpm-gpg/RPM-GPG-KEY-44-fedora\n",
        ..EMPTY
    },
    Recipe {
        name: "basesystem",
        version: "11-23.fc44",
        kind: Kind::Independent,
        tags: "Requires(pre): setup\nRequires(pre): filesystem\n",
        ..EMPTY
    },
    Recipe {
        name: "tzdata",
        version: "{tzdata}-1.fc44",
        kind: Kind::Independent,
        debs: &["all:tzdata"],
        tree: "rm -rf usr/share/zoneinfo/posix usr/share/zoneinfo/right usr/share/zoneinfo/localtime\n",
        payload: "w2.xzdio",
        ..EMPTY
    },
    Recipe {
        name: "crypto-policies",
        version: "20260714-1.git12ab34c.fc44",
        kind: Kind::Independent,
        tags: "Recommends: crypto-policies-scripts\nConflicts: openssl-libs < 1:3\nConflicts: openssh < 9.0p1\n",
        tree: r#"
for policy in DEFAULT FUTURE LEGACY; do
    for program in gnutls nss openssh opensshserver openssl opensslcnf; do
        printf '# %s of %s\n' "$program" "$policy" | file "usr/share/crypto-policies/$policy/$program.txt"
    done
done
printf 'DEFAULT\n' | file usr/share/crypto-policies/default-config
printf 'DEFAULT\n' | file etc/crypto-policies/config
mkdir -p etc/crypto-policies/back-ends etc/crypto-policies/local.d etc/crypto-policies/policies/modules \
    etc/crypto-policies/state
printf 'DEFAULT\n' | file etc/crypto-policies/state/current
for program in gnutls nss openssh opensshserver openssl opensslcnf; do
    ln -s "/usr/share/crypto-policies/DEFAULT/$program.txt" "etc/crypto-policies/back-ends/$program.config"
done
"#,
        marks: &[
            ("/etc/crypto-policies/back-ends/", "%ghost %config(missingok,noreplace)"),
            (
                "/etc/crypto-policies/state/current",
                "%ghost %attr(0644,root,root) %config(missingok,noreplace)",
            ),
        ],
        sections: r#"
%post -p <lua>
if not posix.access("/etc/crypto-policies/config") then
  return 0
end
local base = "/usr/share/crypto-policies/DEFAULT"
for _, name in ipairs(posix.dir(base) or {}) do
  local program = string.match(name, "^(.*)%.txt$")
  if program then
    posix.symlink(base .. "/" .. name, "/etc/crypto-policies/back-ends/" .. program .. ".config")
  end
end
"#,
        ..EMPTY
    },
    Recipe {
        name: "ca-certificates",
        version: "2025.2.80_v9.0.304-1.1.fc44",
        kind: Kind::Independent,
        debs: &["all:ca-certificates"],
        tags: "Requires(post): bash\nRequires(post): findutils\nRequires(post): sed\nRequires(post): coreutils\n\
               Requires(post): p11-kit >= 0.23\nRequires(post): p11-kit-trust >= 0.23\nRequires: libffi\n",
        tree: CERTIFICATES,
        marks: &[
            ("/etc/pki/ca-trust/extracted/pem/directory-hash", ""),
            ("/etc/pki/ca-trust/extracted/README", "%config(noreplace)"),
            ("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "%ghost %attr(0444,root,root)"),
            ("/etc/pki/ca-trust/extracted/pem/email-ca-bundle.pem", "%ghost %attr(0444,root,root)"),
            ("/etc/pki/ca-trust/extracted/pem/objsign-ca-bundle.pem", "%ghost %attr(0444,root,root)"),
            ("/etc/pki/ca-trust/extracted/openssl/ca-bundle.trust.crt", "%ghost %attr(0444,root,root)"),
            ("/etc/pki/ca-trust/extracted/java/cacerts", "%ghost %attr(0444,root,root)"),
            ("/etc/pki/ca-trust/extracted/edk2/cacerts.bin", "%ghost %attr(0444,root,root)"),
        ],
        sections: r#"
%post
/usr/bin/update-ca-trust extract || :
"#,
        ..EMPTY
    },
];

/// Mozilla's certificates as Debian has them, written as p11-kit reads them; one of them for mail only, and one that
/// must not be trusted.
const CERTIFICATES: &str = r#"
bundle=usr/share/pki/ca-trust-source/ca-bundle.trust.p11-kit
mkdir -p usr/share/pki/ca-trust-source/anchors usr/share/pki/ca-trust-source/blocklist
{
    printf '# Certificates of Mozilla, for tests.\n'
    for certificate in usr/share/ca-certificates/mozilla/*.crt; do
        label=$(basename "$certificate" .crt)
        printf '\n[p11-kit-object-v1]\nlabel: "%s"\n' "$label"
        case "$label" in
        Certigna) printf 'x-distrusted: true\n' ;;
        *) printf 'trusted: true\nnss-mozilla-ca-policy: true\n' ;;
        esac
        printf 'modifiable: false\n'
        cat "$certificate"
    done
} > "$bundle.new"
mv "$bundle.new" "$bundle"
rm -rf usr/share/ca-certificates usr/bin/update-ca-certificates etc usr/share/doc usr/share/man
program usr/bin/update-ca-trust << 'END'
#!/usr/bin/bash
exec /usr/bin/p11-kit extract --format=pem-bundle --purpose=server-auth --overwrite \
    --filter=ca-anchors --comment /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
END
mkdir -p etc/pki/ca-trust/source/anchors etc/pki/ca-trust/source/blocklist etc/pki/java etc/pki/tls/certs etc/pki/tls/private
for part in pem/tls-ca-bundle.pem pem/email-ca-bundle.pem pem/objsign-ca-bundle.pem openssl/ca-bundle.trust.crt \
    java/cacerts edk2/cacerts.bin; do
    : | file "etc/pki/ca-trust/extracted/$part"
    chmod 444 "etc/pki/ca-trust/extracted/$part"
done
mkdir -p etc/pki/ca-trust/extracted/pem/directory-hash
printf 'What is here is made by update-ca-trust.\n' | file etc/pki/ca-trust/extracted/README
: | file etc/pki/ca-trust/ca-legacy.conf
link etc/pki/tls/cert.pem /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
link etc/pki/tls/certs/ca-bundle.crt /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
link etc/pki/tls/certs/ca-bundle.trust.crt /etc/pki/ca-trust/extracted/openssl/ca-bundle.trust.crt
link etc/pki/java/cacerts /etc/pki/ca-trust/extracted/java/cacerts
link etc/ssl/certs ../pki/tls/certs
link etc/ssl/cert.pem /etc/pki/tls/certs/ca-bundle.crt
"#;
