//! The command line: argument types, one file a command, output. No work is done here.
