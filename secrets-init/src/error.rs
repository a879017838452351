//! What went wrong, to what, whether it may pass by itself, and what to check. Pure, so that the whole of it is one table
//! with a test for each row.

use std::fmt;
use std::time::Duration;

use process::Exit;
use process::aws::InstanceRole;

/// Why there is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FetchError {
    /// Whether trying again without changing anything may help.
    pub(crate) passing: bool,
    /// What happened, to what.
    pub(crate) happened: String,
    /// What an operator should look at.
    pub(crate) check: String,
}

/// The call that was to be made, as far as it was known.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) secret: String,
    pub(crate) region: Option<String>,
    /// Where it goes, when it is not AWS's own endpoint.
    pub(crate) endpoint: Option<String>,
}

/// Everything that can go wrong on the way to the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nothing names a region; the metadata service, which could, says this about the role.
    NoRegion(InstanceRole),
    /// The whole chain of credentials has none; the metadata service says this about the role.
    NoCredentials(InstanceRole),
    /// Credentials are set up in a way that cannot work.
    WrongCredentialsSettings(String),
    /// A provider of credentials failed.
    CredentialsFailed(String),
    /// No connection, or no reply in time.
    Unreachable(String),
    /// The request could not even be made.
    Impossible(String),
    /// The reply, which had this status, is not one of Secrets Manager's.
    Garbled(u16),
    /// Secrets Manager says no.
    Service {
        /// Its name for the error.
        code: String,
        /// Its sentence about it.
        message: String,
        /// The HTTP status.
        status: u16,
    },
    /// The secret holds bytes where text should be.
    Binary,
}

/// Codes of errors that pass, whatever their status. Signatures are handled apart.
const PASSING_CODES: [&str; 12] = [
    "InternalServiceError",
    "InternalServiceErrorException",
    "InternalFailure",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "RequestTimeout",
    // Credentials of a role are renewed: the next try gets new ones.
    "ExpiredTokenException",
];

