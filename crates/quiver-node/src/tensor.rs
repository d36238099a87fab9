//! Tensor bytes: npy headers, zip archives, gather, compact, byte order, summaries.
//!
//! Bytes cross as views and are used only during the call. What goes on to the thread pool is copied first, because
//! JavaScript may resize or transfer a buffer at any time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{AsyncTask, Env, Task, Uint8Array, Uint8ArraySlice};
use napi_derive::napi;
use quiver_tensor::zip::{self, Member};
use quiver_tensor::{DType, Rows, Tally, npy};
use serde::Serialize;

use crate::errors::{Result, bad_value, rejection, tensor_failure};
use crate::facts;

/// What the header of an npy file says about the data behind it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NpyHeader<'h> {
    dtype: &'static str,
    shape: &'h [u64],
    fortran_order: bool,
    big_endian: bool,
    data_offset: u64,
}

/// Reads the header of an npy file of `length` bytes from its first ones, which hold it whole; the data behind it is as
/// long as it says. As JSON: the name of the type, sizes from the outermost axis on, whether the data lies column by
/// column, whether the bytes of each number must be swapped, where it starts from the start of the file. An object takes
/// longer to make than a text to write and parse, and looking at this may be all that is done with a matrix.
#[napi]
pub fn npy_parse(bytes: &[u8], length: f64) -> Result<String> {
    let header = npy::parse_start(bytes, length as u64).map_err(tensor_failure)?;
    Ok(facts::json(&NpyHeader {
        dtype: header.dtype.name(),
        shape: &header.shape,
        fortran_order: header.fortran_order,
        big_endian: header.big_endian,
        data_offset: header.data_offset as u64,
    }))
}

/// The header of an npy file of this type and shape: a multiple of 64 bytes, directly followed by the data.
#[napi]
pub fn npy_header(
    dtype: String,
    #[napi(ts_arg_type = "readonly number[]")] shape: Vec<f64>,
    fortran_order: bool,
) -> Result<Uint8Array> {
    let bytes = npy::header(dtype_of(&dtype)?, &counts(&shape)?, fortran_order).map_err(tensor_failure)?;
    Ok(bytes.into())
}

/// One member of a zip archive, as the central directory has it. Positions count from the start of the archive.
#[napi(object)]
pub struct ZipMember {
    /// Any text.
    pub name: String,
    /// Deflated; else stored.
    pub deflated: bool,
    /// CRC-32 of the member's own bytes.
    pub crc: u32,
    /// Where the member's local header starts.
    pub header_offset: f64,
    /// Where the stored bytes start; not read when writing.
    pub offset: f64,
    /// How many bytes are stored.
    pub compressed_size: f64,
    /// How many bytes the member has.
    pub size: f64,
}

impl From<Member> for ZipMember {
    fn from(member: Member) -> Self {
        Self {
            name: member.name,
            deflated: member.deflated,
            crc: member.crc,
            header_offset: member.header_offset as f64,
            offset: member.offset as f64,
            compressed_size: member.compressed_size as f64,
            size: member.size as f64,
        }
    }
}

impl ZipMember {
    fn into_member(self) -> Result<Member> {
        Ok(Member {
            name: self.name,
            deflated: self.deflated,
            crc: self.crc,
            header_offset: count(self.header_offset)?,
            offset: count(self.offset)?,
            compressed_size: count(self.compressed_size)?,
            size: count(self.size)?,
        })
    }
}

/// The members of a zip archive, all within its length; of equal names the last. Contents and CRCs are not checked.
#[napi]
pub fn zip_members(archive: &[u8]) -> Result<Vec<ZipMember>> {
    Ok(zip::members(archive).map_err(tensor_failure)?.into_iter().map(ZipMember::from).collect())
}

/// The header before a member's bytes; pads stored members to a multiple of 64 bytes.
#[napi]
pub fn zip_local_header(member: ZipMember) -> Result<Uint8Array> {
    Ok(zip::local_header(&member.into_member()?).map_err(tensor_failure)?.into())
}

/// What follows the last member: the directory, which starts at `position`.
#[napi]
pub fn zip_directory(
    #[napi(ts_arg_type = "readonly ZipMember[]")] members: Vec<ZipMember>,
    position: f64,
) -> Result<Uint8Array> {
    let members = members.into_iter().map(ZipMember::into_member).collect::<Result<Vec<_>>>()?;
    let bytes = zip::directory(&members, count(position)?).map_err(tensor_failure)?;
    Ok(bytes.into())
}

/// CRC-32 over pieces.
#[napi]
#[derive(Default)]
pub struct Crc32 {
    state: zip::Crc,
}

