//! Writes to Secret Manager: a claim in the annotations, then the value, then a look at who claimed.
//!
//! `AddSecretVersion` has neither condition nor token, but `UpdateSecret` with an etag is a
//! compare-and-swap (<https://cloud.google.com/secret-manager/docs/etags>). So whoever writes first
//! sets the mark for the version to come, looks that the expected version still is in force, adds,
//! and looks whether the claim still stands. Of two runs that claim one after the other, the later
//! one either sees the earlier one's value and withdraws, or is seen by it, which then destroys what
//! it added: exactly one value stays.

mod body;

use reqwest::Method;

use super::attributes::{desired, observed};
use super::observe::get;
use super::session::{At, Call, Session};
use super::versions::{Standing, access, add, destroy, list, retire, standing};
use super::wire::{Secret, State, Version};
use crate::limiter::Repeat;
use crate::mark::Mark;
use crate::provider::{Error, ErrorKind, Expect, Result, VersionId, WriteOptions};
use crate::secret::{SecretValue, Value};
use crate::target::SecretManagerSettings;
use body::Body;

/// Largest value, in bytes (<https://cloud.google.com/secret-manager/quotas>).
pub(super) const VALUE_BYTES_MAX: usize = 65_536;

/// One place that is written.
pub(super) struct Writer<'a> {
    pub(super) session: &'a Session,
    pub(super) at: At<'a>,
    pub(super) settings: &'a SecretManagerSettings,
    pub(super) options: &'a WriteOptions,
}

/// The right to add a version, as long as nobody claims after us.
struct Claim {
    /// The mark that says so.
    mark: String,
    /// The mark that stood there before.
    before: Option<String>,
    /// The newest version that was there.
    newest: u64,
    etag: String,
}

