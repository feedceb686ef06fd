//! The memory of a slot, where no control group bounds it: looked at from time to time.

use std::time::Duration;

use super::processes::living;
use crate::adapters::on_disk;
use crate::ports::Clock;

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Returns once the processes of a user have more memory than this together. What they share counts for each of them.
pub(super) async fn exceeded(clock: &dyn Clock, uid: u32, bytes_max: u64) {
    loop {
        clock.sleep(LOOK_EVERY).await;
        let listed = on_disk(move || living(|found| found == uid)).await;
        // What cannot be listed now can be at the next look.
        let bytes = listed.unwrap_or_default().iter().map(|process| process.memory_bytes).sum::<u64>();
        if bytes > bytes_max {
            return;
        }
    }
}
