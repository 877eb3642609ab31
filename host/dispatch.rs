//! Dispatch: from the journal through routes and plugins to the sinks' workers.
//!
//! The order of stages for each event: match routes -> run each route's plugin chain -> plan
//! deliveries -> (wait for the events before it, on routes that name a key) -> offer to workers.
//!
//! Invariants: an event is only ever finished by a record in the journal; what is in memory is bounded
//! by [`WEIGHT_MAX`]; one slow or failing event holds up no other, except that events of a route with a
//! key reach the workers in the journal's order. Knows journal, plugins and workers, and no protocol.

pub mod chain;
pub mod plan;
mod retrier;
mod sequence;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::unix_ms;
use crate::delivery::Offer;
use crate::delivery::{self, Progress};
use crate::event::Event;
use crate::generation::{Current, Generation};
use crate::journal::{HELD_IN_MEMORY, Journal, JournalError, Record, Seq, State, StoredEvent};
use crate::metrics::Metrics;
use crate::route::Matched;
use crate::sink::Delivery;

use plan::{Plan, RoutePass};
use sequence::{Sequencer, Turn};

/// What may be in memory between the journal and the sinks, in units of [`WEIGHT_UNIT`]: 64 MiB of
/// bodies, or 4096 events.
const WEIGHT_MAX: usize = 4096;
/// Bytes of body that count as one more unit.
const WEIGHT_UNIT: usize = 16 * 1024;
/// Events read from the journal at a time.
const BATCH: usize = 128;
/// Pause after the journal failed to answer.
const READ_AGAIN: Duration = Duration::from_millis(500);
/// Pause before an offer is made to the next worker of a sink that is being replaced.
const OFFER_AGAIN: Duration = Duration::from_millis(10);

