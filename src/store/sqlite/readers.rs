//! Connections that read beside the writer. Each read sees one committed state, whatever is written meanwhile.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::schema::open_reader;
use crate::store::{Result, StoreError};

/// Reads at once. More would only wait for each other on a small machine.
const READERS_MAX: usize = 4;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, permits: Arc::new(Semaphore::new(READERS_MAX)), idle: Arc::default() }
    }

    /// Closes the connections that nobody reads with.
    pub(super) fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Reads on a thread that may wait for the disk.
    pub(super) async fn read<T, F>(&self, query: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let stopped = || StoreError::Unavailable { detail: "its readers have stopped".to_owned() };
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| stopped())?;
        let (path, idle) = (self.path.clone(), Arc::clone(&self.idle));
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let db = match kept {
                Some(db) => db,
                None => open_reader(&path)?,
            };
            let answer = {
                let snapshot = db.unchecked_transaction()?;
                let answer = query(&snapshot);
                snapshot.commit()?;
                answer
            };
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
            answer
        });
        reading.await.map_err(|_| stopped())?
    }
}
