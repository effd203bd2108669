//! The datastore of the in-memory cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sim::world::Datastore;

/// Keys and values, and how often they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    keys: BTreeMap<String, String>,
    writes: u64,
}

impl Datastore for Store {
    fn get(&self, key: &str) -> Option<String> {
        self.keys.get(key).cloned()
    }
    fn put(&mut self, key: &str, value: String) {
        self.writes += 1;
        self.keys.insert(key.to_owned(), value);
    }
    fn delete(&mut self, key: &str) {
        self.writes += 1;
        self.keys.remove(key);
    }
    fn list(&self, prefix: &str) -> Vec<String> {
        let keys = self.keys.keys().filter(|key| key.starts_with(prefix));
        keys.cloned().collect()
    }
    fn revision(&self) -> u64 {
        self.writes
    }
}
