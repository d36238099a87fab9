//! Reads an LMDB file without LMDB: every page by its own read, every offset checked, nothing mapped or trusted.
//! It tells whether a file is sound before LMDB is let near it, and salvages the rows of one that is not.
//!
//! Page layout (LMDB 0.9, 64-bit): `u64 number | u16 pad | u16 flags | u16 lower, u16 upper or u32 overflow
//! pages`, then u16 node offsets. Node: `u16 lo | u16 hi | u16 flags | u16 key size | key | data`; in a leaf
//! `lo | hi << 16` is the data's size, in a branch `lo | hi << 16 | flags << 32` the child's number.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use crate::error::{Code, Error, Result};

const HEADER: usize = 16;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
const BIG_DATA: u16 = 0x01;
const SUB_DATABASE: u16 = 0x02;
/// Bytes of the row of a named database.
const DATABASE: usize = 48;
const NO_PAGE: u64 = u64::MAX;
const MAX_DEPTH: usize = 32;

/// Name of the database that has a row for each of the others, which no other one may have.
pub const MAIN: &str = "(main)";
const FREE: &str = "(free)";

/// What a walk found.
#[derive(Debug, Default)]
pub struct Report {
    /// Pages read.
    pub pages: u64,
    /// Rows seen.
    pub rows: u64,
    /// What is wrong, the first hundred of it, in words.
    pub problems: Vec<String>,
}

impl Report {
    fn problem(&mut self, text: String) {
        if self.problems.len() < 100 {
            self.problems.push(text);
        }
    }

    /// Nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Takes database, key and value of a row.
pub type Row<'r> = &'r mut dyn FnMut(&str, &[u8], &[u8]);

/// Walks the newest state in `data`; calls `row(database, key, value)` for every readable row of the named
/// databases, and for those of the [main](MAIN) one that name none. Damage is reported and walked around; `Err` only
/// when not even the meta pages can be read.
pub fn walk(data: &Path, row: Row<'_>) -> Result<Report> {
    let file = File::open(data).map_err(|error| Error::os("opening the catalog", data, &error))?;
    let length = file.metadata().map_err(|error| Error::os("reading the catalog", data, &error))?.len();
    let mut walker = Walker {
        file: &file,
        length,
        page_size: 4096,
        last: 0,
        seen: HashSet::new(),
        report: Report::default(),
    };
    let roots = walker
        .roots()
        .ok_or_else(|| Error::new(Code::Corrupt, "neither meta page of the catalog can be read").at(data))?;
    let mut databases = Vec::new();
    walker.tree(roots.free, FREE, 0, &mut |_, _| {});
    walker.tree(roots.main, MAIN, 0, &mut |key, value| match (key, word64(value, 40)) {
        ([0, ..], _) | (_, None) => row(MAIN, key, value),
        (_, Some(root)) => databases.push((String::from_utf8_lossy(key).into_owned(), root)),
    });
    for (name, root) in databases {
        walker.tree(root, &name, 0, &mut |key, value| row(&name, key, value));
    }
    Ok(walker.report)
}

struct Roots {
    free: u64,
    main: u64,
}

struct Walker<'f> {
    file: &'f File,
    length: u64,
    page_size: usize,
    last: u64,
    seen: HashSet<u64>,
    report: Report,
}

type Visit<'v> = &'v mut dyn FnMut(&[u8], &[u8]);

