//! nginx as Fedora splits it.

use crate::recipe::{EMPTY, Kind, Recipe};

pub const RECIPES: &[Recipe] = &[
    Recipe {
        name: "nginx",
        version: "2:{nginx}-4.fc44",
        debs: &["all:nginx-common"],
        tags: "Requires: nginx-core = %{epoch}:%{version}-%{release}\nRequires(pre): nginx-filesystem\nRecommends: logrotate\n\
               Requires(post): systemd\nRequires: system-logos-httpd\nProvides: webserver\n",
        tree: "keep usr/lib/systemd/system/nginx.service etc/logrotate.d/nginx usr/share/licenses\n\
               sed -i 's,/usr/sbin/,/usr/bin/,' usr/lib/systemd/system/nginx.service\n",
        sections: r#"
%post
if [ $1 -eq 1 ] && [ -x "/usr/lib/systemd/systemd-update-helper" ]; then
    # Initial installation
    /usr/lib/systemd/systemd-update-helper install-system-units nginx.service || :
fi

%preun
if [ $1 -eq 0 ] && [ -x "/usr/lib/systemd/systemd-update-helper" ]; then
    # Package removal, not upgrade
    /usr/lib/systemd/systemd-update-helper remove-system-units nginx.service || :
fi

%postun
if [ $1 -ge 1 ]; then
    /usr/bin/nginx-upgrade >/dev/null 2>&1 || :
fi
"#,
        ..EMPTY
    },
    Recipe {
        name: "nginx-core",
        version: "2:{nginx}-4.fc44",
        debs: &["nginx", "all:nginx-common"],
        tags: "Requires: nginx-filesystem = %{epoch}:%{version}-%{release}\nRequires: nginx-mimetypes\n\
               Requires: openssl-libs\nRequires: (nginx-mod-fixture if nginx-all-modules)\nConflicts: nginx < 1:1.20.2-2\n\
               Provides: nginx(abi) = %{version}\n",
        tree: r#"
rm -rf usr/share/doc usr/share/nginx/modules usr/share/nginx/modules-available usr/share/vim etc/ufw etc/logrotate.d usr/lib/systemd \
    etc/nginx/sites-available etc/nginx/sites-enabled etc/nginx/snippets etc/nginx/modules-available etc/nginx/modules-enabled \
    etc/nginx/mime.types etc/nginx/conf.d usr/share/man var usr/lib/nginx
sed -i '/sites-enabled/d; /modules-enabled/d; s/www-data/nginx/' etc/nginx/nginx.conf
chmod 755 usr/bin/nginx
ln etc/nginx/fastcgi.conf etc/nginx/fastcgi.conf.default
ln etc/nginx/fastcgi.conf etc/nginx/fastcgi.conf.example
: | file var/log/nginx/access.log
: | file var/log/nginx/error.log
mkdir -p var/lib/nginx/tmp usr/lib64/nginx/modules usr/share/nginx/modules
link usr/share/nginx/html/en-US index.html
"#,
        marks: &[
            ("/var/lib/nginx", "%attr(0770,nginx,root)"),
            ("/var/lib/nginx/tmp", "%attr(0770,nginx,root)"),
            ("/var/log/nginx", "%attr(0711,root,root)"),
            ("/var/log/nginx/", "%ghost %attr(0640,nginx,root)"),
            ("/etc/nginx/fastcgi_params", "%attr(0640,root,nginx) %config(noreplace)"),
        ],
        sections: r#"
%post
case " $* " in
*" 2 "*) kill -USR2 "$(cat /run/nginx.pid 2> /dev/null)" 2> /dev/null || : ;;
esac
"#,
        ..EMPTY
    },
    Recipe {
        name: "nginx-filesystem",
        version: "2:{nginx}-4.fc44",
        kind: Kind::Independent,
        debs: &["all:nginx-common"],
        tree: r#"
rm -rf usr etc var
mkdir -p etc/nginx/conf.d etc/nginx/default.d etc/systemd/system/nginx.service.d usr/share/nginx/html
file usr/lib/sysusers.d/nginx.conf << 'END'
u nginx - "Nginx web server" /var/lib/nginx
m nginx mail
END
"#,
        ..EMPTY
    },
    Recipe {
        name: "nginx-mimetypes",
        version: "2.1.54-10.fc44",
        kind: Kind::Independent,
        debs: &["all:nginx-common"],
        tree: "keep etc/nginx/mime.types usr/share/licenses\n",
        ..EMPTY
    },
    Recipe {
        name: "system-logos-httpd",
        version: "42.0.1-2.fc44",
        kind: Kind::Independent,
        tree: "printf 'a picture\\n' | file usr/share/pixmaps/poweredby.png\n",
        ..EMPTY
    },
    Recipe {
        name: "systemd",
        version: "259~rc2-1.fc44",
        tags: "Provides: systemd-sysusers = %{version}-%{release}\nRequires: systemd-libs%{?_isa} = %{version}-%{release}\n\
               Obsoletes: systemd-standalone-sysusers < %{version}-%{release}^\nRequires: (util-linux-core or util-linux)\n",
        tree: "printf '#!/bin/sh\\nexit 0\\n' | program usr/bin/systemctl\n",
        sections: r#"
%post
systemctl daemon-reexec || :

%transfiletriggerin -P 1000900 -- /usr/lib/systemd/system/ /etc/systemd/system/
/usr/lib/systemd/systemd-update-helper system-reload-restart || :

%transfiletriggerin -P 1000700 -- /usr/lib/sysusers.d/
systemd-sysusers || :

%transfiletriggerin -P 1000500 -- /usr/lib/tmpfiles.d/
systemd-tmpfiles --create || :

%filetriggerin -P 1000400 -- /usr/lib/udev/hwdb.d/
systemd-hwdb update || :

%triggerun -- systemd-old < 200
systemctl preset-all || :

%triggerin -- setup
true
"#,
        ..EMPTY
    },
    Recipe {
        name: "systemd-libs",
        version: "259~rc2-1.fc44",
        tree: "printf 'a library\\n' | file usr/lib64/libsystemd.so.0.39.0\n",
        ..EMPTY
    },
    Recipe {
        name: "util-linux",
        version: "2.41.2-7.fc44",
        tags: "Requires: util-linux-core = %{version}-%{release}\n",
        tree: "printf '#!/bin/sh\\n' | program usr/bin/lscpu\n",
        ..EMPTY
    },
    Recipe {
        name: "util-linux-core",
        version: "2.41.2-7.fc44",
        tree: "printf '#!/bin/sh\\n' | program usr/bin/setpriv\n",
        ..EMPTY
    },
];
