//! How much memory is free, and how many parts of work it holds at the same time.

use std::path::Path;

/// How much of the work is done at the same time: as much as there are threads, and as the memory that is free holds,
/// when each takes so many bytes; one at a time where nothing tells what is free.
#[must_use]
pub fn at_once(jobs: Option<usize>, bytes_of_each: u64) -> usize {
    let threads = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    fitting(threads, bytes_of_each, free())
}

fn fitting(threads: usize, bytes_of_each: u64, free: Option<u64>) -> usize {
    let fitting = |free: u64| usize::try_from(free / bytes_of_each.max(1)).unwrap_or(usize::MAX);
    threads.min(free.map_or(1, fitting)).max(1)
}

/// Bytes of memory that can be had without swapping, on the machine and in the control group; none where neither tells.
fn free() -> Option<u64> {
    let machine = fs_err::read_to_string("/proc/meminfo").ok().as_deref().and_then(available);
    let group = |name: &str| fs_err::read_to_string(Path::new("/sys/fs/cgroup").join(name)).ok();
    let (most, now, stat) = (group("memory.max"), group("memory.current"), group("memory.stat"));
    let group = most.zip(now).and_then(|(most, now)| left(&most, &now, stat.as_deref().unwrap_or_default()));
    machine.into_iter().chain(group).min()
}

/// `MemAvailable` of `/proc/meminfo` (proc_meminfo(5)), in bytes.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// What is left to a control group (the kernel's cgroup-v2.rst). What it uses includes cached files; those that were not
/// looked at lately are given up as soon as memory is asked for. Without a limit, `max` stands in its place.
fn left(most: &str, now: &str, stat: &str) -> Option<u64> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let cached = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")).and_then(number);
    let now = number(now)?.saturating_sub(cached.unwrap_or(0));
    Some(number(most)?.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_read() {
        let text = "MemTotal:       24000000 kB\nMemFree:          100 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(available(text), Some(2048 * 1024));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn cached_files_do_not_take_memory_from_a_group() {
        let stat = "anon 300\nfile 600\ninactive_file 500\nactive_file 100\n";
        assert_eq!(left("1000\n", "900\n", stat), Some(600));
        assert_eq!(left("1000\n", "900\n", ""), Some(100));
        assert_eq!(left("1000\n", "1200\n", ""), Some(0));
        assert_eq!(left("max\n", "900\n", stat), None);
    }

    #[test]
    fn memory_bounds_the_threads() {
        for (threads, free, expected) in
            [(8, Some(2_500), 2), (8, Some(100_000), 8), (8, Some(999), 1), (8, None, 1), (1, Some(5_000), 1)]
        {
            assert_eq!(fitting(threads, 1_000, free), expected, "{threads} {free:?}");
        }
    }
}
