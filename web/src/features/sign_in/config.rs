//! Settings of signing in: who is staff, and through which provider they come.

use process::settings::Settings;
use secrecy::SecretString;
use url::Url;

use super::staff_list;
use super::staff_rule::StaffRule;
use crate::http::form::comma_separated;
use crate::http::public_url::parse_trustworthy_url;

/// How people prove who they are.
pub struct SignInConfig {
    /// The OpenID Connect issuer, without a trailing slash unless the provider has one.
    pub issuer: Url,
    /// This site's name at the provider.
    pub client_id: String,
    /// This site's password at the provider.
    pub client_secret: SecretString,
    /// Seals the cookie that carries a sign-in from its start to its callback.
    pub app_secret: SecretString,
    /// The one before, which still opens what it has sealed.
    pub previous_app_secret: Option<SecretString>,
    /// Which verified accounts are staff.
    pub staff: StaffRule,
}

/// Reads them; None where one is wrong, which `settings` then knows.
pub fn read(settings: &mut Settings) -> Option<SignInConfig> {
    let issuer = settings.or_default("WARDPOST_OIDC_ISSUER", "https://accounts.google.com", parse_trustworthy_url);
    let client_id = settings.required("GOOGLE_CLIENT_ID", |text| Ok(text.to_owned()));
    let client_secret = settings.secret("GOOGLE_CLIENT_SECRET", |text| Ok(SecretString::from(text)));
    let app_secret = settings.secret("APP_SECRET", parse_app_secret);
    let previous_app_secret = settings.optional("WARDPOST_APP_SECRET_PREVIOUS", parse_app_secret);
    let domains = settings.optional("WARDPOST_STAFF_DOMAINS", |text| parse_each(text, staff_list::domain));
    let emails = settings.optional("WARDPOST_STAFF_EMAILS", |text| parse_each(text, staff_list::address));
    let (domains, emails) = (domains?.unwrap_or_default(), emails?.unwrap_or_default());
    let staff = StaffRule::new(domains, emails);
    if staff.is_none() {
        settings.add_error(
            "WARDPOST_STAFF_DOMAINS",
            "says nobody may sign in: set it to the clinic's e-mail domains, or set WARDPOST_STAFF_EMAILS to the addresses of the staff",
        );
    }
    Some(SignInConfig {
        issuer: issuer?,
        client_id: client_id?,
        client_secret: client_secret?,
        app_secret: app_secret?,
        previous_app_secret: previous_app_secret?,
        staff: staff?,
    })
}

fn parse_app_secret(text: &str) -> Result<SecretString, String> {
    if text.len() < 32 {
        return Err("must be at least 32 bytes long".to_owned());
    }
    Ok(SecretString::from(text))
}

/// A comma-separated list, all of whose errors are told.
fn parse_each(text: &str, parse: impl Fn(String) -> Result<String, String>) -> Result<Vec<String>, String> {
    let (mut names, mut errors) = (Vec::new(), Vec::new());
    for entry in comma_separated(text)? {
        match parse(entry) {
            Ok(name) => names.push(name),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(names) } else { Err(errors.join("; ")) }
}
