//! stub
/// stub
#[must_use]
pub fn schema() -> serde_json::Value { serde_json::json!({}) }
