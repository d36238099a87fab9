//! Values whose readable name could not be made, because the disk is full or failing.

use std::path::Path;

use crate::catalog::keys;
use crate::catalog::lmdb::Read;
use crate::catalog::record::Row;
use crate::engine::Engine;
use crate::error::Result;
use crate::names;

/// Records that the names of these entries are not theirs: else a name that is missing would mean that somebody
/// removed the entry, and one that still holds the value before would be adopted in place of the new one. The value
/// itself is there; the next write of the entry, or a sweep, makes the name. The caller holds the write lock.
pub(super) fn disown(engine: &Engine, paths: &[&Path]) -> Result<()> {
    let catalog = engine.catalog()?;
    let mut txn = catalog.env.write()?;
    for path in paths {
        let folder = path.parent().and_then(|folder| folder.strip_prefix(engine.root.path()).ok());
        let (Some(namespace), Some(name)) =
            (folder.and_then(Path::to_str), path.file_name().and_then(|name| name.to_str()))
        else {
            continue;
        };
        let Some(space) = catalog.namespace(&txn, namespace)? else { continue };
        let name_key = keys::name_key(space.id, &names::folded(name));
        let Some(entry) = txn.get(catalog.db.names, &name_key)?.map(<[u8]>::to_vec) else { continue };
        let row = txn.get(catalog.db.entries, &entry)?.and_then(Row::decode);
        if let Some(mut row) = row.filter(|row| row.record.name.as_deref() == Some(name)) {
            row.record.named_file = None;
            txn.put(catalog.db.entries, &entry, &row.encode())?;
        }
    }
    Ok(txn.commit()?)
}
