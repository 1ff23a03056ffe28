//! The one registry of environment variables: what is read, what for; the reference page comes out of this table.

use std::ffi::OsString;
use std::path::PathBuf;

/// An environment variable that the program reads.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it sets, in one sentence.
    pub about: &'static str,
}

/// Where the catalog lies.
pub const CATALOG: Variable =
    Variable { name: "CALYPTE_CATALOG", about: "The catalog's directory, as `--catalog`." };
/// Where the store lies.
pub const STORE: Variable = Variable { name: "CALYPTE_STORE", about: "The store's directory, as `--store`." };
/// Where packages of one's own lie.
pub const OVERLAY: Variable =
    Variable { name: "CALYPTE_OVERLAY", about: "A directory with packages of one's own, as `--overlay`." };
/// Where the cache of the user lies.
pub const XDG_CACHE_HOME: Variable = Variable {
    name: "XDG_CACHE_HOME",
    about: "Where the store lies unless it is given: `calypte` below this, or below `~/.cache`.",
};
/// The user's home.
pub const HOME: Variable =
    Variable { name: "HOME", about: "The home directory, where `XDG_CACHE_HOME` is not set." };
/// The time in every image.
pub const SOURCE_DATE_EPOCH: Variable = Variable {
    name: "SOURCE_DATE_EPOCH",
    about: "Seconds since 1970: the newest time that an image may hold, in place of the newest date of its packages in the lock.",
};
/// How layers are compressed.
pub const COMPRESSION: Variable = Variable {
    name: "CALYPTE_COMPRESSION",
    about: "How layers are compressed where `--compression` does not say it: `zstd`, `zstd:LEVEL`, `gzip` or `none`. A low level (`zstd:3`) is quick, for trying things out; it gives other digests.",
};
/// No colour.
pub const NO_COLOR: Variable = Variable { name: "NO_COLOR", about: "Set to anything: no colour." };
/// Proxy for https.
pub const HTTPS_PROXY: Variable = Variable { name: "HTTPS_PROXY", about: "Proxy for https downloads." };
/// Proxy for http.
pub const HTTP_PROXY: Variable = Variable { name: "HTTP_PROXY", about: "Proxy for http downloads." };
/// Hosts without a proxy.
pub const NO_PROXY: Variable =
    Variable { name: "NO_PROXY", about: "Hosts that are asked without a proxy, separated by commas." };
/// Trusted certificates.
pub const SSL_CERT_FILE: Variable = Variable {
    name: "SSL_CERT_FILE",
    about: "PEM file of the certificates that https mirrors are checked against.",
};
/// Logins.
pub const REGISTRY_AUTH_FILE: Variable = Variable {
    name: "REGISTRY_AUTH_FILE",
    about: "The file with the logins to registries, in place of podman's and docker's own.",
};
/// Where podman keeps logins.
pub const XDG_RUNTIME_DIR: Variable = Variable {
    name: "XDG_RUNTIME_DIR",
    about: "Where podman keeps logins to registries: `containers/auth.json` below this.",
};
/// Where podman's kept logins lie.
pub const XDG_CONFIG_HOME: Variable = Variable {
    name: "XDG_CONFIG_HOME",
    about: "Where further logins are looked for: `containers/auth.json` below this, or below `~/.config`.",
};
/// Where docker keeps logins.
pub const DOCKER_CONFIG: Variable = Variable {
    name: "DOCKER_CONFIG",
    about: "Where docker's logins are looked for: `config.json` below this, or below `~/.docker`.",
};

/// Every variable that is read, in the order of the reference page.
pub const ALL: &[Variable] = &[
    CATALOG,
    STORE,
    OVERLAY,
    XDG_CACHE_HOME,
    HOME,
    SOURCE_DATE_EPOCH,
    COMPRESSION,
    NO_COLOR,
    HTTPS_PROXY,
    HTTP_PROXY,
    NO_PROXY,
    SSL_CERT_FILE,
    REGISTRY_AUTH_FILE,
    XDG_RUNTIME_DIR,
    XDG_CONFIG_HOME,
    DOCKER_CONFIG,
];

impl Variable {
    /// Its value; unset and empty are the same.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn value(self) -> Option<OsString> {
        std::env::var_os(self.name).filter(|value| !value.is_empty())
    }

    /// Its value as a path.
    #[must_use]
    pub fn path(self) -> Option<PathBuf> {
        self.value().map(PathBuf::from)
    }

    /// Its value as text; what is not UTF-8 is made readable.
    #[must_use]
    pub fn text(self) -> Option<String> {
        self.value().map(|value| value.to_string_lossy().into_owned())
    }
}
