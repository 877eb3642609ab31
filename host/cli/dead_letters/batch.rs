//! Batch: an act on many dead letters, a part at a time, at a bounded rate.
//!
//! Each part is durable when the server answers it, and what was changed is no longer dead: a batch that was
//! cut off is simply run again. Letters that die again meanwhile are left alone, because the batch takes only
//! those that were dead when it began, and never more than there were then.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use http::StatusCode;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use tokio::time::Instant;

use super::filter::{Filter, Id};
use crate::admin::client;
use crate::admin::query::ACT_LIMIT_MAX;
use crate::admin::view::dead::Page;
use crate::cli::remote::{Connection, Got, Target, exit_code, fetch, no_answer, problem};

/// Parts in a second at a bounded rate: often enough to be even, seldom enough to cost little.
const PARTS_PER_SECOND: f64 = 10.0;
/// How often a part is tried again while the server is busy with earlier ones.
const BUSY_TRIES_MAX: u32 = 120;
/// Pause before that.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// Dead letters in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate(f64);

/// A text that is no [`Rate`].
#[derive(Debug, thiserror::Error)]
#[error("a rate is a number above 0, in a second (50 or 50/s) or in a minute (30/m)")]
pub(super) struct BadRate;

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        let (number, seconds) = match text.rsplit_once('/') {
            None => (text, 1.0),
            Some((number, "s")) => (number, 1.0),
            Some((number, "m")) => (number, 60.0),
            Some(_) => return Err(BadRate),
        };
        let number: f64 = number.parse().map_err(|_| BadRate)?;
        let rate = number / seconds;
        // Below one an hour it is a mistake; infinity is no number.
        if (1.0 / 3600.0..=1e6).contains(&rate) {
            Ok(Self(rate))
        } else {
            Err(BadRate)
        }
    }
}

impl Rate {
    /// Dead letters in one part.
    fn part(self) -> u32 {
        let part = (self.0 / PARTS_PER_SECOND).ceil();
        // At most the bound, so nothing is cut off.
        part.clamp(1.0, f64::from(ACT_LIMIT_MAX)) as u32
    }

    /// Time that so many take.
    fn time_of(self, count: u64) -> Duration {
        Duration::from_secs_f64(count as f64 / self.0)
    }
}

/// What is done to many.
pub(super) struct Batch<'b> {
    pub(super) connection: &'b Connection,
    /// `replay` or `discard`.
    pub(super) act: &'static str,
    /// `replayed` or `discarded`: the answer's word, and ours.
    pub(super) word: &'static str,
    pub(super) reason: Option<&'b str>,
    pub(super) actor: String,
    pub(super) rate: Option<Rate>,
}

