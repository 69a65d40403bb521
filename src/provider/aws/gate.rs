//! Lets a signed request leave only for a host that may have it.
//!
//! It stands below everything of the SDK, so an endpoint counts wherever it comes from: a profile, a
//! variable, a rule of the SDK. A redirect is never followed, neither here nor below.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use crate::hosts::{Cloud, Hosts, Refused};

/// The hosts of one login, shared by all its clients.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<Mutex<Hosts>>);

impl Gate {
    pub(super) fn new(hosts: Hosts) -> Self {
        Self(Arc::new(Mutex::new(hosts)))
    }

    /// Lets an address pass that the shared configuration of the machine names.
    pub(super) fn name(&self, url: &str) {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *hosts = std::mem::take(&mut *hosts).naming(url);
    }

    /// A client that asks here before it sends.
    pub(super) fn before(&self, client: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(Gated { gate: self.clone(), inner: client })
    }

    fn check(&self, uri: &str) -> Result<(), Refused> {
        let (scheme, rest) = uri.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).check(Cloud::Aws, scheme, authority)
    }
}

#[derive(Debug)]
struct Gated<T> {
    gate: Gate,
    inner: T,
}

impl HttpClient for Gated<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Gated { gate: self.gate.clone(), inner })
    }
}

impl HttpConnector for Gated<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.gate.check(request.uri()) {
            Ok(()) => self.inner.call(request),
            Err(refused) => HttpConnectorFuture::ready(Err(ConnectorError::user(refused.into()))),
        }
    }
}
