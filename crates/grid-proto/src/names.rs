//! What two nodes' names decide (protocol sections 1 and 3).

use twox_hash::XxHash3_64;

/// Whether the node named `local` opens the connection to the one named `remote`.
///
/// Of each pair of different names exactly one dials. Names are compared as exact bytes; a name that differs in case or
/// by a trailing slash is another name (protocol section 1).
///
/// ```
/// let (a, b) = ("http://10.0.0.1:9000", "http://10.0.0.2:9000");
/// assert_ne!(grid_proto::local_dials(a, b), grid_proto::local_dials(b, a));
/// ```
#[must_use]
pub fn local_dials(local: &str, remote: &str) -> bool {
    let (ours, theirs) = (joined_hash(local, remote), joined_hash(remote, local));
    if ours == theirs {
        local < remote
    } else {
        ours < theirs
    }
}

/// Whether messages between these two nodes carry a checksum: unless both names say that the connection is encrypted,
/// which detects damage by itself (protocol section 3).
#[must_use]
pub fn uses_checksums(local: &str, remote: &str) -> bool {
    let encrypted = |name: &str| name.starts_with("https://") || name.starts_with("wss://");
    !(encrypted(local) && encrypted(remote))
}

fn joined_hash(first: &str, second: &str) -> u64 {
    XxHash3_64::oneshot(&[first.as_bytes(), second.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::uses_checksums;

    #[test]
    fn only_two_encrypted_names_do_without_checksums() {
        for (local, remote, expected) in [
            ("http://a", "http://b", true),
            ("https://a", "http://b", true),
            ("http://a", "https://b", true),
            ("https://a", "https://b", false),
            ("wss://a", "https://b", false),
            ("ws://a", "wss://b", true),
            ("HTTPS://a", "https://b", true),
        ] {
            assert_eq!(uses_checksums(local, remote), expected, "{local} {remote}");
        }
    }
}
