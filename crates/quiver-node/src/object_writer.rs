//! A value written piece by piece.

use std::sync::Arc;

use napi_derive::napi;
use quiver_store::Store;
use quiver_store::publisher::{Commit, ObjectWriter};
use quiver_store::reader::Namespace;
use quiver_store::writer::Outcome;

use crate::completions::Completions;
use crate::errors::{Result, bad_value, store_failure};
use crate::facts::{self, Facts};

/// A value on its way into a file.
#[napi]
pub struct NativeWriter {
    pub(crate) writer: Arc<ObjectWriter>,
    pub(crate) store: Arc<Store>,
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) key: Vec<u8>,
    pub(crate) completions: Completions,
}

#[napi]
impl NativeWriter {
    /// Copies the bytes before it returns; false when the disk should be waited for, with `ready`.
    #[napi]
    pub fn write(&self, bytes: &[u8]) -> Result<bool> {
        self.writer.write(bytes.to_vec()).map_err(store_failure)
    }

    /// Answers request `id` when there is room again.
    #[napi]
    pub fn ready(&self, id: u32) {
        let completions = self.completions.clone();
        self.writer.when_ready(Box::new(move |result| completions.answer(id, result, |()| String::new())));
    }

    /// Completes the value; request `id` is answered with its facts once it is durable.
    #[napi]
    pub fn commit(&self, id: u32, facts: String) -> Result<()> {
        let completions = self.completions.clone();
        let (store, namespace, key) =
            (Arc::downgrade(&self.store), Arc::clone(&self.namespace), self.key.clone());
        self.complete(&facts, move |result| {
            completions.answer(id, result, |outcome| match (outcome, store.upgrade()) {
                (Outcome::Written(record) | Outcome::Overtaken(record), Some(store)) => {
                    facts::json(&Facts::of(&store, &namespace, &key, &record))
                }
                _ => String::new(),
            });
        })
    }

    /// Completes the value and waits until it is durable; its facts as JSON.
    #[napi]
    pub fn commit_sync(&self, facts: String) -> Result<String> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        // What was gathered before can't be followed by anything while this waits.
        self.store.flush();
        self.complete(&facts, move |result| drop(sender.send(result)))?;
        match receiver.recv() {
            Ok(Ok(Outcome::Written(record) | Outcome::Overtaken(record))) => {
                Ok(facts::json(&Facts::of(&self.store, &self.namespace, &self.key, &record)))
            }
            Ok(Err(error)) => Err(store_failure(error)),
            _ => Err(bad_value("a write was not answered as one")),
        }
    }

    /// Gives the value up.
    #[napi]
    pub fn abort(&self) {
        self.writer.abort();
    }
}

impl NativeWriter {
    fn complete(
        &self,
        facts: &str,
        done: impl FnOnce(quiver_store::Result<Outcome>) + Send + 'static,
    ) -> Result<()> {
        let (facts, fence) = facts::new_facts(facts).map_err(store_failure)?;
        self.writer.commit(Commit {
            namespace: self.namespace.name.clone(),
            key: self.key.clone(),
            facts,
            fence: fence.map(|fence| (quiver_store::flights::hash(&self.namespace.name, &self.key), fence)),
            adoption: None,
            done: Box::new(done),
        });
        Ok(())
    }
}
