//! The one writer of a process: requests queue up while a commit is under way and are then committed together,
//! so that a durable commit, which costs about as much as one synced file, carries up to a thousand writes.

mod after;
mod group;
mod ops;
mod packed;
mod put;
mod queue;
mod removal;
mod serve;
mod slots;
mod spaces;
mod thread;
mod unnamed;

pub use after::{After, Link};
pub use group::versions_of;
pub use ops::{
    Adoption, Completion, FactChanges, FileValue, NewFacts, NewValue, Op, Outcome, Put, Reason, Removed,
    Victim,
};
pub use packed::PackedBytes;
pub(crate) use serve::{lock_out_others, swap_link};
pub use thread::{Pause, Writer};
