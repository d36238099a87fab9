//! `format.json`: what version a root is written in, which cache it is, and its settings.

use std::path::Path;

use quiver_io::Storage;
use serde::{Deserialize, Serialize};

use super::OpenOptions;
use crate::engine::Modes;
use crate::error::{Code, Error, Result};
use crate::root::Root;
use crate::root_files;
use crate::settings::{Durability, RootSettings};

/// Version of the on-disk format that this code writes.
pub const FORMAT: u32 = 2;

/// `.quiver/format.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Format {
    /// Version of the layout.
    pub layout: u32,
    /// Oldest version that may read it.
    pub min_reader: u32,
    /// Oldest version that may write it.
    pub min_writer: u32,
    /// Random name of this cache.
    pub uuid: String,
    /// Device and inode of the root for which the name was made: a copy of the folder gets a new one.
    pub place: [u64; 2],
    /// C library, architecture and page size that LMDB's structures were made for.
    pub platform: String,
    /// Optional parts of the format in use.
    pub features: Vec<String>,
    /// Settings of the root.
    pub settings: RootSettings,
}

impl Format {
    /// A new cache at `place`.
    pub fn new(place: [u64; 2], settings: RootSettings) -> Self {
        Self {
            layout: FORMAT,
            min_reader: FORMAT,
            min_writer: FORMAT,
            uuid: format!("{:016x}{:016x}", quiver_io::random_u64(), quiver_io::random_u64()),
            place,
            platform: platform(),
            features: Vec::new(),
            settings,
        }
    }

    /// Reads the file; none where there is no cache yet.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::os("reading the format", path, &error)),
        };
        let format: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(Code::Corrupt, format!("the format is unreadable: {error}")).at(path)
        })?;
        if format.min_reader > FORMAT || format.min_writer > FORMAT {
            return Err(Error::new(
                Code::FormatVersion,
                format!("the cache needs version {} of this library's format", format.min_writer),
            )
            .at(path));
        }
        if format.platform != platform() {
            return Err(Error::new(
                Code::ForeignLibc,
                format!("the catalog was made on {:?}, this is {:?}", format.platform, platform()),
            )
            .at(path));
        }
        Ok(Some(format))
    }

    /// Records that older versions can't read this cache any more. Before the first change that they don't know.
    pub fn raise(&mut self, storage: &dyn Storage, root: &Root, modes: Modes) -> Result<()> {
        self.layout = FORMAT;
        self.min_reader = FORMAT;
        self.min_writer = FORMAT;
        self.write(storage, root, modes)
    }

    /// Writes the file as a whole, durably.
    pub fn write(&self, storage: &dyn Storage, root: &Root, modes: Modes) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::new(Code::Internal, format!("the format doesn't encode: {error}")))?;
        let temporary = root.engine().join(format!("format-{:016x}", quiver_io::random_u64()));
        let written = storage.create_new(&temporary, modes.file).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync()?;
            drop(file);
            storage.rename(&temporary, &root.format())?;
            storage.sync_dir(&root.engine())
        });
        if written.is_err() {
            let _ = storage.unlink(&temporary);
        }
        Ok(written?)
    }
}

/// Structures in lock.mdb depend on all of these.
fn platform() -> String {
    let libc = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    format!("{}-{}-{libc}", std::env::consts::OS, std::env::consts::ARCH)
}

/// Reads the format of a root, or makes it; records what has changed: settings that replace old ones, and the
/// place of a copied folder.
pub(super) fn open(root: &Root, place: [u64; 2], options: &OpenOptions) -> Result<Format> {
    match Format::read(&root.format())? {
        None if options.read_only => {
            Err(Error::new(Code::Corrupt, "there is no cache in this folder").at(root.path()))
        }
        None => {
            // Before the format: a root with a format is complete.
            root_files::write(options.storage.as_ref(), root, options.modes)?;
            let format = Format::new(place, options.settings.clone());
            format.write(options.storage.as_ref(), root, options.modes)?;
            Ok(format)
        }
        Some(mut format) => {
            let settings = merge_settings(&format.settings, options)?;
            if (settings != format.settings || format.place != place) && !options.read_only {
                if format.place != place {
                    // The folder was copied: two caches must not go by one name.
                    format.uuid = Format::new(place, RootSettings::default()).uuid;
                    format.place = place;
                }
                format.settings = settings;
                format.write(options.storage.as_ref(), root, options.modes)?;
            }
            Ok(format)
        }
    }
}

/// Recorded settings, with the given ones where they may replace them.
pub(super) fn merge_settings(recorded: &RootSettings, options: &OpenOptions) -> Result<RootSettings> {
    let given = &options.settings;
    if given == recorded {
        return Ok(recorded.clone());
    }
    if options.reconfigure {
        return Ok(given.clone());
    }
    if given.max_size.is_some() && given.max_size != recorded.max_size {
        return differs("maxSize", &recorded.max_size, &given.max_size);
    }
    if given.max_entries.is_some() && given.max_entries != recorded.max_entries {
        return differs("maxEntries", &recorded.max_entries, &given.max_entries);
    }
    if given.eviction.is_some() && given.eviction != recorded.eviction {
        return differs("eviction", &recorded.eviction, &given.eviction);
    }
    if given.durability != recorded.durability && given.durability != Durability::default() {
        return differs("durability", &recorded.durability, &given.durability);
    }
    Ok(recorded.clone())
}

/// The refusal of a setting, with both values as users write them.
fn differs<T, S: serde::Serialize>(name: &str, recorded: &S, given: &S) -> Result<T> {
    let written = |value: &S| match serde_json::to_string(value) {
        Ok(text) if text != "null" => text,
        _ => "none".to_owned(),
    };
    let (recorded, given) = (written(recorded), written(given));
    Err(Error::new(
        Code::SettingsDiffer,
        format!("the cache is recorded with {name} {recorded}, this opens it with {given}"),
    ))
}
