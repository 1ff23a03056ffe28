//! What is written is held against the real tools: `e2fsck` and the kernel, `fsck.vfat` and mtools, `sgdisk`, `qemu-img`,
//! `sbverify`, `fsverity`.

mod ext4;
mod fat;
mod image;
mod initramfs;
mod machine;
mod random;
mod stub;
mod uki;
mod version;
