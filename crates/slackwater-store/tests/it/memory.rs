//! A disk in memory that never fails: for what does not ask about power cuts.

use slackwater_store::disk::{Disk, File};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

type Bytes = Arc<Mutex<Vec<u8>>>;

#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<String, Bytes>>>);

#[derive(Debug)]
struct Open(Bytes);

impl Memory {
    pub fn names(&self) -> Vec<String> {
        self.0.lock().expect("names").keys().cloned().collect()
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        self.find(name).expect("there").lock().expect("bytes").clone()
    }

    pub fn write(&self, name: &str, bytes: Vec<u8>) {
        *self.find(name).expect("there").lock().expect("bytes") = bytes;
    }

    fn find(&self, name: &str) -> io::Result<Bytes> {
        self.0.lock().expect("names").get(name).cloned().ok_or(ErrorKind::NotFound.into())
    }
}

impl Disk for Memory {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let bytes = Bytes::default();
        match self.0.lock().expect("names").insert(name.to_string(), bytes.clone()) {
            None => Ok(Box::new(Open(bytes))),
            Some(_) => Err(ErrorKind::AlreadyExists.into()),
        }
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Box::new(Open(self.find(name)?)))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let inside = |name: &String| name.strip_prefix(folder)?.strip_prefix('/').map(str::to_string);
        Ok(self.names().iter().filter_map(inside).collect())
    }

    fn make_folder(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut names = self.0.lock().expect("names");
        let bytes = names.remove(from).ok_or(ErrorKind::NotFound)?;
        names.insert(to.to_string(), bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.lock().expect("names").remove(name).map(drop).ok_or(ErrorKind::NotFound.into())
    }

    fn sync_folder(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
}

impl File for Open {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().expect("bytes").len() as u64)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock().expect("bytes");
        let found = bytes.get(at as usize..at as usize + into.len()).ok_or(ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(found);
        Ok(())
    }

    fn write_at(&self, at: u64, new: &[u8]) -> io::Result<()> {
        let mut bytes = self.0.lock().expect("bytes");
        let (at, end) = (at as usize, at as usize + new.len());
        let len = bytes.len().max(end);
        bytes.resize(len, 0);
        bytes[at..end].copy_from_slice(new);
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.lock().expect("bytes").resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
