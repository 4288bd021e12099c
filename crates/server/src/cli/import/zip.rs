//! Members of a ZIP archive (PKWARE APPNOTE): stored or deflated, found by the central directory, checked by length and CRC-32.

use anyhow::{Context, Result, bail};
use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The end record with the longest comment.
const END_BYTES_MAX: u64 = 22 + 65_535;
/// Bytes of the central directory: some ten thousand members.
const DIRECTORY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Unpacked bytes of one member: what a country's roster does not reach, and a disk survives.
const MEMBER_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// An archive whose directory has been read.
pub(super) struct Archive {
    file: File,
    members: Vec<Member>,
}

/// A file in the archive.
struct Member {
    /// Without its folders.
    name: String,
    is_deflated: bool,
    crc: u32,
    packed: u64,
    unpacked: u64,
    header_at: u64,
}

impl Archive {
    /// Reads the directory.
    ///
    /// # Errors
    /// A sentence when it is no ZIP archive, or one of a kind that is not read here.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let members = directory(&mut file).with_context(|| format!("{} as a ZIP archive", path.display()))?;
        Ok(Self { file, members })
    }

    /// The unpacked member of this name, wherever its folder, and its length; none when there is none.
    ///
    /// # Errors
    /// When there are two, or it cannot be read.
    pub(super) fn member(&self, name: &str) -> Result<Option<(u64, Checked)>> {
        let mut named = self.members.iter().filter(|member| member.name == name);
        let Some(member) = named.next() else { return Ok(None) };
        if named.next().is_some() {
            bail!("{name} is in the archive twice");
        }
        if member.unpacked > MEMBER_BYTES_MAX {
            bail!("{name} has more than 4 GiB");
        }
        // Looked through once before anything of it is believed: a damaged name must not be imported.
        let whole = io::copy(&mut self.reader(member)?, &mut io::sink());
        whole.with_context(|| format!("unpacking {name}"))?;
        Ok(Some((member.unpacked, self.reader(member)?)))
    }

    fn reader(&self, member: &Member) -> Result<Checked> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(member.header_at))?;
        let mut header = [0; 30];
        file.read_exact(&mut header)?;
        if header[..4] != *b"PK\x03\x04" {
            bail!("the archive's directory does not lead to {}", member.name);
        }
        let skipped = u64::from(number16(&header, 26)) + u64::from(number16(&header, 28));
        let content_at = member.header_at + 30 + skipped;
        let packed = Slice { file, at: content_at, left: member.packed };
        let unpacked: Box<dyn Read> = if member.is_deflated { Box::new(DeflateDecoder::new(packed)) } else { Box::new(packed) };
        Ok(Checked { inner: unpacked, crc: Crc::new(), expected: member.crc, left: member.unpacked })
    }
}

/// A part of the file, read at places of its own: handles that were cloned share one position.
struct Slice {
    file: File,
    at: u64,
    left: u64,
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

fn directory(file: &mut File) -> Result<Vec<Member>> {
    let length = file.seek(SeekFrom::End(0))?;
    let tail_at = length.saturating_sub(END_BYTES_MAX);
    file.seek(SeekFrom::Start(tail_at))?;
    let mut tail = Vec::new();
    file.take(END_BYTES_MAX).read_to_end(&mut tail)?;
    let end = tail.windows(4).rposition(|window| window == b"PK\x05\x06").filter(|end| tail.len() >= end + 22);
    let end = &tail[end.context("it has no end record: is it cut off, or no ZIP archive?")?..];
    let (count, bytes, at) = (number16(end, 10), u64::from(number32(end, 12)), u64::from(number32(end, 16)));
    if count == u16::MAX || at == u64::from(u32::MAX) {
        bail!("it is a ZIP64 archive: unpack it and name the folder");
    }
    if bytes > DIRECTORY_BYTES_MAX || at + bytes > length {
        bail!("its directory is damaged");
    }
    file.seek(SeekFrom::Start(at))?;
    let mut directory = Vec::new();
    file.take(bytes).read_to_end(&mut directory)?;
    let mut rest = directory.as_slice();
    (0..count).map(|_| entry(&mut rest)).collect()
}

fn entry(rest: &mut &[u8]) -> Result<Member> {
    let (fixed, names) =
        rest.split_at_checked(46).filter(|(fixed, _)| fixed.starts_with(b"PK\x01\x02")).context("its directory is damaged")?;
    let lengths = [28, 30, 32].map(|at| usize::from(number16(fixed, at)));
    let (names, after) = names.split_at_checked(lengths.iter().sum()).context("its directory is damaged")?;
    *rest = after;
    let path = String::from_utf8_lossy(&names[..lengths[0]]).into_owned();
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    if number16(fixed, 8) & 1 != 0 {
        bail!("it is encrypted: unpack it and name the folder");
    }
    let is_deflated = match number16(fixed, 10) {
        0 => false,
        8 => true,
        _ => bail!("a member is packed by another method than deflate: unpack it and name the folder"),
    };
    let (packed, unpacked) = (u64::from(number32(fixed, 20)), u64::from(number32(fixed, 24)));
    Ok(Member { name, is_deflated, crc: number32(fixed, 16), packed, unpacked, header_at: u64::from(number32(fixed, 42)) })
}

fn number16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn number32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Never gives more than the directory promises, and fails at the end when less came or its CRC differs.
pub(super) struct Checked {
    inner: Box<dyn Read>,
    crc: Crc,
    expected: u32,
    left: u64,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| damaged("the archive holds more than it says"))?;
        self.crc.update(&buffer[..read]);
        if read == 0 && (self.left > 0 || self.crc.sum() != self.expected) {
            return Err(damaged("the archive is damaged: length or checksum is wrong"));
        }
        Ok(read)
    }
}
