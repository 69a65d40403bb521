//! Reads which paths git's index tracks, and nothing that it does not understand in full.
//!
//! An index of any version, split or sparse, with SHA-1 or SHA-256
//! (<https://git-scm.com/docs/index-format>). A guess could put a secret into a commit, so whatever is
//! unknown is an error.

use std::collections::HashSet;
use std::path::Path;

use crate::disk::Disk;

/// Largest index that is read, in bytes.
const INDEX_BYTES_MAX: u64 = 256 << 20;

/// Largest configuration of a repository, in bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Times, device, inode, mode, owner and size of an entry, before its hash.
const STAT_BYTES: usize = 40;

/// Why an index was not understood.
pub(super) type Reason = String;

/// What an index tracks, in lower case, since a file system may have no case.
#[derive(Debug, Default)]
pub(super) struct Tracked(HashSet<Vec<u8>>);

impl Tracked {
    /// Reads the index in git's folder `own`; `shared` is the one that holds the configuration.
    ///
    /// # Errors
    /// A reason if anything in it is not understood.
    pub(super) fn read(own: &Path, shared: &Path, disk: &dyn Disk) -> Result<Self, Reason> {
        let Some(bytes) = read(&own.join("index"), INDEX_BYTES_MAX, disk)? else { return Ok(Self::default()) };
        let config = read(&shared.join("config"), CONFIG_BYTES_MAX, disk)?.unwrap_or_default();
        let hash = hash_bytes(&String::from_utf8_lossy(&config))?;
        let index = Index::parse(&bytes, hash)?;
        let mut paths = index.paths;
        if let Some(link) = index.link
            && link.base.iter().any(|byte| *byte != 0)
        {
            let name = format!("sharedindex.{}", data_encoding::HEXLOWER.encode(&link.base));
            let bytes = read(&own.join(&name), INDEX_BYTES_MAX, disk)?.ok_or_else(|| format!("`{name}` is missing"))?;
            let base = Index::parse(&bytes, hash)?;
            let deleted = link.deleted(base.paths.len())?;
            let left = base.paths.into_iter().zip(deleted).filter(|(_, deleted)| !deleted);
            paths.extend(left.map(|(path, _)| path));
        }
        Ok(Self(paths.into_iter().map(|path| path.to_ascii_lowercase()).collect()))
    }

    /// Whether a path below the top is tracked, or lies in a folder that a sparse index does not open.
    pub(super) fn has(&self, path: &[u8]) -> bool {
        let path = path.to_ascii_lowercase();
        let folders = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..=at]);
        self.0.contains(&path) || folders.into_iter().any(|folder| self.0.contains(folder))
    }
}

fn read(path: &Path, bytes_max: u64, disk: &dyn Disk) -> Result<Option<Vec<u8>>, Reason> {
    disk.read(path, bytes_max).map_err(|error| error.to_string())
}

/// The length of a hash: what `extensions.objectFormat` says
/// (<https://git-scm.com/docs/git-config#Documentation/git-config.txt-extensionsobjectFormat>).
fn hash_bytes(config: &str) -> Result<usize, Reason> {
    let (mut within, mut format) = (false, "sha1".to_owned());
    for line in config.lines() {
        let mut line = line.trim();
        if let Some((section, rest)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            within = section.trim().eq_ignore_ascii_case("extensions");
            line = rest.trim();
        }
        let Some((key, value)) = line.split_once('=').filter(|_| within) else { continue };
        if key.trim().eq_ignore_ascii_case("objectformat") {
            let value = value.split(['#', ';']).next().unwrap_or_default();
            format = value.trim().trim_matches('"').to_ascii_lowercase();
        }
    }
    match format.as_str() {
        "sha1" => Ok(20),
        "sha256" => Ok(32),
        _ => Err("its object format is unknown".to_owned()),
    }
}

/// One file, as it stands.
struct Index {
    /// In their order; in a split index a replaced entry has an empty path.
    paths: Vec<Vec<u8>>,
    link: Option<Link>,
}

/// What a split index adds to its base.
struct Link {
    base: Vec<u8>,
    /// The bitmaps of deleted and replaced entries, or nothing.
    bitmaps: Vec<u8>,
}

