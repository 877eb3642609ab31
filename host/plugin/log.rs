//! A call's log lines: capped in number and size, made harmless, and handed to the host's log.
//!
//! The text of a secret that the guest was handed is masked. A guest that wants to give one away can still
//! spell it in another way; the mask is for those that do not want to.
//!
//! Lines go out under the target `plugin` with the plugin's name and the event's id as fields. What is
//! over the cap is counted and the count reported once, when the call ends.

use std::borrow::Cow;
use std::sync::Arc;

use tracing::Level;

use super::PluginSpec;
use super::limits::LOG_LINE_BYTES;
use crate::event::EventId;
use crate::secret::Secret;

/// The lines of one call.
#[derive(Debug)]
pub(super) struct Lines {
    spec: Arc<PluginSpec>,
    event: Option<EventId>,
    left: usize,
    dropped: u64,
    masks: Masks,
}

impl Lines {
    /// As many lines as `spec` allows its plugin, while it handles `event`.
    #[must_use]
    pub(super) fn new(spec: &Arc<PluginSpec>, event: Option<EventId>) -> Self {
        Self {
            spec: Arc::clone(spec),
            event,
            left: spec.limits.log_lines,
            dropped: 0,
            masks: Masks::default(),
        }
    }

    /// Masks these from here on.
    pub(super) fn mask(&mut self, masks: Masks) {
        self.masks = masks;
    }

    /// Logs a line, or counts it if there were enough.
    pub(super) fn write(&mut self, level: Level, text: &str) {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => {
                self.dropped = self.dropped.saturating_add(1);
                return;
            }
        }
        // The macro wants a level known when compiled.
        match level {
            Level::ERROR => self.emit(text, |plugin, event, line| {
                tracing::error!(target: "plugin", plugin, event, "{line}");
            }),
            Level::WARN => self.emit(text, |plugin, event, line| {
                tracing::warn!(target: "plugin", plugin, event, "{line}");
            }),
            Level::INFO => self.emit(text, |plugin, event, line| {
                tracing::info!(target: "plugin", plugin, event, "{line}");
            }),
            _ => self.emit(text, |plugin, event, line| {
                tracing::debug!(target: "plugin", plugin, event, "{line}");
            }),
        }
    }

    fn emit(&self, text: &str, emit: impl FnOnce(&str, &str, &str)) {
        let event = self.event.map(|id| id.to_string()).unwrap_or_default();
        let line = self.masks.apply(text);
        let line = one_line(&self.spec.config.hide_in(&line), LOG_LINE_BYTES);
        emit(&self.spec.name, &event, &line);
    }

    /// Counts lines that were lost elsewhere.
    pub(super) fn lost(&mut self, lines: u64) {
        self.dropped = self.dropped.saturating_add(lines);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if self.dropped > 0 {
            let dropped = self.dropped;
            self.emit("", |plugin, event, _| {
                tracing::warn!(target: "plugin", plugin, event, dropped, "the plugin logged more lines than `limits.log_lines` allows");
            });
        }
    }
}

/// Secrets whose text is not shown, beside those of the plugin's config.
#[derive(Clone, Debug, Default)]
pub(super) struct Masks(Arc<[Secret]>);

impl Masks {
    pub(super) fn new(secrets: impl Iterator<Item = Secret>) -> Self {
        let mut secrets: Vec<Secret> = secrets.collect();
        // The longest first: one may be the beginning of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self(secrets.into())
    }

    /// `text` without them.
    pub(super) fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        for secret in self.0.iter() {
            if let Cow::Owned(more) = secret.hide_in(&masked) {
                masked = Cow::Owned(more);
            }
        }
        masked
    }
}

/// `text` as one line of at most `most` bytes: control characters, with which a guest could forge
/// lines or steer a terminal, become spaces.
#[must_use]
pub(super) fn one_line(text: &str, most: usize) -> String {
    let end = text.floor_char_boundary(most);
    let kept = text.get(..end).unwrap_or_default();
    kept.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{Grants, Limits, OnError, PluginConfig};

    #[test]
    fn a_line_is_cut_at_a_character_and_has_no_control_characters() {
        let table = [
            ("plain", 100, "plain"),
            ("two\nlines\r\x1b[31m", 100, "two lines  [31m"),
            ("\u{85}\u{7f}\0", 100, "   "),
            ("grüße", 3, "gr"),
            ("grüße", 4, "grü"),
            ("", 0, ""),
        ];
        for (text, most, expected) in table {
            assert_eq!(one_line(text, most), expected, "{text:?}");
        }
    }

    #[test]
    fn secrets_are_masked_the_longest_first() {
        let secrets = ["abcdef", "abcdef-xyz", ""].map(Secret::new);
        let masks = Masks::new(secrets.into_iter());
        for (text, expected) in [
            ("nothing here", "nothing here"),
            ("an abcdef-xyz one", "an **** one"),
            ("abcdefabcdef", "********"),
        ] {
            assert_eq!(masks.apply(text), expected);
        }
    }

    #[test]
    fn lines_over_the_cap_are_counted() {
        let spec = PluginSpec {
            name: "p".into(),
            component: "p.wasm".into(),
            config: PluginConfig::default(),
            limits: Limits {
                log_lines: 2,
                ..Limits::default()
            },
            grants: Grants::default(),
            on_error: OnError::default(),
        };
        let mut lines = Lines::new(&Arc::new(spec), None);
        for _ in 0..5 {
            lines.write(Level::INFO, "x");
        }
        lines.lost(4);
        assert_eq!((lines.left, lines.dropped), (0, 7));
    }
}
