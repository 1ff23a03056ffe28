//! Writes a directory as an ext4 file system, as `mke2fs -d` does: for measuring one beside the other.
//!
//! `directory_to_ext4 DIRECTORY IMAGE FREE_MIB [sealed]`

use std::error::Error;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use calypte_base::{Digest, Epoch, TreePath};
use calypte_disk::{Before, FileContent, Node, Output, Tree, Uuid, ext4};
use fs_err::File;

fn add(tree: &mut Tree, root: &Path, directory: &Path, sealed: bool) -> Result<(), Box<dyn Error>> {
    for entry in fs_err::read_dir(directory)? {
        let path = entry?.path();
        let found = fs_err::symlink_metadata(&path)?;
        let mode = found.mode() & 0o7777;
        let mut node = match found.file_type() {
            kind if kind.is_dir() => Node::directory(mode),
            kind if kind.is_symlink() => Node::symlink(&fs_err::read_link(&path)?.to_string_lossy()),
            kind if kind.is_file() && sealed => Node::sealed_file(mode, FileContent::whole(&path)?),
            kind if kind.is_file() => Node::file(mode, FileContent::whole(&path)?),
            _ => continue,
        };
        (node.uid, node.gid, node.mtime) = (found.uid(), found.gid(), Epoch(found.mtime()));
        tree.insert(TreePath::new(&path.strip_prefix(root)?.to_string_lossy())?, node)?;
        if found.is_dir() {
            add(tree, root, &path, sealed)?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, directory, image, free, rest @ ..] = arguments.as_slice() else {
        return Err("directory_to_ext4 DIRECTORY IMAGE FREE_MIB [sealed]".into());
    };
    let mut tree = Tree::new();
    add(&mut tree, Path::new(directory), Path::new(directory), !rest.is_empty())?;
    let uuid = Uuid::from_seed(&Digest::of(b"measured"), "root");
    let options = ext4::Options { uuid, label: "root".to_owned(), time: Epoch(0) };
    let size = ext4::minimal_size(&tree, &options, free.parse::<u64>()? * 1024 * 1024)?;
    let mut output = Output::new(File::create(image)?, Before::Zeros);
    ext4::write(&tree, &options, &mut output.area(0, size))?;
    output.finish()?.set_len(size)?;
    Ok(())
}
