//! liblmdb makes calls of its own here: it knows readers by the number of their process, which no two have, and writes
//! and syncs as Windows does. Nothing of it is renamed.

/// Whether liblmdb was compiled against hooks: there are none.
pub fn active() -> bool {
    false
}
