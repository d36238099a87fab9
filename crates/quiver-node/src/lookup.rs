//! The hottest call: looking an entry up. Key and answer cross in memory that both sides have had from the start, and
//! the function is registered without napi-rs's conversions, which take longer than the look-up itself.
//!
//! The memory, little-endian:
//! ```text
//! u32 stamp, slot, epoch, number of the codec's name | f64 created, expires (Infinity = never), size
//! u64 content id | u32 length of the codec's name | from byte 64 that name | from byte 320 a packed value
//! from byte 65,856 the key
//! ```

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::{ArrayBuffer, FromNapiValue, Function};
use napi::{Env, JsError, sys};
use quiver_store::catalog::record::{NEVER, Record};
use quiver_store::catalog::values;
use quiver_store::reader::{self, Age, Namespace};
use quiver_store::stamps::NO_SLOT;
use quiver_store::{Code, Error, Result, Store, adopt};

use crate::errors::store_failure;
use crate::external;

const NAME: usize = 64;
const NAME_ROOM: usize = 256;
const VALUE: usize = NAME + NAME_ROOM;
const KEY: usize = VALUE + values::LARGEST;
const KEY_ROOM: usize = 16 * 1024;

/// Keys of fewer bytes are checked here.
const PLAIN_KEY: usize = 256;
/// Room for them, with which a key that is cut off has no fewer: a terminating zero, and all but one byte of a character
/// that didn't fit.
const PLAIN_KEY_ROOM: usize = PLAIN_KEY + 4;

/// Names of codecs that JavaScript remembers by their number.
const REMEMBERED: usize = 64;

/// What a look-up answers.
#[derive(Debug, Clone, Copy)]
pub enum Status {
    /// There is no entry.
    Absent = 0,
    /// The value is in the memory.
    Packed = 1,
    /// The value is in a file, to be had by `take`.
    File = 2,
    /// Absent or changed here, but a file of another program may be there: `adopt`, then look again.
    MaybeForeign = 3,
    /// The value is where the caller wanted it.
    Placed = 4,
    /// The key is none of the plain ones, which need no check: to be checked, put into the memory and asked for by length.
    Unchecked = 5,
}

/// A found file value that JavaScript has not taken yet.
pub struct Pending {
    pub namespace: Arc<Namespace>,
    pub key: Vec<u8>,
    pub record: Record,
}

/// The facts of an answer.
pub struct Answer<'r> {
    pub stamp: u32,
    pub slot: u32,
    pub epoch: u32,
    pub created: u64,
    pub expires: u64,
    pub size: u64,
    pub content: u64,
    pub codec: &'r str,
}

/// Memory that one isolate and its store have in common. Only the isolate's own thread touches it: JavaScript between
/// calls, this module within them.
pub struct Exchange {
    memory: *mut [u8],
    pending: Mutex<Option<Pending>>,
    codecs: Mutex<Vec<String>>,
}

// SAFETY: the memory is allocated and freed by this type; see above for who touches it in between.
unsafe impl Send for Exchange {}
// SAFETY: as above.
unsafe impl Sync for Exchange {}

impl Default for Exchange {
    fn default() -> Self {
        let memory = Box::into_raw(vec![0; KEY + KEY_ROOM].into_boxed_slice());
        Self { memory, pending: Mutex::default(), codecs: Mutex::default() }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // SAFETY: it came from a box, and no view of it is left, as each holds this.
        drop(unsafe { Box::from_raw(self.memory) });
    }
}

