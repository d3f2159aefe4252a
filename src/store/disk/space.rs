use std::{fmt, io, path::Path, sync::Arc};

/// The source of the number of bytes that a process without special rights can use on the disk of
/// a directory.
#[derive(Clone)]
pub struct FreeSpace(Arc<Ask>);

type Ask = dyn Fn(&Path) -> io::Result<u64> + Send + Sync;

impl FreeSpace {
    /// Creates one that asks the system.
    pub fn real() -> FreeSpace {
        FreeSpace(Arc::new(|directory| {
            let found = rustix::fs::statvfs(directory)?;
            Ok(found.f_bavail.saturating_mul(found.f_frsize))
        }))
    }

    /// Creates one that asks this function: for tests of what a node does when its disk fills.
    pub fn told(ask: impl Fn() -> u64 + Send + Sync + 'static) -> FreeSpace {
        FreeSpace(Arc::new(move |_| Ok(ask())))
    }

    pub(in crate::store) fn of(&self, directory: &Path) -> io::Result<u64> {
        (self.0)(directory)
    }
}

impl Default for FreeSpace {
    fn default() -> FreeSpace {
        FreeSpace::real()
    }
}

impl fmt::Debug for FreeSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreeSpace")
    }
}
