//! The bodies of requests and replies, on their way through a connection: they tell its slot what it waits for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::slot::Slot;

/// A request's body. It tells the connection whether the client is sending.
pub struct RequestBody {
    body: Incoming,
    slot: Arc<Slot>,
    ended: bool,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, slot: &Arc<Slot>) -> Self {
        let ended = body.is_end_stream();
        slot.asks(!ended);
        Self { body, slot: Arc::clone(slot), ended }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Pending => self.slot.waits_for_body(),
            Poll::Ready(frame) if !self.ended && (frame.is_none() || self.body.is_end_stream()) => {
                self.ended = true;
                self.slot.body_done(true);
            }
            Poll::Ready(_) => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.ended {
            self.slot.body_done(false);
        }
    }
}

/// A reply's body.
pub(crate) struct ResponseBody<B> {
    body: B,
    slot: Arc<Slot>,
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(body: B, slot: Arc<Slot>) -> Self {
        Self { body, slot }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for ResponseBody<B> {
    fn drop(&mut self) {
        self.slot.answered();
    }
}
