//! Plan: which deliveries and records an event's passes amount to. Pure.
//!
//! Invariants: every event gets at least one delivery or record; ordinals and message ids depend only on
//! the event, the routes and the plugins' output, so planning again after a crash gives the same ones.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::chain::{Ended, MESSAGES_MAX, Passed};
use crate::config;
use crate::event::{Event, Message};
use crate::journal::{Attempt, PendingDelivery, Record, Seq, State};
use crate::retry::RetryPolicy;
use crate::route::Matched;
use crate::sink::{Class, Delivery, Origin};
use crate::template::Context;

/// Ordinals of one route's deliveries start at a multiple of this.
const ORDINALS_PER_ROUTE: u32 = 1 << 16;

/// The code of a dead letter whose route's filter could not be evaluated.
pub const FILTER_FAILED: &str = "filter_failed";

/// One matched route and how the event passed its plugins.
#[derive(Debug)]
pub struct RoutePass {
    /// The route.
    pub route: Arc<config::Route>,
    /// Its plugins' result.
    pub passed: Passed,
}

/// What to do for an event.
#[derive(Debug, Default)]
pub struct Plan {
    /// To be offered to the sinks' workers.
    pub deliveries: Vec<Delivery>,
    /// To be written: what ended before a sink, or waits for a plugin.
    pub records: Vec<Record>,
}

/// Plans a freshly read event.
#[must_use]
pub fn plan(
    seq: Seq,
    event: &Arc<Event>,
    matched: &Matched,
    passes: Vec<RoutePass>,
    now_ms: u64,
    random: f64,
) -> Plan {
    let mut plan = Plan::default();
    for (position, pass) in passes.into_iter().enumerate() {
        let at = Place {
            seq,
            first_ordinal: ordinal_of(position),
            attempts: 0,
            created_at_ms: now_ms,
        };
        add_pass(&mut plan, at, event, &matched.routes, pass, now_ms, random);
    }
    for (position, (route, why)) in matched.failed.iter().enumerate() {
        // Room for what the route's plugins make of it after a replay.
        let ordinal = ordinal_of(matched.routes.len() + position);
        let mut record = bare(ordinal, route.name.clone(), State::Dead, now_ms, event);
        record.code = FILTER_FAILED.to_owned();
        record.detail = format!("`when` could not be evaluated: {why}");
        plan.records.push(record);
    }
    if plan.deliveries.is_empty() && plan.records.is_empty() {
        plan.records.push(unrouted(matched, event, now_ms));
    }
    plan
}

/// Plans the pass of one route after a plugin asked for a retry; `waited` is what was parked then.
#[must_use]
pub fn replan(
    waited: &PendingDelivery,
    matched: &Matched,
    pass: RoutePass,
    now_ms: u64,
    random: f64,
) -> Plan {
    let mut plan = Plan::default();
    let at = Place {
        seq: waited.seq,
        first_ordinal: waited.record.ordinal,
        attempts: waited.record.attempts,
        created_at_ms: waited.created_at_ms,
    };
    let (event, routes) = (&waited.event, &matched.routes);
    add_pass(&mut plan, at, event, routes, pass, now_ms, random);
    plan
}

/// Ends what waited for a filter that can be evaluated now, and does not hold.
#[must_use]
pub fn unmatched(waited: &PendingDelivery, now_ms: u64) -> Record {
    let record = waited.record.clone();
    Record {
        state: State::Dropped,
        at_ms: now_ms,
        next_at_ms: 0,
        code: "no_match".to_owned(),
        detail: "the route's `when` does not hold for it".to_owned(),
        message: None,
        attempt: None,
        ..record
    }
}

/// Gives deliveries other message ids where another message of the event went to the same sink under theirs:
/// after a change of the routes, planning one route again would count anew. `taken` has the sink and message
/// id of the event's other deliveries.
pub fn keep_apart(event: &Event, deliveries: &mut [Delivery], taken: &[(Arc<str>, String)]) {
    let mut taken: HashSet<(Arc<str>, String)> = taken.iter().cloned().collect();
    for delivery in deliveries {
        let mut number = 1_u64;
        while !taken.insert((delivery.sink.clone(), delivery.message_id.clone())) {
            number += 1;
            delivery.message_id = format!("{}.{number}", event.id);
        }
    }
}

/// Where a pass stands within its event.
struct Place {
    seq: Seq,
    first_ordinal: u32,
    /// Plugin attempts that ended in a retry so far.
    attempts: u32,
    created_at_ms: u64,
}

