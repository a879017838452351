//! How every program here reaches AWS: the SDK's usual chain for region and credentials, one TLS stack, and a log that
//! shows no credentials. Each service's own client is made from what [`load`] gives.
//!
//! The SDK's own retries are off: each program waits in its own way, under its own deadline, and says in its log what it
//! waits for.

use std::time::Duration;

use aws_config::imds::Client as MetadataClient;
use aws_config::imds::client::error::ImdsError;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

pub use aws_config::SdkConfig;

/// What the defaults of the SDK are, fixed here: an update of the SDK does not change how the programs behave.
fn behaviour() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// A connection takes a round trip or two; a network that is not up yet should be found out early and tried again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// One call from its start to its end, without retries.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the metadata service lists the role of the instance.
const ROLE_PATH: &str = "/latest/meta-data/iam/security-credentials/";

/// The metadata service is one hop away; this is for a question that only makes a message clearer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Region, endpoint and credentials as the SDK finds them: environment, profile, web identity, container, instance role.
/// A region given here comes before all of those.
///
/// Asks the metadata service for the region when nothing else names it, so that it may take seconds where there is none.
pub async fn load(region: Option<String>) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(CALL_TIMEOUT).build();
    let loader = aws_config::defaults(behaviour())
        .http_client(http_client())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    match region {
        Some(region) => loader.region(Region::new(region)).load().await,
        None => loader.load().await,
    }
}

/// rustls with ring, as everywhere else in this workspace, and the machine's own certificates.
fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https()
}

/// What the metadata service of the machine says about its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceRole {
    /// There is one.
    Attached,
    /// The service is there, and knows of none.
    Missing,
    /// The service answers with this status.
    Refused(u16),
    /// Nobody answers: not an EC2 instance, not yet, or its metadata service is off.
    NoAnswer,
    /// AWS_EC2_METADATA_DISABLED forbids to ask.
    Disabled,
}

/// Asks why the credentials chain came back with nothing; the chain itself does not say.
pub async fn instance_role() -> InstanceRole {
    if std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
        return InstanceRole::Disabled;
    }
    let config = ProviderConfig::default().with_http_client(http_client()).with_behavior_version(Some(behaviour()));
    let client = MetadataClient::builder().configure(&config).max_attempts(1).operation_timeout(PROBE_TIMEOUT).build();
    match client.get(ROLE_PATH).await {
        Ok(_) => InstanceRole::Attached,
        Err(ImdsError::ErrorResponse(response)) => match response.response().status().as_u16() {
            404 => InstanceRole::Missing,
            status => InstanceRole::Refused(status),
        },
        Err(_) => InstanceRole::NoAnswer,
    }
}

/// What an error of the SDK and those behind it say, in one line. A reply that cannot be read is no part of it: the SDK
/// keeps those out of its errors' words, and of the metadata service's replies, which hold credentials, only the status
/// is told.
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = match error.downcast_ref::<ImdsError>() {
            // Its own words hold the whole reply.
            Some(ImdsError::ErrorResponse(reply)) => {
                format!("the metadata service answered with status {}", reply.response().status().as_u16())
            }
            _ => error.to_string(),
        };
        if !said.iter().any(|earlier| earlier.contains(&text)) {
            said.push(text);
        }
        next = error.source();
    }
    said.join(": ")
}

/// A log filter (WARDPOST_LOG) with the SDK held back to its errors, whatever the filter says about it: at `trace`, and
/// with LOG_SENSITIVE_BODIES in the environment, it writes out every reply, and with it secrets and credentials.
pub fn quiet_filter(filter: &str) -> String {
    let ours = filter.split(',').filter(|part| !part.trim_start().starts_with(SDK));
    ours.chain(["aws=error"]).collect::<Vec<_>>().join(",")
}

/// How the names of all modules of the SDK begin.
const SDK: &str = "aws";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_is_held_back_whatever_the_filter_says() {
        assert_eq!(quiet_filter("info"), "info,aws=error");
        assert_eq!(quiet_filter("trace, aws_config=trace,wardpost=debug"), "trace,wardpost=debug,aws=error");
        assert!(crate::logs::check_filter(&quiet_filter("info")).is_ok());
    }
}
