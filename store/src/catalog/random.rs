//! Random numbers that stay the same for ever: a catalog must not change because a dependency
//! found a better generator.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub(super) struct Random(u64);

impl Random {
    /// The numbers that belong to one row of one catalog. Each row has its own, so that any of
    /// them can be made without those before it.
    pub(super) fn of_row(seed: u64, row: u32) -> Random {
        let mut random = Random(seed);
        Random(random.next() ^ (u64::from(row) << 17))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` up to and including `high`.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        let span = u64::from(high - low) + 1;
        // The high half of a product instead of a remainder: every number is equally likely.
        let scaled = ((self.next() >> 32) * span) >> 32;
        low + u32::try_from(scaled).expect("less than the span, which is at most 2³²")
    }

    /// Whether something happens that happens `percent` times in a hundred.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.between(1, 100) <= percent
    }

    /// One of them.
    pub(super) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        let last = u32::try_from(from.len() - 1).expect("lists of words are short");
        from[self.between(0, last) as usize]
    }
}