impl Index {
    fn parse(bytes: &[u8], hash: usize) -> Result<Self, Reason> {
        let short = || "it ends too early".to_owned();
        let end = bytes.len().checked_sub(hash).ok_or_else(short)?;
        let mut reader = Reader { bytes: bytes.get(..end).unwrap_or_default(), at: 0 };
        if reader.take(4) != Some(b"DIRC") {
            return Err("it does not begin as one".to_owned());
        }
        let version = reader.number().ok_or_else(short)?;
        if !(2..=4).contains(&version) {
            return Err(format!("its version is {version}, and only 2, 3 and 4 are known"));
        }
        let count = reader.number().ok_or_else(short)?;
        let (mut paths, mut path) = (Vec::new(), Vec::new());
        for _ in 0..count {
            reader.entry(version, hash, &mut path).ok_or_else(short)?;
            paths.push(path.clone());
        }
        let mut link = None;
        while reader.at < reader.bytes.len() {
            let (name, body) = reader.extension().ok_or_else(short)?;
            match name {
                b"link" => {
                    let (base, bitmaps) = body.split_at_checked(hash).ok_or_else(short)?;
                    link = Some(Link { base: base.to_vec(), bitmaps: bitmaps.to_vec() });
                }
                // Folders that are not opened are entries whose path ends in `/`.
                b"sdir" => {}
                [first, ..] if first.is_ascii_uppercase() => {}
                _ => return Err(format!("it needs the extension `{}`", name.escape_ascii())),
            }
        }
        Ok(Self { paths, link })
    }
}

impl Link {
    /// Which entries of the base are gone; a replaced one keeps its path.
    fn deleted(&self, entries: usize) -> Result<Vec<bool>, Reason> {
        let mut bits = Vec::new();
        if !self.bitmaps.is_empty() {
            let mut reader = Reader { bytes: &self.bitmaps, at: 0 };
            bits = reader.bitmap(entries).ok_or_else(|| "a bitmap in it is damaged".to_owned())?;
        }
        bits.resize(entries, false);
        Ok(bits)
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn word(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    /// The path of the next entry, in place of the one before it.
    fn entry(&mut self, version: u32, hash: usize, path: &mut Vec<u8>) -> Option<()> {
        let start = self.at;
        self.take(STAT_BYTES + hash)?;
        let flags = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        if version > 2 && flags & 0x4000 != 0 {
            self.take(2)?;
        }
        // Version 4 tells how many bytes of the path before it an entry drops.
        let kept = if version == 4 { path.len().checked_sub(self.offset()?)? } else { 0 };
        path.truncate(kept);
        let length = self.bytes.get(self.at..)?.iter().position(|byte| *byte == 0)?;
        path.extend_from_slice(self.take(length)?);
        if version == 4 {
            self.take(1)?;
        } else {
            // One to eight zeros, so that an entry's length is a multiple of eight.
            self.take(8 - (self.at - start) % 8)?;
        }
        Some(())
    }

    /// A number of variable length, as in a pack's offsets.
    fn offset(&mut self) -> Option<usize> {
        let mut number = 0_usize;
        for more in 0.. {
            let byte = *self.take(1)?.first()?;
            let plus = usize::from(more > 0);
            number = number.checked_add(plus)?.checked_mul(128)?.checked_add(usize::from(byte & 0x7F))?;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(number)
    }

    fn extension(&mut self) -> Option<(&'b [u8], &'b [u8])> {
        let name = self.take(4)?;
        let length = usize::try_from(self.number()?).ok()?;
        Some((name, self.take(length)?))
    }

    /// An EWAH bitmap of at most so many bits (<https://git-scm.com/docs/bitmap-format>, appendix A):
    /// each marker word holds a bit, how many words of it follow, and how many literal words after them.
    fn bitmap(&mut self, bits_max: usize) -> Option<Vec<bool>> {
        let _bits = self.number()?;
        let words = self.number()?;
        let end = self.at.checked_add(usize::try_from(words).ok()?.checked_mul(8)?)?;
        let mut bits = Vec::new();
        while self.at < end {
            let marker = self.word()?;
            let run = usize::try_from((marker >> 1) & 0xFFFF_FFFF).ok()?.checked_mul(64)?;
            bits.resize(bits.len().checked_add(run)?.min(bits_max), marker & 1 == 1);
            for _ in 0..marker >> 33 {
                let literal = self.word()?;
                let left = bits_max.saturating_sub(bits.len()).min(64);
                bits.extend((0..left).map(|bit| (literal >> bit) & 1 == 1));
            }
        }
        (self.at == end).then_some(bits)
    }
}
