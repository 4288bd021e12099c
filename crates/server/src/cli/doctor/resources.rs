//! Memory, processor, file descriptors and the disk.

use crate::cli::finding::Finding;
use crate::config::Config;
use std::collections::HashMap;
use std::path::Path;

/// Below this the disk is a problem, in bytes.
const DISK_BYTES_MIN: u64 = 256 * 1024 * 1024;
/// Below this it is a warning.
const DISK_BYTES_LOW: u64 = 2 * 1024 * 1024 * 1024;
/// Below this share of the machine's memory it is a warning.
const MEMORY_SHARE_LOW: f64 = 0.1;
/// Tasks for each core beyond which everything waits.
const LOAD_HIGH: f64 = 2.0;
/// A school's connections need more descriptors than most systems give without being asked.
const DESCRIPTORS_LOW: u64 = 10_000;

/// Is there room for the database?
pub(super) fn disk(config: &Config) -> Finding {
    let Some(path) = crate::app::sqlite_path(&config.store) else {
        return Finding::cannot_tell(
            "disk",
            "the database is on another machine's disk",
            "look at the free space of PostgreSQL's data folder there",
        );
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match rustix::fs::statvfs(folder) {
        Ok(system) => room(system.f_bavail.saturating_mul(system.f_frsize)),
        Err(error) => Finding::cannot_tell("disk", error.to_string(), "look at the free space by hand"),
    }
}

pub(super) fn room(bytes: u64) -> Finding {
    let found = format!("{} are free where the database lies", mebibytes(bytes));
    match bytes {
        ..DISK_BYTES_MIN => Finding::problem("disk", found, "make room: publishes are refused with store_full when it is full"),
        DISK_BYTES_MIN..DISK_BYTES_LOW => {
            Finding::warning("disk", found, "make room, or let event types be kept for fewer days")
        }
        _ => Finding::ok("disk", found),
    }
}

/// What the server tells of itself, and what this machine has left.
pub(super) fn server(metrics: Result<HashMap<String, f64>, String>) -> Vec<Finding> {
    vec![memory(&metrics), processor(), descriptors(&metrics)]
}

fn processor() -> Finding {
    const CHECK: &str = "processor";
    let load = std::fs::read_to_string("/proc/loadavg").ok();
    let load: Option<f64> = load.and_then(|text| text.split_whitespace().next()?.parse().ok());
    let (Some(load), Ok(cores)) = (load, std::thread::available_parallelism()) else {
        return Finding::cannot_tell(CHECK, "this machine does not tell its load", "look at it by hand");
    };
    of_load(load, cores.get())
}

/// The mean number of tasks that wanted to run in the last minute, against the cores that there are for them.
pub(super) fn of_load(load: f64, cores: usize) -> Finding {
    const CHECK: &str = "processor";
    let found = format!("load {load:.1} on {cores} cores");
    match load > cores as f64 * LOAD_HIGH {
        true => Finding::warning(CHECK, found, "streams come late when everybody waits for a core: find out who works so much"),
        false => Finding::ok(CHECK, found),
    }
}

fn memory(metrics: &Result<HashMap<String, f64>, String>) -> Finding {
    let mut found = Vec::new();
    if let Ok(metrics) = metrics {
        let connections: f64 =
            metrics.iter().filter(|(name, _)| name.starts_with("campanile_connections{")).map(|(_, value)| value).sum();
        found.push(format!("{connections} connections"));
        if let Some(bytes) = metrics.get("process_resident_memory_bytes") {
            found.push(format!("the server holds {}", mebibytes(*bytes as u64)));
        }
    }
    let Some((available, total)) = machine_memory() else {
        let advice = "look at the machine's memory by hand";
        return Finding::cannot_tell(
            "memory",
            if found.is_empty() { "nothing was told".into() } else { found.join(", ") },
            advice,
        );
    };
    found.push(format!("{} of {} are available on this machine", mebibytes(available), mebibytes(total)));
    match (available as f64) < total as f64 * MEMORY_SHARE_LOW {
        true => Finding::warning(
            "memory",
            found.join(", "),
            "find out who holds it; limits.mailbox_bytes and limits.tail_bytes bound the server's share",
        ),
        false => Finding::ok("memory", found.join(", ")),
    }
}

fn machine_memory() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kibibytes = |name: &str| -> Option<u64> {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some((kibibytes("MemAvailable:")? * 1024, kibibytes("MemTotal:")? * 1024))
}

fn descriptors(metrics: &Result<HashMap<String, f64>, String>) -> Finding {
    const CHECK: &str = "descriptors";
    let told =
        metrics.as_ref().ok().and_then(|metrics| Some((metrics.get("process_open_fds")?, metrics.get("process_max_fds")?)));
    if let Some((open, max)) = told {
        return of_limit(Some(*open as u64), *max as u64);
    }
    // The server inherits such a limit from whoever starts it, so this shell's is the best guess.
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    match line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()) {
        Some(max) => of_limit(None, max),
        None => Finding::cannot_tell(CHECK, "the limit was not told", "`ulimit -n` of the server's user says it"),
    }
}

/// One descriptor a connection, and some for the store.
pub(super) fn of_limit(open: Option<u64>, max: u64) -> Finding {
    const CHECK: &str = "descriptors";
    let advice = "raise it: LimitNOFILE= in the unit, ulimit -n in a shell, --ulimit nofile= for a container";
    match open {
        Some(open) if open.saturating_mul(10) > max.saturating_mul(8) => {
            Finding::problem(CHECK, format!("{open} of {max} are in use"), advice)
        }
        Some(open) if max < DESCRIPTORS_LOW => {
            Finding::warning(CHECK, format!("{open} of {max} are in use, and each connection takes one"), advice)
        }
        Some(open) => Finding::ok(CHECK, format!("{open} of {max} are in use")),
        None if max < DESCRIPTORS_LOW => {
            Finding::warning(CHECK, format!("a server started from here could hold about {max} connections"), advice)
        }
        None => Finding::ok(CHECK, format!("a server started from here may open {max}")),
    }
}

fn mebibytes(bytes: u64) -> String {
    match bytes / (1024 * 1024) {
        mebibytes @ ..10_240 => format!("{mebibytes} MiB"),
        mebibytes => format!("{} GiB", mebibytes / 1024),
    }
}