/// What dispatch works on.
#[derive(Clone)]
pub struct Dispatcher {
    /// Where events come from, and where their ends are written.
    pub journal: Arc<dyn Journal>,
    /// The running generation.
    pub current: Arc<Current>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl Dispatcher {
    /// Runs until `stop`, then lets the events in hand reach their workers.
    pub async fn run(self, stop: CancellationToken) {
        let weight = Arc::new(Semaphore::new(WEIGHT_MAX));
        let tasks = TaskTracker::new();
        let retrier = tokio::spawn(retrier::run(self.clone(), stop.clone()));
        let mut sequencer = Sequencer::default();
        loop {
            let batch = tokio::select! {
                batch = self.journal.next(BATCH) => batch,
                () = stop.cancelled() => break,
            };
            match batch {
                Ok(events) => {
                    for stored in events {
                        let Some(share) = take_share(&weight, &stored.event).await else {
                            return;
                        };
                        let generation = self.current.load();
                        let turn = sequencer.turn(generation.keyed_routes(&stored.event.source));
                        let this = self.clone();
                        tasks.spawn(async move {
                            this.event(stored, generation, turn, share).await;
                        });
                    }
                }
                Err(JournalError::Closed) => break,
                Err(error) => {
                    tracing::error!(%error, "reading events from the journal failed");
                    tokio::time::sleep(READ_AGAIN).await;
                }
            }
        }
        tasks.close();
        tasks.wait().await;
        retrier.await.ok();
    }

    /// One event, from match to offer.
    async fn event(
        &self,
        stored: StoredEvent,
        generation: Arc<Generation>,
        turn: Turn,
        share: OwnedSemaphorePermit,
    ) {
        let StoredEvent { seq, event } = stored;
        let matched = generation.routes.matching(&event);
        let passes = self.pass(&generation, &event, &matched).await;
        let plan = plan::plan(seq, &event, &matched, passes, unix_ms(), fastrand::f64());
        self.count(&plan);
        turn.wait().await;
        self.carry_out(seq, plan, Some(Arc::new(share))).await;
        // The next event of a route with a key may go to the workers now.
        drop(turn);
    }

    /// Runs the event through the plugins of each matched route.
    async fn pass(
        &self,
        generation: &Generation,
        event: &Arc<Event>,
        matched: &Matched,
    ) -> Vec<RoutePass> {
        let mut passes = Vec::with_capacity(matched.routes.len());
        for route in &matched.routes {
            let plugins = generation.chain(route);
            let passed = chain::run(&plugins, event, 1, &self.metrics).await;
            passes.push(RoutePass {
                route: route.clone(),
                passed,
            });
        }
        passes
    }

    /// Offers a delivery that stands in the journal as held in memory; `share` is its part of whatever bound
    /// the caller keeps.
    pub(crate) async fn offer_held(&self, delivery: Delivery, share: OwnedSemaphorePermit) {
        let progress = Arc::new(Progress::recorded(delivery.seq));
        let share = Some(Arc::new(share));
        self.offer_all(vec![Arc::new(delivery)], progress, share)
            .await;
    }

    /// Writes what has ended, and offers the rest.
    async fn carry_out(&self, seq: Seq, plan: Plan, share: Option<Arc<OwnedSemaphorePermit>>) {
        let Plan {
            deliveries,
            records,
        } = plan;
        let deliveries: Vec<Arc<Delivery>> = deliveries.into_iter().map(Arc::new).collect();
        let waits = records.iter().any(|record| record.state == State::Pending);
        let progress = if deliveries.is_empty() || waits {
            // Something waits already, so all of it has to be on record before anything is sent.
            let mut all = records;
            all.extend(deliveries.iter().map(|delivery| held(delivery)));
            self.settle(seq, all).await;
            Progress::recorded(seq)
        } else {
            Progress::new(seq, deliveries.clone(), records)
        };
        self.offer_all(deliveries, Arc::new(progress), share).await;
    }

    /// Offers to all sinks at once, so that a full queue delays only its own sink's share.
    async fn offer_all(
        &self,
        deliveries: Vec<Arc<Delivery>>,
        progress: Arc<Progress>,
        share: Option<Arc<OwnedSemaphorePermit>>,
    ) {
        let offers = deliveries.into_iter().map(|delivery| {
            self.offer(Offer {
                delivery,
                progress: progress.clone(),
                event: share.clone(),
                recorded: false,
            })
        });
        futures_util::future::join_all(offers).await;
    }

    async fn offer(&self, mut offer: Offer) {
        loop {
            let generation = self.current.load();
            let Some(worker) = generation.sinks.get(&offer.delivery.sink) else {
                let mut record = delivery::record(&offer.delivery, State::Dead, unix_ms());
                record.code = "sink_gone".to_owned();
                record.detail = format!("sink `{}` is no longer configured", record.sink);
                self.metrics.dead_lettered(&record.sink, &record.code);
                let queued = offer.progress.report(record, unix_ms(), |settlement| {
                    let mut settle = self.settle(settlement.seq, settlement.records).boxed();
                    // The first poll queues it.
                    let settled = (&mut settle).now_or_never();
                    (settle, settled)
                });
                if let Some((settle, None)) = queued {
                    settle.await;
                }
                return;
            };
            match worker.handle.offer(offer).await {
                Ok(()) => return,
                // The worker is being replaced by a reload; the next generation has the new one.
                Err(refused) => offer = refused,
            }
            tokio::time::sleep(OFFER_AGAIN).await;
        }
    }

    async fn settle(&self, seq: Seq, records: Vec<Record>) {
        if let Err(error) = self.settle_all(seq, records).await {
            tracing::error!(seq, %error, "recording the end of an event failed; it will be handled again after a restart");
        }
    }

    async fn settle_all(&self, seq: Seq, records: Vec<Record>) -> Result<(), JournalError> {
        let settlement = crate::journal::Settlement {
            seq,
            records,
            planned: true,
        };
        self.journal.settle(settlement).await
    }

    fn count(&self, plan: &Plan) {
        for delivery in &plan.deliveries {
            self.metrics.dispatched(&delivery.route, "planned");
        }
        for record in &plan.records {
            self.metrics
                .dispatched(&record.route, record.state.as_str());
            if record.state == State::Dead {
                self.metrics.dead_lettered(&record.sink, &record.code);
            }
        }
    }
}

/// The pending record of a delivery that is about to be offered.
fn held(delivery: &Delivery) -> Record {
    let mut record = delivery::record(delivery, State::Pending, unix_ms());
    record.next_at_ms = HELD_IN_MEMORY;
    record
}

/// The event's share of the memory bound; waits for room.
async fn take_share(weight: &Arc<Semaphore>, event: &Event) -> Option<OwnedSemaphorePermit> {
    let units = (1 + event.body.len() / WEIGHT_UNIT).min(WEIGHT_MAX);
    let units = u32::try_from(units).unwrap_or(u32::MAX);
    weight.clone().acquire_many_owned(units).await.ok()
}
