//! The figures as tables: for the terminal, and between the markers of `docs/performance.md`.

use std::fs;

use anyhow::{Context, Result};
use xtask::repository;

use super::job::Measured;
use crate::{
    step::{Step, say},
    table,
};

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";
/// Stages named for each job; the rest is `other`.
const STAGES_SHOWN: usize = 6;

/// Both tables, for a terminal.
pub(super) fn text(results: &[Measured]) -> String {
    format!(
        "{}\nCPU by stage (microseconds per event):\n{}",
        table::aligned(&figures(results)),
        table::aligned(&stages(results))
    )
}

/// Writes the tables into `docs/performance.md`.
///
/// # Errors
/// If the page cannot be read or written, or has lost its markers.
pub(super) fn write(results: &[Measured], parts: &[[String; 4]], seconds: u64) -> Result<()> {
    let path = repository::root().join("docs/performance.md");
    let page =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let content = format!(
        "{}\n\nEach load lasts {seconds} s.\n\n{}\nCPU by stage, microseconds per event (threads of the host, by name):\n\n{}\nParts alone (`cargo bench --bench parts`), medians:\n\n{}",
        machine(),
        table::markdown(&figures(results)),
        table::markdown(&stages(results)),
        table::markdown(parts)
    );
    fs::write(&path, replaced(&page, &content)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    say("written: docs/performance.md");
    Ok(())
}

fn replaced(page: &str, content: &str) -> Result<String> {
    let (before, rest) = page
        .split_once(BEGIN)
        .with_context(|| format!("docs/performance.md has no {BEGIN}"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("docs/performance.md has no {END}"))?;
    Ok(format!("{before}{BEGIN}\n{content}{END}{after}"))
}

fn figures(results: &[Measured]) -> Vec<[String; 10]> {
    let head = [
        "job",
        "load",
        "acknowledged/s",
        "of the bare server",
        "settled/s",
        "p50 ms",
        "p99 ms",
        "CPU us/event",
        "peak MiB",
        "refused",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for result in results {
        let ceiling = results.first().filter(|first| first.title != result.title);
        let ceiling = ceiling.and_then(|first| {
            results
                .iter()
                .find(|other| other.title == first.title && other.pace == result.pace)
        });
        let ratio = ceiling.map(|ceiling| {
            100.0 * result.acknowledged_per_second / ceiling.acknowledged_per_second
        });
        rows.push([
            result.title.to_owned(),
            result.pace.title(),
            format!("{:.0}", result.acknowledged_per_second),
            ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.0} %")),
            format!("{:.0}", result.settled_per_second),
            format!("{:.2}", result.p50_ms),
            format!("{:.2}", result.p99_ms),
            format!("{:.1}", result.cpu_us),
            format!("{:.0}", result.peak_mib),
            result.refused.to_string(),
        ]);
    }
    rows
}

fn stages(results: &[Measured]) -> Vec<[String; 3]> {
    let mut rows = vec![["job", "load", "stages"].map(str::to_owned)];
    for result in results {
        let (shown, rest) = result
            .stages_us
            .split_at(result.stages_us.len().min(STAGES_SHOWN));
        let mut told: Vec<String> = shown
            .iter()
            .map(|(name, cpu)| format!("{name} {cpu:.1}"))
            .collect();
        let other: f64 = rest.iter().map(|(_, cpu)| cpu).sum();
        if other >= 0.05 {
            told.push(format!("other {other:.1}"));
        }
        rows.push([
            result.title.to_owned(),
            result.pace.title(),
            told.join(", "),
        ]);
    }
    rows
}

/// Processor, cores, memory, system, compiler and commit.
fn machine() -> String {
    let field = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
    };
    let said = |step: Step| {
        step.read()
            .map_or("unknown".to_owned(), |text| text.trim().to_owned())
    };
    let processor =
        field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    format!(
        "Measured with `cargo xtask bench` at commit {} on {processor}, {cores} cores, {} GiB, {}, {}.",
        said(Step::new("git").args(["rev-parse", "--short", "HEAD"])),
        memory.map_or(0, |kib| kib.div_ceil(1 << 20)),
        said(Step::new("uname").arg("-sr")),
        said(Step::new("rustc").arg("--version")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        assert_eq!(
            replaced(&page, "new\n").unwrap(),
            format!("a\n{BEGIN}\nnew\n{END}\nb\n")
        );
        assert!(replaced("a", "new").is_err());
    }

    #[test]
    fn the_page_has_its_markers() {
        let page = fs::read_to_string(repository::root().join("docs/performance.md")).unwrap();
        replaced(&page, "").unwrap();
    }
}
