//! A provider's side: signed webhooks over HTTP. The signature is made here, not by the code under test.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sha2::Sha256;

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A pooled HTTP client.
#[derive(Clone)]
pub(crate) struct Client(legacy::Client<HttpConnector, Full<Bytes>>);

impl Client {
    pub(crate) fn new() -> Self {
        Self(legacy::Client::builder(TokioExecutor::new()).build_http())
    }

    /// GET; an error is a connection that failed.
    pub(crate) async fn get(&self, url: &str) -> Result<Answer, String> {
        let request = Request::get(url).body(Full::default()).unwrap();
        self.send(request).await
    }

    /// Sends any request; an error is a connection that failed.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let response = self.0.request(request).await.map_err(|e| e.to_string())?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|e| e.to_string())?;
        Ok(Answer {
            status,
            headers,
            body: body.to_bytes(),
        })
    }

    /// POSTs a Didit event signed with `secret`.
    pub(crate) async fn didit(
        &self,
        url: &str,
        secret: &str,
        body: &str,
    ) -> Result<Answer, String> {
        let request = Request::post(url)
            .header("content-type", "application/json")
            .header("x-timestamp", unix_s().to_string())
            .header("x-signature", hmac_hex(secret, body.as_bytes()))
            .body(Full::from(body.to_owned()))
            .unwrap();
        self.send(request).await
    }
}

/// A session of `subject` that was approved, with its own event id.
pub(crate) fn didit_approved(event_id: &str, subject: &str) -> String {
    serde_json::json!({
        "event_id": event_id,
        "webhook_type": "status.updated",
        "timestamp": unix_s(),
        "created_at": unix_s(),
        "environment": "live",
        "session_id": format!("session-{event_id}"),
        "status": "Approved",
        "workflow_id": "workflow-1",
        "vendor_data": subject,
        "metadata": null,
        "decision": {"status": "Approved", "features": ["ID_VERIFICATION"], "id_verifications": []},
    })
    .to_string()
}

/// HMAC-SHA256 in lower-case hex.
pub(crate) fn hmac_hex(secret: &str, message: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}

/// Seconds since the Unix epoch.
pub(crate) fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
