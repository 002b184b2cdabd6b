//! A recorded response: a whole one with its head, or a body alone.

use std::error::Error;
use std::path::Path;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use tollgate::tokens::Framing;

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<u8>,
}

impl Recording {
    pub(crate) fn read(file: &Path) -> Result<Self, Box<dyn Error>> {
        let bytes = std::fs::read(file)?;
        let extension = file
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        let body = |framing| {
            Ok(Self {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                framing,
                body: bytes.clone(),
            })
        };
        match extension {
            "http" => Self::whole(&bytes),
            "json" => body(Framing::Json),
            "sse" => body(Framing::Sse),
            "ndjson" => body(Framing::Ndjson),
            "bin" => body(Framing::EventStream),
            _ => Err(
                "not a recording: the name must end in .http, .json, .sse, .ndjson or .bin".into(),
            ),
        }
    }

    fn whole(bytes: &[u8]) -> Result<Self, Box<dyn Error>> {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .ok_or("the head of the response has no end")?;
        let head = std::str::from_utf8(&bytes[..end])?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .ok_or("the first line has no status")?;
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("not a header: {line}"))?;
            headers.append(
                HeaderName::from_bytes(name.trim().as_bytes())?,
                HeaderValue::from_str(value.trim())?,
            );
        }
        let content_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        Ok(Self {
            status: status.parse()?,
            framing: Framing::of(content_type),
            headers,
            body: bytes[end + 4..].to_vec(),
        })
    }
}
