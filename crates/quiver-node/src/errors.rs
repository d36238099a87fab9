//! How failures of the crates below become JavaScript errors that keep their code.

use std::path::Path;

use napi::bindgen_prelude::{Env, JsError};
use quiver_tensor::{Error as TensorError, ErrorKind};

/// The `code` property of the JavaScript error.
#[derive(Debug, Clone, Copy)]
pub struct Code(&'static str);

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        self.0
    }
}

/// Result of a synchronous function; its error arrives with its code.
pub type Result<T> = napi::Result<T, Code>;

/// An argument that no caller within this package passes.
pub fn bad_value(message: &str) -> napi::Error<Code> {
    napi::Error::new(Code("ERR_QUIVER_BAD_VALUE"), message)
}

/// The JavaScript error for a failure on tensor bytes.
// By value, so that it can be passed to map_err as it is.
#[allow(clippy::needless_pass_by_value)]
pub fn tensor_failure(error: TensorError) -> napi::Error<Code> {
    let code = match error.kind() {
        ErrorKind::Corrupt => "ERR_QUIVER_CORRUPT",
        ErrorKind::Unsupported => "ERR_QUIVER_UNSUPPORTED",
        ErrorKind::BadValue => "ERR_QUIVER_BAD_VALUE",
        ErrorKind::OutOfRange => "ERR_QUIVER_OUT_OF_RANGE",
    };
    napi::Error::new(Code(code), error.to_string())
}

/// A failure on its way from another thread.
pub struct Failure {
    code: &'static str,
    message: String,
}

impl Failure {
    fn new(code: &'static str, message: &impl ToString, path: Option<&Path>) -> Self {
        let mut fields = serde_json::Map::new();
        fields.insert("code".into(), code.into());
        fields.insert("message".into(), message.to_string().into());
        if let Some(path) = path {
            fields.insert("path".into(), path.to_string_lossy().into_owned().into());
        }
        Self { code, message: serde_json::Value::Object(fields).to_string() }
    }

    /// A call on what was ended before.
    pub fn closed() -> Self {
        quiver_store::Error::new(quiver_store::Code::Closed, "it was finished or stopped before this call")
            .into()
    }
}

impl From<quiver_store::Error> for Failure {
    fn from(error: quiver_store::Error) -> Self {
        Self { code: error.code.name(), message: failure_json(&error) }
    }
}

impl From<quiver_dataset::Error> for Failure {
    fn from(error: quiver_dataset::Error) -> Self {
        Self::new(error.code(), &error, error.path())
    }
}

impl From<quiver_vectors::Error> for Failure {
    fn from(error: quiver_vectors::Error) -> Self {
        Self::new(error.code(), &error, error.path())
    }
}

impl From<Failure> for napi::Error<Code> {
    fn from(Failure { code, message }: Failure) -> Self {
        Self::new(Code(code), message)
    }
}

/// The JavaScript error for a failure on vectors.
pub fn vector_failure(error: quiver_vectors::Error) -> napi::Error<Code> {
    Failure::from(error).into()
}

/// The JavaScript error for a failure of a dataset.
pub fn dataset_failure(error: quiver_dataset::Error) -> napi::Error<Code> {
    Failure::from(error).into()
}

/// The same for the end of a task on the thread pool, whose own error type has no room for our codes: it carries
/// the finished JavaScript error.
pub fn rejection(env: Env, error: napi::Error<Code>) -> napi::Error {
    napi::Error::from(JsError::from(error).into_unknown(env))
}

/// The JavaScript error for a failure of the store. Its message is JSON with the sentence and what it concerns.
// By value, so that it can be passed to map_err as it is.
#[allow(clippy::needless_pass_by_value)]
pub fn store_failure(error: quiver_store::Error) -> napi::Error<Code> {
    napi::Error::new(Code(error.code.name()), failure_json(&error))
}

/// A failure as JSON: `{ code, message, key?, path? }`.
pub fn failure_json(error: &quiver_store::Error) -> String {
    let mut fields = serde_json::Map::new();
    fields.insert("code".into(), error.code.name().into());
    fields.insert("message".into(), error.message.clone().into());
    if let Some(key) = &error.key {
        fields.insert("key".into(), key.clone().into());
    }
    if let Some(path) = &error.path {
        fields.insert("path".into(), path.to_string_lossy().into_owned().into());
    }
    serde_json::Value::Object(fields).to_string()
}
