//! Advice on a source that works, and could be safer or will stop working.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Reading;
use crate::clock;
use crate::config::diagnostic::Diagnostic;
use crate::config::read::Table;
use crate::provider::Preset;
use crate::verify::{Params, Verifier};

/// A certificate that ends within this time is warned of: 30 days.
const SOON_S: i64 = 30 * 24 * 60 * 60;

impl Reading<'_> {
    /// Warns of parameters whose absence lets somebody else pass for the sender.
    pub(super) fn advise(&self, table: &Table<'_>, preset: Option<&Preset>, params: &Params) {
        for (name, why) in preset.iter().flat_map(|preset| &preset.advice) {
            if !params.values.contains_key(name) {
                let message = format!("this source does without the parameter `{name}`");
                self.push(
                    Diagnostic::warning("unbound_source", message)
                        .at(table.span_of("provider"))
                        .hint(why.clone()),
                );
            }
        }
    }

    /// Warns of configured certificates that are not valid today, or soon will not be.
    pub(super) fn check_dates(&self, table: &Table<'_>, verifier: &Verifier) {
        let now_s = i64::try_from(clock::unix_ms() / 1000).unwrap_or(i64::MAX);
        // A certificate can stand there for several algorithms.
        let dates: BTreeSet<(i64, i64)> = verifier.key_dates().collect();
        for (from_s, until_s) in dates {
            let message = if now_s < from_s {
                format!("a key of this source is not valid before {}", day(from_s))
            } else if now_s > until_s {
                format!("a key of this source was valid until {}", day(until_s))
            } else if until_s - now_s < SOON_S {
                format!("a key of this source is valid until {}", day(until_s))
            } else {
                continue;
            };
            self.push(
                Diagnostic::warning("key_out_of_date", message)
                    .at(table.span_of("secrets"))
                    .hint("ask the sender for the next one; both may stand in the list"),
            );
        }
    }
}

fn day(unix_s: i64) -> String {
    Timestamp::from_second(unix_s).map_or_else(
        |_| unix_s.to_string(),
        |time| time.strftime("%Y-%m-%d").to_string(),
    )
}
