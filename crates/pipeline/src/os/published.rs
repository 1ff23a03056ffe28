//! The checks of `bootc container lint`, under its names, written anew from what its documentation says of each: an image
//! that passes them here passes them there.

use std::collections::BTreeSet;

use calypte_base::TreePath;
use calypte_formats::sysusers::{self, Line};
use calypte_formats::tmpfiles;
use calypte_image::read::{ImageFile, ImageFileKind};
use serde::Deserialize;

use super::System;

/// `/var/run` is a link.
pub(super) fn var_run(system: &System) -> Vec<String> {
    match system.get("var/run") {
        Some(ImageFile { kind: ImageFileKind::Symlink(_), .. }) | None => Vec::new(),
        Some(_) => vec!["/var/run is no symbolic link".to_owned()],
    }
}

/// Not both `/etc` and `/usr/etc`.
pub(super) fn etc_usretc(system: &System) -> Vec<String> {
    let both = system.get("etc").is_some() && system.get("usr/etc").is_some();
    if both {
        vec!["there are both /etc and /usr/etc; only /etc is the image's".to_owned()]
    } else {
        Vec::new()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct KernelArguments {
    #[serde(default)]
    #[expect(dead_code, reason = "that it can be read is all that is asked")]
    kargs: Vec<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "that it can be read is all that is asked")]
    match_architectures: Option<Vec<String>>,
}

/// The files of kernel arguments can be read.
pub(super) fn bootc_kargs(system: &System) -> Vec<String> {
    let files = system.texts_in("usr/lib/bootc/kargs.d", ".toml");
    let wrong = files.filter_map(|(path, text)| {
        let error = toml::from_str::<KernelArguments>(text).err()?;
        Some(format!("{path}: {}", error.message()))
    });
    wrong.collect()
}

/// The directories of kernels.
pub(super) fn kernels(system: &System) -> Vec<&TreePath> {
    let is_kernel = |path: &TreePath| {
        path.file_name() == "vmlinuz"
            && path
                .parent()
                .and_then(|parent| parent.parent())
                .is_some_and(|above| above.as_str() == "usr/lib/modules")
    };
    system.below("usr/lib/modules").map(|(path, _)| path).filter(|path| is_kernel(path)).collect()
}

/// Exactly one kernel.
pub(super) fn kernel(system: &System) -> Vec<String> {
    match kernels(system).as_slice() {
        [_] => Vec::new(),
        [] => vec!["there is no kernel: no /usr/lib/modules/*/vmlinuz".to_owned()],
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            vec![format!("there are {} kernels: {}", several.len(), names.join(", "))]
        }
    }
}

/// Names are UTF-8: others cannot be read here at all, so what was read has none; control characters are told.
pub(super) fn utf8(system: &System) -> Vec<String> {
    let odd = |text: &str| text.chars().any(|letter| letter == char::REPLACEMENT_CHARACTER);
    let wrong = system.files.iter().filter(|(path, file)| {
        odd(path.as_str()) || matches!(&file.kind, ImageFileKind::Symlink(target) if odd(target))
    });
    wrong.map(|(path, _)| format!("{path}: a name that is no UTF-8")).collect()
}

/// The directories that every system mounts something onto are there.
pub(super) fn api_base_directories(system: &System) -> Vec<String> {
    let missing =
        ["dev", "proc", "run", "sys", "tmp", "var"].into_iter().filter(|name| !is_directory(system, name));
    missing.map(|name| format!("/{name} is no directory")).collect()
}

fn is_directory(system: &System, path: &str) -> bool {
    system.get(path).is_some_and(|file| file.kind == ImageFileKind::Directory)
}

/// What a host's root must have: `/sysroot`, and `/ostree` as a link into it.
pub(super) fn baseimage_root(system: &System) -> Vec<String> {
    let mut wrong = Vec::new();
    if !is_directory(system, "sysroot") {
        wrong.push("/sysroot is no directory".to_owned());
    }
    match system.get("ostree").map(|file| &file.kind) {
        Some(ImageFileKind::Symlink(target)) if target == "sysroot/ostree" => {}
        _ => wrong.push("/ostree is no link to sysroot/ostree".to_owned()),
    }
    wrong
}

