//! SHA-256 as the program has it that has loaded this library. Node carries OpenSSL, which uses AVX2 where a processor
//! has no instructions for SHA-256; ring doesn't. Where there is no such program, or nothing to be gained, there is none.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_void};
use std::sync::OnceLock;

/// OpenSSL's `SHA256_CTX`, and room behind it: eight words of state, two of length, sixteen of data and two more.
#[repr(C)]
#[derive(Clone)]
struct Context([u64; 32]);

type Init = unsafe extern "C" fn(*mut Context) -> c_int;
type Update = unsafe extern "C" fn(*mut Context, *const c_void, usize) -> c_int;
type Finish = unsafe extern "C" fn(*mut u8, *mut Context) -> c_int;

/// The functions of `openssl/sha.h`, the same in all versions of OpenSSL and `BoringSSL`.
struct Functions {
    init: Init,
    update: Update,
    finish: Finish,
}

impl Functions {
    /// Another library may have the names, too: whether they digest a few blocks, given in pieces, as ring does.
    fn are_right(&self) -> bool {
        let bytes: [u8; 200] = std::array::from_fn(|at| at as u8);
        let (first, rest) = bytes.split_at(77);
        let (mut context, mut digest) = (Context([0; 32]), [0; 32]);
        // SAFETY: the context and the digest have at least the room that these functions write to, and `first` and
        // `rest` can be read.
        let all_went_well = unsafe {
            (self.init)(&raw mut context) == 1
                && (self.update)(&raw mut context, first.as_ptr().cast(), first.len()) == 1
                && (self.update)(&raw mut context, rest.as_ptr().cast(), rest.len()) == 1
                && (self.finish)(digest.as_mut_ptr(), &raw mut context) == 1
        };
        all_went_well && digest == ring::digest::digest(&ring::digest::SHA256, &bytes).as_ref()
    }
}

/// A digest of what streams by.
#[derive(Clone)]
pub struct HostSha256 {
    functions: &'static Functions,
    context: Context,
}

impl HostSha256 {
    /// Of nothing yet; none where ring is as good.
    pub fn new() -> Option<Self> {
        static FOUND: OnceLock<Option<Functions>> = OnceLock::new();
        let functions = FOUND.get_or_init(found).as_ref()?;
        let mut context = Context([0; 32]);
        // SAFETY: the context has more room than the function writes to.
        (unsafe { (functions.init)(&raw mut context) } == 1).then_some(Self { functions, context })
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        // SAFETY: the context was made by `init`, and so many bytes can be read.
        unsafe { (self.functions.update)(&raw mut self.context, bytes.as_ptr().cast(), bytes.len()) };
    }

    /// The digest.
    pub fn finish(mut self) -> [u8; 32] {
        let mut digest = [0; 32];
        // SAFETY: the context was made by `init`, and a digest is 32 bytes long.
        unsafe { (self.functions.finish)(digest.as_mut_ptr(), &raw mut self.context) };
        digest
    }
}

fn found() -> Option<Functions> {
    if is_x86_feature_detected!("sha") || !is_x86_feature_detected!("avx2") {
        return None;
    }
    let symbol = |name: &CStr| {
        // SAFETY: the name ends with a zero byte.
        let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        (!address.is_null()).then_some(address)
    };
    let (init, update, finish) =
        (symbol(c"SHA256_Init")?, symbol(c"SHA256_Update")?, symbol(c"SHA256_Final")?);
    // SAFETY: these names have had these signatures in every version of OpenSSL and BoringSSL.
    let functions = unsafe {
        Functions {
            init: std::mem::transmute::<*mut c_void, Init>(init),
            update: std::mem::transmute::<*mut c_void, Update>(update),
            finish: std::mem::transmute::<*mut c_void, Finish>(finish),
        }
    };
    functions.are_right().then_some(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn begins(context: *mut Context) -> c_int {
        // SAFETY: the caller's.
        unsafe { (*context).0[0] = 0 };
        1
    }

    unsafe extern "C" fn counts(context: *mut Context, _bytes: *const c_void, length: usize) -> c_int {
        // SAFETY: the caller's.
        unsafe { (*context).0[0] += length as u64 };
        1
    }

    unsafe extern "C" fn tells(digest: *mut u8, context: *mut Context) -> c_int {
        // SAFETY: the caller's.
        unsafe { *digest = (*context).0[0] as u8 };
        1
    }

    #[test]
    fn functions_of_that_name_that_digest_otherwise_are_not_used() {
        assert!(!Functions { init: begins, update: counts, finish: tells }.are_right());
    }
}
