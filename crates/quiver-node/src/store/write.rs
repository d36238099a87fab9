//! Queued writes: each is answered under the number it came with.

use std::sync::Arc;

use napi::bindgen_prelude::Either;
use napi_derive::napi;
use quiver_store::flights::{self};
use quiver_store::publisher::{ObjectWriter, Threads};
use quiver_store::reader::Namespace;
use quiver_store::writer::{NewFacts, NewValue, Op, Outcome, PackedBytes, Put};
use serde_json::json;

use super::{NativeStore, lock};
use crate::errors::{Result, bad_value, store_failure};
use crate::facts::{self, Facts};
use crate::object_writer::NativeWriter;

#[napi]
impl NativeStore {
    /// Numbers facts that many small values have in common; all but the time of expiry, as JSON.
    #[napi]
    pub fn manner(&self, facts: String) -> Result<u32> {
        let (facts, _) = facts::new_facts(&facts).map_err(store_failure)?;
        let mut manners = lock(&self.manners);
        manners.push(Arc::new(facts));
        Ok(manners.len() as u32 - 1)
    }

    /// Queues a small value with facts as JSON; request `id` is answered with all of its facts.
    #[napi]
    pub fn put(&self, id: u32, handle: u32, key: String, facts: String, value: &[u8]) -> Result<()> {
        let namespace = self.namespace(handle)?;
        let (facts, fence) = facts::new_facts(&facts).map_err(store_failure)?;
        let op = self.put_op(&namespace, key.as_bytes(), facts.into(), fence, value);
        let store = Arc::downgrade(&self.store);
        self.submit(id, op, move |outcome| match (outcome, store.upgrade()) {
            (Outcome::Written(record) | Outcome::Overtaken(record), Some(store)) => {
                facts::json(&Facts::of(&store, &namespace, key.as_bytes(), &record))
            }
            _ => String::new(),
        })
    }

    /// Stores a small value, with facts as JSON or by the number of a manner and the time of expiry, and waits for it;
    /// the answer is the time of the entry's creation, or all of its facts.
    #[napi]
    pub fn put_sync(
        &self,
        handle: u32,
        key: String,
        manner: Either<u32, String>,
        expires: Option<f64>,
        value: &[u8],
    ) -> Result<Either<f64, String>> {
        let namespace = self.namespace(handle)?;
        let brief = matches!(manner, Either::A(_)) && is_plain(expires);
        let (facts, fence) = match manner {
            Either::A(number) => (mannered(&lock(&self.manners), number, expires)?, None),
            Either::B(json) => {
                let (facts, fence) = facts::new_facts(&json).map_err(store_failure)?;
                (Arc::new(facts), fence)
            }
        };
        let op = self.put_op(&namespace, key.as_bytes(), facts, fence, value);
        let outcome = self.store.writer().and_then(|writer| writer.call(op)).map_err(store_failure)?;
        if let Some(created) = brief_answer(brief, &namespace, &outcome) {
            return Ok(Either::A(created as f64));
        }
        match outcome {
            Outcome::Written(record) | Outcome::Overtaken(record) => {
                let facts = Facts::of(&self.store, &namespace, key.as_bytes(), &record);
                Ok(Either::B(facts::json(&facts)))
            }
            _ => Err(bad_value("a write was answered as something else")),
        }
    }

    /// Begins a value that goes to a file; `here` if all of its calls may wait for the disk, and `commitSync` ends it.
    #[napi]
    pub fn writer(&self, handle: u32, key: String, here: bool) -> Result<NativeWriter> {
        let namespace = self.namespace(handle)?;
        let threads = if here { Threads::Callers } else { Threads::Ours };
        let writer: Arc<ObjectWriter> =
            self.store.object_writer(&namespace.name, key.as_bytes(), threads).map_err(store_failure)?;
        Ok(NativeWriter {
            writer,
            store: Arc::clone(&self.store),
            namespace,
            key: key.into_bytes(),
            completions: self.completions()?,
        })
    }

