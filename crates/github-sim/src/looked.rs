//! What apps left behind and no assertion has looked at yet.

use std::collections::BTreeMap;

/// Keys name a thing, values describe it for a failing test.
#[derive(Debug, Default)]
pub(crate) struct Looked(BTreeMap<String, String>);

impl Looked {
    /// An app made or changed this.
    pub(crate) fn wrote(&mut self, key: String, description: String) {
        self.0.insert(key, description);
    }

    /// A test read it.
    pub(crate) fn saw(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// What nobody read, in stable order.
    pub(crate) fn unseen(&self) -> Vec<String> {
        self.0.values().cloned().collect()
    }
}