impl Exchange {
    /// JavaScript's view of the memory.
    pub fn view<'env>(self: &Arc<Self>, env: &'env Env) -> napi::Result<ArrayBuffer<'env>> {
        // SAFETY: the view holds the memory; who touches it when is said above.
        unsafe { external::array_buffer(env, (self.memory.cast(), self.memory.len()), Arc::clone(self)) }
    }

    /// A file value for `take` or `adopt`.
    pub fn put_aside(&self, pending: Pending) {
        *lock(&self.pending) = Some(pending);
    }

    /// The file value that was found last, unless it was taken.
    pub fn take(&self) -> Option<Pending> {
        lock(&self.pending).take()
    }

    /// Writes an answer and, of a packed value, its bytes. Within a call of the isolate.
    pub fn write(&self, answer: &Answer<'_>, value: &[u8]) {
        // SAFETY: on the isolate's thread, by the promise above, and no other part is borrowed.
        let (head, room) = unsafe { (self.part(0, VALUE), self.part(VALUE, value.len())) };
        self.write_head(head, answer);
        if room.len() == value.len() {
            room.copy_from_slice(value);
        }
    }

    fn write_head(&self, head: &mut [u8], answer: &Answer<'_>) {
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(place) = head.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        let name = answer.codec.as_bytes();
        let name = &name[..name.len().min(NAME_ROOM)];
        put(0, &answer.stamp.to_le_bytes());
        put(4, &answer.slot.to_le_bytes());
        put(8, &answer.epoch.to_le_bytes());
        put(12, &self.codec_number(answer.codec).to_le_bytes());
        put(16, &(answer.created as f64).to_le_bytes());
        let expires = if answer.expires == NEVER { f64::INFINITY } else { answer.expires as f64 };
        put(24, &expires.to_le_bytes());
        put(32, &(answer.size as f64).to_le_bytes());
        put(40, &answer.content.to_le_bytes());
        put(48, &(name.len() as u32).to_le_bytes());
        put(NAME, name);
    }

    /// The number of a codec's name, always the same; the greatest for one beyond those that are remembered.
    fn codec_number(&self, name: &str) -> u32 {
        let mut codecs = lock(&self.codecs);
        if let Some(number) = codecs.iter().position(|known| known == name) {
            return number as u32;
        }
        if codecs.len() == REMEMBERED {
            return u32::MAX;
        }
        codecs.push(name.to_owned());
        codecs.len() as u32 - 1
    }

    /// The length of the key in the memory, where a plain one is put that was given as a string: short, and of ASCII
    /// other than NUL. None for other strings.
    ///
    /// # Safety
    /// Within a call of the isolate that passed the value, and no part of the memory is borrowed.
    unsafe fn key_of(&self, env: sys::napi_env, given: sys::napi_value) -> Option<usize> {
        let (mut length, mut written) = (0, 0);
        // SAFETY: the value is one of this call, the places for the answers are valid, and no more is written than the
        // part has; the rest by the caller's promise.
        unsafe {
            let key = self.part(KEY, PLAIN_KEY_ROOM);
            let start = key.as_mut_ptr().cast();
            if sys::napi_get_value_string_utf8(env, given, start, key.len(), &raw mut written)
                != sys::Status::napi_ok
            {
                let status = sys::napi_get_value_uint32(env, given, &raw mut length);
                return (status == sys::Status::napi_ok).then_some(length as usize);
            }
            let is_plain = key.get(..written)?.iter().all(|unit| (1..128).contains(unit));
            (is_plain && (1..PLAIN_KEY).contains(&written)).then_some(written)
        }
    }

    /// A part of the memory, as far as it reaches.
    ///
    /// # Safety
    /// On the isolate's thread, and no part that overlaps it is borrowed.
    #[allow(clippy::mut_from_ref, reason = "the memory is not behind the reference")]
    unsafe fn part(&self, start: usize, length: usize) -> &mut [u8] {
        let start = start.min(self.memory.len());
        let length = length.min(self.memory.len() - start);
        // SAFETY: within the allocation; alone, by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.memory.cast::<u8>().add(start), length) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Look-ups in one namespace.
pub struct Lookup {
    pub store: Arc<Store>,
    pub namespace: Arc<Namespace>,
    pub exchange: Arc<Exchange>,
}

impl Lookup {
    /// Answers for the key of so many bytes that JavaScript has put into the memory. A packed value goes to `place`,
    /// which is asked for then, where it fits.
    pub fn run<'p>(
        &self,
        key_length: usize,
        age: Age,
        place: impl FnOnce() -> Option<&'p mut [u8]>,
    ) -> Result<Status> {
        // SAFETY: this runs within a call of the isolate, and the three parts lie side by side.
        let (head, value, key) = unsafe {
            let exchange = &self.exchange;
            (exchange.part(0, VALUE), exchange.part(VALUE, values::LARGEST), exchange.part(KEY, key_length))
        };
        let key = &*key;
        let mut placed = false;
        let seen = self.store.look(
            &self.namespace,
            key,
            age,
            |size| match place().and_then(|place| place.get_mut(..size)) {
                Some(place) => {
                    placed = true;
                    place
                }
                None => value.get_mut(..size).unwrap_or_default(),
            },
            |seen| {
                let glance = &seen.glance;
                let answer = Answer {
                    stamp: glance.stamp,
                    slot: if seen.coherent { glance.slot } else { NO_SLOT },
                    epoch: seen.epoch,
                    created: glance.term.created,
                    expires: glance.term.expires,
                    size: glance.size,
                    content: glance.content,
                    codec: glance.codec,
                };
                self.exchange.write_head(head, &answer);
                // A record that reads at a glance but not as a whole is one of a later version: a miss.
                (!glance.is_inline()).then(|| reader::found(seen))
            },
        )?;
        let named = self.namespace.is_named();
        let found = match seen {
            Some(None) => return Ok(if placed { Status::Placed } else { Status::Packed }),
            Some(Some(Some(found))) => found,
            None | Some(Some(None)) => return Ok(if named { Status::MaybeForeign } else { Status::Absent }),
        };
        let same =
            !named || matches!(self.store.named_file(&self.namespace, &found.record), adopt::NamedFile::Same);
        self.exchange.put_aside(Pending {
            namespace: Arc::clone(&self.namespace),
            key: key.to_vec(),
            record: found.record,
        });
        Ok(if same { Status::File } else { Status::MaybeForeign })
    }

    /// The function for JavaScript: takes the key, or the length of one that is in the memory, and, for a packed value
    /// that is to go there, an `ArrayBuffer` and where to begin in it; returns a `Status`. It holds what it needs.
    pub fn into_function(self, env: &Env) -> napi::Result<Function<'_, u32, u32>> {
        let data = Box::into_raw(Box::new(self)).cast::<c_void>();
        let mut function = ptr::null_mut();
        // SAFETY: `data` stays until the function's finalizer frees it, or is freed here where there is none.
        unsafe {
            let made = napi::check_status!(sys::napi_create_function(
                env.raw(),
                c"lookup".as_ptr(),
                -1,
                Some(on_call),
                data,
                &raw mut function,
            ))
            .and_then(|()| {
                napi::check_status!(sys::napi_add_finalizer(
                    env.raw(),
                    function,
                    data,
                    Some(on_collect),
                    ptr::null_mut(),
                    ptr::null_mut(),
                ))
            });
            if let Err(error) = made {
                // The function, if there is one, has been given to nobody.
                drop(Box::from_raw(data.cast::<Self>()));
                return Err(error);
            }
            Function::from_napi_value(env.raw(), function)
        }
    }
}

