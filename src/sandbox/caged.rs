//! A program in a cage that is talked with, whatever the cage is made of.

use std::fmt;

use async_trait::async_trait;

use crate::ports::{Ending, Process};

/// What is around a program: how its end is seen to.
#[async_trait]
pub(super) trait Surroundings: fmt::Debug + Send + Sync {
    /// Returns once the program has more of the disk than it may have.
    async fn outgrown(&self);

    /// Ends what the program left, and returns when nothing of it is there any more.
    async fn close(&mut self);

    /// How the program itself ended, out of how what stands for it did.
    fn ending(&self, ending: Ending) -> Ending;

    /// Ends what killing the program does not end by itself.
    fn kill(&mut self);
}

/// A program and what is around it. Dropping it ends first the program, then the rest.
#[derive(Debug)]
pub(super) struct Caged<S> {
    process: Box<dyn Process>,
    around: S,
    outgrown: bool,
}

impl<S> Caged<S> {
    pub(super) fn new(process: Box<dyn Process>, around: S) -> Self {
        Self { process, around, outgrown: false }
    }
}

#[async_trait]
impl<S: Surroundings> Process for Caged<S> {
    async fn wait(&mut self) -> Ending {
        if !self.outgrown {
            tokio::select! {
                biased;
                ending = self.process.wait() => {
                    self.around.close().await;
                    return self.around.ending(ending);
                }
                () = self.around.outgrown() => {
                    self.outgrown = true;
                    self.kill();
                }
            }
        }
        let ending = self.process.wait().await;
        self.around.close().await;
        self.around.ending(ending)
    }

    fn kill(&mut self) {
        self.process.kill();
        self.around.kill();
    }
}
