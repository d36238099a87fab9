//! Memory of JavaScript's before it is used.

use napi::bindgen_prelude::Uint8ArraySlice;
use napi_derive::napi;

/// Has the system provide newly allocated memory at once; some 0.5 us a page. Its bytes stay as they are.
#[napi]
pub fn populate(mut memory: Uint8ArraySlice) {
    // SAFETY: JavaScript waits for this call, and nothing else has been given the memory yet.
    #[allow(unsafe_code)]
    quiver_io::populate(unsafe { memory.as_mut() });
}
