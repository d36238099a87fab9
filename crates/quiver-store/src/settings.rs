//! What is recorded of a root and of its namespaces.

use serde::{Deserialize, Serialize};

/// Where the entries of a namespace lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `<namespace>/<key>.<ext>`, what a person or Python opens.
    Named,
    /// By content id; where files are kept one an entry, `<namespace>/ab/<id>.<ext>`.
    #[default]
    Hashed,
}

/// Which values are files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Files {
    /// Small values are packed into the catalog.
    #[default]
    Large,
    /// One file an entry.
    Always,
}

/// Settings of a namespace, recorded with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceSettings {
    /// Where entries lie.
    pub layout: Layout,
    /// Which values are files.
    pub files: Files,
    /// Codec for writes that name none; none = by value.
    pub codec: Option<String>,
    /// Default time to live in ms; none = for ever.
    pub ttl: Option<u64>,
    /// Limit in allocated bytes.
    pub max_size: Option<u64>,
    /// Limit in entries.
    pub max_entries: Option<u64>,
    /// Name of the eviction policy.
    pub eviction: String,
    /// Replaced values that are kept.
    pub versions: u32,
    /// index.json is kept.
    pub index: bool,
}

impl Default for NamespaceSettings {
    fn default() -> Self {
        Self {
            layout: Layout::Hashed,
            files: Files::Large,
            codec: None,
            ttl: None,
            max_size: None,
            max_entries: None,
            eviction: "lru".into(),
            versions: 0,
            index: false,
        }
    }
}

/// What acknowledged writes survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Power cuts.
    #[default]
    Full,
    /// The death of processes.
    Process,
}

/// Settings of the whole cache, recorded in the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct RootSettings {
    /// What acknowledged writes survive.
    pub durability: Durability,
    /// Limit in allocated bytes over all namespaces.
    pub max_size: Option<u64>,
    /// Limit in entries over all namespaces.
    pub max_entries: Option<u64>,
    /// Name of the cache-wide eviction policy.
    pub eviction: Option<String>,
}
