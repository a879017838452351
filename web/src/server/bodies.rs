//! The bodies of requests and replies, on their way through a connection: they tell its seat what it waits for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::seat::Seat;

/// A request's body.
pub(super) struct Arriving {
    body: Incoming,
    seat: Arc<Seat>,
    ended: bool,
}

impl Arriving {
    pub(super) fn new(body: Incoming, seat: &Arc<Seat>) -> Self {
        let ended = body.is_end_stream();
        seat.asks(!ended);
        Self { body, seat: Arc::clone(seat), ended }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Pending => self.seat.waits_for_body(),
            Poll::Ready(frame) if !self.ended && (frame.is_none() || self.body.is_end_stream()) => {
                self.ended = true;
                self.seat.body_done(true);
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

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.ended {
            self.seat.body_done(false);
        }
    }
}

/// A reply's body.
pub(super) struct Leaving<B> {
    body: B,
    seat: Arc<Seat>,
}

impl<B> Leaving<B> {
    pub(super) fn new(body: B, seat: Arc<Seat>) -> Self {
        Self { body, seat }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Leaving<B> {
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

impl<B> Drop for Leaving<B> {
    fn drop(&mut self) {
        self.seat.answered();
    }
}
