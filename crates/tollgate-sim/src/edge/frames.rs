//! The body of a stream: frames that a task sends, and a way to break it off.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// A body that ends when its sender is dropped. It holds no more than one answer, so its queue needs no bound.
#[derive(Debug)]
pub(crate) struct Frames(UnboundedReceiver<Result<Bytes, CutOff>>);

/// Where the frames go.
#[derive(Debug)]
pub(crate) struct Sender(UnboundedSender<Result<Bytes, CutOff>>);

/// The provider breaks the stream off: the connection closes without the end of the body.
#[derive(Debug)]
pub(crate) struct CutOff;

impl Frames {
    pub(crate) fn channel() -> (Self, Sender) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(receiver), Sender(sender))
    }
}

impl Sender {
    /// Sends a frame. When the client has gone it goes nowhere, and [`Sender::gone`] says so.
    pub(crate) fn send(&self, frame: String) {
        let _ = self.0.send(Ok(Bytes::from(frame)));
    }

    pub(crate) fn cut(self) {
        let _ = self.0.send(Err(CutOff));
    }

    /// Waits until the client has gone away.
    pub(crate) async fn gone(&self) {
        self.0.closed().await;
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        self.0
            .poll_recv(cx)
            .map(|next| next.map(|frame| frame.map(Frame::data)))
    }
}

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the provider cut the stream")
    }
}

impl std::error::Error for CutOff {}
