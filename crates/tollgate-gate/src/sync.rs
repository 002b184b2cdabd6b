//! What threads and tasks meet at: the lock, the driver's alarm, its task and its timer. Under `--cfg tollgate_shuttle` all of them
//! are models that try one schedule after another, and everything else is the code that users run.

#[cfg(not(tollgate_shuttle))]
pub(crate) use self::real::{Mutex, MutexGuard, Notify, spawn, timeout_at};

#[cfg(tollgate_shuttle)]
pub(crate) use crate::model::{Mutex, MutexGuard, Notify, spawn, timeout_at};

#[cfg(not(tollgate_shuttle))]
mod real {
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    pub(crate) use tokio::{spawn, sync::Notify, time::timeout_at};
}
