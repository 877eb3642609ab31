//! Retrier: calls plugins again that asked for it.
//!
//! What waits is a pending record without a sink; a pass that comes to messages replaces it by their
//! deliveries, all on record before the first is offered.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::plan::{self, Plan, RoutePass};
use super::{Dispatcher, chain};
use crate::clock::unix_ms;
use crate::delivery::Progress;
use crate::journal::{PendingDelivery, State};

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
        match dispatcher.journal.due("", unix_ms(), BATCH).await {
            Ok(rows) => {
                let passes = rows.into_iter().map(|row| again(&dispatcher, row));
                futures_util::future::join_all(passes).await;
            }
            Err(error) => tracing::error!(%error, "reading plugin retries failed"),
        }
    }
}

async fn again(dispatcher: &Dispatcher, row: PendingDelivery) {
    let generation = dispatcher.current.load();
    let matched = generation.routes.matching(&row.event);
    let Some(route) = generation.route(&row.record.route) else {
        let mut record = row.record;
        record.state = State::Dead;
        record.at_ms = unix_ms();
        record.next_at_ms = 0;
        record.code = "route_gone".to_owned();
        record.detail = format!("route `{}` is no longer configured", record.route);
        dispatcher.metrics.dead_lettered("", &record.code);
        dispatcher.settle(row.seq, vec![record]).await;
        return;
    };
    let attempt = row.record.attempts.saturating_add(1);
    let plugins = generation.chain(&route);
    let passed = chain::run(&plugins, &row.event, attempt, &dispatcher.metrics).await;
    let Plan {
        deliveries,
        records,
    } = plan::replan(
        &row,
        &matched,
        RoutePass { route, passed },
        unix_ms(),
        fastrand::f64(),
    );
    let mut all = records;
    let deliveries: Vec<_> = deliveries.into_iter().map(Arc::new).collect();
    all.extend(deliveries.iter().map(|delivery| super::held(delivery)));
    dispatcher.settle(row.seq, all).await;
    let progress = Arc::new(Progress::recorded(row.seq));
    dispatcher.offer_all(deliveries, progress, None).await;
}
