//! Where a finisher works: reads and writes paths of the tree as a program would that ran inside of it, links
//! followed, and signs what it makes with its name.

use std::io;

use calypte_base::{Epoch, TreePath};
use calypte_store::Contents;

use super::FinishError;
use crate::tree::{Content, FileTree, Node, NodeKind, Owner};

/// The tree under a finisher's hands.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) tree: &'a mut FileTree,
    contents: &'a mut Contents,
    epoch: Epoch,
    finisher: &'static str,
}

/// Mode and owner of what is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Access {
    /// Root's, with this mode.
    pub(crate) const fn root(mode: u32) -> Self {
        Self { mode, uid: 0, gid: 0 }
    }
}

impl<'a> Site<'a> {
    pub(crate) fn new(
        tree: &'a mut FileTree,
        contents: &'a mut Contents,
        epoch: Epoch,
        finisher: &'static str,
    ) -> Self {
        Self { tree, contents, epoch, finisher }
    }

    /// A path from text that is known to be one, or comes out of a package's file.
    pub(crate) fn path(&self, text: &str) -> Result<TreePath, FinishError> {
        TreePath::new(text).map_err(|source| FinishError::Path { finisher: self.finisher, source })
    }

    /// Where a path really lies: links in its directories followed, the last component not.
    pub(crate) fn real(&self, path: &TreePath) -> Result<TreePath, FinishError> {
        let Some(parent) = path.parent() else { return Ok(path.clone()) };
        let parent = match self.tree.resolve(&parent)? {
            Some(real) => real,
            None => self.dangling(&parent)?,
        };
        parent.join(path.file_name()).map_err(|source| FinishError::Path { finisher: self.finisher, source })
    }

    /// As [`Site::real`] for a directory that is not there: a link to nothing is followed as well.
    fn dangling(&self, directory: &TreePath) -> Result<TreePath, FinishError> {
        let real = self.real(directory)?;
        let Some(Node { kind: NodeKind::Symlink(target), .. }) = self.tree.get(&real) else {
            return Ok(real);
        };
        real.resolve_link(target).map_err(|source| FinishError::Path { finisher: self.finisher, source })
    }

    /// The node at a path, links in its directories followed, the last component not.
    pub(crate) fn node(&self, path: &TreePath) -> Result<Option<&Node>, FinishError> {
        let real = self.real(path)?;
        Ok(self.tree.get(&real))
    }

    /// Whether anything is at a path, be it a link to nothing.
    pub(crate) fn exists(&self, path: &TreePath) -> Result<bool, FinishError> {
        Ok(self.node(path)?.is_some())
    }

    /// Whether a path leads to something.
    pub(crate) fn leads_somewhere(&self, path: &TreePath) -> Result<bool, FinishError> {
        Ok(self.tree.resolve(path)?.is_some())
    }

    /// The bytes of the file that a path leads to; none when it leads to no regular file.
    pub(crate) fn read(&self, path: &TreePath) -> Result<Option<Vec<u8>>, FinishError> {
        let Some(content) = self.tree.file(path) else { return Ok(None) };
        let bytes = self.contents.read(&content.digest);
        bytes.map(Some).map_err(|source| FinishError::Read { path: path.clone(), source })
    }

    /// As [`Site::read`], as text.
    pub(crate) fn read_text(&self, path: &TreePath) -> Result<Option<String>, FinishError> {
        let Some(bytes) = self.read(path)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|error| FinishError::Read {
            path: path.clone(),
            source: io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()),
        })?;
        Ok(Some(text))
    }

    /// The paths of the regular files, or links to such, that lie directly in a directory and have this ending; in
    /// order of their names.
    pub(crate) fn list(&self, directory: &TreePath, ending: &str) -> Result<Vec<TreePath>, FinishError> {
        let Some(directory) = self.tree.resolve(directory)? else { return Ok(Vec::new()) };
        let inside = self.tree.below(&directory).map(|(path, _)| path);
        let direct = inside.filter(|path| path.parent().as_ref() == Some(&directory));
        Ok(direct
            .filter(|path| path.file_name().ends_with(ending) && self.tree.file(path).is_some())
            .cloned()
            .collect())
    }

    /// Writes a file, in place of whatever was at that path; missing directories are made.
    pub(crate) fn write(
        &mut self,
        path: &TreePath,
        bytes: Vec<u8>,
        access: Access,
    ) -> Result<(), FinishError> {
        let (digest, size) = self.contents.add(bytes);
        self.place(path, NodeKind::File(Content { digest, size }), access)
    }

    /// Writes a file that has the content of another.
    pub(crate) fn copy(
        &mut self,
        content: Content,
        path: &TreePath,
        access: Access,
    ) -> Result<(), FinishError> {
        self.place(path, NodeKind::File(content), access)
    }

    /// Makes a symlink, in place of whatever was at that path.
    pub(crate) fn link(&mut self, path: &TreePath, target: &str) -> Result<(), FinishError> {
        self.place(path, NodeKind::Symlink(target.to_owned()), Access::root(0o777))
    }

    /// Makes a directory, or changes the mode and owner of the one that is there.
    pub(crate) fn directory(&mut self, path: &TreePath, access: Access) -> Result<(), FinishError> {
        if self.tree.resolve(path)?.is_some_and(|real| self.tree.get(&real).is_some_and(Node::is_directory)) {
            return self.change(path, access);
        }
        self.place(path, NodeKind::Directory, access)
    }

    /// Makes a named pipe, in place of whatever was at that path.
    pub(crate) fn pipe(&mut self, path: &TreePath, access: Access) -> Result<(), FinishError> {
        self.place(path, NodeKind::Fifo, access)
    }

    /// Where a link with this target at this path would lead, no further link followed.
    pub(crate) fn resolved(&self, path: &TreePath, target: &str) -> Result<TreePath, FinishError> {
        let end = self.real(path)?.resolve_link(target);
        end.map_err(|source| FinishError::Path { finisher: self.finisher, source })
    }

    /// Changes mode and owner of what a path leads to; nothing happens when it leads to nothing.
    pub(crate) fn change(&mut self, path: &TreePath, access: Access) -> Result<(), FinishError> {
        if let Some(real) = self.tree.resolve(path)?
            && let Some(node) = self.tree.get_mut(&real)
        {
            (*node.mode, *node.uid, *node.gid) = (access.mode, access.uid, access.gid);
        }
        Ok(())
    }

    fn place(&mut self, path: &TreePath, kind: NodeKind, access: Access) -> Result<(), FinishError> {
        let path = self.real(path)?;
        let owner = Owner::Finisher(self.finisher.to_owned());
        self.tree.create_parents(&path, self.epoch.0, &owner)?;
        let Access { mode, uid, gid } = access;
        self.tree.insert(path, Node { kind, mode, uid, gid, ..Node::directory(self.epoch.0, owner) })?;
        Ok(())
    }
}
