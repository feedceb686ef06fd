//! Values kept once and named by a number, so that a state of the world is small and equal things are one thing.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::rc::Rc;

use serde::Serialize;

/// The number of a kept value.
pub(crate) struct Name<T>(u32, PhantomData<T>);

// Derived, these would ask the same of `T`.
impl<T> Clone for Name<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Name<T> {}
impl<T> PartialEq for Name<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Name<T> {}
impl<T> PartialOrd for Name<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Name<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> std::hash::Hash for Name<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Keeps values by what they are when written down: the protocol's types are compared and stored, not hashed.
pub(crate) struct Kept<T> {
    values: Vec<Rc<T>>,
    names: HashMap<String, u32>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { values: Vec::new(), names: HashMap::new() }
    }
}

impl<T: Serialize> Kept<T> {
    pub(crate) fn keep(&mut self, value: T) -> Name<T> {
        let written = serde_json::to_string(&value).unwrap();
        let values = &mut self.values;
        let name = *self.names.entry(written).or_insert_with(|| {
            values.push(Rc::new(value));
            u32::try_from(values.len() - 1).unwrap()
        });
        Name(name, PhantomData)
    }

    pub(crate) fn get(&self, name: Name<T>) -> Rc<T> {
        Rc::clone(&self.values[name.0 as usize])
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }
}
