//! The table of routes. Every address of the site stands here, with who may use it; a row cannot be written without.

use std::sync::Arc;

use http::{HeaderMap, Method, header};
use store::SessionState;
use warp::filters::BoxedFilter;
use warp::filters::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection};

use crate::app::access::{Anyone, PassiveSession, PreSession, SignedIn};
use crate::app::errors::ErrorContext;
use crate::app::request::Visitor;
use crate::app::return_paths::ReturnPaths;
use crate::app::row::{Route, get, poll, post, post_that_keeps, post_that_keeps_rows, probe, with, with_form};
use crate::app::site::Site;
use crate::features::{
    Features, audit, duties, emergency, health, help, me, messages, sign_in, static_files, teams, templates, urgent,
};
use crate::http::error::PageError;

/// All routes, in the order in which a request is held against them. Literal paths stand before those with a `{}` that would
/// match them too.
pub fn rows(s: &Arc<Site>, f: &Features) -> Vec<Route> {
    vec![
        // What is asked for most: each row before it costs a request some.
        get(s, "/messages", SignedIn, with(&f.messages, messages::list::show)).returns(),
        post_that_keeps(
            s,
            "/messages",
            SignedIn,
            messages::draft::from_form,
            with_form(&f.messages, messages::compose::send),
        ),
        // Signing in and out.
        get(s, "/", Anyone, sign_in::page),
        get(s, "/sign-in/start", Anyone, with(&f.sign_in, sign_in::start)),
        get(s, "/sign-in/callback", Anyone, with(&f.sign_in, sign_in::callback)),
        post(s, "/sign-out", SignedIn, sign_in::sign_out),
        get(s, "/session", PassiveSession, me::time::show),
        post(s, "/session/stay", SignedIn, me::time::stay),
        // What concerns the member who looks.
        get(s, "/me", SignedIn, with(&f.downloads, me::show)).returns(),
        post(s, "/me/sessions/end-others", SignedIn, me::sessions::end_others),
        post(s, "/me/sessions/{}/end", SignedIn, me::sessions::end),
        post(s, "/me/data", SignedIn, with_form(&f.downloads, me::data::download)),
        get(s, "/me/data/progress", PassiveSession, with(&f.downloads, me::data::progress)),
        // Coming in while the identity provider is down.
        get(s, emergency::PATH, Anyone, emergency::page),
        post(s, emergency::PATH, PreSession, emergency::enter),
        // One message, and writing one.
        get(s, "/messages/new", SignedIn, with(&f.messages, messages::compose::show)).returns(),
        get(s, "/messages/updates", PassiveSession, with(&f.messages, messages::updates::stream)),
        get(s, "/messages/go", SignedIn, messages::list::go),
        get(s, "/messages/{}", SignedIn, with(&f.messages, messages::conversation::show)).returns(),
        post_that_keeps(
            s,
            "/messages/{}/replies",
            SignedIn,
            messages::draft::from_form,
            with_form(&f.messages, messages::conversation::reply),
        ),
        post(s, "/messages/{}/done", SignedIn, messages::acts::done),
        post(s, "/messages/{}/reopen", SignedIn, messages::acts::reopen),
        post(s, "/messages/{}/duty/done", SignedIn, duties::done),
        post(s, "/messages/{}/duty/take", SignedIn, duties::take),
        post(s, "/messages/{}/urgent/on-my-way", SignedIn, duties::on_my_way),
        post(s, "/messages/{}/urgent/cannot", SignedIn, duties::cannot),
        post(s, "/messages/{}/unread", SignedIn, messages::acts::mark_unread),
        get(s, "/messages/{}/delete", SignedIn, messages::delete::confirm).returns(),
        post(s, "/messages/{}/delete", SignedIn, messages::delete::delete),
        post_that_keeps(s, "/draft", SignedIn, messages::draft::from_form, messages::draft::save),
        post(s, "/draft/discard", SignedIn, messages::draft::discard),
        post_that_keeps(
            s,
            "/draft/leave",
            SignedIn,
            messages::draft::from_form,
            with_form(&f.messages, messages::draft::leave),
        ),
        // What is urgent.
        poll(s, "/urgent/bar", urgent::bar),
        get(s, "/urgent", SignedIn, urgent::board::show).returns(),
        get(s, "/urgent/board", PassiveSession, urgent::board::refresh),
        // Teams.
        get(s, "/teams", SignedIn, teams::show).returns(),
        post(s, "/teams", SignedIn, teams::create),
        post(s, "/teams/{}/name", SignedIn, teams::rename),
        post(s, "/teams/{}/join", SignedIn, teams::join),
        get(s, "/teams/{}/leave", SignedIn, teams::confirm).returns(),
        post(s, "/teams/{}/leave", SignedIn, teams::leave),
        // Templates, and filling one.
        get(s, "/templates", SignedIn, templates::show).returns(),
        post(s, "/templates", SignedIn, templates::create),
        get(s, "/templates/new", SignedIn, templates::new).returns(),
        get(s, "/templates/{}/edit", SignedIn, templates::edit).returns(),
        post(s, "/templates/{}/edit", SignedIn, templates::change),
        get(s, "/templates/{}/delete", SignedIn, templates::confirm).returns(),
        post(s, "/templates/{}/delete", SignedIn, templates::delete),
        get(s, "/templates/{}/write", SignedIn, templates::write::show).returns(),
        post_that_keeps_rows(s, "/templates/{}/send", SignedIn, templates::write::keep, templates::write::send),
        post_that_keeps_rows(s, "/templates/{}/draft", SignedIn, templates::write::keep, templates::write::save),
        post(s, "/templates/{}/discard", SignedIn, templates::write::discard),
        // The audit log.
        get(s, "/audit", SignedIn, with(&f.chain, audit::page::show)).returns(),
        get(s, "/audit/export.csv", SignedIn, audit::export::csv),
        get(s, "/audit/export.jsonl", SignedIn, audit::export::json_lines),
        // The rest.
        get(s, "/help", SignedIn, help::show).returns(),
        get(s, "/static/{}", Anyone, static_files::file),
        probe(s, "/healthz", health::alive),
        probe(s, "/readyz", with(&f.health, health::ready)),
    ]
}