#[napi]
impl Crc32 {
    /// Of nothing yet.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a piece.
    #[napi]
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
    }

    /// Of all pieces so far.
    #[napi(getter)]
    pub fn value(&self) -> u32 {
        self.state.sum()
    }
}

/// Copies the rows `indices` of `source` into `out`; `stride` is the bytes from one row's start to the next one's.
/// Nothing is copied when an index names no row.
#[napi]
pub fn gather_rows(
    source: &[u8],
    rows: f64,
    row_bytes: f64,
    stride: f64,
    indices: &[u32],
    mut out: Uint8ArraySlice,
) -> Result<()> {
    let rows = Rows { count: length(rows)?, bytes: length(row_bytes)?, stride: length(stride)? };
    let out = output(&mut out, source)?;
    rows.check(source, indices, out.len()).map_err(tensor_failure)?;
    let gather = |indices: &[u32], out: &mut [u8]| quiver_tensor::gather_rows(source, rows, indices, out);
    quiver_io::crew::fill_rows(rows.bytes, indices, out, gather).map_err(tensor_failure)
}

/// Copies a strided tensor that starts at the first byte of `source` into `out` row by row. Strides count elements.
#[napi]
pub fn compact(
    source: &[u8],
    item_size: u32,
    #[napi(ts_arg_type = "readonly number[]")] shape: Vec<f64>,
    #[napi(ts_arg_type = "readonly number[]")] strides: Vec<f64>,
    mut out: Uint8ArraySlice,
) -> Result<()> {
    let out = output(&mut out, source)?;
    quiver_tensor::compact(source, item_size as usize, &counts(&shape)?, &counts(&strides)?, out)
        .map_err(tensor_failure)
}

/// Copies numbers of `width` bytes in the other byte order.
#[napi]
pub fn swap_bytes(source: &[u8], width: u32, mut out: Uint8ArraySlice) -> Result<()> {
    quiver_tensor::swap_bytes(source, width as usize, output(&mut out, source)?).map_err(tensor_failure)
}

/// Extremes, sum and mean of values; 64-bit integers beyond 2^53 are rounded.
#[napi(object)]
pub struct Summary {
    /// Least value that is not NaN; absent when there is none.
    pub min: Option<f64>,
    /// Greatest value that is not NaN; absent when there is none.
    pub max: Option<f64>,
    /// Mean of the values that are not NaN; absent when there are none.
    pub mean: Option<f64>,
    /// Sum of the values that are not NaN; 0 when there are none.
    pub sum: f64,
    /// How many are NaN.
    pub nan: f64,
}

/// Bytes of elements that are summarised at a time, some hundred microseconds.
const SUMMARISED: usize = 1 << 20;

/// Summarises dense elements, long ones also on idle threads.
#[napi]
pub fn summarise(bytes: &[u8], dtype: String) -> Result<Summary> {
    let dtype = dtype_of(&dtype)?;
    let mut tallies = vec![Tally::default(); bytes.len().div_ceil(SUMMARISED)];
    let parts = bytes.chunks(SUMMARISED).zip(&mut tallies);
    quiver_io::crew::try_for_each(parts, |(part, tally)| Tally::of(part, dtype).map(|of| *tally = of))
        .map_err(tensor_failure)?;
    let quiver_tensor::Summary { min, max, mean, sum, nan } =
        tallies.into_iter().fold(Tally::default(), Tally::and).summary();
    Ok(Summary { min, max, mean, sum, nan: nan as f64 })
}

/// Deflates a stream of chunks on the thread pool, one call at a time.
#[napi]
pub struct Deflater {
    state: Arc<Mutex<zip::Deflater>>,
}

#[napi]
impl Deflater {
    /// `level` is 0 to 9.
    #[napi(constructor)]
    pub fn new(level: u32) -> Result<Self> {
        let state = zip::Deflater::new(level).map_err(tensor_failure)?;
        Ok(Self { state: Arc::new(Mutex::new(state)) })
    }

    /// Resolves to what has come out; the chunk is copied before this returns.
    #[napi(ts_return_type = "Promise<Uint8Array>")]
    pub fn write(&self, chunk: &[u8]) -> AsyncTask<Deflate> {
        AsyncTask::new(Deflate { state: Arc::clone(&self.state), chunk: Some(chunk.to_vec()) })
    }

    /// Resolves to the rest of the stream.
    #[napi(ts_return_type = "Promise<Uint8Array>")]
    pub fn finish(&self) -> AsyncTask<Deflate> {
        AsyncTask::new(Deflate { state: Arc::clone(&self.state), chunk: None })
    }

