//! The sign-in page: choose who you are. Plain HTML with one style sheet of its own; it needs no script.

use crate::parameters::Parameters;
use crate::people::DemoPerson;

/// The page's style sheet, served beside it.
pub(crate) const STYLE: &str = include_str!("page.css");

/// The names of the buttons, which are not handed on as parameters of the request.
pub(crate) const PERSON: &str = "person";
pub(crate) const CANCEL: &str = "cancel";

/// The page on which a person is chosen. The form carries the request along, so that the provider keeps nothing.
pub(crate) fn choose(people: &[DemoPerson], site: &str, request: &Parameters) -> String {
    let hidden: String = request
        .iter()
        .filter(|(name, _)| ![PERSON, CANCEL].contains(name))
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">\n", escape(name), escape(value)))
        .collect();
    let buttons: String = people.iter().map(button).collect();
    let body = format!(
        "<h1>Demo sign-in: choose who you are</h1>\n\
         <p>This stands in for Google in the demo, so there are no passwords. You go on to <strong>{}</strong>.</p>\n\
         <form method=\"post\" action=\"/authorize\">\n{hidden}<ul>\n{buttons}</ul>\n\
         <p><button class=\"quiet\" name=\"{CANCEL}\" value=\"yes\">Cancel</button></p>\n</form>",
        escape(site)
    );
    document("Demo sign-in", &body)
}

/// A page for a request that cannot be answered with a redirect, since where to is what is wrong with it.
pub(crate) fn refused(why: &str) -> String {
    let body = format!(
        "<h1>This sign-in request is not valid</h1>\n<p>{}</p>\n\
         <p>Go back to the site and start again. If it happens again, compare the site's settings with the provider's.</p>",
        escape(why)
    );
    document("Demo sign-in", &body)
}

fn button(person: &DemoPerson) -> String {
    let initial: String = person.name.chars().take(1).collect();
    format!(
        "<li><button name=\"{PERSON}\" value=\"{}\"><span class=\"initial\" aria-hidden=\"true\">{}</span>\
         <span class=\"who\"><bdi class=\"name\">{}</bdi> <span class=\"email\">{}</span> \
         <span class=\"role\">{}</span></span></button></li>\n",
        escape(&person.id),
        escape(&initial),
        escape(&person.name),
        escape(&person.email),
        escape(&person.role),
    )
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n",
        escape(title)
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_offers_everybody_and_carries_the_request_along_escaped() {
        let request = Parameters::parse(b"state=%22%3E%3Cscript%3E&person=amina").unwrap();
        let html = choose(&DemoPerson::everyone(), "http://127.0.0.1:8080", &request);
        for person in DemoPerson::everyone() {
            assert!(html.contains(&format!("<button name=\"person\" value=\"{}\">", person.id)), "{html}");
            assert!(html.contains(&person.name) && html.contains(&person.email), "{html}");
        }
        assert!(html.contains("<input type=\"hidden\" name=\"state\" value=\"&quot;&gt;&lt;script&gt;\">"), "{html}");
        assert!(!html.contains("<script") && !html.contains("<input type=\"hidden\" name=\"person\""), "{html}");
    }
}