/// These rows as one filter, and a page for what they do not have.
pub fn filter(site: &Arc<Site>, rows: Vec<Route>) -> BoxedFilter<(Response,)> {
    // Set once: a site has one table.
    let _ = site.return_paths.set(ReturnPaths::of(&rows));
    rows.iter().for_each(|row| site.metrics.add_row(&row.method, row.path));
    let methods: Arc<Vec<(&'static str, Method)>> =
        Arc::new(rows.iter().map(|row| (row.path, row.method.clone())).collect());
    let nothing = warp::any().and_then(|| async { Err::<Response, Rejection>(warp::reject::not_found()) }).boxed();
    let table = rows.into_iter().rev().fold(nothing, |rest, row| row.filter().or(rest).unify().boxed());
    let fallback = refusal(site, methods);
    table.or(fallback).unify().boxed()
}

/// The page for an unknown path or a wrong method.
fn refusal(site: &Arc<Site>, methods: Arc<Vec<(&'static str, Method)>>) -> BoxedFilter<(Response,)> {
    let site = Arc::clone(site);
    warp::path::full()
        .and(warp::ext::get::<Visitor>())
        .and(warp::header::headers_cloned())
        .then(move |path: FullPath, visitor: Visitor, headers: HeaderMap| {
            let (site, methods) = (Arc::clone(&site), Arc::clone(&methods));
            async move { refuse(&site, &methods, path.as_str(), visitor, &headers).await }
        })
        .boxed()
}

async fn refuse(
    site: &Arc<Site>,
    methods: &[(&'static str, Method)],
    path: &str,
    visitor: Visitor,
    headers: &HeaderMap,
) -> Response {
    let within = site.limits.request(visitor.ip);
    let context = ErrorContext::new(site, visitor.request_id);
    if let Err(too_many) = within {
        return context.page(PageError::TooMany(too_many)).into_response();
    }
    // This page, too, has its member's navigation, and says that somebody is in by emergency access.
    if let Some(token) = site.cookies.session_token(headers)
        && let Ok(SessionState::Live(session)) = site.store.session(&token, site.session_limits, site.store.now()).await
    {
        let duties = site.duties.of(&site.store, session.person).await.unwrap_or_default();
        context.session.set(&session, &duties);
    }
    let allowed: Vec<&str> = methods
        .iter()
        .filter(|(pattern, _)| crate::app::row::matches(pattern, path))
        .flat_map(|(_, method)| if method == Method::GET { vec!["GET", "HEAD"] } else { vec!["POST"] })
        .collect();
    let reply = if allowed.is_empty() {
        context.page(PageError::NotFound)
    } else {
        context.page(PageError::WrongMethod).with(header::ALLOW, &allowed.join(", "))
    };
    reply.into_response()
}
