//! Memory does not grow with the size of an image: in a program of its own, since its peak is what is measured.

use std::io::{self, Read};

use calypte_base::{Architecture, Digest, Epoch};
use calypte_image::packing::DEFAULT_LAYERS;
use calypte_image::{
    Image, ImageMetadata, Index, LayerCompression, LayerSettings, Level, Output, layers, read_layout,
};
use calypte_rootfs::{Content, FileTree, Node, Owner};
use calypte_store::{Contents, Store};

const SIZE: u64 = 300 * 1024 * 1024;

/// Far below the size of the content, and above what a small image takes.
const LIMIT_KILOBYTES: u64 = 64 * 1024;

/// Mostly zeros, with something here and there that compresses to something.
struct Sparse(u64);

impl Read for Sparse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(0);
        if let Some(first) = buffer.get_mut(..8) {
            first.copy_from_slice(&self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        }
        self.0 += 1;
        Ok(buffer.len())
    }
}

fn peak_kilobytes() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn three_hundred_megabytes_stream_through() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("store")).unwrap();
    let mut writer = store.pack_writer().unwrap();
    let packed = writer.append(&mut Sparse(1).take(SIZE), SIZE).unwrap();
    let pack = writer.finish(&Digest::of(b"package"), b"").unwrap();
    let mut contents = Contents::new();
    contents.add_pack(pack, [(packed.digest, packed.offset, packed.size)]).unwrap();
    let owner = Owner::Package("big".to_owned());
    let mut tree = FileTree::new(Node::directory(0, owner.clone()));
    let content = Content { digest: packed.digest, size: packed.size };
    tree.insert(calypte_base::TreePath::new("big").unwrap(), Node::file(content, 0, owner)).unwrap();
    let forms = [
        (LayerCompression::Zstd(Level::FAST), ["oci", "docker-archive"].as_slice()),
        (LayerCompression::Gzip, &["oci-archive"]),
        (LayerCompression::None, &["oci"]),
    ];
    for (number, (compression, forms)) in forms.into_iter().enumerate() {
        let packages = std::collections::BTreeMap::new();
        let settings = LayerSettings {
            compression,
            limit: DEFAULT_LAYERS,
            epoch: Epoch(1),
            packages: &packages,
            previous: &[],
        };
        let layers = layers(&tree, &contents, &settings, &store).unwrap().layers;
        let image = Image::new(layers, &ImageMetadata::new(Architecture::Amd64, Epoch(1)), &store).unwrap();
        let index = Index::new(vec![image], &store).unwrap();
        for form in forms {
            let target = directory.path().join(format!("{number}-{form}"));
            format!("{form}:{}", target.display()).parse::<Output>().unwrap().write(&index, &store).unwrap();
            if *form != "docker-archive" {
                let layout = read_layout(&target).unwrap();
                assert_eq!(layout.files(&layout.images()[0], &|_| false).unwrap().files.len(), 2);
            }
        }
    }
    let peak = peak_kilobytes();
    assert!(peak < LIMIT_KILOBYTES, "{peak} kB for {} kB of content", SIZE / 1024);
}
