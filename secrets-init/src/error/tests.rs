use super::*;

fn call() -> Call {
    Call { secret: "wardpost/app-secrets".to_owned(), region: Some("eu-central-1".to_owned()), endpoint: None }
}

fn service(code: &str, message: &str, status: u16) -> Cause {
    Cause::Service { code: code.to_owned(), message: message.to_owned(), status }
}

const PASSES: bool = true;
const STAYS: bool = false;

#[test]
fn what_secrets_manager_says_is_worth_another_try_or_not() {
    for (code, message, status, passing, said) in [
        (
            "AccessDeniedException",
            "User: x is not authorized",
            400,
            STAYS,
            "access denied: secretsmanager:GetSecretValue on the secret wardpost/app-secrets in eu-central-1",
        ),
        ("ResourceNotFoundException", "can't find", 400, STAYS, "no such secret: the secret wardpost/app-secrets"),
        ("DecryptionFailure", "key disabled", 400, STAYS, "does not open it"),
        ("InvalidRequestException", "marked for deletion", 400, STAYS, "in its present state"),
        ("InvalidParameterException", "bad", 400, STAYS, "is refused"),
        ("ValidationException", "bad", 400, STAYS, "is refused"),
        ("UnrecognizedClientException", "token is invalid", 400, STAYS, "credentials"),
        ("InvalidSignatureException", "does not match the signature", 403, STAYS, "credentials"),
        (
            "InvalidSignatureException",
            "Signature expired: 2020 is now earlier than 2026",
            400,
            PASSES,
            "refuses the time",
        ),
        ("InvalidSignatureException", "Signature not yet current: 2030", 400, PASSES, "refuses the time"),
        ("RequestTimeTooSkewed", "", 403, PASSES, "refuses the time"),
        ("RequestExpired", "", 400, PASSES, "refuses the time"),
        ("ExpiredTokenException", "expired", 400, PASSES, "not available now"),
        ("ThrottlingException", "Rate exceeded", 400, PASSES, "not available now"),
        ("InternalServiceError", "", 500, PASSES, "not available now"),
        ("SomethingNew", "no message", 503, PASSES, "not available now"),
        ("SomethingNew", "no message", 429, PASSES, "not available now"),
        ("SomethingNew", "no message", 403, STAYS, "is refused"),
    ] {
        let error = service(code, message, status).explain(&call());
        assert_eq!(error.passing, passing, "{code}: {error:?}");
        assert!(error.happened.contains(said), "{code}: {error:?}");
        let exit = if passing { Exit::Unavailable } else { Exit::Configuration };
        assert_eq!(error.exit(), exit, "{code}");
    }
}

#[test]
fn what_goes_wrong_before_that_is_too() {
    use InstanceRole::{Attached, Disabled, Missing, NoAnswer, Refused};
    for (cause, passing, said) in [
        (Cause::NoRegion(NoAnswer), PASSES, "no AWS region is known"),
        (Cause::NoRegion(Disabled), STAYS, "AWS_EC2_METADATA_DISABLED"),
        (Cause::NoCredentials(Missing), PASSES, "the instance has no role"),
        (Cause::NoCredentials(Refused(403)), PASSES, "status 403"),
        (Cause::NoCredentials(NoAnswer), PASSES, "no metadata service answers"),
        (Cause::NoCredentials(Attached), PASSES, "had none a moment ago"),
        (Cause::NoCredentials(Disabled), STAYS, "AWS_EC2_METADATA_DISABLED"),
        (Cause::WrongCredentialsSettings("loop".to_owned()), STAYS, "set up wrongly: loop"),
        (Cause::CredentialsFailed("status 500".to_owned()), PASSES, "could not be had: status 500"),
        (Cause::Unreachable("refused".to_owned()), PASSES, "cannot be reached: refused"),
        (Cause::Unreachable("invalid peer certificate: NotValidYet".to_owned()), PASSES, "cannot be trusted"),
        (Cause::Impossible("no address".to_owned()), STAYS, "cannot be made: no address"),
        (Cause::Garbled(200), PASSES, "not one of Secrets Manager"),
        (Cause::Binary, STAYS, "binary"),
    ] {
        let error = cause.explain(&call());
        assert_eq!(error.passing, passing, "{error:?}");
        assert!(error.happened.contains(said) && error.happened.contains("wardpost/app-secrets"), "{error:?}");
        assert!(!error.check.is_empty());
    }
}

#[test]
fn where_it_goes_is_said_when_it_is_not_aws() {
    let call = Call { endpoint: Some("http://127.0.0.1:1".to_owned()), region: None, ..call() };
    assert_eq!(call.to_string(), "the secret wardpost/app-secrets at http://127.0.0.1:1");
}

#[test]
fn what_others_say_stays_one_line_of_some_length() {
    let detail = format!("a\nb{}", "é".repeat(1000));
    let error = Cause::Unreachable(detail).explain(&call());
    assert!(!error.happened.contains('\n') && error.happened.len() < 1200 && error.happened.ends_with(" ..."));
}

#[test]
fn giving_up_says_how_long_and_how_often() {
    let error = FetchError::passing("no route", "the route");
    assert_eq!(
        error.clone().after(1, Duration::from_secs(3)).happened,
        "gave up after 3 s, having tried once: no route"
    );
    let error = error.after(14, Duration::from_millis(119_600));
    assert_eq!(error.happened, "gave up after 120 s, having tried 14 times: no route");
    assert!(error.passing);
}
