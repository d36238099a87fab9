//! What can be asked of the writer, and what it answers.

use std::sync::Arc;

use quiver_io::Published;

use super::packed::PackedBytes;
use crate::catalog::record::{FileIdentity, Record};
use crate::catalog::{Counters, NamespaceRecord};
use crate::error::Result;
use crate::settings::NamespaceSettings;

/// Facts that a write brings along.
#[derive(Debug, Clone, Default)]
pub struct NewFacts {
    /// Codec name.
    pub codec: String,
    /// File extension without dot.
    pub extension: String,
    /// Wall-clock ms; none = never.
    pub expires: Option<u64>,
    /// Until when it is kept once it has expired, for those who ask for stale entries.
    pub stale_until: Option<u64>,
    /// Lower leaves first.
    pub priority: i32,
    /// Never evicted.
    pub pinned: bool,
    /// Tags.
    pub tags: Vec<String>,
    /// Metadata as JSON.
    pub metadata: Option<String>,
    /// Dtype and shape as JSON.
    pub tensor: Option<String>,
}

/// A value ready to be committed.
#[derive(Debug)]
pub enum NewValue {
    /// Small: into the catalog.
    Inline(PackedBytes),
    /// Large: published already; its file stays locked until the commit is done.
    File(Box<FileValue>),
}

/// A value that was published as an object.
#[derive(Debug)]
pub struct FileValue {
    /// Content id.
    pub content: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes on disk.
    pub allocated: u64,
    /// Digest of the bytes.
    pub sha256: [u8; 32],
    /// Chunk sums, where they are few enough to go into the record.
    pub sums: Vec<u64>,
    /// Identity of the object, which its named link shares.
    pub identity: FileIdentity,
    /// Keeps the file locked against the sweep.
    pub published: Option<Published>,
}

/// Facts taken over with an adopted file.
#[derive(Debug, Clone)]
pub struct Adoption {
    /// File name under the namespace's folder.
    pub name: String,
    /// Identity of that file, which is not ours.
    pub named_file: FileIdentity,
    /// When its writer made it, ms.
    pub created: u64,
    /// Last access and count that its writer kept.
    pub usage: Option<(u64, u64)>,
    /// Digest that its writer noted: bytes that differ are refused.
    pub checksum: Option<[u8; 32]>,
}

/// A write of one entry.
#[derive(Debug)]
pub struct Put {
    /// Namespace name.
    pub namespace: Arc<str>,
    /// The key.
    pub key: PackedBytes,
    /// Its facts, which it may have in common with others.
    pub facts: Arc<NewFacts>,
    /// Its bytes.
    pub value: NewValue,
    /// Place in the order of calls.
    pub ticket: u64,
    /// Lease under which the value was computed: range-lock hash and fencing number.
    pub fence: Option<(u64, u64)>,
    /// Present when the value is taken over from somebody else's file.
    pub adoption: Option<Box<Adoption>>,
}

impl Put {
    /// Bytes that it packs into the catalog; none for a file.
    fn packed(&self) -> Option<usize> {
        match &self.value {
            NewValue::Inline(value) => Some(value.len()),
            NewValue::File(_) => None,
        }
    }
}

/// Changes to an entry's facts; `None` leaves one as it is.
#[derive(Debug, Clone, Default)]
pub struct FactChanges {
    /// New expiry; `Some(None)` = never.
    pub expires: Option<Option<u64>>,
    /// Pin or unpin.
    pub pinned: Option<bool>,
    /// New priority.
    pub priority: Option<i32>,
    /// New tags.
    pub tags: Option<Vec<String>>,
    /// New metadata as JSON; `Some(None)` removes it.
    pub metadata: Option<Option<String>>,
}

/// Why entries leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Asked for.
    Delete,
    /// To make room.
    Evict,
    /// Time ran out.
    Expire,
    /// The file under its readable name was removed by somebody else. Looked at again in the transaction, when
    /// no writer is between its commit and its name.
    Vanished,
}

