//! Keeping the directory of a store private to its owner: it holds facts, and domains that not
//! everybody may see.

use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

/// Creates a directory that only its owner can enter, whatever the umask of the process.
pub(in crate::store) fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// What was found accessible to others.
#[derive(Debug, Default)]
pub(in crate::store) struct Exposed {
    /// What is private now.
    pub(in crate::store) closed: usize,
    /// What could not be changed, and why.
    pub(in crate::store) open: Vec<(PathBuf, io::Error)>,
}

/// Removes all rights of others than the owner from a directory and everything in it.
pub(in crate::store) fn enforce(root: &Path) -> Exposed {
    let mut found = Exposed::default();
    close(root, fs::metadata(root), &mut found);
    found
}

#[cfg(unix)]
fn close(path: &Path, metadata: io::Result<fs::Metadata>, found: &mut Exposed) {
    use std::os::unix::fs::PermissionsExt;
    // What is gone by now, or is closed even to us, is not accessible to others.
    let Ok(metadata) = metadata else { return };
    // The target of a link is elsewhere.
    if metadata.is_symlink() {
        return;
    }
    let mode = metadata.permissions().mode();
    let wanted = if metadata.is_dir() {
        mode & 0o700
    } else {
        mode & 0o600
    };
    if mode & 0o077 != 0 {
        match fs::set_permissions(path, PermissionsExt::from_mode(wanted)) {
            Ok(()) => found.closed += 1,
            Err(error) => found.open.push((path.to_owned(), error)),
        }
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            let inner = entry.path();
            close(&inner, fs::symlink_metadata(&inner), found);
        }
    }
}

#[cfg(not(unix))]
fn close(_path: &Path, _metadata: io::Result<fs::Metadata>, _found: &mut Exposed) {}

impl Exposed {
    /// Logs what was found, if anything.
    pub(in crate::store) fn log(&self, root: &Path) {
        let directory = root.display();
        if self.closed > 0 {
            let count = self.closed;
            tracing::warn!(
                %directory,
                count,
                "others could reach into the store; it is its owner's alone now"
            );
        }
        if let Some((path, error)) = self.open.first() {
            let (path, count) = (path.display(), self.open.len());
            tracing::warn!(
                %directory,
                %path,
                %error,
                count,
                "others can reach into the store; give it to the user that altofed runs as, or \
                 take their rights away by `chmod -R go=`"
            );
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        let metadata = fs::symlink_metadata(path).expect("there");
        metadata.permissions().mode() & 0o777
    }

    #[test]
    fn what_is_there_already_becomes_its_owners_alone() {
        let directory = tempfile::TempDir::new().expect("a directory");
        let (root, elsewhere) = (
            directory.path().join("store"),
            directory.path().join("other"),
        );
        create_directory(&root).expect("made");
        create_directory(&root).expect("there");
        assert_eq!(mode(&root), 0o700);
        let (inner, file) = (root.join("sled"), root.join("sled/db"));
        fs::create_dir(&inner).expect("made");
        for file in [&file, &elsewhere] {
            fs::write(file, "x").expect("written");
            fs::set_permissions(file, PermissionsExt::from_mode(0o664)).expect("set");
        }
        symlink(&elsewhere, root.join("link")).expect("linked");
        for directory in [&root, &inner] {
            fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).expect("set");
        }
        let found = enforce(&root);
        assert_eq!((found.closed, found.open.len()), (3, 0));
        assert_eq!(
            [mode(&root), mode(&inner), mode(&file)],
            [0o700, 0o700, 0o600]
        );
        assert_eq!(mode(&elsewhere), 0o664, "it is not in the store");
        assert_eq!(enforce(&root).closed, 0);
    }
}
