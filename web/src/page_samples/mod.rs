//! What holds on every page, tried on every page there is.
mod audit_sample;
mod me_sample;
mod sample;
mod teams_sample;

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use sample::{HOSTILE, OWN_ADDRESS, SUBJECT};

use crate::app::pages::*;
use crate::features::audit::pages::*;
use crate::features::emergency::pages::EmergencyPage;
use crate::features::help::HelpPage;
use crate::features::me::pages::*;
use crate::features::messages::pages::*;
use crate::features::sign_in::pages::RefusedPage;
use crate::features::teams::pages::*;
use crate::features::templates::pages::*;

/// The start tags of a page, from `<` to `>`. Attribute values hold no bare `>`: askama escapes it.
fn tags(html: &str) -> impl Iterator<Item = &str> {
    html.match_indices('<').filter_map(|(at, _)| {
        let rest = &html[at..];
        let is_start = rest[1..].starts_with(|next: char| next.is_ascii_alphabetic());
        is_start.then(|| &rest[..=rest.find('>').expect("every tag ends")])
    })
}

/// The value of an attribute of a tag; empty for an attribute without a value.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// Every attribute name of a tag.
fn attribute_names(tag: &str) -> Vec<&str> {
    let outside_values: Vec<&str> = tag.trim_end_matches('>').split('"').step_by(2).collect();
    outside_values
        .iter()
        .flat_map(|part| part.split_ascii_whitespace())
        .map(|name| name.trim_end_matches('='))
        .collect()
}

fn title(html: &str) -> &str {
    html.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).expect("a title").0
}

/// Runs the check on each page, naming the page that fails it.
fn on_every_page(check: impl Fn(&str) -> Result<(), String>) {
    let pages = sample::all();
    assert!(pages.len() > 25, "the samples are gone: only {} pages", pages.len());
    for (name, html) in pages {
        if let Err(error) = check(&html) {
            panic!("page {name}: {error}");
        }
    }
}

/// What changes on a page shows in a review: `INSTA_UPDATE=always cargo nextest run every_page` writes the files again.
#[test]
fn every_page_is_as_it_was_reviewed() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, html) in sample::all() {
            insta::assert_snapshot!(name, html);
        }
    });
}

#[test]
fn pages_are_written_down_for_looking_at_where_a_folder_is_named() {
    let pages = sample::all();
    let names: BTreeSet<_> = pages.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), pages.len(), "two samples share a name, and one would overwrite the other");
    if let Some(folder) = std::env::var_os("WARDPOST_PREVIEW_DIR") {
        for (name, html) in pages {
            std::fs::write(std::path::Path::new(&folder).join(format!("{name}.html")), html).unwrap();
        }
    }
}

