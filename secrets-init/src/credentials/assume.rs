//! One try to get a role's credentials: region, the machine's own credentials and the call, one after the other, so that
//! what goes wrong is named by the step it went wrong in.

use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use process::aws;
use tokio::time::timeout;

use super::config::{Program, RoleArn};

/// The longest session of a role that is assumed by a role: AWS allows no more.
const SESSION: Duration = Duration::from_secs(3600);

/// One try. Longer than the SDK's own limits together, so that it can say what it met.
const TRY_LIMIT: Duration = Duration::from_secs(30);

/// Why a role could not be assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AssumeError {
    /// What happened.
    pub(super) happened: String,
    /// What an operator should look at.
    pub(super) check: &'static str,
}

/// Credentials of the program's role. Everything is looked up again, since what is missing now may be there next time.
pub(super) async fn assume(program: Program, role: &RoleArn) -> Result<Credentials, AssumeError> {
    match timeout(TRY_LIMIT, try_once(program, role)).await {
        Ok(result) => result,
        Err(_) => Err(AssumeError {
            happened: format!("no answer within {TRY_LIMIT:?}"),
            check: "the network of this machine, its way to STS, and the metadata service",
        }),
    }
}

async fn try_once(program: Program, role: &RoleArn) -> Result<Credentials, AssumeError> {
    let config = aws::load(None).await;
    if config.region().is_none_or(|region| region.as_ref().is_empty()) {
        return Err(AssumeError {
            happened: "no AWS region is known".to_owned(),
            check: "AWS_REGION in /etc/wardpost/aws.env, or the metadata service",
        });
    }
    let own = match config.credentials_provider() {
        Some(provider) => provider.provide_credentials().await,
        None => Err(CredentialsError::not_loaded_no_source()),
    };
    let own = own.map_err(|error| AssumeError {
        happened: format!("this machine's own credentials could not be had: {}", aws::causes(&error)),
        check: "the metadata service (IMDSv2 on), and the role that is attached to the instance; elsewhere than on EC2, \
                the profile or keys in /etc/wardpost/aws.env",
    })?;
    let provider = AssumeRoleProvider::builder(role.as_str())
        .configure(&config)
        .session_name(program.session_name())
        .session_length(SESSION)
        .build_from_provider(own)
        .await;
    provider.provide_credentials().await.map_err(|error| AssumeError {
        happened: format!("sts:AssumeRole on {role}: {}", aws::causes(&error)),
        check: "the trust policy of that role, which must name the instance's role; the policy of the instance's role, \
                which must allow sts:AssumeRole on it; and the way to STS (AWS_USE_DUALSTACK_ENDPOINT where there is \
                IPv6 alone)",
    })
}
