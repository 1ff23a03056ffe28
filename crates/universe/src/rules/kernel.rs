//! Packages of kernels: each bears its kernel's release in its name, and its scripts do in their text. A review and a rule
//! must hold for the next release as well, so in both the release counts as `{kernel}`.

/// What stands for the release.
const PLACEHOLDER: &str = "{kernel}";

/// A package's name with its kernel's release, if it has one, replaced: `linux-image-7.2.13+deb14-amd64` gives
/// `linux-image-{kernel}`.
#[must_use]
pub fn any_kernel(package: &str) -> Option<String> {
    let release = release(package)?;
    Some(format!("{}{PLACEHOLDER}", package.strip_suffix(release)?))
}

/// A script of this package with each release of a kernel replaced: the package's own, and those in names of such
/// packages. None where the package has nothing to do with a kernel.
#[must_use]
pub fn script_of_any_kernel(package: &str, text: &str) -> Option<String> {
    if !package.starts_with("linux-") {
        return None;
    }
    let mut replaced = match release(package) {
        Some(release) => text.replace(release, PLACEHOLDER),
        None => text.to_owned(),
    };
    // Words are looked at one by one; what lies between them stays as it is.
    let words: Vec<String> = replaced.split_whitespace().map(str::to_owned).collect();
    for word in words {
        // In a pattern a plus sign stands behind a backslash.
        if let Some(name) = any_kernel(&word.replace('\\', "")) {
            replaced = replaced.replace(&word, &name);
        }
    }
    Some(replaced)
}

/// `7.2.13+deb14-amd64` of `linux-image-7.2.13+deb14-amd64`.
fn release(package: &str) -> Option<&str> {
    let (word, release) = package.strip_prefix("linux-")?.split_once('-')?;
    let named = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let versioned = release.starts_with(|first: char| first.is_ascii_digit()) && release.contains('.');
    (named && versioned).then_some(release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_counts_as_any() {
        assert_eq!(any_kernel("linux-image-7.2.13+deb14-amd64").unwrap(), "linux-image-{kernel}");
        assert_eq!(any_kernel("linux-modules-7.2.13+deb14-cloud-arm64").unwrap(), "linux-modules-{kernel}");
        for other in
            ["linux-image-amd64", "linux-base", "linux-libc-dev", "nginx", "linux-5.1", "linux-Image-5.1"]
        {
            assert_eq!(any_kernel(other), None, "{other}");
        }
    }

    #[test]
    fn scripts_of_two_releases_are_one() {
        let script = |release: &str| format!("version={release}\ndepmod \"$version\" # {release}\n");
        let of = |release: &str| {
            script_of_any_kernel(&format!("linux-modules-{release}"), &script(release)).unwrap()
        };
        assert_eq!(of("7.2.13+deb14-amd64"), of("7.3.1+deb15-amd64"));
        assert_eq!(of("7.2.13+deb14-amd64"), script("{kernel}"));
        let meta = "helper dir_to_symlink /usr/share/doc/linux-image-amd64 linux-image-7.2.13\\+deb14-amd64 5.7\\~rc5 x\n";
        assert_eq!(
            script_of_any_kernel("linux-image-amd64", meta).unwrap(),
            "helper dir_to_symlink /usr/share/doc/linux-image-amd64 linux-image-{kernel} 5.7\\~rc5 x\n"
        );
        assert_eq!(script_of_any_kernel("nginx", meta), None);
    }
}
