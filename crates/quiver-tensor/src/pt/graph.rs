//! What a pickle stands for.

use std::borrow::Cow;

use super::global::Rebuild;
use crate::dtype::DType;

/// Position of a node in its graph.
pub type NodeId = u32;

/// Values that refer to each other by position: shared ones and cycles need nothing special.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph<'a> {
    /// In the order in which they were made.
    pub nodes: Vec<Node<'a>>,
    /// The value of the whole.
    pub root: NodeId,
    /// What tensors lie in.
    pub storages: Vec<Storage<'a>>,
}

/// One Python value.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of up to 64 bits.
    Int(i64),
    /// A longer one: two's complement, least byte first.
    Long(&'a [u8]),
    /// A float, also where it is a whole number.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// Immutable bytes.
    Bytes(Cow<'a, [u8]>),
    /// A list.
    List(Vec<NodeId>),
    /// A tuple.
    Tuple(Vec<NodeId>),
    /// A set; items may repeat.
    Set(Vec<NodeId>),
    /// A dict; of equal keys the last counts.
    Dict(Box<Dict>),
    /// A class or constant under its dotted name, such as `torch.float32`.
    Global(&'static str),
    /// The value that a harmless class makes of a tuple of arguments, such as `torch.device("cpu")`.
    Call(&'static str, NodeId),
    /// A storage: which one, and the element at which a view into it starts; only an argument.
    Storage(u32, u64),
    /// A storage class, with its element type where it has one; only an argument.
    StorageClass(Option<DType>),
    /// A function that makes tensors; only an argument.
    Function(Rebuild),
    /// A tensor.
    Tensor(Box<Tensor>),
}

/// A dict, or an `OrderedDict`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dict {
    /// Keys and values in order.
    pub pairs: Vec<(NodeId, NodeId)>,
    /// An `OrderedDict`.
    pub ordered: bool,
    /// Attributes of an `OrderedDict`, a dict: `_metadata` of state dicts.
    pub attributes: Option<NodeId>,
}

/// A tensor in a storage. Its elements lie within the storage as far as that says itself how long it is.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "four independent facts")]
pub struct Tensor {
    /// Which storage.
    pub storage: u32,
    /// Type of the elements.
    pub dtype: DType,
    /// The first element.
    pub offset: u64,
    /// Sizes, outermost axis first.
    pub shape: Vec<u64>,
    /// Distances along the axes, in elements; 0 repeats.
    pub strides: Vec<u64>,
    /// `PyTorch` records operations on it.
    pub requires_grad: bool,
    /// A `Parameter`.
    pub parameter: bool,
    /// The stored numbers are the conjugates of the tensor's.
    pub conj: bool,
    /// The stored numbers are the negatives of the tensor's.
    pub neg: bool,
}

/// A block of elements that tensors share.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage<'a> {
    /// Its name: any text.
    pub key: &'a str,
    /// Type of its elements; `None` where the tensors say.
    pub dtype: Option<DType>,
    /// Device it was saved from, such as `cuda:0`.
    pub location: &'a str,
    /// Claimed length; to be compared with what there is.
    pub bytes: u64,
}

impl Dict {
    /// An empty `OrderedDict`.
    pub fn ordered() -> Self {
        Self { ordered: true, ..Self::default() }
    }
}
