//! What every sink must do, whatever it speaks.
//!
//! A [`Rig`] is a sink's real counterpart: it makes sinks that go there, says what arrived, and can be
//! stopped and started. Each check takes a rig and nothing else.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use hookswitch::event::EventId;
use hookswitch::sink::{Class, Delivery, Sink};
use tokio::time::{Instant, timeout};

use super::{TIMEOUT, delivery};

/// A sink that cannot work, and the code that it must say so with.
pub(super) type Faulty = (Arc<dyn Sink>, &'static str);

#[async_trait]
pub(super) trait Rig: Send + Sync {
    /// A sink that goes to the counterpart.
    fn sink(&self, timeout: Duration) -> Arc<dyn Sink>;

    /// The ids of all messages that the counterpart has, once or more; at least these within a minute.
    async fn arrived(&self, at_least: &BTreeSet<String>) -> BTreeSet<String>;

    /// A sink that somebody must configure differently.
    async fn misconfigured(&self) -> Faulty;

    /// A sink whose counterpart accepts everything and says nothing, and what must live as long.
    async fn silent(&self, timeout: Duration) -> (Arc<dyn Sink>, Box<dyn Any + Send>);

    /// A message that the counterpart will never take, and the code; `None` where it takes everything.
    fn unacceptable(&self) -> Option<(Delivery, &'static str)>;

    /// Ends the counterpart, as hard as it gets.
    async fn stop(&mut self);

    /// Starts it again with what it had stored.
    async fn start(&mut self);
}

fn deliveries(count: usize) -> Vec<Delivery> {
    // The first word is what the RabbitMQ rig binds its queue for.
    let prefix = format!("m.{}", EventId::now());
    (0..count)
        .map(|n| delivery(&format!("{prefix}.{n}")))
        .collect()
}

fn ids<'d>(deliveries: impl IntoIterator<Item = &'d Delivery>) -> BTreeSet<String> {
    deliveries
        .into_iter()
        .map(|d| d.message_id.clone())
        .collect()
}

/// Many at once are each confirmed, and are there.
pub(super) async fn confirms_what_arrived(rig: &dyn Rig) {
    let sink = rig.sink(TIMEOUT);
    let sent = deliveries(500);
    for outcome in join_all(sent.iter().map(|d| sink.deliver(d))).await {
        assert!(!outcome.unwrap().code.is_empty());
    }
    let arrived = rig.arrived(&ids(&sent)).await;
    assert!(ids(&sent).is_subset(&arrived));
    sink.close().await;
}

/// A message that will never be taken fails alone: what travels with it arrives.
pub(super) async fn refuses_only_the_unacceptable(rig: &dyn Rig) {
    let Some((bad, code)) = rig.unacceptable() else {
        return;
    };
    let sink = rig.sink(TIMEOUT);
    let good = deliveries(60);
    let (before, after) = good.split_at(30);
    let all = before.iter().chain([&bad]).chain(after);
    for (delivery, outcome) in
        join_all(all.map(|d| sink.deliver(d).map(move |outcome| (d, outcome)))).await
    {
        match outcome {
            Ok(_) => assert_ne!(delivery.message_id, bad.message_id),
            Err(error) => {
                assert_eq!(delivery.message_id, bad.message_id, "{error}");
                assert_eq!((error.class, error.code.as_str()), (Class::Permanent, code));
            }
        }
    }
    assert!(!rig.arrived(&ids(&good)).await.contains(&bad.message_id));
    sink.close().await;
}

/// What only an operator can mend is said to be that, in time.
pub(super) async fn tells_a_configuration_error(rig: &dyn Rig) {
    let (sink, code) = rig.misconfigured().await;
    let error = sink.deliver(&delivery("m")).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_str()),
        (Class::Configuration, code),
        "{error}"
    );
    sink.close().await;
}

/// Silence ends in a transient error before the caller's own timeout would end it.
pub(super) async fn times_out_by_itself(rig: &dyn Rig) {
    let limit = Duration::from_secs(3);
    let (sink, guard) = rig.silent(limit).await;
    let sent = deliveries(3);
    let attempts = join_all(sent.iter().map(|d| sink.deliver(d)));
    for outcome in timeout(limit, attempts)
        .await
        .expect("later than its timeout")
    {
        let error = outcome.unwrap_err();
        assert_eq!(error.class, Class::Transient, "{error}");
    }
    drop(guard);
    timeout(TIMEOUT, sink.close()).await.expect("closing hangs");
}

