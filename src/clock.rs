//! Time and randomness come through here; nothing else in the library reads either.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// The present moment.
pub trait Clock: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Waiting, so that a test need not.
#[async_trait]
pub trait Sleep: Send + Sync {
    /// Returns after this long.
    async fn sleep(&self, duration: Duration);
}

/// The timer of the runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemSleep;

#[async_trait]
impl Sleep for SystemSleep {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Random bytes fit for secrets.
pub trait Entropy: Send + Sync {
    /// Fills the buffer.
    ///
    /// # Errors
    /// [`NoEntropy`] if the operating system gives none; nothing may be generated then.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy>;
}

/// The operating system's random number generator refused.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random bytes, so no value can be generated; check /dev/urandom")]
pub struct NoEntropy;

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        use rand::TryRng as _;
        rand::rngs::SysRng.try_fill_bytes(buffer).map_err(|_| NoEntropy)
    }
}
