//! The secret from AWS Secrets Manager: region, credentials and the call, one after the other, so that what goes wrong is
//! named by the step it went wrong in.

use std::fmt;

use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Builder;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use process::aws;
use zeroize::Zeroizing;

use super::Fetched;
use crate::error::{Call, Cause, FetchError};

/// The version label that everybody means when they name none.
const CURRENT: &str = "AWSCURRENT";

/// The longest name Secrets Manager takes; an ARN has its prefix before that.
const LONGEST_ID: usize = 512 + 128;

/// Which secret, and which version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretId {
    name: String,
    stage: String,
}

impl SecretId {
    /// Reads `NAME` or `ARN`, with `?stage=LABEL` for a version that is not the current one.
    pub(crate) fn parse(text: &str) -> Result<SecretId, String> {
        let (name, stage) = text.split_once("?stage=").unwrap_or((text, CURRENT));
        let legal = |text: &str, more: &str| {
            !text.is_empty()
                && text.len() <= LONGEST_ID
                && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let id = SecretId { name: name.to_owned(), stage: stage.to_owned() };
        let is_arn = name.starts_with("arn:");
        if !legal(name, if is_arn { "/_+=.@-:" } else { "/_+=.@-" }) || !legal(stage, "/_+=.@-") {
            return Err(format!(
                "`{text}` is not the name or ARN of a secret: letters, digits and /_+=.@- make a name"
            ));
        }
        if is_arn && id.region().is_none() {
            return Err(format!(
                "`{text}` is not the ARN of a secret, such as arn:aws:secretsmanager:eu-central-1:123456789012:secret:wardpost/app-secrets-AbCdEf"
            ));
        }
        Ok(id)
    }

    /// The region an ARN names.
    fn region(&self) -> Option<&str> {
        let mut parts = self.name.split(':').skip(2);
        let (service, region, _account, kind, rest) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        (service == "secretsmanager" && !region.is_empty() && kind == "secret" && !rest.is_empty()).then_some(region)
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.stage != CURRENT { write!(f, "?stage={}", self.stage) } else { Ok(()) }
    }
}

/// One try. Everything is looked up again, since a region, a role and an address that are missing now may be there next time.
pub(super) async fn fetch(id: &SecretId) -> Result<Fetched, FetchError> {
    let config = aws::load(id.region().map(str::to_owned)).await;
    let call = Call {
        secret: id.to_string(),
        // A unit that sets AWS_REGION to nothing has not set it.
        region: config.region().map(ToString::to_string).filter(|region| !region.is_empty()),
        endpoint: config
            .endpoint_url()
            .map(str::to_owned)
            .or_else(|| std::env::var("AWS_ENDPOINT_URL_SECRETS_MANAGER").ok()),
    };
    let tell = |cause: Cause| cause.explain(&call);
    if call.region.is_none() {
        return Err(tell(Cause::NoRegion(aws::instance_role().await)));
    }
    // Asked for here and not by the client on its way, so that a role that is missing is not taken for a call that failed.
    let Some(provider) = config.credentials_provider() else {
        return Err(tell(Cause::NoCredentials(aws::InstanceRole::Disabled)));
    };
    let credentials = match provider.provide_credentials().await {
        Ok(credentials) => credentials,
        Err(error) => return Err(tell(credentials_cause(error).await)),
    };
    let client = Client::from_conf(Builder::from(&config).credentials_provider(credentials).build());
    let sent = client.get_secret_value().secret_id(&id.name).version_stage(&id.stage).send().await;
    let mut output = sent.map_err(|error| tell(call_cause(&error)))?;
    let version = output.version_id.take();
    // Taken out of the reply, so that it is wiped: the reply itself would not be.
    match output.secret_string.take().map(Zeroizing::new) {
        Some(text) => Ok(Fetched { text, version }),
        None => Err(tell(Cause::Binary)),
    }
}

async fn credentials_cause(error: CredentialsError) -> Cause {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => Cause::NoCredentials(aws::instance_role().await),
        CredentialsError::InvalidConfiguration(_) => Cause::WrongCredentialsSettings(aws::causes(&error)),
        error => Cause::CredentialsFailed(aws::causes(&error)),
    }
}

fn call_cause(error: &SdkError<GetSecretValueError>) -> Cause {
    match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            match service.err().code() {
                Some(code) => Cause::Service {
                    code: code.to_owned(),
                    message: service.err().message().unwrap_or("no message").to_owned(),
                    status,
                },
                // Secrets Manager names every error. What is none may be a page of somebody else, or a piece of the secret.
                None => Cause::Garbled(status),
            }
        }
        SdkError::ResponseError(response) => Cause::Garbled(response.raw().status().as_u16()),
        SdkError::TimeoutError(_) => Cause::Unreachable("no answer in time".to_owned()),
        SdkError::DispatchFailure(failure) if !failure.is_user() => Cause::Unreachable(aws::causes(error)),
        error => Cause::Impossible(aws::causes(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:wardpost/app-secrets-AbCdEf";

    #[test]
    fn the_region_is_that_of_the_arn() {
        assert_eq!(SecretId::parse(ARN).unwrap().region(), Some("eu-central-1"));
        assert_eq!(SecretId::parse("wardpost/app-secrets").unwrap().region(), None);
    }

    #[test]
    fn the_current_version_is_meant_unless_another_is_named() {
        assert_eq!(SecretId::parse("a").unwrap().stage, "AWSCURRENT");
        assert_eq!(SecretId::parse("a?stage=AWSPREVIOUS").unwrap().stage, "AWSPREVIOUS");
        assert_eq!(SecretId::parse(&format!("{ARN}?stage=x")).unwrap().name, ARN);
    }

    #[test]
    fn what_is_no_name_and_no_arn_is_refused() {
        for wrong in [
            "",
            "a b",
            "a?stage=",
            "a?version=1",
            "ü",
            "a:b",
            "arn:aws:s3:::bucket",
            "arn:aws:secretsmanager::123456789012:secret:x",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:",
        ] {
            assert!(SecretId::parse(wrong).is_err(), "{wrong}");
        }
    }
}
