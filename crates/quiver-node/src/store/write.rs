//! Queued writes: each is answered under the number it came with.

use std::sync::Arc;

use napi_derive::napi;
use quiver_store::flights::{self};
use quiver_store::publisher::ObjectWriter;
use quiver_store::reader::Namespace;
use quiver_store::writer::{NewValue, Op, Outcome, PackedBytes, Put};
use serde_json::json;

use super::NativeStore;
use crate::errors::{Result, bad_value, store_failure};
use crate::facts::{self, Facts};
use crate::object_writer::NativeWriter;

#[napi]
impl NativeStore {
    /// Queues a small value; request `id` is answered with its facts.
    #[napi]
    pub fn put(&self, id: u32, handle: u32, key: String, facts: String, value: &[u8]) -> Result<()> {
        let namespace = self.namespace(handle)?;
        let op = self.put_op(&namespace, &key, &facts, value)?;
        let store = Arc::downgrade(&self.store);
        self.submit(id, op, move |outcome| match (outcome, store.upgrade()) {
            (Outcome::Written(record), Some(store)) => {
                facts::json(&Facts::of(&store, &namespace, key.as_bytes(), &record))
            }
            _ => String::new(),
        })
    }

    /// Stores a small value and waits for it; its facts as JSON.
    #[napi]
    pub fn put_sync(&self, handle: u32, key: String, facts: String, value: &[u8]) -> Result<String> {
        let namespace = self.namespace(handle)?;
        let op = self.put_op(&namespace, &key, &facts, value)?;
        // What was gathered before can't be followed by anything while this waits.
        self.store.flush();
        match self.store.writer().and_then(|writer| writer.call(op)).map_err(store_failure)? {
            Outcome::Written(record) => {
                Ok(facts::json(&Facts::of(&self.store, &namespace, key.as_bytes(), &record)))
            }
            _ => Err(bad_value("a write was answered as something else")),
        }
    }

    /// Begins a value that goes to a file.
    #[napi]
    pub fn writer(&self, handle: u32, key: String) -> Result<NativeWriter> {
        let namespace = self.namespace(handle)?;
        let writer: Arc<ObjectWriter> =
            self.store.object_writer(&namespace.name, key.as_bytes()).map_err(store_failure)?;
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
    fn put_op(&self, namespace: &Namespace, key: &str, facts: &str, value: &[u8]) -> Result<Op> {
        let (facts, fence) = facts::new_facts(facts).map_err(store_failure)?;
        Ok(Op::Put(Box::new(Put {
            namespace: namespace.name.clone(),
            fence: fence.map(|fence| (flights::hash(&namespace.name, key.as_bytes()), fence)),
            key: key.as_bytes().to_vec(),
            facts,
            value: NewValue::Inline(PackedBytes::copy_of(value)),
            ticket: self.store.engine.order.draw(),
            adoption: None,
        })))
    }
}

fn count_json(outcome: Outcome) -> String {
    match outcome {
        Outcome::Removed(removed) => json!({ "count": removed.count, "more": removed.more }).to_string(),
        _ => String::new(),
    }
}
