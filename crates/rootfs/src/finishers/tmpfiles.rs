//! tmpfiles.d
use super::FinishError;
use crate::context::FinishContext;
use crate::tree::FileTree;

/// What the finisher is called.
pub const NAME: &str = "tmpfiles";

/// x
pub fn apply(_tree: &mut FileTree, _context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    Ok(())
}
