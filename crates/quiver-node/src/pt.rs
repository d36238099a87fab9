//! Files of `torch.save`. Bytes cross as views and are used only during the call.

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use quiver_tensor::pt::{self, Graph, Storage};

use crate::errors::{Result, tensor_failure};
use crate::tensor::ZipMember;

/// The parts of an archive. Nothing of them has been compared with its CRC.
#[napi(object)]
pub struct PtContainer {
    /// The pickle.
    pub pickle: ZipMember,
    /// Short members that have been looked at.
    pub notes: Vec<ZipMember>,
    /// The storages, named by their keys.
    pub storages: Vec<ZipMember>,
    /// The bytes of each number must be swapped before use.
    pub big_endian: bool,
}

/// What tensors lie in.
#[napi(object)]
pub struct PtStorage {
    /// Its name: any text.
    pub key: String,
    /// Device it was saved from.
    pub location: String,
    /// Claimed length; to be compared with what there is.
    pub byte_length: f64,
    /// Where its bytes start in a legacy file, which is as long as that asks for.
    pub start: Option<f64>,
}

/// What a pickle stands for.
#[napi(object)]
pub struct PtGraph {
    /// The values; the encoding is that of the crate's module `pt::wire`.
    pub nodes: Uint8Array,
    /// What their tensors lie in.
    pub storages: Vec<PtStorage>,
    /// The bytes of each number must be swapped before use; of archives, the container says it.
    pub big_endian: bool,
}

/// Finds the parts of a whole archive.
#[napi]
pub fn pt_open(archive: &[u8]) -> Result<PtContainer> {
    let container = pt::open(archive).map_err(tensor_failure)?;
    let all = |members: Vec<quiver_tensor::zip::Member>| members.into_iter().map(ZipMember::from).collect();
    Ok(PtContainer {
        pickle: container.pickle.into(),
        notes: all(container.notes),
        storages: all(container.storages),
        big_endian: container.big_endian,
    })
}

/// Reads the pickle of an archive. Runs nothing.
#[napi]
pub fn pt_parse(pickle: &[u8]) -> Result<PtGraph> {
    let graph = pt::parse(pickle).map_err(tensor_failure)?;
    converted(&graph, |_| None, false)
}

/// Whether the first bytes are those of a legacy file.
#[napi]
pub fn pt_is_legacy(bytes: &[u8]) -> bool {
    pt::is_legacy(bytes)
}

/// Reads a whole legacy file. Runs nothing.
#[napi]
pub fn pt_parse_legacy(bytes: &[u8]) -> Result<PtGraph> {
    let file = pt::parse_legacy(bytes).map_err(tensor_failure)?;
    converted(&file.graph, |index| file.starts.get(index).map(|&start| start as f64), file.big_endian)
}

fn converted(graph: &Graph, start: impl Fn(usize) -> Option<f64>, big_endian: bool) -> Result<PtGraph> {
    let nodes = pt::encode(graph).map_err(tensor_failure)?;
    let storages = graph.storages.iter().enumerate().map(|(index, storage)| {
        let Storage { key, location, bytes, .. } = storage;
        PtStorage {
            key: (*key).to_owned(),
            location: (*location).to_owned(),
            byte_length: *bytes as f64,
            start: start(index),
        }
    });
    Ok(PtGraph { nodes: nodes.into(), storages: storages.collect(), big_endian })
}
