use std::collections::{BTreeMap, btree_map};

use serde::{Deserialize, Serialize};

/// Keys with a list of values each, as in a query or form: the reference's `URLValues`.
///
/// A map of arrays of strings in msgpack. There is no nil: neither the map nor a list, which the
/// reference writes as empty.
///
/// ```
/// use grid_typed::UrlValues;
///
/// let mut values = UrlValues::new();
/// values.append("a", "b");
/// values.append("a", "c");
/// assert_eq!(values.get("a"), Some("b"));
/// assert_eq!(grid_typed::encode(&values)?, b"\x81\xa1a\x92\xa1b\xa1c");
/// # Ok::<_, grid_typed::EncodeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UrlValues(BTreeMap<String, Vec<String>>);

impl UrlValues {
    /// No keys.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a value behind those that the key has.
    pub fn append(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.entry(key.into()).or_default().push(value.into());
    }

    /// Sets a key's whole list and gives the one that it had.
    pub fn insert(&mut self, key: impl Into<String>, values: Vec<String>) -> Option<Vec<String>> {
        self.0.insert(key.into(), values)
    }

    /// Takes a key out and gives its list.
    pub fn remove(&mut self, key: &str) -> Option<Vec<String>> {
        self.0.remove(key)
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A key's first value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.get_all(key).first().map(String::as_str)
    }

    /// A key's list; empty if there is no such key.
    pub fn get_all(&self, key: &str) -> &[String] {
        self.0.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether there is such a key, be its list empty.
    pub fn contains_key(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// All keys and lists, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0
            .iter()
            .map(|(key, values)| (key.as_str(), values.as_slice()))
    }

    /// The map.
    pub fn into_inner(self) -> BTreeMap<String, Vec<String>> {
        self.0
    }
}

impl From<BTreeMap<String, Vec<String>>> for UrlValues {
    fn from(map: BTreeMap<String, Vec<String>>) -> Self {
        Self(map)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for UrlValues {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut values = Self::new();
        values.extend(pairs);
        values
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for UrlValues {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        for (key, value) in pairs {
            self.append(key, value);
        }
    }
}

impl IntoIterator for UrlValues {
    type Item = (String, Vec<String>);
    type IntoIter = btree_map::IntoIter<String, Vec<String>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
