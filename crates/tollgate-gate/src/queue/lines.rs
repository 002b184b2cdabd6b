//! `Lines`: all lines by index, and the open one of each kind.

use std::ops::{Index, IndexMut};

use super::{
    index::IndexMap,
    line::{Kind, Line, LineId},
};
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: Vec<Line>,
    closed: Vec<LineId>,
    open: IndexMap<Kind, LineId>,
}

/// Closed lines that are kept with their memory, for the next that are opened.
const KEPT: usize = 64;

impl Lines {
    /// The line for calls of this kind; an empty one if none is open.
    ///
    /// # Panics
    /// With more than 4 billion lines.
    pub(crate) fn find_or_open(&mut self, kind: Kind) -> LineId {
        let Self {
            lines,
            closed,
            open,
        } = self;
        *open.entry(kind).or_insert_with(|| {
            if let Some(id) = closed.pop() {
                lines[id as usize].renew(kind);
                return id;
            }
            lines.push(Line::new(kind));
            LineId::try_from(lines.len() - 1).expect("fewer than 4 billion lines")
        })
    }

    /// The line for calls of this kind, if any wait.
    pub(crate) fn find(&self, kind: Kind) -> Option<LineId> {
        self.open.get(&kind).copied()
    }

    /// Ends a line that nobody waits in.
    pub(crate) fn close(&mut self, id: LineId) {
        let kind = self[id].kind;
        self.open.remove(&kind);
        self.closed.push(id);
        if self.closed.len() > KEPT {
            self[id].shrink();
        }
        if self.open.is_empty() {
            self.lines.truncate(KEPT);
            self.lines.shrink_to(KEPT);
            self.closed.retain(|id| (*id as usize) < KEPT);
            self.closed.shrink_to(KEPT);
            self.open.shrink_to(KEPT);
        }
    }

    /// All that are open.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (LineId, &Line)> {
        self.open.values().map(|id| (*id, &self[*id]))
    }
}

impl Index<LineId> for Lines {
    type Output = Line;

    fn index(&self, id: LineId) -> &Line {
        &self.lines[id as usize]
    }
}

impl IndexMut<LineId> for Lines {
    fn index_mut(&mut self, id: LineId) -> &mut Line {
        &mut self.lines[id as usize]
    }
}
