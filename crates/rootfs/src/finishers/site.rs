//! Where a finisher works: reads and writes paths of the tree as a program would that ran inside of it, links
//! followed, and signs what it makes with its name.

use std::io;

use calypte_base::TreePath;
use calypte_store::Contents;

use super::FinishError;
use crate::context::Dates;
use crate::tree::{Content, FileTree, Node, NodeKind, Owner};

/// The tree under a finisher's hands.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) tree: &'a mut FileTree,
    contents: &'a mut Contents,
    dates: Dates<'a>,
    finisher: &'static str,
    /// The package that [`Site::make_for`] named.
    package: Option<String>,
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
        dates: Dates<'a>,
        contents: &'a mut Contents,
        finisher: &'static str,
    ) -> Self {
        Self { tree, contents, dates, finisher, package: None }
    }

    /// What is made from now on, is made out of the data of this package alone; with none, out of more. Missing
    /// directories above are the image's in either case: who needs them first depends on what else is there.
    pub(crate) fn make_for(&mut self, package: Option<String>) {
        self.package = package;
    }

    /// The package for which things are made now.
    pub(crate) fn package(&self) -> Option<String> {
        self.package.clone()
    }

    /// The time of what is made now.
    pub(crate) fn time(&self) -> i64 {
        self.dates.of(self.package.as_deref()).0
    }

    /// The package that brought what a path leads to, or for which it was made.
    pub(crate) fn package_of(&self, path: &TreePath) -> Option<String> {
        let real = self.tree.resolve(path).ok()??;
        self.tree.get(&real)?.owner.package().map(str::to_owned)
    }

    /// The one package that all these paths are of, as [`Site::package_of`] has it; none when there are two, or one of
    /// the paths is of no package.
    pub(crate) fn sole_package<'p>(&self, paths: impl IntoIterator<Item = &'p TreePath>) -> Option<String> {
        let mut packages = paths.into_iter().map(|path| self.package_of(path));
        let first = packages.next()??;
        packages.all(|package| package.as_ref() == Some(&first)).then_some(first)
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
        self.tree.create_parents(&path, self.dates.epoch.0, &Owner::finisher(self.finisher))?;
        let owner = Owner::Finisher { name: self.finisher.to_owned(), package: self.package.clone() };
        let Access { mode, uid, gid } = access;
        self.tree.insert(path, Node { kind, mode, uid, gid, ..Node::directory(self.time(), owner) })?;
        Ok(())
    }
}
