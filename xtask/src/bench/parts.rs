//! The parts of an event's way alone: `cargo bench --bench parts`, whose estimates are read from its folder.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;
use xtask::repository;

use crate::step::Step;

/// What is measured, and the measurement that it is a multiple of.
const PARTS: [(&str, &str, &str); 8] = [
    (
        "verify/bare-hmac",
        "verify/bare-hmac",
        "HMAC-SHA256 of 1 KiB",
    ),
    (
        "verify/preset/github",
        "verify/bare-hmac",
        "verify `github`",
    ),
    ("verify/preset/didit", "verify/bare-hmac", "verify `didit`"),
    (
        "verify/preset/stripe",
        "verify/bare-hmac",
        "verify `stripe`",
    ),
    (
        "verify/preset/standard-webhooks",
        "verify/bare-hmac",
        "verify `standard-webhooks`",
    ),
    (
        "plugin/native",
        "plugin/native",
        "edit of 1 KiB JSON in the host",
    ),
    (
        "plugin/fresh",
        "plugin/native",
        "the same by a plugin, fresh instance",
    ),
    (
        "plugin/fresh-two-threads",
        "plugin/fresh",
        "the same from two threads, time per call",
    ),
];

/// Measures, and gives a table: part, microseconds, baseline, ratio.
///
/// # Errors
/// If the benchmark fails or left no estimate.
pub(super) fn measure() -> Result<Vec<[String; 4]>> {
    Step::cargo()
        .args(["bench", "--bench", "parts", "--", "--quiet"])
        .run()?;
    let mut rows = vec![["part", "us", "of", "ratio"].map(str::to_owned)];
    for (name, baseline, title) in PARTS {
        let (part_us, baseline_us) = (median_us(name)?, median_us(baseline)?);
        let (of, ratio) = if name == baseline {
            (String::new(), String::new())
        } else {
            let title = PARTS.iter().find(|(other, ..)| *other == baseline);
            (
                title.map_or(baseline, |(.., title)| title).to_owned(),
                format!("{:.2}", part_us / baseline_us),
            )
        };
        rows.push([title.to_owned(), format!("{part_us:.2}"), of, ratio]);
    }
    Ok(rows)
}

fn median_us(name: &str) -> Result<f64> {
    let path = repository::target()
        .join("criterion")
        .join(name)
        .join("new/estimates.json");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let estimates: Value = serde_json::from_str(&text)?;
    let nanoseconds = estimates
        .pointer("/median/point_estimate")
        .and_then(Value::as_f64);
    Ok(nanoseconds.with_context(|| format!("no median in {}", path.display()))? / 1e3)
}
