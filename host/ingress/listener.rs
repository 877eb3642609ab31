//! Listener: takes connections, at most so many, until told to stop; then lets them end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::Deps;
use super::connection;
use super::request::Door;
use crate::shutdown::Shutdown;

/// Pause after a failed accept, which is most often the process's limit of open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound address.
#[derive(Debug)]
pub struct Listener(pub(crate) TcpListener);

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Serves webhooks. Returns after `shutdown` began draining and all connections have ended, or were cut
/// because its deadline passed. Once it has returned nothing is appended any more on HTTP/1.1; an HTTP/2
/// stream that was cut may still finish its append, unanswered, as a sender's own timeout would leave it.
pub async fn serve(listener: Listener, deps: Arc<Deps>, shutdown: Shutdown) {
    let room = Arc::new(Semaphore::new(deps.limits.connections_max));
    let door = Arc::new(Door::new(deps, shutdown.clone()));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.draining() => break,
            Some(_) = connections.join_next() => {}
            (stream, peer, permit) = accept(&listener.0, &room) => {
                spawn(&mut connections, &door, &shutdown, (stream, peer, permit));
            }
        }
    }
    // Clients whose handshake the kernel completed already believe that they are connected.
    while let Ok(permit) = Arc::clone(&room).try_acquire_owned()
        && let Ok(Ok((stream, peer))) =
            tokio::time::timeout(Duration::ZERO, listener.0.accept()).await
    {
        spawn(&mut connections, &door, &shutdown, (stream, peer, permit));
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let ended = tokio::select! {
        () = all_ended => true,
        () = shutdown.cut() => false,
    };
    if ended {
        // What handshakes want fetched was promised by their answers.
        tokio::select! {
            () = door.confirmations.ended() => {}
            () = shutdown.cut() => {}
        }
        return;
    }
    tracing::warn!(
        open = connections.len(),
        "connections cut: the drain deadline passed"
    );
    connections.shutdown().await;
}

type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Accepted {
    loop {
        // First the room, then the connection: what there is no room for waits in the kernel's queue.
        let Ok(permit) = Arc::clone(room).acquire_owned().await else {
            return std::future::pending().await;
        };
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn spawn(
    connections: &mut JoinSet<()>,
    door: &Arc<Door>,
    shutdown: &Shutdown,
    (stream, peer, permit): Accepted,
) {
    // Answers are single small writes: waiting for more to send would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let door = Arc::clone(door);
    let drain = shutdown.drain_token().child_token();
    connections.spawn(async move {
        door.deps.metrics.connection_opened();
        let _closed = Closed(&door);
        connection::run(stream, peer, &door, drain).await;
        drop(permit);
    });
}

/// Counts a connection as closed however its task ends.
struct Closed<'d>(&'d Door);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.deps.metrics.connection_closed();
    }
}
