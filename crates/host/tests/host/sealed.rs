//! Unified kernel images: the one in the image is booted, if it is sealed for the image's tree.

use calypte_disk::uki::{Parts, build};

use crate::fixture::{Machine, Os, file, noise, shown};

/// A stub of two sections, enough for what builds and reads kernel images.
fn stub() -> Vec<u8> {
    const HEADERS: u32 = 4096;
    let sections = [".text", ".sbat"];
    let mut image = vec![0; HEADERS as usize];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &64_u32.to_le_bytes());
    put(64, b"PE\0\0");
    for (at, value) in [(68, 0x8664_u16), (70, 2), (84, 240), (86, 0x22), (88, 0x20b), (88 + 68, 10)] {
        put(at, &value.to_le_bytes());
    }
    for (at, value) in [(16, 4096), (32, 4096), (36, 512), (56, 4096 * 3), (60, HEADERS), (108, 16)] {
        put(88 + at, &u32::to_le_bytes(value));
    }
    for (number, name) in (0_u32..).zip(sections) {
        let at = 88 + 240 + number as usize * 40;
        put(at, name.as_bytes());
        let fields =
            [(8, 512), (12, 4096 * (number + 1)), (16, 512), (20, HEADERS + number * 512), (36, 0x4000_0040)];
        for (offset, value) in fields {
            put(at + offset, &u32::to_le_bytes(value));
        }
    }
    image.extend([0x90; 512]);
    let mut sbat = b"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n".to_vec();
    sbat.resize(512, 0);
    image.extend(sbat);
    image
}

/// The image of a version with a kernel image that is sealed with this command line.
fn sealed(number: u64, command_line: &str) -> Os {
    let mut os = Os::new(number);
    let parts = Parts {
        stub: &stub(),
        kernel: &noise(number, 30_000),
        initrd: &noise(number + 1, 20_000),
        command_line,
        os_release: "ID=test\n",
        kernel_release: "6.1.0",
        sbat: &[],
    };
    os.top.extend(["boot/EFI", "boot/EFI/Linux"].map(crate::fixture::directory));
    os.top.push(file("boot/EFI/Linux/os.efi", build(&parts).unwrap()));
    os
}

/// The digest of a version's tree, which does not depend on what is in `/boot`.
fn digest_of(number: u64) -> String {
    let machine = Machine::new();
    machine.install(&Os::new(number));
    machine.digest("booted")
}

#[test]
fn a_sealed_kernel_image_is_booted_and_one_for_another_tree_is_refused() {
    let (first, second) = (digest_of(1), digest_of(2));
    let machine = Machine::new();
    machine.install(&sealed(1, &format!("composefs={first} quiet")));
    assert_eq!(machine.digest("booted"), first);
    assert_eq!(machine.entries(), [format!("test-os-1-{}+3.efi", &first[..12])]);
    assert_eq!(machine.status()["booted"]["kernelArguments"][1], "quiet");
    machine.fsck();
    // Sealed for the first tree, and the tree is the second.
    sealed(2, &format!("composefs={first}")).write(&machine.layout());
    let error = machine.refused(2, &["upgrade"]);
    assert!(error.contains("/boot/EFI/Linux/os.efi is sealed for the tree"), "{error}");
    assert_eq!(machine.version("staged"), None);
    sealed(2, "quiet").write(&machine.layout());
    assert!(machine.refused(2, &["upgrade"]).contains("its command line has no composefs=DIGEST"));
    sealed(2, &format!("composefs={second}")).write(&machine.layout());
    let error = machine.refused(2, &["upgrade", "--karg", "debug"]);
    assert!(error.contains("cannot be added to a sealed kernel image"), "{error}");
    machine.done(&["upgrade"]);
    assert!(machine.entries().contains(&format!("test-os-2-{}+3.efi.staged", &second[..12])));
    machine.done(&["finalize"]);
    let output = machine.run(&["health", "good", "--running", &second]);
    assert!(output.status.success(), "{}", shown(&output));
    let entries = [format!("test-os-1-{}+3.efi", &first[..12]), format!("test-os-2-{}.efi", &second[..12])];
    assert_eq!(machine.entries(), entries);
    machine.done(&["gc", "--running", &second]);
    machine.fsck();
}
