//! Digests of bytes that are in memory.

use napi_derive::napi;

/// xxh3-128 in lower-case hexadecimal, most significant byte first; some 10 GB/s, on the calling thread.
#[napi]
pub fn sum128(bytes: &[u8]) -> String {
    quiver_io::hex(&quiver_io::sum128(bytes).to_be_bytes())
}
