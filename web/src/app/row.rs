//! One row of the route table: how path, method, access, body and handler become a warp filter.
//!
//! The path is matched first, so that an unknown path is 404 and a wrong method on a known one 405. A POST row
//! always checks where the form comes from and its CSRF token: there is no way to write one that does not.

use std::future::Future;
use std::sync::Arc;

use http::{HeaderMap, Method, header};
use subtle::ConstantTimeEq;
use warp::filters::BoxedFilter;
use warp::filters::path::FullPath;
use warp::{Filter, Rejection};

use crate::app::access::{Access, Anyone, FormToken, Keep, KeepMessage, KeepRows, Member, PassiveSession, Unsent};
use crate::app::body::{Arrived, discard, read_form};
use crate::app::limited::Limited;
use crate::app::request::{KnownSession, Request, Visitor};
use crate::app::site::Site;
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;

/// A route of the site.
pub struct Route {
    /// GET or POST.
    pub method: Method,
    /// Segments between slashes; `{}` stands for one segment of any text.
    pub path: &'static str,
    /// The name of the access rule.
    pub access: &'static str,
    /// A sign-in may lead back to it.
    pub returns: bool,
    filter: BoxedFilter<(warp::reply::Response,)>,
}

impl Route {
    /// The same for a page that a sign-in may lead back to.
    pub fn returns(self) -> Self {
        Self { returns: true, ..self }
    }

    /// The filter that answers it.
    pub fn filter(&self) -> BoxedFilter<(warp::reply::Response,)> {
        self.filter.clone()
    }
}

/// A form whose CSRF token is the session's, or before a session the browser's. Only a POST row makes one.
pub struct CsrfChecked<T>(T);

