//! Request files: a raw HTTP/1.1 request, as it came over the wire.
//!
//! The body is taken byte for byte. It ends where `content-length` says or the chunks end; without either it is
//! all that follows the empty line.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;

use crate::event::Header;
use crate::verify::Request;

use super::args::Usage;

/// Bytes of a request file that are read; ten times a source's default `max_body`.
const FILE_BYTES_MAX: u64 = 100 * 1024 * 1024;

/// Header lines that are read, as many as the server takes.
const HEADERS_MAX: usize = 100;

/// A request out of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawRequest {
    method: String,
    target: String,
    headers: Vec<Header>,
    body: Vec<u8>,
}

impl RawRequest {
    /// Reads a file; `-` is standard input.
    pub(crate) fn read(path: &Path) -> Result<Self, Usage> {
        let cannot = |error| {
            Usage::new(format!(
                "cannot read the request `{}`: {error}",
                path.display()
            ))
        };
        let mut bytes = vec![];
        let mut take = |file: &mut dyn Read| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
        if path.as_os_str() == "-" {
            take(&mut std::io::stdin().lock()).map_err(cannot)?;
        } else {
            let mut file = std::fs::File::open(path).map_err(cannot)?;
            take(&mut file).map_err(cannot)?;
        }
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(Usage::new(format!(
                "the request `{}` is longer than {FILE_BYTES_MAX} bytes",
                path.display()
            )));
        }
        Self::parse(&bytes)
    }

    /// Reads the bytes of a request.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Usage> {
        let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut lines);
        let wrong = |what: String| {
            Usage::new(format!("this is no HTTP/1.1 request: {what}")).hint(
                "it begins with a line such as `POST /hooks HTTP/1.1`, then headers, an empty line, and the body",
            )
        };
        let rest = match head.parse(bytes) {
            Ok(httparse::Status::Complete(at)) => bytes.get(at..).unwrap_or_default(),
            Ok(httparse::Status::Partial) => {
                return Err(wrong("there is no empty line after the headers".to_owned()));
            }
            Err(error) => return Err(wrong(error.to_string())),
        };
        let headers: Vec<_> = head
            .headers
            .iter()
            .map(|line| Header {
                name: line.name.to_ascii_lowercase(),
                value: Bytes::copy_from_slice(line.value),
            })
            .collect();
        let body = body(&headers, rest).map_err(wrong)?;
        Ok(Self {
            method: head.method.unwrap_or_default().to_ascii_uppercase(),
            target: origin_form(head.path.unwrap_or_default()),
            headers,
            body,
        })
    }

    /// What verification sees.
    pub(crate) fn as_request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            target: &self.target,
            headers: &self.headers,
            body: &self.body,
        }
    }
}

/// Path and query; recordings by proxies have the whole URL in the first line.
fn origin_form(target: &str) -> String {
    let after_host = target.split_once("://").map(|(_, rest)| {
        rest.find(['/', '?'])
            .and_then(|at| rest.get(at..))
            .unwrap_or("/")
    });
    after_host.unwrap_or(target).to_owned()
}

fn body(headers: &[Header], rest: &[u8]) -> Result<Vec<u8>, String> {
    let is_chunked = crate::event::header(headers, "transfer-encoding")
        .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
    if is_chunked {
        return dechunk(rest);
    }
    let Some(length) = crate::event::header(headers, "content-length") else {
        return Ok(rest.to_vec());
    };
    let length: usize = length
        .trim()
        .parse()
        .map_err(|_| "`content-length` is not a number".to_owned())?;
    rest.get(..length).map(<[u8]>::to_vec).ok_or_else(|| {
        format!(
            "`content-length` is {length}, but only {} bytes follow the headers",
            rest.len()
        )
    })
}

fn dechunk(mut rest: &[u8]) -> Result<Vec<u8>, String> {
    let mut body = vec![];
    loop {
        let (at, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Err("the chunked body is cut off".to_owned()),
            Err(_) => return Err("the chunked body has a wrong chunk size".to_owned()),
        };
        if size == 0 {
            return Ok(body);
        }
        let end = usize::try_from(size)
            .ok()
            .and_then(|size| at.checked_add(size));
        let chunk = end
            .and_then(|end| rest.get(at..end))
            .ok_or("the chunked body is cut off")?;
        body.extend_from_slice(chunk);
        rest = end
            .and_then(|end| rest.get(end..))
            .and_then(|after| after.strip_prefix(b"\r\n").or(after.strip_prefix(b"\n")))
            .ok_or("a chunk does not end with a line break")?;
    }
}
