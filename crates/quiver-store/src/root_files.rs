//! What a new root gets besides the engine's own folder: a page for people, and marks for version control and
//! backup programs.

use crate::engine::Modes;
use crate::error::Result;
use crate::root::Root;
use quiver_io::{ErrorKind, Storage};

const FILES: [(&str, &str); 3] = [
    ("README.md", include_str!("root_files/README.md")),
    (".gitignore", include_str!("root_files/gitignore")),
    ("CACHEDIR.TAG", include_str!("root_files/CACHEDIR.TAG")),
];

/// Writes them where there is nothing of the name yet: a file of somebody else's stays as it is.
pub fn write(storage: &dyn Storage, root: &Root, modes: Modes) -> Result<()> {
    for (name, text) in FILES {
        match storage.create_new(&root.path().join(name), modes.file) {
            Ok(mut file) => file.write_all(text.as_bytes())?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
