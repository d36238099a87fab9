//! Keys of the catalog's databases. Integers are big-endian, so that byte order is numeric order.

use quiver_io::Sha256;

/// Bytes of a key that are stored as they are; a longer one ends in its digest. LMDB takes 511 in all.
pub const PLAIN: usize = 400;

/// Number of a namespace's present content; a cleared namespace gets a new one.
pub type NamespaceId = u32;

/// The catalog's key of an entry: namespace, then the key, beyond 400 bytes a prefix and the SHA-256 of it all.
/// Prefixes stay in front, so that keys are listed in order and by prefix.
pub fn entry_key(namespace: NamespaceId, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + key.len().min(PLAIN + 33));
    out.extend_from_slice(&namespace.to_be_bytes());
    if is_long(key) {
        out.extend_from_slice(&key[..PLAIN]);
        // No UTF-8 text holds this byte, so a long key never equals a short one.
        out.push(0xff);
        out.extend_from_slice(&Sha256::of(key));
    } else {
        out.extend_from_slice(key);
    }
    out
}

/// Calls with the entry key, for look-ups: that of a usual key lies on the stack.
pub fn with_entry_key<R>(namespace: NamespaceId, key: &[u8], call: impl FnOnce(&[u8]) -> R) -> R {
    const USUAL: usize = 124;
    let mut out = [0; 4 + USUAL];
    match out.get_mut(4..4 + key.len()) {
        Some(place) => {
            place.copy_from_slice(key);
            out[..4].copy_from_slice(&namespace.to_be_bytes());
            call(&out[..4 + key.len()])
        }
        None => call(&entry_key(namespace, key)),
    }
}

/// Whether the key's record has to carry it whole.
pub fn is_long(key: &[u8]) -> bool {
    key.len() > PLAIN
}

/// The user's key inside an entry key, when it is short.
pub fn user_key(entry_key: &[u8]) -> &[u8] {
    entry_key.get(4..).unwrap_or_default()
}

/// The namespace inside an entry key.
pub fn namespace_of(entry_key: &[u8]) -> Option<NamespaceId> {
    Some(NamespaceId::from_be_bytes(entry_key.get(..4)?.try_into().ok()?))
}

/// Key of one part of an inline value.
pub fn value_key(content: u64, part: u16) -> [u8; 10] {
    let mut out = [0; 10];
    out[..8].copy_from_slice(&content.to_be_bytes());
    out[8..].copy_from_slice(&part.to_be_bytes());
    out
}

/// Key of the expiry queue.
pub fn expiry_key(expires: u64, content: u64) -> [u8; 16] {
    pair(expires, content)
}

/// Key of the tag index: hash of the tag, then the namespace, then the content that carries it.
pub fn tag_key(tag: &str, namespace: NamespaceId, content: u64) -> [u8; 20] {
    let mut out = [0; 20];
    out[..12].copy_from_slice(&tag_prefix(tag, namespace));
    out[12..].copy_from_slice(&content.to_be_bytes());
    out
}

/// What the keys of one tag in one namespace begin with.
pub fn tag_prefix(tag: &str, namespace: NamespaceId) -> [u8; 12] {
    let mut out = [0; 12];
    out[..8].copy_from_slice(&quiver_io::sum64(tag.as_bytes()).to_be_bytes());
    out[8..].copy_from_slice(&namespace.to_be_bytes());
    out
}

/// Key of a kept older value: its entry's key, then the number.
pub fn version_key(entry_key: &[u8], number: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(entry_key.len() + 5);
    out.extend_from_slice(entry_key);
    out.push(0xfe);
    out.extend_from_slice(&number.to_be_bytes());
    out
}

/// What the keys of one entry's versions begin with.
pub fn version_prefix(entry_key: &[u8]) -> Vec<u8> {
    let mut out = entry_key.to_vec();
    out.push(0xfe);
    out
}

/// Key under which a file name is taken in a namespace, folded so that names which a case-insensitive file system
/// would confuse collide.
pub fn name_key(namespace: NamespaceId, folded: &str) -> [u8; 20] {
    let mut out = [0; 20];
    out[..4].copy_from_slice(&namespace.to_be_bytes());
    out[4..].copy_from_slice(&quiver_io::sum128(folded.as_bytes()).to_be_bytes());
    out
}

fn pair(high: u64, low: u64) -> [u8; 16] {
    let mut out = [0; 16];
    out[..8].copy_from_slice(&high.to_be_bytes());
    out[8..].copy_from_slice(&low.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_with_one_prefix_stay_apart_and_fit() {
        let mut one = vec![b'a'; 5_000];
        let two = one.clone();
        one[4_999] = b'b';
        assert_ne!(entry_key(1, &one), entry_key(1, &two));
        assert!(version_key(&entry_key(1, &one), u32::MAX).len() <= 511);
        assert_ne!(entry_key(1, &one[..400]), entry_key(1, &one[..401]));
    }

    #[test]
    fn an_entry_key_on_the_stack_is_the_same() {
        for length in [0, 1, 123, 124, 125, 400, 401] {
            let key = vec![b'k'; length];
            with_entry_key(7, &key, |entry| assert_eq!(entry, entry_key(7, &key)));
        }
    }

    #[test]
    fn entry_keys_sort_by_namespace_then_key() {
        assert!(entry_key(1, b"zz") < entry_key(2, b"a"));
        assert!(entry_key(1, b"a") < entry_key(1, b"ab"));
    }
}
