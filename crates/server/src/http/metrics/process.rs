//! The process: memory, files, threads, and which build it is. Names are those of every Prometheus client.

use super::text::{Family, Text};
use crate::app::App;
use std::fs;

static BUILD: Family = Family::gauge("campanile_build_info", &["version", "store"], "Always 1; the labels say what runs.");
static START: Family = Family::gauge("process_start_time_seconds", &[], "When the server started, in unix seconds.");
static RESIDENT: Family = Family::gauge("process_resident_memory_bytes", &[], "Resident memory.");
static CPU: Family = Family::counter("process_cpu_seconds_total", &[], "User and system time.");
static THREADS: Family = Family::gauge("process_threads", &[], "Threads.");
static OPEN_FDS: Family = Family::gauge("process_open_fds", &[], "Open file descriptors.");
static MAX_FDS: Family = Family::gauge("process_max_fds", &[], "Open file descriptors that the system allows.");

/// Linux tells times in hundredths of a second to every program, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn write(text: &mut Text, app: &App) {
    text.begin(&BUILD);
    text.sample(&[env!("CARGO_PKG_VERSION"), app.site.journal.load().engine], 1);
    text.one(&START, app.measures.started_at_s);
    // Elsewhere than on Linux there is no /proc, and these are left out.
    if let Some(bytes) = resident_bytes() {
        text.one(&RESIDENT, bytes);
    }
    if let Some((cpu_s, threads)) = cpu_and_threads() {
        text.one(&CPU, cpu_s);
        text.one(&THREADS, threads);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        text.one(&OPEN_FDS, open.count());
    }
    if let Some(most) = files_max() {
        text.one(&MAX_FDS, most);
    }
}

pub(crate) fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?;
    kib.parse::<u64>().ok().map(|kib| kib * 1_024)
}

fn cpu_and_threads() -> Option<(f64, u64)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets, which may hold anything; the third follows the last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some((ticks as f64 / TICKS_PER_SECOND, fields.get(17)?.parse().ok()?))
}

fn files_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}
