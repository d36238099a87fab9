//! Where ring is as good as what the program may have, or nobody has measured whether it is.

/// There is none.
#[derive(Clone)]
pub enum HostSha256 {}

impl HostSha256 {
    /// None.
    pub fn new() -> Option<Self> {
        None
    }

    /// The next bytes.
    pub fn update(&mut self, _bytes: &[u8]) {
        match *self {}
    }

    /// The digest.
    pub fn finish(self) -> [u8; 32] {
        match self {}
    }
}
