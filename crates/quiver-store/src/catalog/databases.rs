//! The catalog's databases: names, handles, and in which column of which table to find what.

use std::ffi::CStr;

use super::lmdb::Database;

/// From one list: the struct of handles, opening all of them, and going through all of them.
macro_rules! databases {
    ($($(#[$about:meta])+ $name:ident,)+) => {
        /// Handles of the databases.
        #[derive(Debug, Clone, Copy)]
        pub struct Databases {
            $($(#[$about])+ pub $name: Database,)+
        }

        impl Databases {
            /// Gets each handle by its name.
            pub(super) fn open<E>(mut handle: impl FnMut(&CStr) -> Result<Database, E>) -> Result<Self, E> {
                Ok(Self {
                    $($name: handle(const { c_name(concat!(stringify!($name), "\0")) })?,)+
                })
            }

            /// All of them, for page counts.
            pub fn all(&self) -> impl Iterator<Item = Database> {
                [$(self.$name),+].into_iter()
            }
        }
    };
}

/// For constants only: a name that isn't one fails to compile.
const fn c_name(name: &str) -> &CStr {
    match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("a name ends with its only NUL"),
    }
}

databases! {
    /// Name → a counter of the catalog itself.
    meta,
    /// Name → `NamespaceRecord` as JSON.
    namespaces,
    /// Namespace id, key → `Record`.
    entries,
    /// Content id, part → a packed value, or up to 4,080 bytes of it.
    values,
    /// Time of expiry, content id → entry key.
    expiry,
    /// Hash of a tag, namespace id, content id → entry key.
    tags,
    /// Entry key, number → `Record` of a replaced value.
    versions,
    /// Namespace id, hash of the folded file name → entry key.
    names,
    /// Namespace name → `Counters`.
    counters,
    /// Slot number → nothing: free for reuse.
    slots,
    /// Namespace id → its name: rows wait for deletion.
    dropped,
}
