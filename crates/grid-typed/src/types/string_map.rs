use std::collections::{BTreeMap, HashMap, btree_map};

use serde::{Deserialize, Serialize};

/// A map from strings to strings, or nil: the reference's `MSS`.
///
/// A map in msgpack, nil as nil. On reading, the last of equal keys wins. Nil and the empty map are
/// two different values; a missing field and the default are nil.
///
/// ```
/// use grid_typed::StringMap;
///
/// let mut map = StringMap::from([("disk", "1")]);
/// map.insert("reply", "ok");
/// assert_eq!(map.get("reply"), Some("ok"));
/// assert_eq!(grid_typed::encode(&map)?, b"\x82\xa4disk\xa11\xa5reply\xa2ok");
/// assert_eq!(grid_typed::encode(&StringMap::nil())?, [0xc0]);
/// # Ok::<_, grid_typed::EncodeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StringMap(Option<BTreeMap<String, String>>);

impl StringMap {
    /// The empty map.
    pub const fn new() -> Self {
        Self(Some(BTreeMap::new()))
    }

    /// No map.
    pub const fn nil() -> Self {
        Self(None)
    }

    /// Sets a key's value and gives the one that it had. Nil becomes a map.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) -> Option<String> {
        self.0
            .get_or_insert_default()
            .insert(key.into(), value.into())
    }

    /// Takes a key out and gives its value.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        self.0.as_mut()?.remove(key)
    }

    /// Whether this is nil, which the empty map isn't.
    pub const fn is_nil(&self) -> bool {
        self.0.is_none()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, BTreeMap::len)
    }

    /// A key's value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.as_ref()?.get(key).map(String::as_str)
    }

    /// Whether there is such a key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// All keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .flatten()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The map, unless this is nil.
    pub fn into_inner(self) -> Option<BTreeMap<String, String>> {
        self.0
    }
}

impl From<BTreeMap<String, String>> for StringMap {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self(Some(map))
    }
}

impl From<HashMap<String, String>> for StringMap {
    fn from(map: HashMap<String, String>) -> Self {
        map.into_iter().collect()
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for StringMap {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for StringMap {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(Some(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        ))
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for StringMap {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        for (key, value) in pairs {
            self.insert(key, value);
        }
    }
}

impl IntoIterator for StringMap {
    type Item = (String, String);
    type IntoIter = btree_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.unwrap_or_default().into_iter()
    }
}
