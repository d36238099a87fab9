//! What the tests share: writing and reading through the store's own face.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, missing_docs)]
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use quiver_store::adopt::NamedFile;
use quiver_store::open_values::ValueBytes;
use quiver_store::publisher::{Commit, ObjectWriter, Threads};
use quiver_store::reader::Namespace;
use quiver_store::settings::{Files, Layout, NamespaceSettings};
use quiver_store::writer::{NewFacts, NewValue, Op, Outcome, PackedBytes, Put};
use quiver_store::{OpenOptions, Result, Store};

/// The answer to a request that is under way.
pub type Pending = Receiver<Result<Outcome>>;

pub fn open(path: &Path) -> Arc<Store> {
    Store::open(path, &OpenOptions::default()).unwrap()
}

pub fn packed() -> NamespaceSettings {
    NamespaceSettings::default()
}

pub fn named() -> NamespaceSettings {
    NamespaceSettings {
        layout: Layout::Named,
        files: Files::Always,
        index: true,
        ..NamespaceSettings::default()
    }
}

/// Bytes that tell which write they came from, every one of them.
pub fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Never zero, which is what lost pages read as.
        (state >> 32) as u8 | 1
    })
    .take(len)
    .collect()
}

pub fn facts() -> NewFacts {
    NewFacts { codec: "bin".into(), extension: "dat".into(), ..NewFacts::default() }
}

/// Of a value whose codec and extension are one word.
pub fn facts_of(codec: &str) -> NewFacts {
    NewFacts { codec: codec.into(), extension: codec.into(), ..NewFacts::default() }
}

/// Waits for the answer to a request that has to succeed.
pub fn done(pending: Pending) -> Outcome {
    pending.recv().unwrap().unwrap()
}

pub fn submit(store: &Store, op: Op) -> Pending {
    let (sender, receiver) = sync_channel(1);
    store.submit(op, Box::new(move |result| drop(sender.send(result))));
    receiver
}

/// A write into the catalog itself.
pub fn put_op(store: &Store, namespace: &str, key: &str, value: &[u8], facts: NewFacts) -> Op {
    Op::Put(Box::new(Put {
        namespace: namespace.into(),
        key: PackedBytes::copy_of(key.as_bytes()),
        facts: facts.into(),
        value: NewValue::Inline(PackedBytes::copy_of(value)),
        ticket: store.engine.order.draw(),
        fence: None,
        adoption: None,
    }))
}

/// Starts a write into the catalog itself.
pub fn put_packed(store: &Store, namespace: &str, key: &str, value: Vec<u8>, facts: NewFacts) -> Pending {
    submit(store, put_op(store, namespace, key, &value, facts))
}

/// The same for one that waits for a flush.
pub fn gather_packed(store: &Store, namespace: &str, key: &str, value: Vec<u8>) -> Pending {
    let (sender, receiver) = sync_channel(1);
    let op = put_op(store, namespace, key, &value, facts());
    store.gather(op, Box::new(move |result| drop(sender.send(result))));
    receiver
}

/// Starts a write into a file.
pub fn put_file(store: &Store, namespace: &str, key: &str, value: &[u8], facts: NewFacts) -> Pending {
    match store.object_writer(namespace, key.as_bytes(), Threads::Ours) {
        Err(error) => {
            let (sender, receiver) = sync_channel(1);
            let _ = sender.send(Err(error));
            receiver
        }
        Ok(writer) => {
            for piece in value.chunks(1 << 20) {
                // A failure shows at the commit too.
                let _ = writer.write(piece.to_vec());
            }
            commit(&writer, namespace, key, facts)
        }
    }
}

/// Ends a write into a file.
pub fn commit(writer: &Arc<ObjectWriter>, namespace: &str, key: &str, facts: NewFacts) -> Pending {
    let (sender, receiver) = sync_channel(1);
    writer.commit(Commit {
        namespace: namespace.into(),
        key: key.as_bytes().to_vec(),
        facts,
        fence: None,
        adoption: None,
        done: Box::new(move |result| drop(sender.send(result))),
    });
    receiver
}

pub fn delete(store: &Store, namespace: &str, key: &str) -> Pending {
    let ticket = store.engine.order.draw();
    submit(store, Op::Delete { namespace: namespace.into(), key: key.as_bytes().to_vec(), ticket })
}

/// Reads as a caller does: a changed or new file under a readable name is adopted first.
pub fn get(store: &Store, namespace: &Namespace, key: &str) -> Result<Option<Vec<u8>>> {
    let named = namespace.record().settings.layout == Layout::Named;
    let mut value = Vec::new();
    let mut found = store.lookup(namespace, key.as_bytes(), &mut value)?;
    let differs = match &found {
        None => named,
        Some(found) => store.named_file(namespace, &found.record) != NamedFile::Same,
    };
    if differs {
        if !store.adopt(namespace, key.as_bytes())?
            && let Some(gone) = &found
            && store.named_file(namespace, &gone.record) == NamedFile::Gone
        {
            store.vanished(namespace, key.as_bytes(), &gone.record)?;
        }
        found = store.lookup(namespace, key.as_bytes(), &mut value)?;
    }
    let Some(found) = found else { return Ok(None) };
    if found.record.is_inline() {
        return Ok(Some(value));
    }
    store.open_value(namespace, key.as_bytes(), &found.record)?.map(|opened| bytes(&opened)).transpose()
}

#[allow(unsafe_code)]
fn bytes(value: &ValueBytes) -> Result<Vec<u8>> {
    // SAFETY: the bytes live as long as `value`, and nobody writes them.
    let memory = unsafe { std::slice::from_raw_parts(value.as_ptr(), value.len()) };
    value.checked.verify(0, value.len() as u64, memory)?;
    Ok(memory.to_vec())
}

/// Values are read-only.
#[allow(clippy::permissions_set_readonly_false)]
pub fn allow_writing(path: &Path) {
    let mut permissions = std::fs::metadata(path).unwrap().permissions();
    permissions.set_readonly(false);
    std::fs::set_permissions(path, permissions).unwrap();
}
