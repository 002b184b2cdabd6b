//! Reads a request's body, up to a limit.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::Body;
use http_body::Body as _;

use crate::wire::Problem;

/// The whole body, or the problem that it is too large or broken off.
pub(crate) async fn read_body(mut body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let too_large = Problem::BodyTooLarge { limit };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large);
    }
    let mut bytes = Vec::with_capacity(announced);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame =
            frame.map_err(|_| Problem::Malformed("the body ended before its end".to_owned()))?;
        if let Ok(data) = frame.into_data() {
            if data.len() > limit - bytes.len() {
                return Err(too_large);
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}