    /// CRC-32 of what went in.
    #[napi(getter)]
    pub fn crc(&self) -> u32 {
        lock(&self.state).crc()
    }
}

/// One step of a [`Deflater`]; without a chunk the last one.
pub struct Deflate {
    state: Arc<Mutex<zip::Deflater>>,
    chunk: Option<Vec<u8>>,
}

impl Task for Deflate {
    type Output = quiver_tensor::Result<Vec<u8>>;
    type JsValue = Uint8Array;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let mut deflater = lock(&self.state);
        Ok(match self.chunk.take() {
            Some(chunk) => deflater.write(&chunk),
            None => deflater.finish(),
        })
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        output.map(Uint8Array::from).map_err(|error| rejection(env, tensor_failure(error)))
    }
}

/// Inflates a stream of chunks, on the thread pool or at once, one call at a time. Nothing beyond the declared size
/// is kept.
#[napi]
pub struct Inflater {
    state: Arc<Mutex<Option<zip::Inflater>>>,
}

#[napi]
impl Inflater {
    /// `size` and `crc` are what the archive declares. An array (npy) is also held to what its own header says.
    #[napi(constructor)]
    pub fn new(size: f64, crc: u32, array: bool) -> Result<Self> {
        let mut state = zip::Inflater::new(count(size)?, crc).map_err(tensor_failure)?;
        if array {
            state = state.bounded_by(npy::claimed_length);
        }
        Ok(Self { state: Arc::new(Mutex::new(Some(state))) })
    }

    /// The chunk is copied before this returns.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn write(&self, chunk: &[u8]) -> AsyncTask<Inflate> {
        AsyncTask::new(Inflate { state: Arc::clone(&self.state), chunk: chunk.to_vec() })
    }

    /// The same at once.
    #[napi]
    pub fn write_sync(&self, chunk: &[u8]) -> Result<()> {
        inflate(&self.state, chunk).map_err(tensor_failure)
    }

    /// The inflated bytes, once; fails when they are not as many as declared or their CRC-32 differs.
    #[napi]
    pub fn finish(&self) -> Result<Uint8Array> {
        let inflater =
            lock(&self.state).take().ok_or_else(|| bad_value("the member has been finished already"))?;
        Ok(inflater.finish().map_err(tensor_failure)?.into())
    }
}

/// One step of an [`Inflater`].
pub struct Inflate {
    state: Arc<Mutex<Option<zip::Inflater>>>,
    chunk: Vec<u8>,
}

impl Task for Inflate {
    type Output = quiver_tensor::Result<()>;
    type JsValue = ();

    fn compute(&mut self) -> napi::Result<Self::Output> {
        Ok(inflate(&self.state, &self.chunk))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        output.map_err(|error| rejection(env, tensor_failure(error)))
    }
}

fn inflate(state: &Mutex<Option<zip::Inflater>>, chunk: &[u8]) -> quiver_tensor::Result<()> {
    match lock(state).as_mut() {
        Some(inflater) => inflater.write(chunk),
        None => Err(quiver_tensor::Error::new(
            quiver_tensor::ErrorKind::BadValue,
            "the member has been finished already",
        )),
    }
}

/// A panic elsewhere leaves a stream that its own checks still guard.
fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn dtype_of(name: &str) -> Result<DType> {
    DType::from_name(name).map_err(tensor_failure)
}

/// A count as JavaScript has it: a whole number that a double holds exactly.
pub(crate) fn count(number: f64) -> Result<u64> {
    const LARGEST: f64 = 9_007_199_254_740_991.0;
    if number.fract() == 0.0 && (0.0..=LARGEST).contains(&number) {
        Ok(number as u64)
    } else {
        Err(bad_value("a count must be a whole number from 0 to 2^53 - 1"))
    }
}

pub(crate) fn counts(numbers: &[f64]) -> Result<Vec<u64>> {
    numbers.iter().map(|&number| count(number)).collect()
}

pub(crate) fn length(number: f64) -> Result<usize> {
    usize::try_from(count(number)?).map_err(|_| bad_value("a length must fit into memory"))
}

/// `out` to write to, when it does not overlap what is read.
pub(crate) fn output<'a>(out: &'a mut Uint8ArraySlice, source: &[u8]) -> Result<&'a mut [u8]> {
    let (read, written) = (source.as_ptr_range(), out.as_ptr_range());
    if !source.is_empty() && !out.is_empty() && read.start < written.end && written.start < read.end {
        return Err(bad_value("source and out must not overlap"));
    }
    // SAFETY: JavaScript runs no code during this call, `out` does not overlap the only bytes that are read, and
    // the slice does not outlive the call.
    Ok(unsafe { out.as_mut() })
}