/// An entry chosen from a snapshot; removed only if nothing changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Victim {
    /// Entry key in the catalog.
    pub entry: Vec<u8>,
    /// Stamp it had when it was chosen.
    pub stamp: u32,
}

/// One request to the writer.
#[derive(Debug)]
pub enum Op {
    /// Writes an entry.
    Put(Box<Put>),
    /// Writes entries, in their order. What one comes to doesn't concern the others.
    PutMany(Vec<Put>),
    /// Removes an entry.
    Delete {
        /// Namespace name.
        namespace: String,
        /// The key.
        key: Vec<u8>,
        /// Place in the order of calls.
        ticket: u64,
    },
    /// Changes facts.
    Touch {
        /// Namespace name.
        namespace: String,
        /// The key.
        key: Vec<u8>,
        /// What to change.
        changes: FactChanges,
        /// Place in the order of calls.
        ticket: u64,
    },
    /// Empties a namespace.
    Clear {
        /// Namespace name.
        namespace: String,
    },
    /// Removes what carries a tag.
    DeleteTagged {
        /// Namespace name.
        namespace: String,
        /// The tag.
        tag: String,
    },
    /// Removes entries chosen from a snapshot.
    Remove {
        /// The entries.
        victims: Vec<Victim>,
        /// Why.
        reason: Reason,
    },
    /// Removes up to a thousand expired entries.
    Expire {
        /// Add them to the counters; else whoever asked does.
        counted: bool,
    },
    /// Deletes up to two thousand rows of cleared namespaces.
    Reclaim,
    /// Makes or reconfigures a namespace.
    OpenNamespace {
        /// Namespace name.
        namespace: String,
        /// Settings for a new one, and for an existing one if `reconfigure`.
        settings: NamespaceSettings,
        /// Replace recorded settings.
        reconfigure: bool,
    },
    /// Adds to counters.
    Count(Vec<(String, Counters)>),
    /// Gives an entry whose word was left different by a killed writer a fresh stamp.
    Mend {
        /// Entry key in the catalog.
        entry: Vec<u8>,
    },
    /// Records the SHA-256 of a packed value, computed on demand.
    SetDigest {
        /// Entry key in the catalog.
        entry: Vec<u8>,
        /// The content it was computed from.
        content: u64,
        /// The digest.
        sha256: [u8; 32],
    },
}

impl Op {
    /// As how many requests it counts.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::PutMany(puts) => puts.len().max(1),
            _ => 1,
        }
    }

    /// Bytes that it packs into the catalog; none for anything but packed values.
    pub(super) fn packed(&self) -> Option<usize> {
        match self {
            Self::Put(put) => put.packed(),
            Self::PutMany(puts) => puts.iter().map(Put::packed).sum(),
            _ => None,
        }
    }
}

/// What a request did.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The entry as it is now.
    Written(Box<Record>),
    /// Nothing was written, because a later call or another holder of the computation was first; the entry as it is now.
    Overtaken(Box<Record>),
    /// What each of several writes came to.
    Many(Vec<Result<Outcome>>),
    /// The entry as it is now; none = absent.
    Touched(Option<Box<Record>>),
    /// How many entries were removed.
    Removed(Removed),
    /// The namespace as recorded.
    Namespace(Box<NamespaceRecord>),
    /// Nothing to say.
    Done,
}

/// Entries removed.
#[derive(Debug, Clone, Default)]
pub struct Removed {
    /// How many.
    pub count: u64,
    /// Bytes of their values; of victims, what they took on disk.
    pub bytes: u64,
    /// Entry keys of those that really went, when they were chosen from a snapshot.
    pub entries: Vec<Vec<u8>>,
    /// More is waiting.
    pub more: bool,
}

/// Called once with what a request did. Runs on the writer's thread: must be short and must not wait for it.
pub type Completion = Box<dyn FnOnce(Result<Outcome>) + Send>;
