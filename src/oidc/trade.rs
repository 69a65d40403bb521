//! One trade of a token for a credential: what is final is asked once, what expired is minted again
//! once, a refusal is kept for its explanation, and what was gained is hidden.

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::claims::Claims;
use super::{Denial, Denials, Exchange, Mask, Phase};
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// The trades of one provider block: what its run is about to do, what was refused, and who hides
/// what was given.
#[derive(Clone, Default)]
pub struct Trades {
    denials: Arc<Denials>,
    phase: Phase,
    /// The answer that will not change during the run.
    last: Arc<OnceLock<Error>>,
    mask: Option<Mask>,
}

/// Why a cloud gave no credential: what to say, and whether another token could help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What a person reads.
    pub error: Error,
    /// The vendor's code; empty where nothing was answered.
    pub code: String,
    /// The token was too old.
    pub expired: bool,
}

/// The vendor's code of the latest answer, which the limiter does not hand on.
#[derive(Default)]
pub struct Heard(Mutex<String>);

impl Heard {
    /// Keeps the code of an answer.
    pub fn note(&self, code: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = code.into();
    }

    /// The latest code; empty if there was none.
    #[must_use]
    pub fn code(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An error with the code that was heard of it.
    #[must_use]
    pub fn refused(&self, error: Error, is_expired: impl Fn(&str) -> bool) -> Refused {
        let code = self.code();
        Refused { error, expired: is_expired(&code), code }
    }
}

impl Trades {
    /// For one block; what it is refused is told with the other blocks' refusals.
    #[must_use]
    pub fn new(denials: &Arc<Denials>, phase: Phase, mask: &Mask) -> Self {
        Self { denials: Arc::clone(denials), phase, last: Arc::default(), mask: Some(Arc::clone(mask)) }
    }

    /// Hides a credential that was given; before anybody else sees it.
    pub fn hide(&self, credential: &SecretValue) {
        if let Some(mask) = &self.mask {
            mask(credential);
        }
    }

    /// What the run is about to do.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The final refusal, if there was one.
    #[must_use]
    pub fn last(&self) -> Option<Error> {
        self.last.get().cloned()
    }

    /// Mints a token and trades it. One that expired on its way is minted once more. The caller sees to
    /// it that a block does one trade at a time.
    ///
    /// # Errors
    /// What the source of tokens lacks or the cloud refuses. A final refusal is given again without
    /// asking anybody.
    pub async fn trade<T, M, A>(
        &self,
        exchange: Exchange,
        mint: impl Fn() -> M + Send + Sync,
        ask: impl Fn(SecretValue) -> A + Send + Sync,
    ) -> Result<T>
    where
        M: Future<Output = Result<SecretValue>> + Send,
        A: Future<Output = Result<T, Refused>> + Send,
    {
        if let Some(error) = self.last() {
            return Err(error);
        }
        // On the heap: whoever waits for a login is deep in others' futures already.
        let traded = Box::pin(self.once_or_twice(exchange, mint, ask)).await;
        if let Err(error) = &traded
            && matches!(error.kind, ErrorKind::Unauthenticated | ErrorKind::PermissionDenied | ErrorKind::Invalid)
        {
            // Whoever is first is heard; the others say the same.
            drop(self.last.set(error.clone()));
        }
        traded
    }

    async fn once_or_twice<T, M, A>(
        &self,
        exchange: Exchange,
        mint: impl Fn() -> M,
        ask: impl Fn(SecretValue) -> A,
    ) -> Result<T>
    where
        M: Future<Output = Result<SecretValue>>,
        A: Future<Output = Result<T, Refused>>,
    {
        let token = mint().await?;
        let refused = match ask(token.clone()).await {
            Ok(credential) => return Ok(credential),
            Err(refused) => refused,
        };
        if !refused.expired {
            return Err(self.denied(exchange, refused, &token));
        }
        let again = mint().await?;
        // A token that was there before the run is not minted by asking.
        if again.matches(&token) {
            return Err(self.denied(exchange, refused, &token));
        }
        match ask(again.clone()).await {
            Ok(credential) => Ok(credential),
            Err(refused) => Err(self.denied(exchange, refused, &again)),
        }
    }

    /// Keeps what a person needs to mend a refusal.
    fn denied(&self, exchange: Exchange, refused: Refused, token: &SecretValue) -> Error {
        let Refused { error, code, .. } = refused;
        // Without a code nobody answered, so there is nothing to explain.
        let told = matches!(error.kind, ErrorKind::Unauthenticated | ErrorKind::PermissionDenied) && !code.is_empty();
        if let Some(claims) = Claims::of(token).ok().filter(|_| told) {
            self.denials.note(Denial { exchange, code, claims, phase: self.phase });
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn exchange() -> Exchange {
        Exchange::Aws { role_arn: "r".into() }
    }

    /// Asks with tokens that say which one they are; tells how often was minted and asked.
    async fn after(trades: &Trades, answers: &[Option<Refused>], same: bool) -> (Result<usize>, usize, usize) {
        let (minted, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (minted_ref, asked_ref) = (&minted, &asked);
        let mint = move || async move {
            let number = minted_ref.fetch_add(1, Ordering::SeqCst);
            Ok(SecretValue::from(format!("h.e30.{}", if same { 0 } else { number })))
        };
        let ask = move |_| async move {
            let number = asked_ref.fetch_add(1, Ordering::SeqCst);
            answers.get(number).cloned().flatten().map_or(Ok(number), Err)
        };
        let traded = trades.trade(exchange(), mint, ask).await;
        (traded, minted.into_inner(), asked.into_inner())
    }

    fn refused(kind: ErrorKind, expired: bool) -> Option<Refused> {
        Some(Refused { error: Error::new(kind, "no"), code: "C".into(), expired })
    }

    #[tokio::test]
    async fn what_expired_is_minted_again_once() {
        let expired = || refused(ErrorKind::Unauthenticated, true);
        let trades = Trades::default();
        assert_eq!(after(&trades, &[expired()], false).await, (Ok(1), 2, 2));
        assert!(trades.last().is_none() && trades.denials.all().is_empty());
        let (traded, minted, asked) = after(&trades, &[expired(), expired(), None], false).await;
        assert_eq!((traded.is_err(), minted, asked), (true, 2, 2));
        let (traded, minted, asked) = after(&Trades::default(), &[expired(), None], true).await;
        assert_eq!((traded.is_err(), minted, asked), (true, 2, 1), "the same token is no other one");
    }

    #[tokio::test]
    async fn what_is_final_is_asked_once_and_told_once() {
        let trades = Trades::default();
        let no = || refused(ErrorKind::Unauthenticated, false);
        for (minted, asked) in [(1, 1), (0, 0)] {
            let (traded, mints, asks) = after(&trades, &[no(), no()], false).await;
            assert_eq!((traded.is_err(), mints, asks), (true, minted, asked));
        }
        assert_eq!(trades.denials.all().len(), 1);
        let trades = Trades::default();
        let outage = || refused(ErrorKind::Unavailable, false);
        assert!(after(&trades, &[outage()], false).await.0.is_err());
        assert_eq!(after(&trades, &[], false).await, (Ok(0), 1, 1), "an outage passes");
        assert!(trades.denials.all().is_empty());
    }
}
