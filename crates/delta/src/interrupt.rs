//! The wish of the user to stop: looked at between the parts of the work and whenever a stream is read. It ends the work
//! as an error, so that everything that was begun is cleared away like after any other one.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::DeltaError;

/// An error if the user wants the work to stop.
pub(crate) fn check(interrupted: &AtomicBool) -> Result<(), DeltaError> {
    if interrupted.load(Ordering::Relaxed) { Err(DeltaError::Interrupted) } else { Ok(()) }
}

/// What work came to: whichever error a stream that ended early led to, the reason is that the user wants to stop.
pub(crate) fn verdict<T>(result: Result<T, DeltaError>, interrupted: &AtomicBool) -> Result<T, DeltaError> {
    result.or_else(|error| check(interrupted).and(Err(error)))
}

/// Cannot be read any further once the user wants to stop.
pub(crate) struct Interruptible<'a, R> {
    pub inner: R,
    pub interrupted: &'a AtomicBool,
}

impl<R: Read> Read for Interruptible<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Not as `ErrorKind::Interrupted`: readers try again after that.
        check(self.interrupted).map_err(io::Error::other)?;
        self.inner.read(buffer)
    }
}
