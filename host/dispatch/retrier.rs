//! Retrier: runs routes again for what waits for plugins and not for a sink.
//!
//! That is a pending record without a sink: a plugin asked to be called again, or an operator replayed a
//! dead letter that had come to no message. A pass that comes to messages replaces the record by their
//! deliveries, all on record before the first is offered.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::plan::{self, Plan, RoutePass};
use super::{Dispatcher, chain};
use crate::clock::unix_ms;
use crate::config;
use crate::delivery::Progress;
use crate::generation::Generation;
use crate::journal::{JournalError, PendingDelivery, Record, State};
use crate::route::Matched;

/// How often to look; plugins ask for seconds, not milliseconds.
const POLL: Duration = Duration::from_millis(500);
/// Passes at a time.
const BATCH: usize = 32;

pub(super) async fn run(dispatcher: Dispatcher, stop: CancellationToken) {
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = poll.tick() => {}
            () = stop.cancelled() => return,
        }
        // A full batch has more behind it; what fails to be recorded waits for the next look.
        while !stop.is_cancelled() {
            match batch(&dispatcher).await {
                Ok(passes) if passes == BATCH => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::error!(%error, "running routes again failed");
                    break;
                }
            }
        }
    }
}

/// Runs what is due; returns how many there were.
async fn batch(dispatcher: &Dispatcher) -> Result<usize, JournalError> {
    let rows = dispatcher.journal.due("", unix_ms(), BATCH).await?;
    let count = rows.len();
    let passes = rows.into_iter().map(|row| again(dispatcher, row));
    // Each to its end, whatever becomes of the others: what is on record has to be offered.
    let ended = futures_util::future::join_all(passes).await;
    ended.into_iter().collect::<Result<(), _>>()?;
    Ok(count)
}

async fn again(dispatcher: &Dispatcher, row: PendingDelivery) -> Result<(), JournalError> {
    let generation = dispatcher.current.load();
    let matched = generation.routes.matching(&row.event);
    let plan = if row.record.route.is_empty() {
        all_routes(dispatcher, &generation, &row, &matched).await
    } else {
        match route_of(&generation, &row, &matched) {
            Ok(route) => one_route(dispatcher, &generation, &row, &matched, route).await?,
            Err(ended) => {
                let ended = *ended;
                if ended.state == State::Dead {
                    dispatcher.metrics.dead_lettered("", &ended.code);
                }
                Plan {
                    deliveries: Vec::new(),
                    records: vec![ended],
                }
            }
        }
    };
    let Plan {
        deliveries,
        records,
    } = plan;
    let mut all = records;
    let deliveries: Vec<_> = deliveries.into_iter().map(Arc::new).collect();
    all.extend(deliveries.iter().map(|delivery| super::held(delivery)));
    dispatcher.settle_all(row.seq, all).await?;
    let progress = Arc::new(Progress::recorded(row.seq));
    dispatcher.offer_all(deliveries, progress, None).await;
    Ok(())
}

/// The route that the record waits for, or the record's end if it can have none.
fn route_of(
    generation: &Generation,
    row: &PendingDelivery,
    matched: &Matched,
) -> Result<Arc<config::Route>, Box<Record>> {
    let dead = |code: &str, detail: String| {
        Box::new(Record {
            state: State::Dead,
            at_ms: unix_ms(),
            next_at_ms: 0,
            code: code.to_owned(),
            detail,
            ..row.record.clone()
        })
    };
    let name = &row.record.route;
    let Some(route) = generation.route(name) else {
        let detail = format!("route `{name}` is no longer configured");
        return Err(dead("route_gone", detail));
    };
    // Only what the filter kept from the plugins has to pass it now: a plugin's retry has passed it.
    if row.record.code == plan::FILTER_FAILED {
        if let Some((_, why)) = matched
            .failed
            .iter()
            .find(|(failed, _)| failed.name == *name)
        {
            let detail = format!("`when` could not be evaluated: {why}");
            return Err(dead(plan::FILTER_FAILED, detail));
        }
        if !matched.routes.iter().any(|route| route.name == *name) {
            return Err(Box::new(plan::unmatched(row, unix_ms())));
        }
    }
    Ok(route)
}

async fn one_route(
    dispatcher: &Dispatcher,
    generation: &Generation,
    row: &PendingDelivery,
    matched: &Matched,
    route: Arc<config::Route>,
) -> Result<Plan, JournalError> {
    let attempt = row.record.attempts.saturating_add(1);
    let plugins = generation.chain(&route);
    let passed = chain::run(&plugins, &row.event, attempt, &dispatcher.metrics).await;
    let pass = RoutePass { route, passed };
    let mut plan = plan::replan(row, matched, pass, unix_ms(), fastrand::f64());
    let others = others(dispatcher, row).await?;
    plan::keep_apart(&row.event, &mut plan.deliveries, &others);
    Ok(plan)
}

/// For an event that no route took when it was planned.
async fn all_routes(
    dispatcher: &Dispatcher,
    generation: &Generation,
    row: &PendingDelivery,
    matched: &Matched,
) -> Plan {
    let passes = dispatcher.pass(generation, &row.event, matched).await;
    let (now_ms, random) = (unix_ms(), fastrand::f64());
    plan::plan(row.seq, &row.event, matched, passes, now_ms, random)
}

/// Sink and message id of the event's other deliveries.
async fn others(
    dispatcher: &Dispatcher,
    row: &PendingDelivery,
) -> Result<Vec<(Arc<str>, String)>, JournalError> {
    let found = dispatcher.journal.event(row.event.id).await?;
    let deliveries = found.into_iter().flat_map(|event| event.deliveries);
    Ok(deliveries
        .map(|delivery| delivery.record)
        .filter(|record| record.ordinal != row.record.ordinal && !record.sink.is_empty())
        .map(|record| (record.sink, record.message_id))
        .collect())
}
