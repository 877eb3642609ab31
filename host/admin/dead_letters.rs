//! `/dead-letters`: look at them, send them on their way again, give them up.

use http::header::RETRY_AFTER;
use http::{HeaderValue, Method, Request, StatusCode};

use super::answer::{Answer, Problem, json};
use super::view::dead;
use super::{Deps, api, query};
use crate::clock::unix_ms;
use crate::dead_letter::ReplayError;
use crate::journal::archive::{Act, Acted, DEAD_LETTERS_MAX, DeadQuery, DeliveryId, Which};
use crate::journal::audit::Actor;

/// What is asked of the page.
enum Wanted {
    List,
    Show(DeliveryId),
    Replay(Option<DeliveryId>),
    Discard(Option<DeliveryId>),
}

/// Answers a request for the path `/dead-letters` and `rest`.
pub(super) async fn answer<B>(
    deps: &Deps,
    request: &Request<B>,
    rest: &str,
    actor: Actor,
) -> Result<Answer, Problem> {
    let query = request.uri().query().unwrap_or_default();
    let wanted = wanted(request.method(), rest)?;
    match wanted {
        Wanted::List => list(deps, query).await,
        Wanted::Show(id) => show(deps, id).await,
        Wanted::Replay(id) => {
            let which = which(id, query, false)?.0;
            let acted = deps.control.replay(which, actor).await;
            let acted = match acted {
                Ok(acted) => acted,
                Err(ReplayError::Busy) => {
                    let problem = Problem::new(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "busy",
                        ReplayError::Busy.to_string(),
                    );
                    let mut answer = problem.answer();
                    answer
                        .headers_mut()
                        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
                    return Ok(answer);
                }
                Err(ReplayError::Journal(error)) => return Err(Problem::journal(error)),
            };
            told(deps, id, &acted, "replayed").await
        }
        Wanted::Discard(id) => {
            let (which, reason) = which(id, query, true)?;
            let act = Act::Discard { which, reason };
            let acted = deps.archive.act(act, actor).await;
            let acted = acted.map_err(Problem::journal)?;
            deps.metrics.discarded(acted.done.len() as u64);
            told(deps, id, &acted, "discarded").await
        }
    }
}

fn wanted(method: &Method, rest: &str) -> Result<Wanted, Problem> {
    let id = |text: &str| {
        let text = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
        text.parse::<DeliveryId>()
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad_id", error.to_string()))
    };
    let (wanted, is_read) = match rest.trim_start_matches('/').split_once('/') {
        None => match rest.trim_start_matches('/') {
            "" => (Wanted::List, true),
            "replay" => (Wanted::Replay(None), false),
            "discard" => (Wanted::Discard(None), false),
            text => (Wanted::Show(id(text)?), true),
        },
        Some((text, "replay")) => (Wanted::Replay(Some(id(text)?)), false),
        Some((text, "discard")) => (Wanted::Discard(Some(id(text)?)), false),
        Some(_) => return Err(Problem::no_page()),
    };
    if is_read && !api::is_read(method) {
        return Err(Problem::method("GET, HEAD"));
    }
    if !is_read && method != Method::POST {
        return Err(Problem::method("POST"));
    }
    Ok(wanted)
}

async fn list(deps: &Deps, query: &str) -> Result<Answer, Problem> {
    let asked = query::dead_letters(query, unix_ms()).map_err(Problem::query)?;
    let found = deps
        .archive
        .dead_letters(asked.query.clone(), asked.before, asked.limit)
        .await
        .map_err(Problem::journal)?;
    let total = if asked.count {
        let counted = deps.archive.count_dead_letters(asked.query).await;
        Some(counted.map_err(Problem::journal)?)
    } else {
        None
    };
    Ok(json(
        StatusCode::OK,
        &dead::page(&found, asked.limit.min(DEAD_LETTERS_MAX), total),
    ))
}

async fn show(deps: &Deps, id: DeliveryId) -> Result<Answer, Problem> {
    let found = deps.archive.dead_letter(id).await;
    match found.map_err(Problem::journal)? {
        Some(found) => Ok(json(StatusCode::OK, &dead::whole(&found))),
        None => Err(missing(id)),
    }
}

/// Which dead letters an act is for, and its reason if it needs one.
fn which(
    id: Option<DeliveryId>,
    query: &str,
    needs_reason: bool,
) -> Result<(Which, String), Problem> {
    let asked = query::act(query, unix_ms(), id.is_some(), needs_reason).map_err(Problem::query)?;
    let which = match id {
        Some(id) => Which::One(id),
        None if asked.query == DeadQuery::default() && !asked.all => {
            return Err(Problem::query(
                "name which dead letters: by source, type, sink, route, cause, event, since, until, or all=true",
            ));
        }
        None => Which::Oldest {
            query: asked.query,
            limit: asked.limit,
        },
    };
    Ok((which, asked.reason))
}

/// What an act did. Of one dead letter that is not dead (any more) it says how it stands, so that doing it
/// twice is no error.
async fn told(
    deps: &Deps,
    id: Option<DeliveryId>,
    acted: &Acted,
    word: &'static str,
) -> Result<Answer, Problem> {
    let mut state = None;
    if let Some(id) = id.filter(|_| acted.done.is_empty()) {
        let event = deps.journal.event(id.event).await;
        let event = event
            .map_err(Problem::journal)?
            .ok_or_else(|| missing(id))?;
        let delivery = event
            .deliveries
            .iter()
            .find(|delivery| delivery.record.ordinal == id.ordinal)
            .ok_or_else(|| missing(id))?;
        state = Some(delivery.record.state);
    }
    if state == Some(crate::journal::State::Dead) {
        let message =
            "its sink is not configured; put it back into routes.toml, or discard the dead letter";
        return Err(Problem::new(StatusCode::CONFLICT, "sink_gone", message));
    }
    Ok(json(StatusCode::OK, &dead::acted(acted, word, state)))
}

fn missing(id: DeliveryId) -> Problem {
    let message = format!(
        "no dead letter {id}; it may have been replayed or discarded, or have passed its retention"
    );
    Problem::new(StatusCode::NOT_FOUND, "no_such_dead_letter", message)
}