/// Codes that blame the time in the request.
const CLOCK_CODES: [&str; 4] = ["RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "SignatureExpired"];

/// A message from elsewhere is cut here; it goes into one line of a log.
const LONGEST_DETAIL: usize = 400;

const CLOCK: &str = "the clock of this machine (timedatectl): a signature holds for 15 minutes around the time of AWS; \
                     chrony or systemd-timesyncd sets the clock once the network is up";

impl Cause {
    /// In the words of an operator.
    pub(crate) fn explain(&self, call: &Call) -> FetchError {
        match self {
            Cause::NoRegion(role) => explain_region(*role, call),
            Cause::NoCredentials(role) => explain_role(*role, call),
            Cause::WrongCredentialsSettings(detail) => FetchError::permanent(
                format!("the AWS credentials for {call} are set up wrongly: {}", short(detail)),
                "AWS_PROFILE and the AWS config file, or the trust policy of the role: EC2 must be allowed to assume it",
            ),
            Cause::CredentialsFailed(detail) => FetchError::passing(
                format!("the AWS credentials for {call} could not be had: {}", short(detail)),
                "the metadata service (IMDSv2 on, hop limit 2 in a container), and the role that is attached to the \
                 instance; where programs have roles of their own, the log of wardpost-credentials",
            ),
            Cause::Unreachable(detail) if detail.contains("certificate") => FetchError::passing(
                format!("{call} cannot be trusted: {}", short(detail)),
                "the clock of this machine (timedatectl), its CA certificates (the package ca-certificates, or SSL_CERT_FILE), \
                 and what stands between it and AWS",
            ),
            Cause::Unreachable(detail) => FetchError::passing(
                format!("{call} cannot be reached: {}", short(detail)),
                "network and DNS of this machine; its route to the endpoint (NAT gateway or VPC endpoint), the security \
                 group (port 443 outwards), and AWS_ENDPOINT_URL if it is set",
            ),
            Cause::Impossible(detail) => FetchError::permanent(
                format!("the request for {call} cannot be made: {}", short(detail)),
                "AWS_REGION and AWS_ENDPOINT_URL",
            ),
            Cause::Garbled(status) => FetchError::passing(
                format!("the reply for {call} is not one of Secrets Manager (status {status})"),
                "whether something else answers there: a proxy, a captive portal, a wrong AWS_ENDPOINT_URL",
            ),
            Cause::Service { code, message, status } => explain_service(code, message, *status, call),
            Cause::Binary => FetchError::permanent(
                format!("{call} holds binary data, not text"),
                "store the secret as a string: a JSON object of names and values",
            ),
        }
    }
}

fn explain_region(role: InstanceRole, call: &Call) -> FetchError {
    let asked = match role {
        InstanceRole::NoAnswer => "no metadata service answers",
        InstanceRole::Disabled => "AWS_EC2_METADATA_DISABLED forbids to ask the metadata service",
        InstanceRole::Attached | InstanceRole::Missing | InstanceRole::Refused(_) => "the metadata service names none",
    };
    FetchError {
        passing: role != InstanceRole::Disabled,
        happened: format!("no AWS region is known for {call}: none is set, and {asked}"),
        check: "set AWS_REGION, or give the secret by its ARN; on EC2, look at the instance's metadata options"
            .to_owned(),
    }
}

fn explain_role(role: InstanceRole, call: &Call) -> FetchError {
    let (happened, check) = match role {
        InstanceRole::Missing => (
            "the instance has no role".to_owned(),
            "attach an instance profile whose role allows secretsmanager:GetSecretValue on the secret",
        ),
        InstanceRole::Refused(status) => (
            format!("the metadata service refuses to name a role (status {status})"),
            "the instance's metadata options: IMDSv2 enabled, hop limit 2 where this program runs in a container",
        ),
        InstanceRole::NoAnswer => (
            "no credentials are set, and no metadata service answers".to_owned(),
            "on EC2: the instance's metadata options; elsewhere: AWS_PROFILE or the AWS_ variables, or WARDPOST_SECRET=file:///path.json",
        ),
        InstanceRole::Attached => (
            "the instance has a role now, but had none a moment ago".to_owned(),
            "whether the role stays attached to the instance",
        ),
        InstanceRole::Disabled => {
            return FetchError::permanent(
                format!(
                    "no AWS credentials for {call}: none are set, and AWS_EC2_METADATA_DISABLED forbids to ask for a role"
                ),
                "unset AWS_EC2_METADATA_DISABLED, or set AWS_PROFILE or the AWS_ variables",
            );
        }
    };
    FetchError::passing(format!("no AWS credentials for {call}: {happened}"), check)
}

fn explain_service(code: &str, message: &str, status: u16, call: &Call) -> FetchError {
    let told = format!("{code}: {}", short(message));
    match code {
        "AccessDeniedException" | "AccessDenied" => FetchError::permanent(
            format!("access denied: secretsmanager:GetSecretValue on {call} ({told})"),
            "the policy of the role: it must allow secretsmanager:GetSecretValue on this secret, and kms:Decrypt on its key \
             if that is the clinic's own; also the secret's resource policy and that of a VPC endpoint",
        ),
        "ResourceNotFoundException" => FetchError::permanent(
            format!("no such secret: {call} ({told})"),
            "the name in WARDPOST_SECRET, the region, and that the secret has a value (a version labelled AWSCURRENT)",
        ),
        "DecryptionFailure" | "DecryptionFailureException" => FetchError::permanent(
            format!("the key of {call} does not open it ({told})"),
            "that the KMS key of the secret is enabled, and that the role may use it (kms:Decrypt)",
        ),
        "InvalidRequestException" => FetchError::permanent(
            format!("{call} cannot be read in its present state ({told})"),
            "whether the secret is scheduled for deletion: aws secretsmanager restore-secret brings it back",
        ),
        _ if CLOCK_CODES.contains(&code) || blames_the_clock(message) => {
            FetchError::passing(format!("{call} refuses the time in the request ({told})"), CLOCK)
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch" => FetchError::permanent(
            format!("the AWS credentials for {call} are not valid ({told})"),
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the AWS profile, where they are set; a role needs neither",
        ),
        _ if PASSING_CODES.contains(&code) || status >= 500 || status == 429 => FetchError::passing(
            format!("{call} is not available now ({told}, status {status})"),
            "https://health.aws.amazon.com for the region, and the number of calls to Secrets Manager in this account",
        ),
        _ => FetchError::permanent(
            format!("{call} is refused ({told}, status {status})"),
            "WARDPOST_SECRET and the AWS settings of this program",
        ),
    }
}

/// A signature that is only too old or too young, under the code of one that is wrong.
fn blames_the_clock(message: &str) -> bool {
    ["Signature expired", "Signature not yet current", "Request timestamp"].iter().any(|words| message.contains(words))
}

impl FetchError {
    pub(crate) fn permanent(happened: impl Into<String>, check: impl Into<String>) -> FetchError {
        FetchError { passing: false, happened: happened.into(), check: check.into() }
    }

    pub(crate) fn passing(happened: impl Into<String>, check: impl Into<String>) -> FetchError {
        FetchError { passing: true, happened: happened.into(), check: check.into() }
    }

    /// A try that did not come to an end.
    pub(crate) fn no_answer(address: &impl fmt::Display, limit: Duration) -> FetchError {
        FetchError::passing(
            format!("{address} could not be had within {:.1} s", limit.as_secs_f32()),
            "network and DNS of this machine, its route to AWS, and the metadata service",
        )
    }

    pub(crate) fn too_large(address: &impl fmt::Display, bytes: usize, most: usize) -> FetchError {
        FetchError::permanent(
            format!("{address} is {bytes} bytes long, and a secret has {most} at most"),
            "whether WARDPOST_SECRET names the right secret",
        )
    }

    /// The same, when waiting has not helped.
    pub(crate) fn after(self, tries: u32, elapsed: Duration) -> FetchError {
        let times = if tries == 1 { "once".to_owned() } else { format!("{tries} times") };
        let happened = format!("gave up after {:.0} s, having tried {times}: {}", elapsed.as_secs_f32(), self.happened);
        FetchError { happened, ..self }
    }

    pub(crate) fn exit(&self) -> Exit {
        if self.passing { Exit::Unavailable } else { Exit::Configuration }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the secret {}", self.secret)?;
        if let Some(region) = &self.region {
            write!(f, " in {region}")?;
        }
        if let Some(endpoint) = &self.endpoint {
            write!(f, " at {endpoint}")?;
        }
        Ok(())
    }
}

/// One line that does not go on forever.
fn short(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(LONGEST_DETAIL) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests;