impl<T> CsrfChecked<T> {
    /// What was checked.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// A GET route.
pub fn get<A, H, F>(site: &Arc<Site>, path: &'static str, access: A, handler: H) -> Route
where
    A: Access,
    H: Fn(Request, A::Proof) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, PageError>> + Send + 'static,
{
    get_row(site, path, access, Limited::Yes, handler)
}

/// A GET route for a load balancer, which asks as often as it likes.
pub fn probe<H, F>(site: &Arc<Site>, path: &'static str, handler: H) -> Route
where
    H: Fn(Request, ()) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, PageError>> + Send + 'static,
{
    get_row(site, path, Anyone, Limited::No, handler)
}

/// A GET route that every open page asks every few seconds. A member is counted as such: a whole clinic may share one address,
/// and what its open pages ask by themselves must not keep anybody out. Anyone else is counted against the address.
pub fn poll<H, F>(site: &Arc<Site>, path: &'static str, handler: H) -> Route
where
    H: Fn(Request, Member) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, PageError>> + Send + 'static,
{
    get_route(site, path, PassiveSession::NAME, move |mut request: Request| {
        let handler = handler.clone();
        async move {
            match PassiveSession.admit(&request, None).await {
                Ok(member) => {
                    request.site.limits.poll(member.actor().person)?;
                    handler(request, member).await
                }
                Err(refused) => {
                    Limited::Yes.count(&mut request)?;
                    Err(refused)
                }
            }
        }
    })
}

fn get_row<A, H, F>(site: &Arc<Site>, path: &'static str, access: A, limit: Limited, handler: H) -> Route
where
    A: Access,
    H: Fn(Request, A::Proof) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, PageError>> + Send + 'static,
{
    get_route(site, path, A::NAME, move |mut request: Request| {
        let handler = handler.clone();
        async move {
            limit.count(&mut request)?;
            let proof = access.admit(&request, None).await?;
            handler(request, proof).await
        }
    })
}

fn get_route<R, F>(site: &Arc<Site>, path: &'static str, access: &'static str, respond: R) -> Route
where
    R: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, PageError>> + Send + 'static,
{
    let filter = matched(site, path, warp::get().boxed())
        .then(move |request: Request| {
            let respond = respond.clone();
            async move {
                request.visitor.route.set(path);
                let context = request.error_context();
                respond(request).await.unwrap_or_else(|error| context.page(error)).into_response()
            }
        })
        .boxed();
    Route { method: Method::GET, path, access, returns: false, filter }
}

/// A POST route.
pub fn post<A, H, F>(site: &Arc<Site>, path: &'static str, access: A, handler: H) -> Route
where
    A: Access<Proof: FormToken>,
    H: Fn(Request, A::Proof, CsrfChecked<Form>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, PageError>> + Send + 'static,
{
    post_row(site, path, access, None, handler)
}

/// A POST route whose form holds what somebody wrote, which a refusal must not lose: `keep` finds it for a session that has
/// just ended, and the handler looks at [`Request::over_limit`].
pub fn post_that_keeps<A, H, F>(site: &Arc<Site>, path: &'static str, access: A, keep: KeepMessage, handler: H) -> Route
where
    A: Access<Proof: FormToken>,
    H: Fn(Request, A::Proof, CsrfChecked<Form>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, PageError>> + Send + 'static,
{
    post_row(site, path, access, Some(Keep::Message(keep)), handler)
}

/// The same where what somebody wrote are the rows of a template.
pub fn post_that_keeps_rows<A, H, F>(
    site: &Arc<Site>,
    path: &'static str,
    access: A,
    keep: KeepRows,
    handler: H,
) -> Route
where
    A: Access<Proof: FormToken>,
    H: Fn(Request, A::Proof, CsrfChecked<Form>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, PageError>> + Send + 'static,
{
    post_row(site, path, access, Some(Keep::Rows(keep)), handler)
}

fn post_row<A, H, F>(site: &Arc<Site>, path: &'static str, access: A, keep: Option<Keep>, handler: H) -> Route
where
    A: Access<Proof: FormToken>,
    H: Fn(Request, A::Proof, CsrfChecked<Form>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, PageError>> + Send + 'static,
{
    let limit = if keep.is_some() { Limited::ByHandler } else { Limited::Yes };
    let filter = matched(site, path, warp::post().boxed())
        .and(warp::body::stream())
        .then(move |mut request: Request, body| {
            let handler = handler.clone();
            // The stream of a body cannot be shared between threads; reading it on its own can.
            async move {
                request.visitor.route.set(path);
                let context = request.error_context();
                // Before anything else, so that nothing can be asked for, and refused, without being counted.
                let counted = limit.count(&mut request);
                let over_limit = request.over_limit;
                let answer = async {
                    let from_here = || check_origin(&request.headers, &request.site.public_url.origin());
                    if let Err(refused) = counted.map_err(PageError::from).and_then(|()| from_here()) {
                        discard(body).await;
                        return Err(refused);
                    }
                    // It is counted as memory in use until the answer is made.
                    let Arrived { form, memory: _memory } = read_form(&request, body).await?;
                    let proof = access.admit(&request, keep.map(|keep| Unsent { form: &form, keep })).await?;
                    check_csrf(&form, &proof)?;
                    handler(request, proof, CsrfChecked(form)).await
                };
                answer.await.unwrap_or_else(|error| context.page(error.unless_over(over_limit))).into_response()
            }
        })
        .boxed();
    Route { method: Method::POST, path, access: A::NAME, returns: false, filter }
}

/// Matches the path and then the method, and collects what handlers need.
fn matched(
    site: &Arc<Site>,
    pattern: &'static str,
    method: BoxedFilter<()>,
) -> impl Filter<Extract = (Request,), Error = Rejection> + Clone + Send + Sync + 'static {
    let site = Arc::clone(site);
    warp::path::full()
        .and_then(move |path: FullPath| {
            let argument = path_argument(pattern, path.as_str()).map(str::to_owned);
            async move { argument.ok_or_else(warp::reject::not_found) }
        })
        // Before anything is copied: two rows may share a path.
        .and(method)
        .and(warp::path::full())
        .and(warp::method())
        .and(warp::filters::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Visitor>())
        .map(move |path_argument, path: FullPath, method, query: String, headers, visitor| Request {
            site: Arc::clone(&site),
            visitor,
            method,
            path: path.as_str().to_owned(),
            path_argument,
            query: Form::parse(query.as_bytes()),
            headers,
            at: site.store.now(),
            emergency: Arc::default(),
            session: KnownSession::default(),
            over_limit: None,
        })
}

/// A handler that is given the state of its feature.
pub fn with<S, H, P, F>(state: &Arc<S>, handler: H) -> impl Fn(Request, P) -> F + Clone + Send + Sync + 'static
where
    S: Send + Sync + 'static,
    H: Fn(Arc<S>, Request, P) -> F + Clone + Send + Sync + 'static,
{
    let state = Arc::clone(state);
    move |request, proof| handler(Arc::clone(&state), request, proof)
}

/// The same for a row that takes a form.
pub fn with_form<S, H, P, F>(
    state: &Arc<S>,
    handler: H,
) -> impl Fn(Request, P, CsrfChecked<Form>) -> F + Clone + Send + Sync + 'static
where
    S: Send + Sync + 'static,
    H: Fn(Arc<S>, Request, P, CsrfChecked<Form>) -> F + Clone + Send + Sync + 'static,
{
    let state = Arc::clone(state);
    move |request, proof, form| handler(Arc::clone(&state), request, proof, form)
}

/// Whether a path is one of a pattern's.
pub fn matches(pattern: &str, path: &str) -> bool {
    path_argument(pattern, path).is_some()
}

/// The segment that stands where the pattern has `{}`, empty without one; None when the path is another.
fn path_argument<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, after)) = pattern.split_once("{}") else {
        return (pattern == path).then_some("");
    };
    let argument = path.strip_prefix(before)?.strip_suffix(after)?;
    (!argument.is_empty() && !argument.contains('/')).then_some(argument)
}

/// A form must come from a page of this site. Browsers say so in Sec-Fetch-Site, older ones in Origin; where both
/// are missing it is no browser, and the CSRF token alone decides.
fn check_origin(headers: &HeaderMap, own: &str) -> Result<(), PageError> {
    let foreign = |name: &str, ours: &str| headers.get_all(name).iter().any(|value| value != ours);
    if foreign("sec-fetch-site", "same-origin") || foreign(header::ORIGIN.as_str(), own) {
        return Err(PageError::ForeignForm);
    }
    Ok(())
}

fn check_csrf(form: &Form, proof: &impl FormToken) -> Result<(), PageError> {
    let expected = proof.form_token().as_bytes();
    let given = form.text("csrf").as_bytes();
    if bool::from(expected.ct_eq(given)) { Ok(()) } else { Err(PageError::StaleForm) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_matches_whole_segments_only() {
        assert_eq!(path_argument("/messages", "/messages"), Some(""));
        assert_eq!(path_argument("/messages", "/messages/"), None);
        assert_eq!(path_argument("/messages/{}", "/messages/12"), Some("12"));
        assert_eq!(path_argument("/messages/{}/delete", "/messages/12/delete"), Some("12"));
        for path in ["/messages/", "/messages/1/2", "/messages", "/messages//delete"] {
            assert_eq!(path_argument("/messages/{}", path), None, "{path}");
        }
    }

    #[test]
    fn a_form_from_another_site_is_refused_whichever_header_tells() {
        let own = "https://messages.clinic.example";
        let check = |pairs: &[(&'static str, &str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
                .collect();
            check_origin(&headers, own).is_ok()
        };
        assert!(check(&[]));
        assert!(check(&[("origin", own), ("sec-fetch-site", "same-origin")]));
        assert!(!check(&[("origin", "https://evil.example")]));
        assert!(!check(&[("origin", "null")]));
        for site in ["cross-site", "same-site", "none"] {
            assert!(!check(&[("sec-fetch-site", site)]), "{site}");
        }
        assert!(!check(&[("origin", own), ("origin", "https://evil.example")]), "a second one counts, too");
    }

    proptest! {
        /// The model: every header that is there says exactly what ours say.
        #[test]
        fn a_form_passes_only_where_every_header_agrees(
            origins in proptest::collection::vec("https://messages\\.clinic\\.example(:443|/|\\.)?|null|[ -~]{0,12}", 0..3),
            sites in proptest::collection::vec("same-origin|same-site|SAME-ORIGIN|[ -~]{0,12}", 0..3),
        ) {
            let own = "https://messages.clinic.example";
            let mut headers = HeaderMap::new();
            for (name, values) in [("origin", &origins), ("sec-fetch-site", &sites)] {
                for value in values {
                    headers.append(name, value.parse().unwrap());
                }
            }
            let ours = origins.iter().all(|origin| origin == own) && sites.iter().all(|site| site == "same-origin");
            prop_assert_eq!(check_origin(&headers, own).is_ok(), ours);
        }

        /// The one segment that a pattern leaves open, and never more.
        #[test]
        fn an_argument_is_one_segment(path in "/(messages|delete|[0-9]{1,4}|%2f|\\.\\.|/|\\PC){0,6}") {
            let model = path.strip_prefix("/messages/").and_then(|rest| rest.strip_suffix("/delete"));
            let model = model.filter(|segment| !segment.is_empty() && !segment.contains('/'));
            prop_assert_eq!(path_argument("/messages/{}/delete", &path), model);
        }
    }
}
