//! What the system reports about processes.

use std::fs;
use std::time::Duration;

/// Returns the CPU time that a process has used, in user and system mode together; `self` is
/// this one.
pub fn cpu_time(process: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux has it");
    // The name of the program is in parentheses and may have spaces.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks = |field: usize| -> u64 {
        let text = fields.split_ascii_whitespace().nth(field);
        text.and_then(|text| text.parse().ok()).expect("a number")
    };
    // Fields 14 and 15, utime and stime, in hundredths of a second. Field 3 of the file is field
    // 0 here.
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// Returns the resident memory of this process, in bytes.
pub fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.expect("a number") * 1024
}
