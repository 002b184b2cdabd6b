//! `Others`: use of a quota by other programs, as the provider's headers show it, and how much of it to expect before the next news.
//!
//! What an answer shows is booked, and then it is known. What others have taken since that answer was sent is not, and a call of ours
//! that counts on it would be refused. So room is left free for it: the rate at which they use the quota, times the time since the
//! last answer, and a few standard deviations more, as if their bursts came at random (a compound Poisson process, whose variance is
//! rate times time times the size-weighted mean of a burst).

use crate::Tick;

/// What is known of others on one meter. Made with the first news of them.
#[derive(Clone, Debug)]
pub(crate) struct Others {
    /// When an answer was heard last.
    last: Tick,
    /// When one was heard first.
    first: Tick,
    /// How long calls take to be answered: a running mean, in nanoseconds.
    flight: u64,
    /// Units of others by when they were used, the newest first: an eighth of a window each.
    parts: [u64; PARTS as usize],
    /// When the newest part began.
    began: Tick,
    /// The most units of a window, forgotten slowly.
    level: u64,
    /// By how much others took more or less than expected, squared, summed over about a window.
    squares: u128,
}

const PARTS: u64 = 8;

impl Others {
    /// Of the limit, what is left free for deviations at most: an eighth.
    const MOST: u64 = 8;
    /// Of the limit, what others use at most if they are few: a sixty-fourth.
    const FEW: u64 = 64;
    /// What is forgotten of the level in each part of a window: a thirty-second. As long as our books show more than the provider's,
    /// others hide in the difference, so a time without news of them need not be one without them.
    const FORGET: u64 = 32;

    /// The part of a window after which silence leaves no more room free: a forty-eighth.
    const SILENCE: u128 = 48;

    pub(crate) const fn new(now: Tick) -> Self {
        Self {
            last: now,
            first: now,
            flight: 0,
            parts: [0; PARTS as usize],
            began: now,
            level: 0,
            squares: 0,
        }
    }

    /// Whether nothing has been heard for a window.
    pub(crate) fn is_past(&self, now: Tick, window: u64) -> bool {
        self.last.plus_nanos(window) <= now
    }

    /// When an answer was heard last.
    pub(crate) const fn last(&self) -> Tick {
        self.last
    }

    /// Takes an answer into account that showed `units` more than was known, used since `since`; its call had been reserved at `sent`.
    pub(crate) fn hear(&mut self, now: Tick, sent: Tick, since: Tick, units: u64, window: u64) {
        let part = (window / PARTS).max(1);
        while self.began.plus_nanos(part) <= now {
            self.began = if self.level > 0 {
                self.began.plus_nanos(part)
            } else {
                now
            };
            self.parts.rotate_right(1);
            self.parts[0] = 0;
            self.level -= self.level.div_ceil(Self::FORGET);
            self.squares -= self.squares.div_ceil(u128::from(PARTS));
        }
        // After a silence a difference says more about what has aged out than about others.
        if now.since(self.last).as_nanos() <= u128::from(self.flight) {
            let off = u128::from(units.abs_diff(self.expected(now, window)));
            self.squares = self.squares.saturating_add(off * off);
        }
        self.spread(now, since, units, part);
        self.level = self.level.max(self.known());
        let flight = u64::try_from(now.since(sent).as_nanos()).unwrap_or(u64::MAX);
        self.flight = if self.flight == 0 {
            flight
        } else {
            self.flight - self.flight / 8 + flight / 8
        };
        self.last = now;
    }

    fn spread(&mut self, now: Tick, since: Tick, units: u64, part: u64) {
        let span = u64::try_from(now.since(since).as_nanos()).unwrap_or(u64::MAX);
        let parts = (span / part + 1).min(PARTS);
        let mut left = units;
        for i in (0..parts).rev() {
            let piece = left / (i + 1);
            self.parts[i as usize] = self.parts[i as usize].saturating_add(piece);
            left -= piece;
        }
    }

    /// Units of others within a window.
    pub(crate) fn known(&self) -> u64 {
        self.parts
            .iter()
            .fold(0, |sum, part| sum.saturating_add(*part))
    }

    /// Units per window at which to space grants: what others leave of the limit and a quarter more. Calls sent all at once would be
    /// followed by a silence in which nothing is heard.
    /// `None` where they are few.
    pub(crate) fn pace(&self, limit: u64) -> Option<u64> {
        if self.are_few(limit) {
            return None;
        }
        let left = limit.saturating_sub(self.level).max(limit / Self::MOST);
        Some(left.saturating_add(left / 4).max(1))
    }

    /// Whether leaving a whole window's worth of their use free costs less than spacing grants to hear of it in time. An estimate of
    /// ours that was a little short looks like this too.
    const fn are_few(&self, limit: u64) -> bool {
        self.level < limit / Self::FEW
    }

    /// Takes back `units` that were taken for others' and have turned out to be our own.
    pub(crate) fn own(&mut self, units: u64) {
        let mut left = units;
        for part in &mut self.parts {
            let piece = left.min(*part);
            *part -= piece;
            left -= piece;
        }
        self.level = self.level.saturating_sub(units - left);
        if self.level == 0 {
            self.squares = 0;
        }
    }

    /// Units that others are expected to have taken since the last answer was heard.
    fn expected(&self, now: Tick, window: u64) -> u64 {
        let since = now.since(self.last).as_nanos();
        let expected = u128::from(self.known()) * since / u128::from(window);
        u64::try_from(expected).unwrap_or(u64::MAX)
    }

    /// Units to leave free at `now` for what has not been heard of yet: the mean and a few standard deviations; more of them where what is
    /// left free is not `lost`, and for a window after the first news, from which their bursts are not known yet, as much as ever.
    pub(crate) fn headroom(&self, now: Tick, window: u64, limit: u64, lost: bool) -> u64 {
        let most = limit / Self::MOST;
        let known = self.level == 0 || self.first.plus_nanos(window) <= now;
        let least = if lost || known { 0 } else { most };
        let deviations = if lost { 3 } else { 6 };
        let window = u128::from(window);
        // What was taken while the last answer and the next call are on their way counts too. After a silence a call is worth the risk,
        // since it brings news.
        let since =
            now.since(self.last).as_nanos().min(window / Self::SILENCE) + u128::from(self.flight);
        let mean = (u128::from(self.level) * since).div_ceil(window);
        let variance = self.squares.saturating_mul(since >> 20) / (window >> 20).max(1);
        let deviations = variance.isqrt().saturating_mul(deviations);
        let mut units = mean + deviations.min(u128::from(most));
        if self.are_few(limit) {
            units = units.max(u128::from(self.level));
        }
        units = units.max(u128::from(least));
        u64::try_from(units).unwrap_or(u64::MAX)
    }
}
