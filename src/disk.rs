//! Every file that the library reads or writes goes through here, so that a test can cut the power
//! before or after each write.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The files of one machine.
pub trait Disk: Send + Sync {
    /// The bytes of a file, or `None` if there is none.
    ///
    /// # Errors
    /// The operating system's, and one for a file above `bytes_max`.
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>>;

    /// What stands in a folder, in no order; links are neither files nor folders.
    ///
    /// # Errors
    /// The operating system's.
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let _ = folder;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// As [`Disk::read`], but of a plain file only: a link, a pipe or a device at the path is an
    /// error, also one that was put there a moment ago.
    ///
    /// # Errors
    /// As [`Disk::read`], and one for anything that is no plain file.
    fn read_plain(&self, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        self.read(path, bytes_max)
    }

    /// Replaces a file as a whole: a temporary sibling with mode 0600, synced, then renamed. Missing
    /// folders are made with mode 0700; what root makes belongs to the folder's owner; siblings that a
    /// killed process left are removed. A symbolic link is refused, never followed or replaced.
    ///
    /// # Errors
    /// The operating system's; the old file then stands as it was.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Appends to a file (created with mode 0600) and syncs it. A symbolic link is refused.
    ///
    /// # Errors
    /// The operating system's; a part may have been written.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// The names in a folder, sorted; those that are not UTF-8 are left out.
    ///
    /// # Errors
    /// The operating system's; a disk that is no machine's need not know folders.
    fn names(&self, _folder: &Path) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes a file; none there is fine.
    ///
    /// # Errors
    /// The operating system's.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// A file or folder in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name there.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// How the name of a temporary sibling begins and ends.
const LEFTOVER: (&str, &str) = (".secretzero-", ".tmp");

/// The files of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => read_all(file?, bytes_max).map(Some),
        }
    }

    fn read_plain(&self, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        refuse_link(path)?;
        let file = match open_plain(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
        }
        read_all(file, bytes_max).map(Some)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            // A name that is no text cannot be asked for either.
            if let Some(name) = entry.file_name().to_str().filter(|_| kind.is_file() || kind.is_dir()) {
                entries.push(Entry { name: name.to_owned(), is_folder: kind.is_dir() });
            }
        }
        Ok(entries)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        refuse_link(path)?;
        let folder = folder_of(path);
        make_folder(folder)?;
        let mut file = temporary(folder)?;
        file.write_all(bytes)?;
        give_to_owner(file.as_file(), folder);
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_folder(folder)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        refuse_link(path)?;
        let folder = folder_of(path);
        make_folder(folder)?;
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        if is_new {
            give_to_owner(&file, folder);
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        if is_new { sync_folder(folder) } else { Ok(()) }
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that removes files")]
    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => sync_folder(folder_of(path)),
        }
    }
}

fn read_all(file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too long, even one that grows meanwhile.
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > bytes_max) {
        let message = format!("the file is larger than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Opens without following a link at the end, and without waiting for the other end of a pipe.
#[cfg(unix)]
fn open_plain(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let mut options = OpenOptions::new();
    options.read(true);
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.cast_signed());
    options.open(path)
}

#[cfg(not(unix))]
fn open_plain(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// A new private file, which is removed if anything fails before it is renamed. Its lock, held until
/// then, tells it from one that a dead process left.
fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    /// Keeps one thread from taking another's new file, not locked yet, for a leftover.
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    remove_leftovers(folder);
    let file = tempfile::Builder::new().prefix(LEFTOVER.0).suffix(LEFTOVER.1).tempfile_in(folder)?;
    // Some network file systems have no locks; there nothing is removed either.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// Removes what a process that was killed between writing and renaming left: it may hold values. One
/// that is still being written is locked; where locks do not work, everything stays.
#[expect(clippy::disallowed_methods, reason = "this is the one place that removes files")]
fn remove_leftovers(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(LEFTOVER.0) && name.ends_with(LEFTOVER.1));
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let path = entry.path();
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Writing through a link would change a file that nobody named.
fn refuse_link(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => {
            let message = "it is a symbolic link; name the file that it points to instead";
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
        _ => Ok(()),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder_of(folder);
    // The two are one where the folder that we stand in is gone.
    if parent != folder {
        make_folder(parent)?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            give_to_owner(&File::open(folder)?, parent);
            Ok(())
        }
    }
}

/// Gives what root has just made to whoever owns the folder it stands in. An action's container is
/// root on a checkout of the runner's user, whose next step could not read a private file of root's:
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/dockerfile-support#user>.
/// Where that is not allowed the file stays root's and is none the less written.
#[cfg(unix)]
fn give_to_owner(made: &File, folder: &Path) {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let Ok((ours, theirs)) = made.metadata().and_then(|made| Ok((made, fs::metadata(folder)?))) else { return };
    if ours.uid() == 0 && theirs.uid() != 0 {
        let _ = fchown(made, Some(theirs.uid()), Some(theirs.gid()));
    }
}

#[cfg(not(unix))]
fn give_to_owner(_made: &File, _folder: &Path) {}

/// A rename survives a power cut only once its folder is on the disk too.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_replaced_file_is_private_whole_and_leaves_no_sibling() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/.env");
        SystemDisk.replace(&path, b"long old content").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        SystemDisk.replace(&path, b"new").unwrap();
        assert_eq!(SystemDisk.read(&path, 3).unwrap().unwrap(), b"new");
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_process_left_goes_with_the_next_write_and_a_file_at_work_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [dead, alive, other] = [".secretzero-dead.tmp", ".secretzero-alive.tmp", "secretzero-other.tmp"]
            .map(|name| folder.path().join(name));
        for path in [&dead, &alive, &other] {
            SystemDisk.append(path, b"half a value").unwrap();
        }
        let at_work = File::open(&alive).unwrap();
        at_work.lock().unwrap();
        SystemDisk.replace(&folder.path().join(".env"), b"A=1").unwrap();
        assert_eq!([dead.exists(), alive.exists(), other.exists()], [false, true, true]);
    }

    #[test]
    fn a_link_is_neither_followed_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        SystemDisk.replace(&target, b"theirs").unwrap();
        symlink(&target, &link).unwrap();
        assert!(SystemDisk.replace(&link, b"ours").is_err());
        assert!(SystemDisk.append(&link, b"ours").is_err());
        assert_eq!(fs::read(&target).unwrap(), b"theirs");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn only_a_plain_file_is_read_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        SystemDisk.replace(&target, b"theirs").unwrap();
        symlink(&target, &link).unwrap();
        assert_eq!(SystemDisk.read_plain(&target, 10).unwrap().unwrap(), b"theirs");
        assert!(SystemDisk.read_plain(&folder.path().join("none"), 10).unwrap().is_none());
        assert!(SystemDisk.read_plain(&link, 10).is_err());
        assert!(SystemDisk.read_plain(Path::new("/dev/zero"), 10).is_err());
        assert!(SystemDisk.read_plain(folder.path(), 10).is_err());
    }

    #[test]
    fn appended_lines_follow_each_other_in_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        SystemDisk.append(&path, b"one\n").unwrap();
        SystemDisk.append(&path, b"two\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn an_absent_file_is_no_error_and_a_long_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert!(SystemDisk.read(&path, 10).unwrap().is_none());
        SystemDisk.remove(&path).unwrap();
        SystemDisk.replace(&path, b"1234").unwrap();
        assert_eq!(SystemDisk.read(&path, 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        SystemDisk.remove(&path).unwrap();
        assert!(!path.exists());
    }
}
