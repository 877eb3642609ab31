//! Sweep: deliveries that wait for a sink which no generation has any more go to the dead letters.
//!
//! A sink that a reload removed may still be ending; what it holds in memory is not due and is left to it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Current;
use crate::clock::unix_ms;
use crate::journal::{Journal, JournalError, Settlement, State};
use crate::metrics::Metrics;

/// How often to look.
const EVERY: Duration = Duration::from_secs(15);
/// Deliveries at a time.
const BATCH: usize = 256;

/// Sweeps now and then, until `stop`.
pub async fn run(
    journal: Arc<dyn Journal>,
    current: Arc<Current>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = once(journal.as_ref(), &current, &metrics).await {
            tracing::error!(%error, "looking for deliveries without a sink failed");
        }
    }
}

async fn once(
    journal: &dyn Journal,
    current: &Current,
    metrics: &Metrics,
) -> Result<(), JournalError> {
    for name in journal.pending_sinks().await? {
        // Without a name it waits for a plugin, not for a sink.
        while !name.is_empty() && !current.load().sinks.contains_key(name.as_str()) {
            // Due or not, except what is held in memory.
            let any_time = u64::try_from(i64::MAX - 1).unwrap_or(u64::MAX);
            let rows = journal.due(&name, any_time, BATCH).await?;
            if rows.is_empty() {
                break;
            }
            tracing::warn!(sink = %name, deliveries = rows.len(), "sink is no longer configured: its waiting deliveries go to the dead letters");
            for row in rows {
                let mut record = row.record;
                record.state = State::Dead;
                record.at_ms = unix_ms();
                record.next_at_ms = 0;
                record.code = "sink_gone".to_owned();
                record.detail = format!("sink `{name}` is no longer configured");
                record.message = None;
                record.attempt = None;
                metrics.dead_lettered(&name, &record.code);
                let settlement = Settlement {
                    seq: row.seq,
                    records: vec![record],
                    planned: true,
                };
                journal.settle(settlement).await?;
            }
        }
    }
    Ok(())
}