    /// Queues a deletion; request `id` is answered with how many entries there were.
    #[napi]
    pub fn delete(&self, id: u32, handle: u32, key: String) -> Result<()> {
        let namespace = self.namespace(handle)?.name.clone();
        let op = Op::Delete { namespace, key: key.into_bytes(), ticket: self.store.engine.order.draw() };
        self.submit(id, op, count_json)
    }

    /// Queues changes of facts; request `id` is answered with the facts, or nothing.
    #[napi]
    pub fn touch(&self, id: u32, handle: u32, key: String, changes: String) -> Result<()> {
        let namespace = self.namespace(handle)?;
        let op = Op::Touch {
            namespace: namespace.name.clone(),
            key: key.clone().into_bytes(),
            changes: facts::changes(&changes).map_err(store_failure)?,
            ticket: self.store.engine.order.draw(),
        };
        let store = Arc::downgrade(&self.store);
        self.submit(id, op, move |outcome| match (outcome, store.upgrade()) {
            (Outcome::Touched(Some(record)), Some(store)) => {
                facts::json(&Facts::of(&store, &namespace, key.as_bytes(), &record))
            }
            _ => String::new(),
        })
    }

    /// Queues the emptying of a namespace.
    #[napi]
    pub fn clear(&self, id: u32, handle: u32) -> Result<()> {
        let namespace = self.namespace(handle)?.name.clone();
        self.submit(id, Op::Clear { namespace }, count_json)
    }

    /// Queues the deletion of what carries a tag, up to two thousand entries; `more` in the answer.
    #[napi]
    pub fn delete_tagged(&self, id: u32, handle: u32, tag: String) -> Result<()> {
        let namespace = self.namespace(handle)?.name.clone();
        self.submit(id, Op::DeleteTagged { namespace, tag }, count_json)
    }

    /// Queues the removal of what has run out, up to a thousand entries of any namespace; `more` in the answer.
    #[napi]
    pub fn expire(&self, id: u32) -> Result<()> {
        self.submit(id, Op::Expire { counted: false }, count_json)
    }
}

impl NativeStore {
    fn put_op(
        &self,
        namespace: &Namespace,
        key: &[u8],
        facts: Arc<NewFacts>,
        fence: Option<u64>,
        value: &[u8],
    ) -> Op {
        Op::Put(Box::new(Put {
            namespace: namespace.name.as_str().into(),
            fence: fence.map(|fence| (flights::hash(&namespace.name, key), fence)),
            key: PackedBytes::copy_of(key),
            facts,
            value: NewValue::Inline(PackedBytes::copy_of(value)),
            ticket: self.store.engine.order.draw(),
            adoption: None,
        }))
    }
}

/// The facts that a number stands for, with a time of expiry.
pub(super) fn mannered(
    manners: &[Arc<NewFacts>],
    number: u32,
    expires: Option<f64>,
) -> Result<Arc<NewFacts>> {
    let known = manners.get(number as usize).ok_or_else(|| bad_value("there is no manner of this number"))?;
    Ok(match expires.and_then(facts::milliseconds) {
        None => Arc::clone(known),
        expires => Arc::new(NewFacts { expires, ..NewFacts::clone(known) }),
    })
}

/// Whether a time of expiry is recorded as it is.
pub(super) fn is_plain(expires: Option<f64>) -> bool {
    expires.is_none_or(|ms| facts::milliseconds(ms).is_some())
}

/// When the entry was made, if the caller was brief and can tell the rest himself.
pub(super) fn brief_answer(brief: bool, namespace: &Namespace, outcome: &Outcome) -> Option<u64> {
    match outcome {
        Outcome::Written(record) if brief && !namespace.keeps_versions() => Some(record.created),
        _ => None,
    }
}

fn count_json(outcome: Outcome) -> String {
    match outcome {
        Outcome::Removed(removed) => json!({ "count": removed.count, "more": removed.more }).to_string(),
        _ => String::new(),
    }
}
