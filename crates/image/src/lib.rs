//! Stage 5 of 8: FileTree → Layers → Image.
