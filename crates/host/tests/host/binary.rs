//! What the program is made of: no solver, no repository code, no package formats' libraries; and one static file.

use std::process::Command;

use crate::fixture::skipped;

/// Crates that a host must not carry.
const FOREIGN: [&str; 16] = [
    "calypte-definition",
    "calypte-universe",
    "calypte-resolve",
    "calypte-rpmdb",
    "calypte-rootfs",
    "calypte-image",
    "calypte-delta",
    "calypte-sbom",
    "calypte-advisory",
    "calypte-pipeline",
    "resolvo",
    "pgp",
    "rusqlite",
    "openssl-sys",
    "indicatif",
    "rayon",
];

#[test]
fn no_solver_and_no_repository_code_is_linked() {
    let arguments = ["tree", "-p", "calypte-host", "-e", "normal", "--prefix", "none", "--format", "{p}"];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"composefs") && names.contains(&"calypte-trust"), "{text}");
    let found: Vec<&&str> = names.iter().filter(|name| FOREIGN.contains(name)).collect();
    assert!(found.is_empty(), "{found:?}");
    // In place of OpenSSL there is our own crate of that name.
    assert!(text.lines().any(|line| line.starts_with("openssl ") && line.contains("openssl-sha2")), "{text}");
}

/// Whether an ELF file wants a program interpreter, which every dynamic one does (System V ABI, "Program Header").
fn wants_interpreter(elf: &[u8]) -> bool {
    let number = |offset: usize, size: usize| {
        elf[offset..offset + size].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let (start, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).any(|place| number(usize::try_from(start + place * size).unwrap(), 4) == 3)
}

#[test]
#[ignore = "oracle: builds the whole program once more"]
fn the_program_is_one_static_file() {
    let own = fs_err::read(env!("CARGO_BIN_EXE_calypte-host")).unwrap();
    assert!(wants_interpreter(&own), "the one of the tests is dynamic: this is seen");
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/static");
    let output = Command::new(env!("CARGO"))
        .args(["build", "-p", "calypte-host", "--offline", "--target", &target, "--target-dir"])
        .arg(&directory)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        // A C library without static archives is a machine's lack, not ours.
        if text.contains("cannot find -l") {
            return skipped("the_program_is_one_static_file: the C library has no static archive here");
        }
        panic!("{text}");
    }
    let program = directory.join(&target).join("debug/calypte-host");
    assert!(!wants_interpreter(&fs_err::read(&program).unwrap()));
    assert!(Command::new(program).arg("--version").output().unwrap().status.success());
}