impl Walker<'_> {
    fn roots(&mut self) -> Option<Roots> {
        let mut best: Option<(u64, Roots, u64)> = None;
        let mut at = 0;
        for _ in 0..2 {
            let mut page = [0; 256];
            quiver_io::read_exact_at(self.file, &mut page, at).ok()?;
            let meta = &page[HEADER..];
            if word32(meta, 0) == Some(0xBEEF_C0DE) {
                let size = word32(meta, 24)? as usize;
                if size.is_power_of_two() && (512..=65_536).contains(&size) {
                    self.page_size = size;
                    let transaction = word64(meta, 128)?;
                    if best.as_ref().is_none_or(|(newest, ..)| transaction > *newest) {
                        let roots = Roots { free: word64(meta, 24 + 40)?, main: word64(meta, 72 + 40)? };
                        best = Some((transaction, roots, word64(meta, 120)?));
                    }
                }
            } else {
                self.report.problem(format!("the meta page at byte {at} is damaged"));
            }
            at = self.page_size as u64;
        }
        let (_, roots, last) = best?;
        self.last = last;
        Some(roots)
    }

    fn read(&mut self, number: u64, pages: usize) -> Option<Vec<u8>> {
        let bytes = pages.checked_mul(self.page_size)?;
        let at = number.checked_mul(self.page_size as u64)?;
        if number > self.last || at.checked_add(bytes as u64)? > self.length {
            return None;
        }
        let mut page = vec![0; bytes];
        quiver_io::read_exact_at(self.file, &mut page, at).ok()?;
        Some(page)
    }

    fn tree(&mut self, root: u64, name: &str, depth: usize, visit: Visit<'_>) {
        if root == NO_PAGE {
            return;
        }
        if depth > MAX_DEPTH {
            self.report.problem(format!("{name}: the tree is deeper than {MAX_DEPTH} levels"));
            return;
        }
        if root < 2 || !self.seen.insert(root) {
            self.report.problem(format!("{name}: page {root} is used twice"));
            return;
        }
        let Some(page) = self.read(root, 1) else {
            self.report.problem(format!("{name}: page {root} lies outside the file"));
            return;
        };
        self.report.pages += 1;
        let flags = word16(&page, 10).unwrap_or(0);
        if word64(&page, 0) != Some(root) || flags & (BRANCH | LEAF) == 0 {
            self.report.problem(format!("{name}: page {root} is not a page of the tree"));
            return;
        }
        let lower = usize::from(word16(&page, 12).unwrap_or(0));
        if lower < HEADER || lower > page.len() {
            self.report.problem(format!("{name}: page {root} has a damaged header"));
            return;
        }
        let mut previous: Option<Vec<u8>> = None;
        for index in 0..(lower - HEADER) / 2 {
            let offset = usize::from(word16(&page, HEADER + index * 2).unwrap_or(0));
            let Some(node) = Node::at(&page, offset) else {
                self.report.problem(format!("{name}: node {index} of page {root} is damaged"));
                continue;
            };
            if flags & BRANCH != 0 {
                self.tree(node.child(), name, depth + 1, visit);
                continue;
            }
            // Keys of the free list are numbers in native order; all others ascend as bytes.
            if name != FREE && previous.as_deref().is_some_and(|before| before >= node.key) {
                self.report.problem(format!("{name}: keys of page {root} are out of order"));
            }
            previous = Some(node.key.to_vec());
            match self.value(&node) {
                Some(value) => {
                    self.report.rows += 1;
                    if !node.is_of(name, value.len()) {
                        self.report.problem(format!("{name}: row {index} of page {root} is of another kind"));
                    }
                    visit(node.key, &value);
                }
                None => self.report.problem(format!("{name}: value {index} of page {root} is damaged")),
            }
        }
    }

    fn value(&mut self, node: &Node<'_>) -> Option<Vec<u8>> {
        if node.flags & BIG_DATA == 0 {
            return node.rest.get(..node.size).map(<[u8]>::to_vec);
        }
        let number = word64(node.rest, 0)?;
        let pages = (HEADER - 1 + node.size) / self.page_size + 1;
        for page in number..number.checked_add(pages as u64)? {
            if !self.seen.insert(page) {
                return None;
            }
        }
        let bytes = self.read(number, pages)?;
        self.report.pages += pages as u64;
        let sound = word64(&bytes, 0) == Some(number)
            && word16(&bytes, 10)? & OVERFLOW != 0
            && word32(&bytes, 12)? as usize == pages;
        sound.then(|| bytes.get(HEADER..HEADER + node.size).map(<[u8]>::to_vec))?
    }
}

struct Node<'p> {
    flags: u16,
    size: usize,
    key: &'p [u8],
    rest: &'p [u8],
}

impl<'p> Node<'p> {
    fn at(page: &'p [u8], offset: usize) -> Option<Self> {
        let node = page.get(offset..).filter(|_| offset >= HEADER)?;
        let key_size = usize::from(word16(node, 6)?);
        let key = node.get(8..8 + key_size)?;
        let size = usize::from(word16(node, 0)?) | usize::from(word16(node, 2)?) << 16;
        Some(Self { flags: word16(node, 4)?, size, key, rest: node.get(8 + key_size..)? })
    }

    /// Whether a leaf of this database may have such a node. LMDB follows what the flags say: a row that claims to hold
    /// duplicates ends the process.
    fn is_of(&self, database: &str, size: usize) -> bool {
        if database == MAIN {
            // No name begins with a zero, all other keys do.
            let names = self.key.first().is_some_and(|first| *first != 0);
            if names { self.flags == SUB_DATABASE && size == DATABASE } else { self.flags == 0 }
        } else {
            self.flags & !BIG_DATA == 0
        }
    }

    fn child(&self) -> u64 {
        self.size as u64 | u64::from(self.flags) << 32
    }
}

fn word16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn word64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