/// What JavaScript calls.
unsafe extern "C" fn on_call(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let (mut count, mut arguments, mut data) = (3, [ptr::null_mut(); 3], ptr::null_mut());
    let mut answer = ptr::null_mut();
    // SAFETY: env and info are those of this call; the places for the answers are valid; the data is the `Lookup`
    // that the function was made with, which its finalizer frees no earlier than the function is collected.
    unsafe {
        let given = arguments.as_mut_ptr();
        sys::napi_get_cb_info(env, info, &raw mut count, given, ptr::null_mut(), &raw mut data);
        let lookup = &*data.cast::<Lookup>();
        let place = || if count == 3 { place_in(env, arguments[1], arguments[2]) } else { None };
        let look = || match lookup.exchange.key_of(env, arguments[0]) {
            Some(length) => lookup.run(length, Age::Fresh, place),
            None => Ok(Status::Unchecked),
        };
        match unpanicked(look) {
            Ok(status) => {
                sys::napi_create_uint32(env, status as u32, &raw mut answer);
            }
            Err(error) => JsError::from(store_failure(error)).throw_into(env),
        }
    }
    answer
}

/// Makes an error of a panic, which would end the process where V8 is the caller.
fn unpanicked<R>(call: impl FnOnce() -> Result<R>) -> Result<R> {
    // What a panic can leave half done is in the exchange, which nobody reads after an error.
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(Error::new(Code::Internal, "the look-up panicked")))
}

/// The bytes of an array buffer from a place on; none of a detached one.
///
/// # Safety
/// Within the call of JavaScript that passed them; the bytes are used in this call only and not by anything else.
unsafe fn place_in<'c>(
    env: sys::napi_env,
    buffer: sys::napi_value,
    from: sys::napi_value,
) -> Option<&'c mut [u8]> {
    let (mut start, mut length, mut from_byte) = (ptr::null_mut(), 0, 0);
    // SAFETY: the values are arguments of this call, the places for the answers valid. JavaScript does not run until
    // it returns, so that the buffer stays as long as that.
    unsafe {
        let known = sys::napi_get_arraybuffer_info(env, buffer, &raw mut start, &raw mut length);
        let number = sys::napi_get_value_uint32(env, from, &raw mut from_byte);
        if known != sys::Status::napi_ok || number != sys::Status::napi_ok || start.is_null() {
            return None;
        }
        let bytes = std::slice::from_raw_parts_mut(start.cast::<u8>(), length);
        bytes.get_mut(from_byte as usize..)
    }
}

/// What V8 calls when the function is gone.
unsafe extern "C" fn on_collect(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: the box that `into_function` gave away, once.
    drop(unsafe { Box::from_raw(data.cast::<Lookup>()) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        let failed: Result<()> = unpanicked(|| panic!("as a bug would"));
        assert_eq!(failed.map_err(|error| error.code), Err(Code::Internal));
        assert_eq!(unpanicked(|| Ok(7)).ok(), Some(7));
    }
}
