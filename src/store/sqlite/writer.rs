//! Group commit: one thread takes every change that waits into one transaction, syncs once, then answers all.
//!
//! A sync takes as long for one change as for hundreds, so the busier the store, the less each change costs.

use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::store::{Result, StoreError};

/// Changes that may wait. Beyond it a delivery is refused and everything else waits: memory stays bounded.
const QUEUE_MAX: usize = 4_096;

/// Changes of one transaction.
const GROUP_MAX: usize = 512;

/// How a change is kept apart from the others of its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// At most one statement of it writes, and SQLite undoes a statement that fails.
    OneStatement,
    /// Several do: a savepoint undoes them together.
    Several,
}

/// The one connection that writes, and its thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(db: Connection) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || work(&db, receiver))
            .map_err(|error| StoreError::Unavailable { detail: format!("no thread: {error}") })?;
        Ok(Self { queue: Some(sender), thread: Some(thread) })
    }

    /// Makes a change, waiting for a place in the queue.
    pub(super) async fn write<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (job, answer) = change_of(Shape::Several, change);
        self.sender()?.send(job).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Makes a change of which at most one statement writes, or refuses if too many wait.
    pub(super) async fn offer<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (job, answer) = change_of(Shape::OneStatement, change);
        self.sender()?.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                StoreError::Busy { detail: format!("{QUEUE_MAX} changes wait to be written") }
            }
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        answer.await.map_err(|_| gone())?
    }

    fn sender(&self) -> Result<&mpsc::Sender<Box<dyn Job>>> {
        self.queue.as_ref().ok_or_else(gone)
    }
}

impl Drop for Writer {
    /// Waits for the changes under way, so that whoever opens the file next finds it closed.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing under way any more.
            drop(thread.join());
        }
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable { detail: "its writer has stopped".to_owned() }
}

/// A change that waits for its transaction.
trait Job: Send {
    /// Makes the change. An error is one of the connection, after which the transaction cannot go on.
    fn apply(&mut self, db: &Connection) -> Result<()>;

    /// Tells what became of it; `failed` if the transaction was not committed.
    fn answer(self: Box<Self>, failed: Option<&StoreError>);
}

struct Change<T, F> {
    shape: Shape,
    make: Option<F>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

fn change_of<T, F>(shape: Shape, change: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T>>)
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (Box::new(Change { shape, make: Some(change), result: None, reply }), answer)
}

impl<T, F> Job for Change<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T> + Send,
{
    fn apply(&mut self, db: &Connection) -> Result<()> {
        // Nobody waits for it any more: as good as never asked for.
        let Some(change) = self.make.take().filter(|_| !self.reply.is_closed()) else { return Ok(()) };
        let result = match self.shape {
            Shape::OneStatement => change(db),
            Shape::Several => {
                db.prepare_cached("SAVEPOINT change")?.execute(())?;
                let result = change(db);
                if db.is_autocommit() {
                    return Err(result.err().unwrap_or_else(rolled_back));
                }
                if result.is_err() {
                    db.prepare_cached("ROLLBACK TO change")?.execute(())?;
                }
                db.prepare_cached("RELEASE change")?.execute(())?;
                result
            }
        };
        // SQLite ends the whole transaction by itself on some errors, a full disk among them.
        if db.is_autocommit() {
            return Err(result.err().unwrap_or_else(rolled_back));
        }
        self.result = Some(result);
        Ok(())
    }

    fn answer(self: Box<Self>, failed: Option<&StoreError>) {
        let answer = match (failed, self.result) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(result)) => result,
            (None, None) => return,
        };
        // Who asked may have gone; the change stands.
        drop(self.reply.send(answer));
    }
}

fn rolled_back() -> StoreError {
    StoreError::Unavailable { detail: "SQLite rolled the transaction back".to_owned() }
}