impl Batch<'_> {
    /// Does it to those that the filter takes.
    pub(super) async fn filtered(&self, filter: &Filter) -> anyhow::Result<ExitCode> {
        let mut filter = filter.clone();
        if filter.until.is_none() {
            // Those that die again from now on are not for this batch.
            filter.until = Some(format!("{:.3}", jiff::Timestamp::now()));
        }
        let total = match count(self.connection, &filter).await? {
            Got::Value(total) => total,
            Got::Done(code) => return Ok(code),
        };
        let target = |limit: u32| {
            let path = format!("/dead-letters/{}", self.act);
            let target = filter.narrow(Target::new(path));
            let target = target.with("limit", &limit.to_string());
            target.maybe("reason", self.reason)
        };
        let bar = self.bar(total);
        let began = Instant::now();
        let mut done = 0;
        while done < total {
            let part = self.rate.map_or(ACT_LIMIT_MAX, Rate::part);
            let limit = u32::try_from(total - done).unwrap_or(u32::MAX).min(part);
            let changed = match self.post(target(limit).as_str()).await? {
                Got::Value(answer) => self.changed(&answer),
                Got::Done(code) => {
                    bar.abandon();
                    self.tell(done, total)?;
                    return Ok(code);
                }
            };
            if changed == 0 {
                break;
            }
            done += changed;
            bar.set_position(done);
            if let Some(rate) = self.rate {
                tokio::time::sleep_until(began + rate.time_of(done)).await;
            }
        }
        bar.finish_and_clear();
        self.tell(done, total)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Does it to those that are named.
    pub(super) async fn named(&self, ids: &[Id]) -> anyhow::Result<ExitCode> {
        let mut done = 0;
        let mut code = ExitCode::SUCCESS;
        let began = Instant::now();
        for id in ids {
            let act = self.act;
            let target = match id {
                Id::One(id) => Target::new(format!("/dead-letters/{id}/{act}")),
                Id::OfEvent(event) => {
                    let target = Target::new(format!("/dead-letters/{act}"));
                    target.with("event", &event.to_string())
                }
            };
            match self
                .post(target.maybe("reason", self.reason).as_str())
                .await?
            {
                Got::Value(answer) => {
                    done += self.changed(&answer);
                    let state = answer.get("state").and_then(Value::as_str);
                    if let (Some(state), Id::One(id)) = (state, id) {
                        writeln!(std::io::stderr(), "{id} is {state} already: nothing to do")?;
                    }
                }
                Got::Done(failed) => code = failed,
            }
            if let Some(rate) = self.rate {
                tokio::time::sleep_until(began + rate.time_of(done)).await;
            }
        }
        self.tell(done, done)?;
        Ok(code)
    }

    async fn post(&self, target: &str) -> anyhow::Result<Got<Value>> {
        let mut tries = 0;
        loop {
            let answer = match client::post(&self.connection.admin, target, &self.actor).await {
                Ok(answer) => answer,
                Err(error) => return Ok(Got::Done(no_answer(&error)?)),
            };
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let is_busy = body.pointer("/error/code").and_then(Value::as_str) == Some("busy");
            if is_busy && tries < BUSY_TRIES_MAX {
                tries += 1;
                tokio::time::sleep(BUSY_PAUSE).await;
                continue;
            }
            if answer.status != StatusCode::OK {
                let problem = problem(answer.status, &answer.body);
                writeln!(std::io::stderr(), "error: {problem}")?;
                return Ok(Got::Done(exit_code(answer.status)));
            }
            return Ok(Got::Value(body));
        }
    }

    /// How many an answer says were changed.
    fn changed(&self, answer: &Value) -> u64 {
        let ids = answer.get(self.word).and_then(Value::as_array);
        ids.map_or(0, |ids| ids.len() as u64)
    }

    fn bar(&self, total: u64) -> ProgressBar {
        let is_shown = std::io::stderr().is_terminal() && !self.connection.json;
        if !is_shown {
            return ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        }
        let bar = ProgressBar::new(total);
        let style = "{bar:40} {human_pos}/{human_len} {msg}, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.with_message(self.word)
    }

    fn tell(&self, done: u64, total: u64) -> anyhow::Result<()> {
        let left = total.saturating_sub(done);
        let mut out = std::io::stdout();
        if self.connection.json {
            let told = serde_json::json!({ self.word: done, "left": left });
            writeln!(out, "{told}")?;
            return Ok(());
        }
        let letters = if done == 1 {
            "dead letter"
        } else {
            "dead letters"
        };
        writeln!(out, "{} {done} {letters}", self.word)?;
        if left > 0 {
            writeln!(
                out,
                "{left} are left as they were: their sinks are not configured, or somebody else took them"
            )?;
        }
        Ok(())
    }
}

/// How many dead letters the filter takes.
pub(super) async fn count(connection: &Connection, filter: &Filter) -> anyhow::Result<Got<u64>> {
    let target = Target::new("/dead-letters").with("count", "true");
    let target = filter.narrow(target.with("limit", "1"));
    Ok(match fetch::<Page>(connection, target.as_str()).await? {
        Got::Value(page) => Got::Value(page.total.unwrap_or(0)),
        Got::Done(code) => Got::Done(code),
    })
}

/// Says how many it would be.
pub(super) async fn rehearse(
    connection: &Connection,
    filter: &Filter,
    word: &str,
) -> anyhow::Result<ExitCode> {
    let total = match count(connection, filter).await? {
        Got::Value(total) => total,
        Got::Done(code) => return Ok(code),
    };
    let mut out = std::io::stdout();
    if connection.json {
        writeln!(
            out,
            "{}",
            serde_json::json!({ "would_be": word, "count": total })
        )?;
    } else {
        writeln!(out, "{total} dead letters would be {word}")?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_rate_is_in_seconds_or_minutes() {
        for (text, expected) in [("50", 50.0), ("50/s", 50.0), ("30/m", 0.5), ("0.5", 0.5)] {
            assert_eq!(text.parse::<Rate>().unwrap(), Rate(expected), "{text}");
        }
        for wrong in ["", "0", "-1", "1/h", "inf", "NaN", "s"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts_are_small_at_a_low_rate_and_bounded_at_a_high_one() {
        for (rate, part) in [(0.5, 1), (10.0, 1), (11.0, 2), (50.0, 5), (1e6, 500)] {
            assert_eq!(Rate(rate).part(), part, "{rate}");
        }
        assert_eq!(Rate(50.0).time_of(100), Duration::from_secs(2));
    }
}