/// Deliveries may be dropped at any point; the sink goes on.
pub(super) async fn survives_cancelled_deliveries(rig: &dyn Rig) {
    let sink = rig.sink(TIMEOUT);
    let cancelled = deliveries(200);
    for (n, delivery) in (0_u64..).zip(&cancelled) {
        // From never polled twice to well under way.
        let limit = Duration::from_micros(50 * (n % 40));
        let _ = timeout(limit, sink.deliver(delivery)).await;
    }
    let sent = deliveries(100);
    for outcome in join_all(sent.iter().map(|d| sink.deliver(d))).await {
        outcome.unwrap();
    }
    assert!(ids(&sent).is_subset(&rig.arrived(&ids(&sent)).await));
    sink.close().await;
}

/// Closing while deliveries are dropped in mid-flight ends in time, and what was confirmed is there.
pub(super) async fn closes_with_deliveries_in_flight(rig: &dyn Rig) {
    let sink = rig.sink(TIMEOUT);
    let sent = deliveries(300);
    let mut attempts: FuturesUnordered<_> = sent
        .iter()
        .map(|d| sink.deliver(d).map(move |outcome| (d, outcome)))
        .collect();
    let mut confirmed = BTreeSet::new();
    while confirmed.len() < 20 {
        let (delivery, outcome) = attempts.next().await.unwrap();
        outcome.unwrap();
        confirmed.insert(delivery.message_id.clone());
    }
    drop(attempts);
    timeout(TIMEOUT, sink.close()).await.expect("closing hangs");
    assert!(confirmed.is_subset(&rig.arrived(&confirmed).await));
}

/// The counterpart dies under load and comes back: no error is permanent or needs an operator, and each
/// message that was confirmed, before or after, is there.
pub(super) async fn reconnects(rig: &mut dyn Rig) {
    let sink = rig.sink(Duration::from_secs(5));
    let sent = deliveries(400);
    let deadline = Instant::now() + Duration::from_secs(180);
    let confirmed = async {
        let (mut failures, mut last) = (0, None);
        for chunk in sent.chunks(20) {
            let mut left: Vec<_> = chunk.iter().collect();
            while !left.is_empty() {
                assert!(Instant::now() < deadline, "never came back: {last:?}");
                let outcomes = join_all(left.iter().map(|d| sink.deliver(d))).await;
                left = left
                    .into_iter()
                    .zip(outcomes)
                    .filter_map(|(delivery, outcome)| match outcome {
                        Ok(_) => None,
                        Err(error) => {
                            assert_eq!(error.class, Class::Transient, "{error}");
                            failures += 1;
                            last = Some(error);
                            Some(delivery)
                        }
                    })
                    .collect();
                // The pace of a worker that backs off.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        failures
    };
    let restart = async {
        rig.stop().await;
        // An attempt while it is away.
        let error = rig
            .sink(Duration::from_secs(2))
            .deliver(&delivery("m"))
            .await
            .unwrap_err();
        assert_eq!(error.class, Class::Transient, "{error}");
        rig.start().await;
    };
    let (failures, ()) = tokio::join!(confirmed, restart);
    eprintln!("{failures} attempts failed while it was away");
    assert!(ids(&sent).is_subset(&rig.arrived(&ids(&sent)).await));
    sink.close().await;
}

/// A listener that accepts and never answers; gives its port.
pub(super) async fn mute() -> (u16, Box<dyn Any + Send>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut held = tokio::task::JoinSet::new();
    held.spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            streams.push(stream);
        }
    });
    (port, Box::new(held))
}

/// Makes a test of each check that needs no restart.
macro_rules! compliance_suite {
    ($rig:expr) => {
        compliance_suite! { $rig =>
            confirms_what_arrived,
            refuses_only_the_unacceptable,
            tells_a_configuration_error,
            times_out_by_itself,
            survives_cancelled_deliveries,
            closes_with_deliveries_in_flight,
        }
    };
    ($rig:expr => $($check:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                if let Some(rig) = $rig.await {
                    super::compliance::$check(&rig).await;
                }
            }
        )*
    };
}
pub(super) use compliance_suite;
