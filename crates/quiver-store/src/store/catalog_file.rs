//! The catalog's files as opening finds them: looked at before LMDB is, rebuilt where they are damaged.

use std::path::Path;

use quiver_io::{Disk, Storage as _};

use super::OpenOptions;
use crate::catalog::lmdb::{EnvOptions, LmdbError};
use crate::catalog::precheck::{self, Verdict};
use crate::catalog::{Catalog, seal, walk};
use crate::engine::Modes;
use crate::error::{Code, Error, Result};
use crate::repair;
use crate::root::Root;
use crate::session::Session;

/// LMDB maps its lock file; really allocated, a full disk can't make touching it fail.
pub(super) fn preallocate_lock(root: &Root, modes: Modes) -> Result<()> {
    const READERS_AND_HEAD: u64 = (READERS as u64 + 4) * 64;
    let path = root.reader_table();
    if !path.exists() {
        quiver_io::preallocate(&path, READERS_AND_HEAD, modes.file)?;
    }
    Ok(())
}

const READERS: u32 = 1_024;

pub(super) fn env_options(options: &OpenOptions, durable: bool, onlooker: bool) -> EnvOptions {
    let limit = options.settings.max_size.unwrap_or(0);
    EnvOptions {
        map_size: (64_usize << 30).max((limit as usize).saturating_mul(4)),
        max_databases: 16,
        max_readers: READERS,
        no_sync: !durable,
        read_only: options.read_only,
        no_lock: onlooker,
        mode: options.modes.file,
    }
}

/// Opens with the largest map that the system allows.
pub(super) fn open(folder: &Path, mut options: EnvOptions) -> Result<Catalog> {
    loop {
        match Catalog::open(folder, &options) {
            Err(error)
                if error.message.contains(&LmdbError::NO_ROOM_TO_MAP.to_string())
                    && options.map_size > 1 << 28 =>
            {
                options.map_size /= 2;
            }
            other => return other,
        }
    }
}

/// Size and times of LMDB's data file. Whatever changes its bytes changes these, short of the disk itself.
fn looks(root: &Root) -> Result<String> {
    let facts = Disk.facts(&root.data())?;
    Ok(format!("{} {} {}", facts.size, facts.mtime_ns, facts.ctime_ns))
}

/// Notes what the file is like. Only with the catalog closed and nobody else in the cache. Not synced, and no harm if
/// it fails: without a note nothing is compared.
pub(super) fn note_closed(root: &Root) {
    let _ = looks(root).and_then(|looks| {
        let path = root.closed();
        std::fs::write(&path, looks).map_err(|error| Error::os("noting the end", &path, &error))
    });
}

/// Whether the file is another one than the last process left.
fn is_changed(root: &Root) -> bool {
    std::fs::read_to_string(root.closed()).is_ok_and(|noted| looks(root).is_ok_and(|looks| looks != noted))
}

/// What is wrong with the file, if anything; all of it is read where `doubtful` or where it is not what it was.
fn damage(root: &Root, doubtful: bool) -> Result<Option<String>> {
    let data = root.data();
    match precheck::check(&data) {
        Ok(Verdict::Absent) => Ok(doubtful.then(|| "there is none".into())),
        Ok(Verdict::Sound) if !doubtful && !is_changed(root) => Ok(None),
        Ok(Verdict::Sound | Verdict::Short) => {
            let report = walk::walk(&data, &mut |_, _, _| {})?;
            Ok((!report.is_sound()).then(|| report.problems.join("; ")))
        }
        Err(error) => Ok(Some(error.message)),
    }
}

/// Looks before LMDB does, where nothing can be mended. Those who have the cache open have looked before.
pub(super) fn check(root: &Root, session: &Session) -> Result<()> {
    let look = || match damage(root, false) {
        Ok(None) if seal::is_torn(&root.data()) => Ok(Some("its last commit is there in part".into())),
        other => other,
    };
    match session.is_alone()?.then(look).transpose()?.flatten() {
        None => Ok(()),
        Some(why) => {
            let message = format!("the catalog is damaged, and read-only it can't be rebuilt: {why}");
            Err(Error::new(Code::Corrupt, message).at(root.data()))
        }
    }
}

/// Looks before LMDB does; what is damaged is rebuilt if nobody else has the cache open.
pub(super) fn mend(
    root: &Root,
    session: &Session,
    options: &OpenOptions,
    durable: bool,
    notices: &mut Vec<String>,
) -> Result<()> {
    let data = root.data();
    let distrust = session.unclean_boot && !durable;
    // A note says that nothing was committed since a clean close; its removal is durable before anything is.
    if !root.closed().exists() {
        seal::settle(&data, || walk::walk(&data, &mut |_, _, _| {}).is_ok_and(|report| report.is_sound()))?;
    }
    let damage = damage(root, session.unclean_boot)?;
    // From here on it changes.
    let _ = std::fs::remove_file(root.closed());
    if damage.is_none() && !distrust {
        return Ok(());
    }
    if !session.try_exclusive()? {
        return Err(Error::new(
            Code::Busy,
            "the catalog is damaged and other processes have the cache open: close them, then open it again",
        )
        .at(data));
    }
    let why = damage.unwrap_or_else(|| "the machine was restarted without a clean close".into());
    let rebuilt = repair::rebuild(root, options.modes, env_options(options, durable, false), distrust)?;
    session.share()?;
    notices.push(format!(
        "the catalog was rebuilt with {} entries, {} were lost: {why}",
        rebuilt.kept, rebuilt.lost
    ));
    Ok(())
}
