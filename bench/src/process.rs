//! What Linux says about a process and about this machine.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// Resident memory of the process in KiB.
pub fn resident_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmRSS:")
}

/// The most resident memory that the process ever had, in KiB.
pub fn peak_resident_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmHWM:")
}

fn status_kib(pid: u32, key: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).with_context(|| format!("{key} is missing"))?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}

/// Processor time that the process has used, of all its threads.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    // The second field is the name in brackets and may hold blanks; user and system time are the 12th and 13th behind it.
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let user = ticks.next().context("stat is too short")??;
    let system = ticks.next().context("stat is too short")??;
    // USER_HZ is 100 on every Linux that we run on.
    Ok(Duration::from_millis((user + system) * 10))
}

/// Lifts the soft limit of file descriptors to the hard one, and says what it is.
pub fn lift_descriptor_limit() -> Result<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum.unwrap_or(u64::MAX))
}

/// Cores, memory and kernel in one line.
pub fn machine_line() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key| {
        text.lines()
            .find(|line| line.starts_with(key))
            .and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let model = value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory_kib: u64 =
        value(&read("/proc/meminfo"), "MemTotal").and_then(|text| text.trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    format!(
        "{cores} cores ({model}), {:.1} GiB memory, Linux {}",
        memory_kib as f64 / 1_048_576.0,
        read("/proc/sys/kernel/osrelease").trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_processor_time() {
        let pid = std::process::id();
        assert!(resident_kib(pid).unwrap() > 100);
        assert!(peak_resident_kib(pid).unwrap() >= resident_kib(pid).unwrap() / 2);
        cpu_time(pid).unwrap();
        assert!(resident_kib(u32::MAX).is_err());
    }
}