impl Writer<'_> {
    /// Stores a value and its mark.
    pub(super) async fn write(&self, value: &Value) -> Result<VersionId> {
        let value = value.to_text();
        if value.is_empty() || value.len() > VALUE_BYTES_MAX {
            let message = format!("{}: Secret Manager takes values of 1 to {VALUE_BYTES_MAX} bytes", self.at.id);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let claim = match &self.options.expect {
            Expect::Absent => self.create().await?,
            Expect::Version(version) => self.claim(version).await?,
        };
        let number = match add(self.session, self.at, &value).await {
            Ok(number) => number,
            Err(error) if error.kind == ErrorKind::Indeterminate => self.find(&claim, &value, error).await?,
            Err(error) => return Err(error),
        };
        self.confirm(&claim, number, &value).await?;
        if let Some(keep) = self.settings.keep_versions
            && let Err(error) = retire(self.session, self.at, keep, number).await
        {
            // The value is stored; the next rotation tries again.
            tracing::warn!("older versions stay: {error}");
        }
        Ok(number.to_string())
    }

    /// Makes the secret with its metadata and mark; one that stands there without any value, with a
    /// mark of ours, was made by a run that died, and is taken over.
    async fn create(&self) -> Result<Claim> {
        let mark = self.mark(1);
        let body = Body::whole(self.settings, self.options, &mark, self.session.clock.now());
        let call = Call::write("secrets.create", self.at, Method::POST, "", body.json(None), Repeat::Safe);
        let id = self.at.id;
        let call = Call { at: At { id: "", ..self.at }, ..call }.query("secretId", id);
        match self.session.call::<Secret>(&call).await {
            Ok(secret) => Ok(Claim { mark, before: None, newest: 0, etag: secret.etag }),
            Err(error) if error.kind == ErrorKind::Conflict => self.take_over().await,
            Err(error) => Err(error),
        }
    }

    async fn take_over(&self) -> Result<Claim> {
        let secret = self.current().await?;
        let versions = standing(self.session, self.at).await?;
        if versions.enabled.is_some() || versions.disabled.is_some() {
            return Err(self.unexpected("it exists already"));
        }
        match secret.mark().map(Mark::parse) {
            Some(Ok(mark)) if self.options.owner.owns(&mark.owner) => {}
            Some(Ok(_)) => return Err(self.unexpected("another project, secret or repository has claimed it")),
            _ => return Err(self.unexpected("it exists without any version, and carries no mark of ours")),
        }
        let mark = self.mark(versions.newest.saturating_add(1));
        if secret.mark() == Some(mark.as_str()) {
            // Our own, whose answer was lost.
            return Ok(Claim { mark, before: None, newest: versions.newest, etag: secret.etag });
        }
        let body = Body::whole(self.settings, self.options, &mark, self.session.clock.now()).beside(&secret);
        let before = secret.mark().map(str::to_owned);
        let claimed = self.patch(&secret, body, &mark, &[]).await?;
        let claim = Claim { mark, before, newest: versions.newest, etag: claimed.etag };
        self.unchanged(claim, None).await.map(|(claim, _)| claim)
    }

    /// Announces the version to come, if the expected one is in force.
    async fn claim(&self, expected: &str) -> Result<Claim> {
        let secret = self.current().await?;
        let in_force = expected.parse::<u64>().ok();
        let mark = self.mark(in_force.unwrap_or_default().saturating_add(1));
        let body = Body::rotation(self.settings, self.options, &mark).beside(&secret);
        let before = secret.mark().map(str::to_owned);
        let claimed = self.patch(&secret, body, &mark, &[]).await?;
        let claim = Claim { mark, before, newest: in_force.unwrap_or_default(), etag: claimed.etag.clone() };
        let (claim, versions) = self.unchanged(claim, in_force).await?;
        if versions.newest == claim.newest {
            return Ok(claim);
        }
        // Disabled or destroyed versions lie between: the mark names the number that comes.
        let mark = self.mark(versions.newest.saturating_add(1));
        let body = Body::rotation(self.settings, self.options, &mark).beside(&claimed);
        let claimed = self.patch(&claimed, body, &mark, &[]).await?;
        Ok(Claim { mark, newest: versions.newest, etag: claimed.etag, ..claim })
    }

    /// Whether the expected version is in force now that nobody can claim unseen; else what was
    /// claimed is given back.
    async fn unchanged(&self, claim: Claim, in_force: Option<u64>) -> Result<(Claim, Standing)> {
        let versions = standing(self.session, self.at).await?;
        if versions.enabled == in_force {
            return Ok((claim, versions));
        }
        let body = Body::mark(claim.before.as_deref());
        if let Ok(secret) = self.current().await
            && secret.etag == claim.etag
        {
            // If it fails, the mark announces what was never written, and says no more than that.
            let call = self.patching(body.beside(&secret), &claim.etag);
            drop(self.session.call::<Secret>(&call).await);
        }
        Err(self.unexpected("its version in force is another one"))
    }

    /// The version that a lost answer left, if it was stored: the newest after the claim with this value.
    async fn find(&self, claim: &Claim, value: &SecretValue, lost: Error) -> Result<u64> {
        // Whatever goes wrong here, it stays open whether the value was stored.
        for version in self.newer(claim).await.unwrap_or_default() {
            match access(self.session, self.at, &version.number().to_string()).await {
                Ok((number, stored)) if stored.matches(value) => return Ok(number),
                // Who may not read takes the very next version for what was announced.
                Err(error)
                    if error.kind == ErrorKind::PermissionDenied
                        && version.number() == claim.newest.saturating_add(1) =>
                {
                    return Ok(version.number());
                }
                _ => {}
            }
        }
        Err(lost)
    }

    /// Enabled versions after the claim, the newest first.
    async fn newer(&self, claim: &Claim) -> Result<Vec<Version>> {
        let mut versions = list(self.session, self.at, "").await?;
        versions.retain(|version| version.number() > claim.newest && version.state == State::Enabled);
        Ok(versions)
    }

    /// Looks whether the claim still stood when the value was stored. Whoever lost it takes back what
    /// it added; whoever kept it leaves one version of its value.
    async fn confirm(&self, claim: &Claim, number: u64, value: &SecretValue) -> Result<()> {
        let secret = self.current().await?;
        if secret.mark() != Some(claim.mark.as_str()) {
            return Err(self.withdraw(claim, number).await);
        }
        if number == claim.newest.saturating_add(1) {
            return Ok(());
        }
        let others = self.newer(claim).await?;
        if others.iter().any(|version| version.number() > number) {
            return Err(self.unexpected("somebody else added a version at the same time"));
        }
        let mark = self.mark(number);
        let body = Body::mark(Some(&mark)).beside(&secret);
        self.patch(&secret, body, &mark, &[]).await?;
        for version in others.iter().filter(|version| version.number() < number) {
            // One that is gone meanwhile is a rival's, who withdrew; one of another value is not ours.
            let stored = access(self.session, self.at, &version.number().to_string()).await;
            if stored.is_ok_and(|(_, stored)| stored.matches(value))
                && let Err(error) = destroy(self.session, self.at, version).await
            {
                tracing::warn!("version {} of {} is one too many and stays: {error}", version.number(), self.at.id);
            }
        }
        Ok(())
    }

    /// Takes back what was added under a claim that was lost.
    async fn withdraw(&self, claim: &Claim, number: u64) -> Error {
        let destroyed = match self.newer(claim).await {
            Ok(newer) => match newer.iter().find(|version| version.number() == number) {
                Some(version) => destroy(self.session, self.at, version).await,
                None => Ok(()),
            },
            Err(error) => Err(error),
        };
        match destroyed {
            Ok(()) => self.unexpected("another run claimed it at the same time"),
            Err(error) => self.unexpected(&format!(
                "another run claimed it at the same time, and our version {number} is one too many and must be destroyed \
                 by hand: {error}"
            )),
        }
    }

    /// Sets the mark for the version that stands there, and what else of the metadata differs.
    pub(super) async fn annotate(&self, changed: &[String]) -> Result<VersionId> {
        let Expect::Version(version) = &self.options.expect else {
            return Err(self.unexpected("metadata needs an object"));
        };
        let secret = self.current().await?;
        let versions = standing(self.session, self.at).await?;
        let in_force = versions.enabled.map_or_else(String::new, |number| number.to_string());
        if in_force != *version {
            return Err(self.unexpected("its version in force is another one"));
        }
        let mark = self.mark(versions.enabled.unwrap_or_default());
        if changed.is_empty() && secret.mark() == Some(mark.as_str()) {
            return Ok(in_force);
        }
        let body = Body::changed(self.settings, self.options, changed, &mark, self.session.clock.now());
        self.patch(&secret, body.beside(&secret), &mark, changed).await?;
        Ok(in_force)
    }

    /// Changes a secret as it was seen. An answer that was lost, or that says that it was changed
    /// meanwhile, may be the echo of our own call.
    async fn patch(&self, seen: &Secret, body: Body, mark: &str, changed: &[String]) -> Result<Secret> {
        let call = self.patching(body, &seen.etag);
        let error = match self.session.call::<Secret>(&call).await {
            Ok(secret) => return Ok(secret),
            Err(error) => error,
        };
        if !matches!(error.kind, ErrorKind::Indeterminate | ErrorKind::Invalid | ErrorKind::Conflict) {
            return Err(error);
        }
        let now = self.current().await?;
        if now.etag == seen.etag {
            return Err(error);
        }
        let (wanted, there) = (desired(self.settings), observed(self.settings, &now));
        let is_ours = now.mark() == Some(mark) && changed.iter().all(|name| wanted.get(name) == there.get(name));
        if is_ours { Ok(now) } else { Err(self.unexpected("it was changed at the same time")) }
    }

    fn patching(&self, body: Body, etag: &str) -> Call<'_> {
        let (mask, body) = (body.mask(), body.json(Some(etag)));
        let call = Call::write("secrets.update", self.at, Method::PATCH, "", body, Repeat::Once);
        call.query("updateMask", mask)
    }

    async fn current(&self) -> Result<Secret> {
        let secret = get(self.session, self.at).await?;
        secret.ok_or_else(|| self.unexpected("nothing stands there any more"))
    }

    /// The mark that a write leaves for a version.
    fn mark(&self, version: u64) -> String {
        self.options.mark(&version.to_string())
    }

    fn unexpected(&self, why: &str) -> Error {
        let message = format!("something else stands at {} than expected: {why}", self.at.id);
        Error::new(ErrorKind::Conflict, message)
    }
}
