//! Puts sections into the stub.

use super::UkiError;

/// What a unified kernel image is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The stub: `/usr/lib/systemd/boot/efi/linux{x64,aa64}.efi.stub` of the package `systemd-boot-efi`.
    pub stub: &'a [u8],
    /// The kernel (`.linux`).
    pub kernel: &'a [u8],
    /// The initramfs (`.initrd`).
    pub initrd: &'a [u8],
    /// The kernel's command line (`.cmdline`).
    pub command_line: &'a str,
    /// Text of `os-release` (`.osrel`).
    pub os_release: &'a str,
    /// Release of the kernel as `uname -r` says it (`.uname`).
    pub kernel_release: &'a str,
    /// SBAT lines beside those that the stub has (`.sbat`).
    pub sbat: Option<&'a str>,
}

/// Makes an image.
///
/// # Errors
/// When the stub is none or a part does not fit.
pub fn build(_parts: &Parts<'_>) -> Result<Vec<u8>, UkiError> {
    Err(UkiError::Malformed("unread"))
}
