//! The sandbox against programs that mean harm: each attack is carried out for real, in a real cage, and fails.
//!
//! Every kind of sandbox is attacked in the same way. Those of bubblewrap need bubblewrap, and root or a delegated control
//! group for what it bounds; those of users of their own need root, and say so where they are skipped.

/// Makes a test of each of these, in each kind of sandbox; of those after `bubblewrap:` in that alone.
macro_rules! in_each_layer {
    ($($test:ident),+ $(; bubblewrap: $($alone:ident),+)? $(,)?) => {
        mod in_bubblewrap {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(crate::cage::stage::Layer::Bubblewrap).await;
                }
            )+
            $($(
                #[tokio::test]
                async fn $alone() {
                    super::$alone(crate::cage::stage::Layer::Bubblewrap).await;
                }
            )+)?
        }

        mod in_user_slot {
            $(
                #[tokio::test]
                async fn $test() {
                    if crate::cage::stage::Layer::UserSlot.is_possible() {
                        super::$test(crate::cage::stage::Layer::UserSlot).await;
                    }
                }
            )+
        }
    };
}

mod around;
mod bounds;
mod reach;
mod slots;
pub(crate) mod stage;
mod survival;
