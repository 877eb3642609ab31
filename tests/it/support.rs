//! What the end-to-end tests share: a real host process, an HTTP sink that keeps a record, a sender.

pub(crate) mod host;
pub(crate) mod https;
pub(crate) mod receiver;
pub(crate) mod sender;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Patience for things that take milliseconds on a good day, on a machine that has a bad one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `probe` gives something. Fails the test after `patience`, saying what it waited for.
pub(crate) async fn eventually<T>(
    what: &str,
    patience: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The component of one of our plugins, as `cargo xtask plugins` built it.
pub(crate) fn plugin(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("plugins").join(format!("{name}.wasm"));
    assert!(
        path.is_file(),
        "{} is missing: run `cargo xtask plugins`",
        path.display()
    );
    path
}
