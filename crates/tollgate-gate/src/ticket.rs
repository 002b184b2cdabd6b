//! `Ticket` and `Priority`: the order in which calls came, and which of them go first.

/// A call's place in the order of its class: first come, first served. A call that is sent again keeps its ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    pub(crate) priority: Priority,
    pub(crate) number: u64,
}

/// The class of a call: which calls go first among those that wait for the same quota.
///
/// A lower class waits while a higher one has calls waiting, but not for ever: see [`crate::GateBuilder::ageing`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody is waiting for the answer.
    High,
    /// The default.
    #[default]
    Normal,
    /// Work that can wait, such as batches.
    Low,
}

impl Priority {
    pub(crate) const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// 0 for the class that goes first.
    pub(crate) const fn rank(self) -> usize {
        self as usize
    }
}
