//! `Mark`: a place between two tokens of a document, to which a reader can be set.

use super::{Node, PATH, Reader, State};

/// All that a reader knows between two tokens.
pub(crate) struct Mark<L: 'static> {
    state: State,
    place: Option<&'static Node<L>>,
    path: [Option<&'static Node<L>>; PATH],
    depth: usize,
    objects: u128,
    offset: u64,
}

impl<L: Copy> Reader<L> {
    /// Where the reader is, between two tokens inside a document; `None` inside a token or outside a document.
    pub(crate) fn mark(&self) -> Option<Mark<L>> {
        // Nothing is held between two tokens.
        (self.state.is_between() && self.depth > 0).then_some(Mark {
            state: self.state,
            place: self.place,
            path: self.path,
            depth: self.depth,
            objects: self.objects,
            offset: self.offset,
        })
    }

    /// Goes to where the same reader was. Must be at the beginning of a document.
    pub(crate) fn go_to(&mut self, mark: &Mark<L>) {
        self.state = mark.state;
        self.place = mark.place;
        self.path = mark.path;
        self.depth = mark.depth;
        self.objects = mark.objects;
        self.offset = mark.offset;
    }
}
