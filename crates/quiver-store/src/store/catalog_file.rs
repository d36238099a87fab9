//! The catalog's files as opening finds them: looked at before LMDB is, rebuilt where they are damaged.

use std::path::Path;

use super::OpenOptions;
use crate::catalog::lmdb::{EnvOptions, LmdbError};
use crate::catalog::precheck::{self, Verdict};
use crate::catalog::{Catalog, walk};
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
                if error.message.contains(&LmdbError(libc::ENOMEM).to_string())
                    && options.map_size > 1 << 28 =>
            {
                options.map_size /= 2;
            }
            other => return other,
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
    let damage = match precheck::check(&data) {
        Ok(Verdict::Absent) if !distrust => return Ok(()),
        Ok(Verdict::Absent) => Some("there is none".into()),
        Ok(Verdict::Sound) if !session.unclean_boot => return Ok(()),
        Ok(Verdict::Sound | Verdict::Short) => {
            let report = walk::walk(&data, &mut |_, _, _| {})?;
            if report.is_sound() { None } else { Some(report.problems.join("; ")) }
        }
        Err(error) => Some(error.message),
    };
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
