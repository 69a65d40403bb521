//! Uniform draws from random bytes, without the bias that a remainder has.

use zeroize::Zeroizing;

use crate::clock::{Entropy, NoEntropy};

/// Random bytes fetched at once; one system call serves a usual password.
const BUFFER_BYTES: usize = 512;

/// A source of uniform indices; wipes what it drew.
pub(super) struct Draws<'a> {
    entropy: &'a dyn Entropy,
    buffer: Zeroizing<[u8; BUFFER_BYTES]>,
    used: usize,
}

impl<'a> Draws<'a> {
    pub(super) fn new(entropy: &'a dyn Entropy) -> Self {
        Self { entropy, buffer: Zeroizing::new([0; BUFFER_BYTES]), used: BUFFER_BYTES }
    }

    /// The next random bytes; `N` is at most [`BUFFER_BYTES`].
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], NoEntropy> {
        if self.used + N > BUFFER_BYTES {
            self.entropy.fill(self.buffer.as_mut_slice())?;
            self.used = 0;
        }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.buffer[self.used..self.used + N]);
        self.used += N;
        Ok(bytes)
    }

    /// An index below `count` (which is at least 1), each equally likely.
    ///
    /// A draw from the last, incomplete run of `count` numbers below 2^64 is thrown away, so no
    /// index has one number more than another. For any count that occurs here this is rarer than
    /// one in 2^16.
    pub(super) fn below(&mut self, count: u64) -> Result<u64, NoEntropy> {
        let count = count.max(1);
        let incomplete = (u64::MAX % count + 1) % count;
        loop {
            let drawn = u64::from_le_bytes(self.bytes()?);
            if drawn <= u64::MAX - incomplete {
                return Ok(drawn % count);
            }
        }
    }

    /// One of the characters, which are at least one.
    pub(super) fn one_of(&mut self, characters: &[char]) -> Result<char, NoEntropy> {
        let index = self.below(u64::try_from(characters.len()).unwrap_or(1))?;
        Ok(characters[usize::try_from(index).unwrap_or(0)])
    }
}
