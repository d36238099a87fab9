//! The machine, its disks and this process.

#![allow(unsafe_code)]

use std::io::Result;
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, FILETIME};
use windows_sys::Win32::Storage::FileSystem::{
    GetDiskFreeSpaceExW, GetDriveTypeW, GetVolumeInformationW, GetVolumePathNameW,
};
use windows_sys::Win32::System::Registry::{HKEY_LOCAL_MACHINE, RRF_RT_REG_DWORD, RegGetValueW};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessTimes};
use windows_sys::Win32::System::WindowsProgramming::DRIVE_REMOTE;
use windows_sys::w;

use super::{succeeded, wide};

/// The name of the file system under a folder, and whether it is of another host.
pub fn file_system(dir: &Path) -> Result<(String, bool)> {
    // The calls below would answer for a folder that isn't there.
    std::fs::metadata(dir)?;
    let dir = wide(dir);
    let mut volume = vec![0_u16; dir.len() + 1];
    // SAFETY: the name ends with a zero; the buffer's length is passed.
    succeeded(unsafe { GetVolumePathNameW(dir.as_ptr(), volume.as_mut_ptr(), volume.len() as u32) })?;
    let mut name = [0_u16; 64];
    // SAFETY: the volume's name was ended with a zero by the call before; the buffer's length is passed, and what is
    // not asked for is null.
    succeeded(unsafe {
        GetVolumeInformationW(
            volume.as_ptr(),
            null_mut(),
            0,
            null_mut(),
            null_mut(),
            null_mut(),
            name.as_mut_ptr(),
            name.len() as u32,
        )
    })?;
    let end = name.iter().position(|unit| *unit == 0).unwrap_or(name.len());
    // SAFETY: as above.
    let network = unsafe { GetDriveTypeW(volume.as_ptr()) } == DRIVE_REMOTE;
    Ok((String::from_utf16_lossy(&name[..end]).to_lowercase(), network))
}

/// Bytes that this user can still write to the file system of a folder.
pub fn free_bytes(dir: &Path) -> Result<u64> {
    let mut free = 0;
    // SAFETY: the name ends with a zero, and one number is asked for.
    succeeded(unsafe { GetDiskFreeSpaceExW(wide(dir).as_ptr(), &raw mut free, null_mut(), null_mut()) })?;
    Ok(free)
}

/// The number of this boot as the system counts them; empty where it doesn't.
pub fn boot_id() -> String {
    let mut number = 0_u32;
    let mut length = size_of::<u32>() as u32;
    // SAFETY: both names end with a zero; at most `length` bytes are written to `number`, which has that many.
    let answer = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            w!(r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"),
            w!("BootId"),
            RRF_RT_REG_DWORD,
            null_mut(),
            (&raw mut number).cast(),
            &raw mut length,
        )
    };
    if answer == ERROR_SUCCESS { number.to_string() } else { String::new() }
}

/// When this process started.
pub fn process_origin() -> String {
    let mut times = [FILETIME::default(); 4];
    let [created, ended, kernel, user] = &mut times;
    // SAFETY: the handle stands for this process, and each time is written as a whole.
    let answer = unsafe { GetProcessTimes(GetCurrentProcess(), created, ended, kernel, user) };
    if answer == 0 {
        return "-".to_owned();
    }
    format!("{}-", u64::from(created.dwHighDateTime) << 32 | u64::from(created.dwLowDateTime))
}