fn add_pass(
    plan: &mut Plan,
    at: Place,
    event: &Arc<Event>,
    routes: &[Arc<config::Route>],
    pass: RoutePass,
    now_ms: u64,
    random: f64,
) {
    let RoutePass { route, passed } = pass;
    let mut record = bare(
        at.first_ordinal,
        route.name.clone(),
        State::Dead,
        now_ms,
        event,
    );
    record.plugins.clone_from(&passed.plugins);
    record.attempts = at.attempts;
    match passed.ended {
        Ended::Messages(messages) => {
            match deliveries(&at, event, routes, &route, messages, &passed.plugins) {
                Ok(deliveries) => plan.deliveries.extend(deliveries),
                Err(unknown) => {
                    record.code = "unknown_sink".to_owned();
                    record.detail = unknown;
                    plan.records.push(record);
                }
            }
        }
        Ended::Dropped(reason) => {
            record.state = State::Dropped;
            record.message = None;
            record.detail = reason;
            plan.records.push(record);
        }
        Ended::Dead { code, detail } => {
            record.code = code.to_owned();
            record.detail = detail;
            plan.records.push(record);
        }
        Ended::Retry { after, reason } => {
            record.attempts = at.attempts.saturating_add(1);
            record.code = "plugin_retry".to_owned();
            record.attempt = Some(Attempt {
                number: record.attempts,
                at_ms: now_ms,
                class: Class::Transient.as_str(),
                code: "plugin_retry".to_owned(),
                detail: reason.clone(),
            });
            let age = Duration::from_millis(now_ms.saturating_sub(at.created_at_ms));
            match RetryPolicy::default().next_delay(record.attempts, age, after, random) {
                Some(delay) => {
                    let due = u128::from(now_ms) + delay.as_millis();
                    record.state = State::Pending;
                    record.message = None;
                    record.next_at_ms = i64::try_from(due).unwrap_or(i64::MAX - 1);
                    record.detail = reason;
                }
                None => record.detail = format!("{reason}; no attempts left"),
            }
            plan.records.push(record);
        }
    }
}

/// The deliveries of one pass, or what is wrong with a sink that a plugin chose.
fn deliveries(
    at: &Place,
    event: &Arc<Event>,
    routes: &[Arc<config::Route>],
    route: &Arc<config::Route>,
    messages: Vec<Message>,
    plugins: &str,
) -> Result<Vec<Delivery>, String> {
    let origin = Arc::new(Origin::of(event));
    let plugins: Arc<str> = plugins.into();
    let mut deliveries = Vec::with_capacity(messages.len() * route.to.len());
    for (index, message) in messages.into_iter().enumerate() {
        let chosen: Vec<&Arc<str>> = match &message.sink {
            None => route.to.iter().collect(),
            Some(name) => match route.to.iter().find(|sink| sink.as_ref() == name) {
                Some(sink) => vec![sink],
                None => {
                    return Err(format!(
                        "the plugin chose sink `{name}`, which is not in the route's `to` ({})",
                        route.to.join(", ")
                    ));
                }
            },
        };
        let rendered = route.key.as_ref().and_then(|template| {
            template.render(Context {
                origin: &origin,
                message: &message,
                key: message.key.as_deref(),
            })
        });
        let key = message.key.clone().or(rendered);
        // Order is the route's promise: a key of the plugin's alone only chooses the partition.
        let order = route.key.as_ref().and(key.as_deref()).map(hash_of);
        for sink in chosen {
            let ordinal = u32::try_from(deliveries.len()).unwrap_or(u32::MAX);
            deliveries.push(Delivery {
                seq: at.seq,
                ordinal: at.first_ordinal.saturating_add(ordinal),
                route: route.name.clone(),
                sink: sink.clone(),
                origin: origin.clone(),
                message_id: message_id(event, routes, route, sink, index),
                key: key.clone(),
                order,
                plugins: plugins.clone(),
                message: message.clone(),
                attempts: 0,
                created_at_ms: at.created_at_ms,
            });
        }
    }
    Ok(deliveries)
}

/// See [`Delivery::message_id`]. The first route that has this sink gives its first message the plain
/// event id; all others get numbers that depend on nothing but their places.
fn message_id(
    event: &Event,
    routes: &[Arc<config::Route>],
    route: &Arc<config::Route>,
    sink: &Arc<str>,
    index: usize,
) -> String {
    let rank = routes
        .iter()
        .filter(|other| other.to.contains(sink))
        .position(|other| other.name == route.name)
        .unwrap_or(0);
    match rank * MESSAGES_MAX + index {
        0 => event.id.to_string(),
        number => format!("{}.{}", event.id, number + 1),
    }
}

fn unrouted(matched: &Matched, event: &Arc<Event>, now_ms: u64) -> Record {
    let state = if matched.source_is_routed {
        State::Dropped
    } else {
        State::Dead
    };
    let mut record = bare(0, "".into(), state, now_ms, event);
    if matched.source_is_routed {
        record.code = "no_match".to_owned();
        record.detail = "no route's `when` holds for it".to_owned();
        record.message = None;
    } else {
        record.code = "no_route".to_owned();
        record.detail = format!("no route takes events of source `{}`", event.source);
    }
    record
}

/// A record of something that has no sink yet. Dead ones keep the event as it came.
fn bare(ordinal: u32, route: Arc<str>, state: State, at_ms: u64, event: &Arc<Event>) -> Record {
    Record {
        ordinal,
        route,
        sink: "".into(),
        state,
        attempts: 0,
        at_ms,
        next_at_ms: 0,
        key_hash: None,
        code: String::new(),
        detail: String::new(),
        plugins: String::new(),
        message_id: event.id.to_string(),
        message: None,
        attempt: None,
    }
}

fn ordinal_of(position: usize) -> u32 {
    u32::try_from(position)
        .unwrap_or(u32::MAX)
        .saturating_mul(ORDINALS_PER_ROUTE)
}

/// The first 8 bytes of the key's SHA-256, as SQLite's kind of integer.
fn hash_of(key: &str) -> i64 {
    let digest = Sha256::digest(key.as_bytes());
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    i64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests;
