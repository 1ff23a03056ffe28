//! `/init` of the initramfs.

use std::process::ExitCode;

#[expect(
    clippy::print_stderr,
    reason = "a program: where it is not the first process, it says so to its user"
)]
fn main() -> ExitCode {
    if !rustix::process::getpid().is_init() {
        eprintln!(
            "error: this is the first process of an initramfs; it mounts file systems and restarts the machine"
        );
        eprintln!("hint: the kernel starts it, as /init of the archive that `calypte` makes for a host");
        return ExitCode::from(2);
    }
    calypte_init::run(std::env::args_os().skip(1).collect())
}
