//! The body of a reply: all of it at once, or far more than anybody asked for.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// How much [`Body::flood`] sends: more than any reply of a provider, little enough for a test that reads it all.
const FLOOD_BYTES: usize = 50 * 1024 * 1024;
const FLOOD_FRAME: &[u8] = &[b'a'; 64 * 1024];

/// A body of known length, or a flood.
pub(crate) enum Body {
    Whole(Option<Bytes>),
    Flood { left: usize, begun: bool },
}

impl Body {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
        Body::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty()))
    }

    /// JSON that begins well and goes on for 50 MB without a Content-Length.
    pub(crate) fn flood() -> Body {
        Body::Flood { left: FLOOD_BYTES, begun: false }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match self.get_mut() {
            Body::Whole(bytes) => bytes.take(),
            Body::Flood { left: 0, .. } => None,
            Body::Flood { begun, .. } if !*begun => {
                *begun = true;
                Some(Bytes::from_static(b"{\"padding\":\""))
            }
            Body::Flood { left, .. } => {
                *left = left.saturating_sub(FLOOD_FRAME.len());
                Some(Bytes::from_static(FLOOD_FRAME))
            }
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(None) | Body::Flood { left: 0, .. })
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Body::Flood { .. } => SizeHint::default(),
        }
    }
}
