//! A PE image like the distribution's stub, made here so that tests do not need it, and the real one where it is.

use std::path::Path;

/// The stub of this machine's `systemd-boot-efi`, or one like it.
pub fn stub() -> Vec<u8> {
    let real = Path::new("/usr/lib/systemd/boot/efi/linuxx64.efi.stub");
    if real.exists() { fs_err::read(real).unwrap() } else { made(&[".text", ".sbat"]) }
}

/// An image of these sections, each with 512 bytes.
pub fn made(sections: &[&str]) -> Vec<u8> {
    const HEADERS: u32 = 4096;
    let mut image = vec![0; HEADERS as usize];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &64_u32.to_le_bytes());
    put(64, b"PE\0\0");
    put(68, &0x8664_u16.to_le_bytes());
    put(70, &(sections.len() as u16).to_le_bytes());
    put(84, &240_u16.to_le_bytes());
    put(86, &0x22_u16.to_le_bytes());
    let optional = 88;
    put(optional, &0x20b_u16.to_le_bytes());
    for (at, value) in [
        (16, 4096),
        (32, 4096),
        (36, 512),
        (56, 4096 * (1 + sections.len() as u32)),
        (60, HEADERS),
        (108, 16),
    ] {
        put(optional + at, &u32::to_le_bytes(value));
    }
    put(optional + 68, &10_u16.to_le_bytes());
    for (number, name) in (0_u32..).zip(sections) {
        let at = optional + 240 + number as usize * 40;
        put(at, name.as_bytes());
        for (offset, value) in
            [(8, 512), (12, 4096 * (number + 1)), (16, 512), (20, HEADERS + number * 512), (36, 0x4000_0040)]
        {
            put(at + offset, &u32::to_le_bytes(value));
        }
    }
    for name in sections {
        let mut data = vec![0; 512];
        if *name == ".sbat" {
            let text = b"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\nstub,1,Test,stub,1,x\n";
            data[..text.len()].copy_from_slice(text);
        } else {
            data.fill(0x90);
        }
        image.extend(data);
    }
    image
}