fn work(db: &Connection, mut queue: mpsc::Receiver<Box<dyn Job>>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while let Some(first) = queue.blocking_recv() {
        group.push(first);
        while group.len() < GROUP_MAX
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        let failed = commit_together(db, &mut group).err();
        if failed.is_some() && !db.is_autocommit() {
            // A rollback that fails leaves a transaction open; the next BEGIN then says so to everybody.
            drop(db.execute_batch("ROLLBACK"));
        }
        for job in group.drain(..) {
            job.answer(failed.as_ref());
        }
    }
}

fn commit_together(db: &Connection, group: &mut [Box<dyn Job>]) -> Result<()> {
    db.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
    for job in group.iter_mut() {
        job.apply(db)?;
    }
    db.prepare_cached("COMMIT")?.execute(())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::failure::contradiction;

    fn database() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE kept (a INTEGER)").unwrap();
        db
    }

    fn insert(number: u32) -> impl FnOnce(&Connection) -> Result<()> {
        move |db| {
            db.execute("INSERT INTO kept VALUES (?1)", [number])?;
            Ok(())
        }
    }

    fn kept(db: &Connection) -> Vec<u32> {
        let mut rows = db.prepare("SELECT a FROM kept ORDER BY a").unwrap();
        rows.query_map((), |row| row.get(0)).unwrap().map(std::result::Result::unwrap).collect()
    }

    #[test]
    fn a_change_that_fails_leaves_its_group_alone() {
        let db = database();
        let (first, mut first_answer) = change_of(Shape::Several, insert(1));
        let (failing, mut failing_answer) = change_of(Shape::Several, |db| {
            insert(2)(db)?;
            Err::<(), _>(contradiction("on purpose"))
        });
        let (last, mut last_answer) = change_of(Shape::OneStatement, insert(3));
        let mut group = vec![first, failing, last];
        commit_together(&db, &mut group).unwrap();
        for job in group {
            job.answer(None);
        }
        assert!(first_answer.try_recv().unwrap().is_ok());
        assert!(failing_answer.try_recv().unwrap().is_err());
        assert!(last_answer.try_recv().unwrap().is_ok());
        assert_eq!(kept(&db), [1, 3]);
    }

    #[test]
    fn a_transaction_that_cannot_go_on_is_refused_to_all_of_its_group() {
        let db = database();
        let (first, mut first_answer) = change_of(Shape::Several, insert(1));
        let (ending, mut ending_answer) = change_of(Shape::Several, |db| {
            db.execute_batch("ROLLBACK")?;
            Err::<(), _>(StoreError::Full { detail: "on purpose".to_owned() })
        });
        let mut group = vec![first, ending];
        let failed = commit_together(&db, &mut group).unwrap_err();
        for job in group {
            job.answer(Some(&failed));
        }
        assert!(matches!(first_answer.try_recv().unwrap(), Err(StoreError::Full { .. })));
        assert!(matches!(ending_answer.try_recv().unwrap(), Err(StoreError::Full { .. })));
        assert_eq!(kept(&db), [] as [u32; 0]);
    }

    #[test]
    fn a_change_nobody_waits_for_is_not_made() {
        let db = database();
        let (abandoned, answer) = change_of(Shape::Several, insert(1));
        drop(answer);
        commit_together(&db, &mut [abandoned]).unwrap();
        assert_eq!(kept(&db), [] as [u32; 0]);
    }
    #[tokio::test]
    async fn a_full_disk_is_named_and_passes_when_there_is_room() {
        let db = database();
        let pages: u32 = db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        db.pragma_update(None, "max_page_count", pages + 2).unwrap();
        let writer = Writer::start(db).unwrap();
        let much = |db: &Connection| {
            db.execute("INSERT INTO kept VALUES (1)", ())?;
            db.execute_batch("CREATE TABLE large (a BLOB); INSERT INTO large VALUES (zeroblob(100000))")?;
            Ok(())
        };
        assert!(matches!(writer.write(much).await, Err(StoreError::Full { .. })));
        writer.write(insert(3)).await.unwrap();
        assert_eq!(writer.write(|db| Ok(kept(db))).await.unwrap(), [3]);
    }
}
