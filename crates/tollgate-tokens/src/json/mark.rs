//! `Mark`: a place between two tokens of a document, to which a reader can be set.

use super::{Node, PATH, Part, Reader, Sink, State, node::Take};

/// All that a reader knows between two tokens, but for how far the document is from its beginning.
pub(crate) struct Mark<L: 'static> {
    state: State,
    place: Option<&'static Node<L>>,
    path: [Option<&'static Node<L>>; PATH],
    depth: usize,
    objects: u128,
}

impl<L: Copy> Reader<L> {
    /// Where the reader is, between two tokens or behind the last; `None` inside a token or before the first.
    pub(crate) fn mark(&self) -> Option<Mark<L>> {
        // Nothing is held there.
        let is_between = self.state.is_between() || self.state == State::Done;
        is_between.then_some(Mark {
            state: self.state,
            place: self.place,
            path: self.path,
            depth: self.depth,
            objects: self.objects,
        })
    }

    /// Goes to where the same reader was. Must be between two tokens, or before the first.
    pub(crate) fn go_to(&mut self, mark: &Mark<L>) {
        self.state = mark.state;
        self.place = mark.place;
        self.path = mark.path;
        self.depth = mark.depth;
        self.objects = mark.objects;
        self.closed = self.state == State::Done;
    }

    /// Reads a measured string that begins here: how many bytes of the piece, and whether all of it.
    #[inline]
    pub(crate) fn push_text(&mut self, piece: &[u8], sink: &mut impl Sink<L>) -> (usize, bool) {
        if self.state != State::Value
            || piece.first() != Some(&b'"')
            || self.take() != Take::Measure
        {
            return (0, false);
        }
        let part = Part {
            key: false,
            take: Take::Measure,
        };
        let read = self.read_text(part, piece, 1, sink);
        self.offset += read as u64;
        (read, self.state == State::After)
    }
}