/// What container builds leave: empty files over which an engine mounted its own.
pub(super) fn buildah_injected(system: &System) -> Vec<String> {
    let empty = |path: &&str| {
        matches!(system.get(path).map(|file| &file.kind), Some(ImageFileKind::File { size: 0, .. }))
    };
    let found = ["etc/hostname", "etc/resolv.conf"].into_iter().filter(empty);
    found.map(|path| format!("/{path} is an empty file, as a container build leaves it")).collect()
}

/// Composefs is asked for.
pub(super) fn baseimage_composefs(system: &System) -> Vec<String> {
    let asks = system.text("usr/lib/ostree/prepare-root.conf").is_some_and(|text| {
        let mut section = "";
        text.lines().any(|line| {
            let line = line.trim();
            if line.starts_with('[') {
                section = line;
            }
            let (key, value) = line.split_once('=').unwrap_or_default();
            section == "[composefs]"
                && key.trim() == "enabled"
                && ["yes", "true", "1", "signed", "verity"].contains(&value.trim())
        })
    });
    if asks {
        return Vec::new();
    }
    vec!["/usr/lib/ostree/prepare-root.conf does not enable composefs".to_owned()]
}

/// No logs.
pub(super) fn var_log(system: &System) -> Vec<String> {
    let logs = system
        .below("var/log")
        .filter(|(_, file)| matches!(file.kind, ImageFileKind::File { size, .. } if size > 0));
    logs.map(|(path, _)| format!("{path}: a log of the build")).collect()
}

/// What is below `/var` is declared by tmpfiles.d.
pub(super) fn var_tmpfiles(system: &System) -> Vec<String> {
    let mut declared = BTreeSet::new();
    for directory in ["usr/lib/tmpfiles.d", "etc/tmpfiles.d"] {
        for (path, text) in system.texts_in(directory, ".conf") {
            let lines = tmpfiles::parse(path.as_str(), text).unwrap_or_default();
            declared.extend(lines.into_iter().map(|line| line.path.trim_matches('/').to_owned()));
        }
    }
    let undeclared = system.below("var").filter(|(path, file)| {
        // A directory is made with what lies in it.
        let holds = system.below(path.as_str()).next().is_some();
        let counts = !(matches!(file.kind, ImageFileKind::Directory) && holds);
        counts && !declared.contains(path.as_str()) && path.as_str() != "var/run"
    });
    undeclared.map(|(path, _)| format!("{path} is not declared by tmpfiles.d")).collect()
}

/// Accounts are declared by sysusers.d.
pub(super) fn sysusers(system: &System) -> Vec<String> {
    let (mut users, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for directory in ["usr/lib/sysusers.d", "etc/sysusers.d"] {
        for (path, text) in system.texts_in(directory, ".conf") {
            for line in sysusers::parse(path.as_str(), text).unwrap_or_default() {
                match line {
                    Line::User(user) => {
                        groups.insert(user.name.clone());
                        users.insert(user.name);
                    }
                    Line::Group { name, .. } => drop(groups.insert(name)),
                    _ => {}
                }
            }
        }
    }
    let undeclared = |file: &str, known: &BTreeSet<String>, what: &str| -> Vec<String> {
        let text = system.text(file).unwrap_or_default();
        let names = text.lines().filter_map(|line| line.split(':').next()).filter(|name| !name.is_empty());
        // root is everywhere.
        let unknown = names.filter(|name| *name != "root" && !known.contains(*name));
        unknown.map(|name| format!("the {what} `{name}` of /{file} is not declared by sysusers.d")).collect()
    };
    let mut wrong = undeclared("etc/passwd", &users, "user");
    wrong.extend(undeclared("etc/group", &groups, "group"));
    wrong
}

/// `/boot` is empty but for unified kernel images.
pub(super) fn nonempty_boot(system: &System) -> Vec<String> {
    let allowed = |path: &str, file: &ImageFile| {
        file.kind == ImageFileKind::Directory && "boot/EFI/Linux".starts_with(path)
            || path
                .strip_prefix("boot/EFI/Linux/")
                .is_some_and(|name| name.ends_with(".efi") && !name.contains('/'))
    };
    let found = system.below("boot").filter(|(path, file)| !allowed(path.as_str(), file));
    found
        .map(|(path, _)| format!("{path}: what a machine boots is put there when the image is deployed"))
        .collect()
}

/// `/run` and `/tmp` are empty.
pub(super) fn nonempty_run_tmp(system: &System) -> Vec<String> {
    let found = ["run", "tmp"].into_iter().flat_map(|directory| system.below(directory));
    found.map(|(path, _)| format!("{path} is hidden on a running system")).collect()
}
