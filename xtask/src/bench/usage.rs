//! CPU time and memory of a process, in total and by thread name. Linux only; elsewhere all is zero.

use std::{collections::BTreeMap, fs, path::Path};

/// What a process has used since it started, or between two looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage {
    /// User and system time of all threads, those that ended included.
    pub(super) cpu_us: u64,
    /// The same of living threads, by their names without numbers.
    pub(super) threads_us: BTreeMap<String, u64>,
    /// The most memory that was resident.
    pub(super) peak_kib: u64,
}

impl Usage {
    /// Looks at a process.
    pub(super) fn of(id: u32) -> Self {
        let folder = Path::new("/proc").join(id.to_string());
        let mut threads_us = BTreeMap::new();
        for entry in fs::read_dir(folder.join("task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            *threads_us.entry(stage(name.trim())).or_default() += cpu_us(&entry.path());
        }
        let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse()
                .ok()
        });
        Self {
            cpu_us: cpu_us(&folder),
            threads_us,
            peak_kib: peak.unwrap_or(0),
        }
    }

    /// What was used since an earlier look; the peak is that of the later one.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let threads = self.threads_us.iter().map(|(name, used)| {
            let before = earlier.threads_us.get(name).copied().unwrap_or(0);
            (name.clone(), used.saturating_sub(before))
        });
        Self {
            cpu_us: self.cpu_us.saturating_sub(earlier.cpu_us),
            threads_us: threads.collect(),
            peak_kib: self.peak_kib,
        }
    }
}

/// User and system time from a `stat` file, whose second field (the name, in brackets) may contain anything.
fn cpu_us(folder: &Path) -> u64 {
    let stat = fs::read_to_string(folder.join("stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    // Fields 14 and 15 of the file; the first after the name is the third.
    let ticks: u64 = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks.saturating_mul(1_000_000) / rustix::param::clock_ticks_per_second().max(1)
}

/// A thread's name without its number: `plugin-3` and `plugin-4` are one stage.
fn stage(name: &str) -> String {
    let name =
        name.trim_end_matches(|letter: char| letter.is_ascii_digit() || "-_#:/ ".contains(letter));
    if name.is_empty() {
        "unnamed".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_one_stage_are_added() {
        for (name, expected) in [
            ("plugin-3", "plugin"),
            ("sink crm #2", "sink crm"),
            ("committer", "committer"),
            ("7", "unnamed"),
        ] {
            assert_eq!(stage(name), expected);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_busy_process_is_seen_to_use_cpu() {
        let before = Usage::of(std::process::id());
        let start = std::time::Instant::now();
        while Usage::of(std::process::id()).since(&before).cpu_us == 0 {
            assert!(start.elapsed().as_secs() < 20, "no CPU time was counted");
        }
        assert!(before.peak_kib > 0);
    }
}
