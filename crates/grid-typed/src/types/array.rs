use std::ops::{Deref, DerefMut};
use std::{slice, vec};

use serde::{Deserialize, Serialize};

/// A list, or nil: the reference's `Array`.
///
/// An array in msgpack, nil as nil; the elements are any messages that serde codes. Nil and the
/// empty list are two different values; a missing field and the default are nil.
///
/// ```
/// use grid_typed::{Array, StringMap};
///
/// let array = Array::from(vec![StringMap::from([("a", "b")]), StringMap::nil()]);
/// assert_eq!(grid_typed::encode(&array)?, b"\x92\x81\xa1a\xa1b\xc0");
/// assert_eq!(grid_typed::encode(&Array::<StringMap>::nil())?, [0xc0]);
/// # Ok::<_, grid_typed::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Array<T>(Option<Vec<T>>);

impl<T> Array<T> {
    /// The empty list.
    pub const fn new() -> Self {
        Self(Some(Vec::new()))
    }

    /// No list.
    pub const fn nil() -> Self {
        Self(None)
    }

    /// Adds an element behind the others. Nil becomes a list.
    pub fn push(&mut self, element: T) {
        self.0.get_or_insert_default().push(element);
    }

    /// Whether this is nil, which the empty list isn't.
    pub const fn is_nil(&self) -> bool {
        self.0.is_none()
    }

    /// The list, unless this is nil.
    pub fn into_inner(self) -> Option<Vec<T>> {
        self.0
    }
}

impl<T> Default for Array<T> {
    fn default() -> Self {
        Self::nil()
    }
}

impl<T> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl<T> DerefMut for Array<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}

impl<T> From<Vec<T>> for Array<T> {
    fn from(elements: Vec<T>) -> Self {
        Self(Some(elements))
    }
}

impl<T> FromIterator<T> for Array<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self(Some(elements.into_iter().collect()))
    }
}

impl<T> Extend<T> for Array<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        self.0.get_or_insert_default().extend(elements);
    }
}

impl<T> IntoIterator for Array<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.unwrap_or_default().into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Array<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