#[test]
fn nothing_on_a_page_needs_an_unsafe_content_security_policy() {
    on_every_page(|html| {
        for tag in tags(html) {
            if tag.starts_with("<style") || (tag.starts_with("<script") && attribute(tag, "src").is_none()) {
                return Err(format!("inline code or style: {tag}"));
            }
            for name in attribute_names(tag).iter().skip(1) {
                if *name == "style" || name.starts_with("on") {
                    return Err(format!("attribute {name} in {tag}"));
                }
            }
            for value in ["src", "href", "action", "formaction"].iter().filter_map(|name| attribute(tag, name)) {
                if !(value.starts_with('/') || value.starts_with('#') || value == OWN_ADDRESS) {
                    return Err(format!("leads off the site: {tag}"));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn what_people_typed_is_escaped_on_every_page() {
    on_every_page(|html| match html.contains("<script>") || html.contains("<b onclick") {
        true => Err("typed text became markup".into()),
        false => Ok(()),
    });
    let shown = sample::message(HOSTILE, HOSTILE, true).render().unwrap();
    // The subject as heading and over the reply, and the text.
    assert_eq!(shown.matches("&lt;script&#62;").count() + shown.matches("&#60;script&#62;").count(), 3, "{shown}");
}

#[test]
fn what_deceives_the_eye_is_written_out_but_for_the_authors_own_form() {
    on_every_page(|html| {
        for (at, _) in html.match_indices(['\u{202e}', '\u{3164}', '\u{9b}']) {
            let tag = &html[html[..at].rfind('<').ok_or("text before any tag")?..];
            if !(tag.starts_with("<textarea") || tag.starts_with("<input")) {
                return Err(format!("{:?} after {tag:.60}", &html[at..at + 2]));
            }
        }
        Ok(())
    });
    let row = sample::row(7, HOSTILE, HOSTILE).render().unwrap();
    assert_eq!(row.matches("[U+202E][U+3164][U+009B]").count(), 2, "{row}");
}

#[test]
fn what_people_typed_turns_nothing_round_but_itself() {
    on_every_page(|html| {
        for (at, _) in html.match_indices('\u{2067}') {
            let tag = tags(&html[html[..at].rfind('<').ok_or("text before any tag")?..]).next().ok_or("no tag")?;
            let isolates = tag == "<bdi>" || tag.starts_with("<bdi ") || attribute(tag, "dir") == Some("auto");
            // A browser shows each line of a drop-down list by itself.
            if !(isolates || tag.starts_with("<option")) {
                return Err(format!("{tag} isolates nothing"));
            }
        }
        Ok(())
    });
}

#[test]
fn every_form_that_changes_something_carries_the_csrf_token() {
    on_every_page(|html| {
        for form in html.split("<form").skip(1) {
            let form = &form[..form.find("</form>").ok_or("a form does not end")?];
            let posts = form.contains("method=\"post\"") || form.contains("formmethod=\"post\"");
            let token = format!("name=\"csrf\" value=\"{}\"", "0123456789abcdef".repeat(4));
            if posts != form.contains(&token) {
                return Err(format!("posts: {posts}, but the token says otherwise: {form}"));
            }
        }
        Ok(())
    });
}

#[test]
fn titles_end_in_the_name_of_the_site_and_never_show_a_subject() {
    on_every_page(|html| match title(html) {
        title if !title.ends_with(" – Wardpost") => Err(format!("title {title:?}")),
        title if title.contains(SUBJECT) => Err("the title shows a subject".into()),
        _ => Ok(()),
    });
    assert_eq!(title(&sample::message(SUBJECT, "text", false).render().unwrap()), "Message 990 – Wardpost");
}

#[test]
fn every_reference_inside_a_page_points_at_something_and_ids_are_unique() {
    on_every_page(|html| {
        let ids: Vec<&str> = tags(html).filter_map(|tag| attribute(tag, "id")).collect();
        let known: BTreeSet<&str> = ids.iter().copied().collect();
        if known.len() != ids.len() {
            return Err(format!("an id is used twice: {ids:?}"));
        }
        for tag in tags(html) {
            let named = ["for", "aria-labelledby", "aria-describedby"].iter().filter_map(|name| attribute(tag, name));
            let anchors = attribute(tag, "href").and_then(|href| href.strip_prefix('#'));
            for id in named.chain(anchors).flat_map(|value| value.split(' ')) {
                if !known.contains(id) {
                    return Err(format!("{tag} points at {id:?}, which is not there"));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_page_has_one_heading_of_the_first_rank_and_one_main_part() {
    on_every_page(|html| {
        // What stands in a template takes the place of the whole page.
        let shown = html.split("<template").next().unwrap_or(html);
        for part in [shown, html.split_once("<template").map_or(shown, |(_, template)| template)] {
            match (part.matches("<h1").count(), part.matches("<main").count()) {
                (1, 1) => {}
                (headings, mains) => return Err(format!("{headings} h1, {mains} main")),
            }
        }
        Ok(())
    });
}

#[test]
fn a_row_is_one_list_item_alone_and_inside_the_list() {
    let row = sample::row(7, "Bruno Keller", SUBJECT);
    let listed = ListedRow::new(2, store::Timestamp::from_millis(0), &row).unwrap();
    let plain = MarkedRow { row: &listed, own: false, unread: false, draft: false, for_reader: false, urgent: false };
    let alone = plain.render().unwrap();
    assert!(alone.starts_with("<li class=\"row\" id=\"message-7\">") && alone.ends_with("</li>"), "{alone:?}");
    let page = InboxPage { list: Arc::new(sample::list(vec![row], None)), ..sample::inbox(0) }.render().unwrap();
    assert!(page.contains(&alone), "the list shows the row differently: {page}");
}

#[test]
fn a_form_that_comes_back_keeps_every_character_that_was_typed() {
    let page = sample::compose(" spaced ", "\n\nfirst line was empty").render().unwrap();
    assert!(page.contains("value=\" spaced \""), "{page}");
    // HTML drops one line break at the start of a text area: the page must add one, or the reader's own is lost.
    assert!(page.contains(">\n\n\nfirst line was empty</textarea>"), "{page}");
}

#[test]
fn a_fault_is_named_beside_its_field_and_in_the_summary() {
    let faulty = ComposePage { subject_error: Some("Write a subject.".into()), ..sample::compose("", "text") };
    let page = faulty.render().unwrap();
    assert_eq!(page.matches("Write a subject.").count(), 2, "{page}");
    let field = tags(&page).find(|tag| attribute(tag, "id") == Some("subject")).unwrap();
    assert!(attribute(field, "aria-describedby").unwrap().contains("subject-error"), "{field}");
    assert_eq!(attribute(field, "aria-invalid"), Some("true"), "{field}");
    let body = tags(&page).find(|tag| attribute(tag, "id") == Some("body")).unwrap();
    assert_eq!(attribute(body, "aria-invalid"), None, "{body}");
    assert!(title(&page).starts_with("Error: "), "{}", title(&page));
}

#[test]
fn only_the_author_is_offered_to_delete() {
    assert!(sample::message(SUBJECT, "text", true).render().unwrap().contains("/messages/990/delete"));
    assert!(!sample::message(SUBJECT, "text", false).render().unwrap().contains("/messages/990/delete"));
}

#[test]
fn signed_out_pages_link_to_nothing_but_signing_in() {
    let page = sample::all().into_iter().find(|(name, _)| *name == "sign-in").unwrap().1;
    let links: Vec<&str> =
        tags(&page).filter(|tag| tag.starts_with("<a ")).filter_map(|tag| attribute(tag, "href")).collect();
    assert_eq!(links, ["#main", "/", "/sign-in/start?next=%2Fmessages"]);
}

#[test]
fn limits_are_written_the_way_people_read_numbers() {
    let page = sample::compose("", "").render().unwrap();
    assert!(page.contains("At most 255 characters<") && page.contains("At most 20,000 characters,"), "{page}");
}
