//! JSON in and out, with errors that never quote the data: reasons end up in logs, bodies hold persons.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// A body that is not the JSON it should be. Tells where and what kind, never the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON at all.
    #[error("the body is not JSON: syntax error at line {line} column {column}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// JSON that ends too early; a body cut short.
    #[error("the body is not JSON: it ends too early, at line {line} column {column}")]
    Truncated {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// JSON, but not of the form that was asked for.
    #[error("the body is JSON of another form than expected: see line {line} column {column}")]
    Shape {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// A value that JSON cannot express.
    #[error("the message cannot be written as JSON")]
    Write,
}

/// Bytes that some senders put before UTF-8 text; RFC 8259 section 8.1 allows to skip them.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a body.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, JsonError> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    serde_json::from_slice(body).map_err(|error| JsonError::from(&error))
}

/// Writes a body.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, JsonError> {
    serde_json::to_vec(value).map_err(|_| JsonError::Write)
}

/// Keeps what may be shown of a `serde_json` error.
impl From<&serde_json::Error> for JsonError {
    fn from(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Eof => Self::Truncated { line, column },
            Category::Data => Self::Shape { line, column },
            Category::Syntax | Category::Io => Self::Syntax { line, column },
        }
    }
}
