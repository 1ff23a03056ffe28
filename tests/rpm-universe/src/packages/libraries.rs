//! glibc in its parts, OpenSSL, and what programs link against. Their relations are found by rpmbuild in the files, as
//! Fedora's are: `libc.so.6(GLIBC_2.34)(64bit)`.

use crate::recipe::{EMPTY, Kind, Recipe};

pub const RECIPES: &[Recipe] = &[
    Recipe {
        name: "glibc",
        version: "{libc6}-4.fc44",
        debs: &["libc6"],
        tags: "Requires: glibc-common = %{version}-%{release}\nRequires: glibc-langpack = %{version}-%{release}\n\
               Suggests: glibc-minimal-langpack = %{version}-%{release}\n\
               Recommends: (glibc-gconv-extra = %{version}-%{release} if redhat-rpm-config)\nRequires(pre): basesystem\n\
               Requires: libgcc\nProvides: ldconfig\nProvides: rtld(GNU_HASH)\nProvides: bundled(gnulib)\n\
               Provides: /sbin/ldconfig\nConflicts: kernel < 3.2\n",
        tree: r#"
rm -rf usr/lib64/gconv etc usr/lib64/ld-*.so usr/share/doc
chmod 755 usr/lib64/*.so*
case $arch in
aarch64)
    rm usr/lib/ld-linux-aarch64.so.1
    ln -s ../lib64/ld-linux-aarch64.so.1 usr/lib/ld-linux-aarch64.so.1
    ;;
esac
test ! -L "usr/lib64/$loader"
printf 'include ld.so.conf.d/*.conf\n' | file etc/ld.so.conf
mkdir -p etc/ld.so.conf.d var/cache/ldconfig
# Debian's loader looks into Debian's directories by itself; the cache brings it to these.
printf '/usr/lib64\n' | file etc/ld.so.conf.d/fixture-lib64.conf
printf '# name service\npasswd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n' \
    | file etc/nsswitch.conf
printf '# order of addresses\n' | file etc/gai.conf
"#,
        marks: &[
            ("/etc/nsswitch.conf", "%config(noreplace)"),
            ("/var/cache/ldconfig", "%attr(0700,root,root)"),
        ],
        files: "%ghost %attr(0644,root,root) %verify(not md5 size mtime) /etc/ld.so.cache\n\
                %ghost %attr(0600,root,root) /var/cache/ldconfig/aux-cache\n",
        sections: r#"
%pre -p <lua>
local release = posix.uname("%r")
if string.match(release, "^[012]%.") then
  error("the kernel " .. release .. " is too old for this library")
end

%post -p <lua>
posix.exec = posix.exec or function() end
for _, path in ipairs({ "/usr/lib64/libpthread.so.20", "/usr/lib64/librt.so.20" }) do
  os.remove(path)
end
rpm.execute("/usr/sbin/ldconfig")

%transfiletriggerin -P 2000000 -p <lua> -- /lib /usr/lib /lib64 /usr/lib64
rpm.execute("/usr/sbin/ldconfig")

%transfiletriggerpostun -P 2000000 -p <lua> -- /lib /usr/lib /lib64 /usr/lib64
rpm.execute("/usr/sbin/ldconfig")
"#,
        payload: "w2.xzdio",
        ..EMPTY
    },
    Recipe {
        name: "glibc",
        version: "{libc6}-4.fc44",
        kind: Kind::Multilib,
        tags: "Requires: glibc-common = %{version}-%{release}\nRequires: glibc-langpack = %{version}-%{release}\n\
               Provides: libc.so.6\nProvides: libc.so.6(GLIBC_2.0)\nProvides: libc.so.6(GLIBC_2.4)\n\
               Provides: rtld(GNU_HASH)\n",
        tree: "printf 'for 32 bits\\n' | file usr/lib/libc.so.6\nchmod 755 usr/lib/libc.so.6\n",
        ..EMPTY
    },
    Recipe {
        name: "glibc-common",
        version: "{libc-bin}-4.fc44",
        debs: &["libc-bin"],
        tags: "Requires: glibc = %{version}-%{release}\nRequires: tzdata >= 2003a\n",
        tree: r#"
rm -rf etc usr/share/libc-bin usr/share/doc usr/lib/systemd usr/bin/tzselect usr/bin/ldd
mkdir -p usr/lib/locale
printf 'made by build-locale-archive\n' | file usr/lib/locale/locale-archive
"#,
        marks: &[(
            "/usr/lib/locale/locale-archive",
            "%attr(0644,root,root) %verify(not md5 size mtime mode) %ghost %config(missingok,noreplace)",
        )],
        ..EMPTY
    },
    Recipe {
        name: "glibc-minimal-langpack",
        version: "{libc6}-4.fc44",
        tags: "Provides: glibc-langpack = %{version}-%{release}\nRequires: glibc = %{version}-%{release}\n\
               Requires: glibc-common = %{version}-%{release}\n",
        ..EMPTY
    },
    Recipe {
        name: "glibc-langpack-de",
        version: "{libc6}-4.fc44",
        tags: "Provides: glibc-langpack = %{version}-%{release}\nRequires: glibc = %{version}-%{release}\n\
               Provides: glibc-langpack-de_DE\nSupplements: ((glibc and (langpacks-de or langpacks-de_DE)) unless glibc-all-langpacks)\n",
        tree: "printf 'a locale\\n' | file usr/lib/locale/de_DE.utf8/LC_CTYPE\n",
        marks: &[("/usr/lib/locale/de_DE.utf8/LC_CTYPE", "%lang(de)")],
        ..EMPTY
    },
    Recipe {
        name: "glibc-all-langpacks",
        version: "{libc6}-4.fc44",
        tags: "Provides: glibc-langpack = %{version}-%{release}\nRequires: glibc = %{version}-%{release}\n\
               Requires: glibc-common = %{version}-%{release}\nProvides: glibc-langpack-de = %{version}-%{release}\n",
        tree: "printf 'locales\\n' | file usr/lib/locale/locale-archive.real\n",
        ..EMPTY
    },
    Recipe {
        name: "glibc-gconv-extra",
        version: "{libc6}-4.fc44",
        debs: &["libc6"],
        tags: "Requires: glibc = %{version}-%{release}\nRequires: glibc-common = %{version}-%{release}\n",
        tree: "keep usr/lib64/gconv/ISO8859-15.so usr/lib64/gconv/EUC-JP.so usr/lib64/gconv/libJIS.so usr/lib64/gconv/gconv-modules.d\n",
        sections: "%transfiletriggerin -P 1000000 -- /usr/lib64/gconv\nif [ -x /usr/sbin/iconvconfig ]; then\n    \
                   /usr/sbin/iconvconfig -o /usr/lib64/gconv/gconv-modules.cache --nostdlib /usr/lib64/gconv\nfi\n",
        ..EMPTY
    },
    Recipe {
        name: "libgcc",
        version: "{libgcc-s1}-3.fc44",
        debs: &["libgcc-s1"],
        tags: "AutoReq: no\n",
        sections: "%post -p <lua>\nif posix.access(\"/usr/sbin/ldconfig\", \"x\") then\n  rpm.execute(\"/usr/sbin/ldconfig\")\nend\n",
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "openssl-libs",
        version: "1:{libssl3}-2.fc44",
        debs: &["libssl3"],
        tags: "Requires: ca-certificates >= 2008-5\nRequires: crypto-policies >= 20180730\nProvides: openssl-fips = 1:3.0~beta2\n\
               Recommends: (openssl-fips-provider if fips-mode-setup)\n",
        tree: r#"
rm -rf usr/share/doc
printf 'openssl_conf = openssl_init\n[openssl_init]\n' | file etc/pki/tls/openssl.cnf
mkdir -p etc/pki/tls/openssl.d etc/pki/tls/misc
printf '# certificate transparency\n' | file etc/pki/tls/ct_log_list.cnf
# Debian's library looks here.
link usr/lib/ssl/openssl.cnf /etc/pki/tls/openssl.cnf
link usr/lib/ssl/certs /etc/pki/tls/certs
link usr/lib/ssl/cert.pem /etc/pki/tls/cert.pem
"#,
        ..EMPTY
    },
    Recipe {
        // The release that the files come from has no such module: this one can be looked at, and not loaded.
        name: "openssl-fips-provider",
        version: "3.0.7-9.fc44",
        tags: "Provides: openssl-fips-provider-so = %{version}-%{release}\n",
        tree: "printf 'no module\\n' | file usr/lib64/ossl-modules/fips.so\n",
        ..EMPTY
    },
    Recipe {
        name: "openssl",
        version: "1:{openssl}-2.fc44",
        debs: &["openssl"],
        tags: "Requires: openssl-libs%{?_isa} = %{epoch}:%{version}-%{release}\nRequires: coreutils\n",
        tree: "keep usr/bin/openssl usr/share/licenses\n",
        ..EMPTY
    },
    Recipe {
        name: "zlib-ng-compat",
        version: "2.2.5-3.fc44",
        debs: &["zlib1g"],
        tags: "Provides: zlib = 1.3.1.zlib-ng\nProvides: zlib%{?_isa} = 1.3.1.zlib-ng\nObsoletes: zlib < 1.3\nConflicts: zlib%{?_isa}\n",
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "zlib-ng-compat",
        version: "2.2.5-3.fc44",
        kind: Kind::Multilib,
        tags: "Provides: zlib = 1.3.1.zlib-ng\nProvides: libz.so.1\nProvides: libz.so.1(ZLIB_1.2.0)\nRequires: libc.so.6\n\
               Requires: libc.so.6(GLIBC_2.4)\nRequires: rtld(GNU_HASH)\nObsoletes: zlib < 1.3\nConflicts: zlib%{?_isa}\n",
        tree: "printf 'for 32 bits\\n' | file usr/lib/libz.so.1.2.13\nchmod 755 usr/lib/libz.so.1.2.13\nln -s libz.so.1.2.13 usr/lib/libz.so.1\n",
        ..EMPTY
    },
    // What zlib-ng-compat is in place of.
    Recipe {
        name: "zlib",
        version: "1.2.13-9.fc40",
        debs: &["zlib1g"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "libxcrypt",
        version: "{libcrypt1}-8.fc44",
        debs: &["libcrypt1"],
        tags: "Requires: glibc%{?_isa} >= 2.27\nProvides: libcrypt.so.1(XCRYPT_2.0)(64bit)\n",
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "pcre2",
        version: "{libpcre2-8-0}-1.fc44.1",
        debs: &["libpcre2-8-0"],
        tags: "Requires: pcre2-syntax = %{version}-%{release}\nProvides: bundled(sljit)\n",
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "pcre2-syntax",
        version: "{libpcre2-8-0}-1.fc44.1",
        kind: Kind::Independent,
        tags: "Conflicts: pcre2-devel < 10.34-8\n",
        tree: "printf 'patterns\\n' | file usr/share/man/man3/pcre2syntax.3\nprintf 'patterns\\n' | file usr/share/doc/pcre2-syntax/syntax.txt\n",
        ..EMPTY
    },
    Recipe {
        name: "libacl",
        version: "{libacl1}-3.fc44",
        debs: &["libacl1"],
        tree: "rm -rf usr/share/doc usr/share/locale\n",
        ..EMPTY
    },
    Recipe {
        name: "libattr",
        version: "{libattr1}-6.fc44",
        debs: &["libattr1"],
        tree: "rm -rf usr/share/doc\n",
        marks: &[("/etc/xattr.conf", "%config(noreplace)")],
        ..EMPTY
    },
    Recipe {
        name: "libselinux",
        version: "{libselinux1}-1.fc44",
        debs: &["libselinux1"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "libcap",
        version: "{libcap2}-3.fc44",
        debs: &["libcap2"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "gmp",
        version: "1:{libgmp10}-4.fc44",
        debs: &["libgmp10"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "mpfr",
        version: "{libmpfr6}-7.fc44",
        debs: &["libmpfr6"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "libsigsegv",
        version: "{libsigsegv2}-12.fc44",
        debs: &["libsigsegv2"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "ncurses-base",
        version: "{ncurses-base}-7.20260103.fc44",
        kind: Kind::Independent,
        debs: &["all:ncurses-base"],
        tags: "Provides: terminfo\nObsoletes: libterm < 2\n",
        tree: "mkdir -p usr/share/terminfo\ntest ! -d usr/lib/terminfo || cp -r usr/lib/terminfo/. usr/share/terminfo\nrm -rf usr/lib etc usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "ncurses-libs",
        version: "{libtinfo6}-7.20260103.fc44",
        debs: &["libtinfo6", "libncursesw6"],
        tags: "Requires: ncurses-base = %{version}-%{release}\n",
        tree: "rm -rf usr/share/doc usr/lib64/terminfo\n",
        ..EMPTY
    },
    Recipe {
        name: "readline",
        version: "{libreadline8}-1.fc44",
        debs: &["libreadline8"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "xz-libs",
        version: "1:{liblzma5}-2.fc44",
        debs: &["liblzma5"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "bzip2-libs",
        version: "{libbz2-1.0}-21.fc44",
        debs: &["libbz2-1.0"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "libzstd",
        version: "{libzstd1}-1.fc44",
        debs: &["libzstd1"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "libffi",
        version: "{libffi8}-3.fc44",
        debs: &["libffi8"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "libtasn1",
        version: "{libtasn1-6}-3.fc44",
        debs: &["libtasn1-6"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "libidn2",
        version: "{libidn2-0}-2.fc44",
        debs: &["libidn2-0"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "libunistring",
        version: "{libunistring2}-10.fc44",
        debs: &["libunistring2"],
        tree: "rm -rf usr/share/doc\n",
        ..EMPTY
    },
    Recipe {
        name: "p11-kit",
        version: "{libp11-kit0}-1.fc44",
        debs: &["libp11-kit0", "p11-kit"],
        tree: "rm -rf usr/share/doc usr/lib/systemd usr/share/locale usr/libexec\n",
        ..EMPTY
    },
    Recipe {
        name: "p11-kit-trust",
        version: "{p11-kit-modules}-1.fc44",
        debs: &["p11-kit-modules"],
        tags: "Requires: p11-kit%{?_isa} = %{version}-%{release}\nRequires(post): alternatives\nConflicts: nss < 3.14.3-9\n",
        tree: "rm -rf usr/share/doc\n",
        files: "%ghost %attr(0755,root,root) /usr/lib64/libnssckbi.so\n",
        sections: "%post\n/usr/sbin/alternatives --install /usr/lib64/libnssckbi.so libnssckbi.so.%{_arch} \
                   /usr/lib64/pkcs11/p11-kit-trust.so 30\n\n%postun\nif [ $1 -eq 0 ]; then\n    \
                   /usr/sbin/alternatives --remove libnssckbi.so.%{_arch} /usr/lib64/pkcs11/p11-kit-trust.so\nfi\n",
        ..EMPTY
    },
];
