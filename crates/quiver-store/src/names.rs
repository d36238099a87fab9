//! File names for keys. A readable key is its own file name; everything else gets a digest suffix, so that no two
//! keys share a file on any file system, case-insensitive and normalising ones included.

use std::fmt::Write;

/// Bytes of a stem beyond which it is cut: room for suffix and extension under the usual 255.
const MAX_STEM: usize = 180;

/// A file name for `key`, without extension. `crowded`: the plain name is taken by another key.
pub fn stem(key: &str, extension: &str, crowded: bool) -> String {
    let mut out = String::with_capacity(key.len());
    let mut exact = key.is_ascii() && !crowded;
    for (index, c) in key.char_indices() {
        let kept = c.is_ascii_alphanumeric()
            || (c.is_ascii_punctuation()
                && !matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '%'))
            || (!c.is_ascii() && c.is_alphanumeric())
            || c == ' ';
        if kept && !(c == '.' && index == 0) {
            out.push(c);
        } else {
            exact = false;
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                // Writing to a string can't fail.
                let _ = write!(out, "%{byte:02x}");
            }
        }
    }
    if out.len() > MAX_STEM {
        exact = false;
        let mut cut = MAX_STEM;
        while !out.is_char_boundary(cut) {
            cut -= 1;
        }
        out.truncate(cut);
    }
    if exact && !is_reserved(&out, extension) {
        return out;
    }
    let digest = quiver_io::sum64(key.as_bytes()) as u32;
    format!("{}~{digest:08x}", out.trim_end_matches(['.', ' ']))
}

/// A file name for a value of the hashed layout: its content id, in one of 256 folders by the last byte.
pub fn by_content(content: u64, extension: &str) -> String {
    let id = format!("{content:016x}");
    format!("{}/{id}.{extension}", &id[14..])
}

/// Whether a name was made of its key, not of a content id. Only such names have a file of metadata beside them.
pub fn is_readable(name: &str) -> bool {
    !name.contains('/')
}

/// The file of metadata beside a file.
pub fn sidecar(name: &str) -> String {
    format!("{}.meta.json", without_extension(name))
}

/// A file name up to its extension.
pub fn without_extension(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The name as a case-insensitive file system sees it.
pub fn folded(name: &str) -> String {
    name.to_lowercase()
}

fn is_reserved(stem: &str, extension: &str) -> bool {
    let lower = stem.to_ascii_lowercase();
    let device = lower.split('.').next().unwrap_or_default().trim_end();
    lower.is_empty()
        || lower.ends_with(['.', ' '])
        || lower.starts_with(' ')
        || (lower == "index" && extension == "json")
        || lower == "readme"
        || lower.rsplit_once('.').is_some_and(|(_, last)| last == "meta")
        || looks_suffixed(&lower)
        || matches!(device, "con" | "prn" | "aux" | "nul")
        || (device.len() == 4
            && (device.starts_with("com") || device.starts_with("lpt"))
            && device.as_bytes()[3].is_ascii_digit())
}

/// A key that looks like a generated name would otherwise take the name of the key it was generated for.
fn looks_suffixed(stem: &str) -> bool {
    stem.rsplit_once('~').is_some_and(|(_, hex)| hex.len() == 8 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The key that a foreign file of this stem holds: the stem itself, unless no key would be written under it.
pub fn key_of_foreign(stem: &str, extension: &str) -> Option<String> {
    (self::stem(stem, extension, false) == stem).then(|| stem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn readable_keys_are_their_own_names() {
        for key in ["kernel_1.5_0.01_1000", "fft_2d_512x512", "a b", "x+y=z"] {
            assert_eq!(stem(key, "npz", false), key);
        }
    }

    #[test]
    fn reserved_names_and_devices_get_a_suffix() {
        for (key, extension) in [
            ("index", "json"),
            ("README", "txt"),
            ("a.meta", "json"),
            ("con", "npy"),
            ("COM1.x", "dat"),
            ("a.", "npy"),
            ("x~0123abcd", "npy"),
        ] {
            assert_ne!(stem(key, extension, false), key, "{key}");
        }
        assert_eq!(stem("index", "npz", false), "index");
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        for key in ["../../x", "/etc/passwd", "..", ".", ".hidden", "a/b", "a\\b", "a\0b"] {
            let stem = stem(key, "npy", false);
            assert!(!stem.contains(['/', '\\', '\0']) && !stem.starts_with('.'), "{key:?} -> {stem:?}");
        }
    }

    proptest! {
        #[test]
        fn names_are_short_and_safe(key in "\\PC{1,600}") {
            let stem = stem(&key, "npy", false);
            prop_assert!(stem.len() <= 200 && !stem.is_empty());
            prop_assert!(!stem.contains(['/', '\\', '\0', ':', '*', '?', '"', '<', '>', '|']));
            prop_assert!(!stem.starts_with('.') && !stem.ends_with(['.', ' ']));
        }

        #[test]
        fn folded_names_of_different_keys_differ_unless_ascii_case(a in "\\PC{1,30}", b in "\\PC{1,30}") {
            prop_assume!(a.to_lowercase() != b.to_lowercase());
            prop_assert_ne!(folded(&stem(&a, "npy", false)), folded(&stem(&b, "npy", false)));
        }
    }
}
