//! Packed values that cross in one call, become one request of the writer and are answered together.

use std::sync::{Arc, Weak};

use napi_derive::napi;
use quiver_store::Store;
use quiver_store::flights;
use quiver_store::reader::Namespace;
use quiver_store::writer::{NewValue, Op, Outcome, PackedBytes, Put};

use super::write::{brief_answer, is_plain, mannered};
use super::{NativeStore, chunk, lock};
use crate::errors::{Result, bad_value, failure_json};
use crate::facts::{self, Facts};

/// What each write came to.
type Outcomes = [quiver_store::Result<Outcome>];

#[napi]
impl NativeStore {
    /// Queues small values that have manners, as `chunk.rs` lays them out: all of them or none. Request `id` is answered
    /// with the time of their creation, where that is the same for all and the rest is as the caller gave it. Else it is
    /// answered with a list, for each of them that time, all of its facts, or `{"failure": …}`.
    #[napi]
    pub fn put_many(&self, id: u32, chunk: &[u8]) -> Result<()> {
        let completions = self.completions()?;
        let chunk = PackedBytes::copy_of(chunk);
        let (puts, given) = self.puts(&chunk)?;
        let store = Arc::downgrade(&self.store);
        let done = move |result| {
            completions.answer(id, result, |outcome| match outcome {
                Outcome::Many(outcomes) => given.answer(&store, &chunk, &outcomes),
                _ => String::new(),
            });
        };
        self.store.gather(Op::PutMany(puts), Box::new(done));
        Ok(())
    }
}

impl NativeStore {
    /// The writes that a chunk asks for. Neighbours mostly have namespace and facts in common.
    fn puts(&self, chunk: &PackedBytes) -> Result<(Vec<Put>, Given)> {
        let ends_early = || bad_value("the chunk ends within an entry");
        let manners = lock(&self.manners);
        let mut given = Given { namespaces: Vec::new(), plain: true };
        let mut puts: Vec<Put> = Vec::new();
        let mut last: Option<(chunk::Entry, Arc<str>)> = None;
        for entry in chunk::entries(chunk) {
            let entry = entry.ok_or_else(ends_early)?;
            let before = last.as_ref().zip(puts.last());
            let namespace = match &last {
                Some((before, name)) if before.handle == entry.handle => Arc::clone(name),
                _ => given.add(entry.handle, self.namespace(entry.handle)?),
            };
            let facts = match before {
                Some(((before, _), put))
                    if (before.manner, before.expires) == (entry.manner, entry.expires) =>
                {
                    Arc::clone(&put.facts)
                }
                _ => mannered(&manners, entry.manner, entry.expires)?,
            };
            given.plain &= is_plain(entry.expires);
            let key = chunk.part(entry.key.clone()).ok_or_else(ends_early)?;
            puts.push(Put {
                namespace: Arc::clone(&namespace),
                fence: entry.fence.map(|fence| (flights::hash(&namespace, &key), fence)),
                key,
                facts,
                value: NewValue::Inline(chunk.part(entry.value.clone()).ok_or_else(ends_early)?),
                ticket: self.store.engine.order.draw(),
                adoption: None,
            });
            last = Some((entry, namespace));
        }
        Ok((puts, given))
    }
}

/// What answering the writes of a chunk takes beside the chunk itself.
struct Given {
    /// Those that it names, by their numbers.
    namespaces: Vec<(u32, Arc<Namespace>)>,
    /// All times of expiry are recorded as they are.
    plain: bool,
}

impl Given {
    /// Notes a namespace; its name.
    fn add(&mut self, handle: u32, namespace: Arc<Namespace>) -> Arc<str> {
        let name = namespace.name.as_str().into();
        if !self.namespaces.iter().any(|(known, _)| *known == handle) {
            self.namespaces.push((handle, namespace));
        }
        name
    }

    /// The answer to all writes of a chunk, as JSON.
    fn answer(&self, store: &Weak<Store>, chunk: &[u8], outcomes: &Outcomes) -> String {
        if let Some(created) = self.common_answer(outcomes) {
            return created.to_string();
        }
        let answers: Vec<String> = chunk::entries(chunk)
            .flatten()
            .zip(outcomes)
            .map(|(entry, outcome)| match outcome {
                Err(error) => format!("{{\"failure\":{}}}", failure_json(error)),
                Ok(outcome) => {
                    self.answer_one(store, chunk, &entry, outcome).unwrap_or_else(|| "null".into())
                }
            })
            .collect();
        format!("[{}]", answers.join(","))
    }

    /// When all entries were made, where nothing else is to be told of any.
    fn common_answer(&self, outcomes: &Outcomes) -> Option<u64> {
        if !self.plain || self.namespaces.iter().any(|(_, namespace)| namespace.keeps_versions()) {
            return None;
        }
        let created = |outcome: &quiver_store::Result<Outcome>| match outcome {
            Ok(Outcome::Written(record)) => Some(record.created),
            _ => None,
        };
        let first = created(outcomes.first()?)?;
        outcomes.iter().all(|outcome| created(outcome) == Some(first)).then_some(first)
    }

    fn answer_one(
        &self,
        store: &Weak<Store>,
        chunk: &[u8],
        entry: &chunk::Entry,
        outcome: &Outcome,
    ) -> Option<String> {
        let (_, namespace) = self.namespaces.iter().find(|(handle, _)| *handle == entry.handle)?;
        if let Some(created) = brief_answer(is_plain(entry.expires), namespace, outcome) {
            return Some(created.to_string());
        }
        let (Outcome::Written(record) | Outcome::Overtaken(record)) = outcome else { return None };
        let store = store.upgrade()?;
        Some(facts::json(&Facts::of(&store, namespace, chunk.get(entry.key.clone())?, record)))
    }
}
