//! A small disk.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A file system of its own, unmounted when dropped.
pub struct Disk(TempDir);

impl Disk {
    /// Returns `None` if none can be mounted: the test says that it is skipped.
    pub fn new(mebibytes: u64) -> Option<Self> {
        let directory = TempDir::new().expect("a directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"]);
        let mounted = mount.arg(directory.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(directory));
        }
        eprintln!("skipped: no file system can be mounted here");
        None
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills all free space.
    pub fn fill(&self) {
        let filling = std::fs::write(self.path().join("filling"), vec![1; 100 << 20]);
        let error = filling.expect_err("it is smaller");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    /// Frees what was filled.
    pub fn clear(&self) {
        std::fs::remove_file(self.path().join("filling")).expect("it was filled");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
