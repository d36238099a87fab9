//! The nearest rows of a dataset's column.

use quiver_dataset::{Dataset, Kind};
use quiver_tensor::DType;
use quiver_tensor::arrow::values::Values;

use crate::error::{Error, Result};
use crate::nearest::{Elements, Metric, Neighbour, nearest};
use crate::view;

/// What int8 elements stand for: `(value - zero_point) * scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantisation {
    /// Of one step.
    pub scale: f32,
    /// The value that stands for zero.
    pub zero_point: i8,
}

/// The `k` nearest rows to each query in a column of vectors of float32, float16 or int8, where they are in the files.
/// Queries are float32, one after the other. Ends with `Aborted` soon after `should_stop` said so.
pub fn nearest_rows(
    dataset: &Dataset,
    column: &str,
    queries: &[f32],
    k: usize,
    metric: Metric,
    quantisation: Quantisation,
    should_stop: &(impl Fn() -> bool + Sync),
) -> Result<Vec<Vec<Neighbour>>> {
    let column = dataset.column(column)?;
    let refusal = || Error::NotVectors(column.name.clone());
    let Kind::Fixed { dtype, row } = &column.kind else { return Err(refusal()) };
    let [dimension] = row.as_slice() else { return Err(refusal()) };
    let mut blocks = Vec::with_capacity(column.blocks.len());
    for block in &column.blocks {
        let Values::Dense { leaves, .. } = &block.values else { return Err(refusal()) };
        let shard = dataset.shards().get(block.shard).ok_or_else(refusal)?;
        let bytes = shard.bytes().get(leaves.data.clone()).ok_or_else(refusal)?;
        blocks.push(match dtype {
            DType::Float32 => Elements::Float32(view::floats(bytes).ok_or_else(refusal)?),
            DType::Float16 => Elements::Float16(view::halves(bytes).ok_or_else(refusal)?),
            DType::Int8 => Elements::Int8 {
                values: view::signed_bytes(bytes).ok_or_else(refusal)?,
                scale: quantisation.scale,
                zero_point: quantisation.zero_point,
            },
            _ => return Err(refusal()),
        });
    }
    let dimension = usize::try_from(*dimension).map_err(|_| refusal())?;
    let found = nearest(&blocks, dimension, queries, k, metric, should_stop)?;
    dataset.check_whole()?;
    Ok(found)
}
