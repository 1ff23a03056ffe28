//! A part of a file as the body of an answer: one piece in memory, the next is read when the last was taken.

use std::io::Read as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::task::JoinHandle;

/// Bytes read at once: 200 clients hold 25 MB.
const PIECE: u64 = 128 * 1024;

/// What is left of a file to send.
#[derive(Debug)]
pub struct FileBody {
    left: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting(Option<fs_err::File>),
    Reading(JoinHandle<(fs_err::File, std::io::Result<Bytes>)>),
}

impl FileBody {
    /// The next `length` bytes of a file.
    pub(super) const fn new(file: fs_err::File, length: u64) -> Self {
        Self { left: length, state: State::Waiting(Some(file)) }
    }
}

fn read(mut file: fs_err::File, length: usize) -> (fs_err::File, std::io::Result<Bytes>) {
    let mut piece = vec![0; length];
    let result = file.read_exact(&mut piece).map(|()| Bytes::from(piece));
    (file, result)
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        loop {
            match &mut self.state {
                State::Waiting(file) => {
                    let file = file.take();
                    let length = self.left.min(PIECE);
                    let Some(file) = file.filter(|_| length > 0) else { return Poll::Ready(None) };
                    // At most PIECE, which every usize holds.
                    let length = usize::try_from(length).unwrap_or_default();
                    self.state = State::Reading(tokio::task::spawn_blocking(move || read(file, length)));
                }
                State::Reading(task) => {
                    let done = ready!(Pin::new(task).poll(context));
                    self.state = State::Waiting(None);
                    let (file, piece) = match done {
                        Ok(done) => done,
                        Err(error) => return Poll::Ready(Some(Err(std::io::Error::other(error)))),
                    };
                    return Poll::Ready(Some(piece.map(|piece| {
                        self.left -= piece.len() as u64;
                        self.state = State::Waiting(Some(file));
                        Frame::data(piece)
                    })));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
