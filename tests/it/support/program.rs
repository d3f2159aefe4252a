//! The real program, as an operator runs it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How long to wait for the program: far longer than it needs on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes a command of the program with these arguments, and nothing of ours in its environment.
pub fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_altofed"));
    command.args(arguments).env_remove("RUST_LOG");
    command.env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// A node in a process of its own. It is killed when dropped.
pub struct Program {
    child: Child,
    log: Arc<Log>,
    /// The base of its URIs, as the program printed it.
    pub url: String,
}

/// What the program wrote to standard error so far.
#[derive(Default)]
struct Log {
    text: Mutex<String>,
    grown: Condvar,
}

/// How a program ended.
pub struct End {
    pub status: ExitStatus,
    pub log: String,
}

impl Program {
    /// Serves with the configuration of a test node in `directory`, which also has its store and
    /// `peers.toml`.
    ///
    /// # Errors
    /// The program ended before it listened.
    pub fn serve(directory: &Path, more: &str) -> Result<Self, End> {
        write_config(directory, more);
        Self::run(&config_path(directory), &["--json"])
    }

    /// Serves with a configuration file.
    ///
    /// # Errors
    /// The program ended before it listened.
    pub fn run(config: &Path, arguments: &[&str]) -> Result<Self, End> {
        let mut command = command(["serve", "--config"]);
        command.arg(config).args(arguments);
        Self::start(command)
    }

    /// Serves with this command.
    ///
    /// # Errors
    /// The program ended before it listened.
    pub fn start(mut command: Command) -> Result<Self, End> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program");
        let log = Arc::new(Log::default());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let reading = log.clone();
        let reader = BufReader::new(stderr.expect("a pipe"));
        std::thread::spawn(move || reading.read(reader));
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout.expect("a pipe"));
        stdout.read_line(&mut line).expect("text");
        if line.is_empty() {
            let status = child.wait().expect("its status");
            let log = log.to_end();
            return Err(End { status, log });
        }
        let url = line.split('"').find(|part| part.starts_with("http"));
        let url = url.or_else(|| {
            line.split_whitespace()
                .find(|word| word.starts_with("http"))
        });
        let url = url.expect("where it listens").to_owned();
        wait_ready(&url);
        Ok(Self { child, log, url })
    }

    /// Returns how many bytes of memory it has resident.
    pub fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// Returns how many bytes of memory it has resident, and restarts the peak.
    pub fn begin_peak(&self) -> u64 {
        let file = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(file, "5").expect("it runs");
        self.memory("VmRSS:")
    }

    /// Returns the most bytes of memory that it had resident, since the start or since the peak
    /// was restarted.
    pub fn peak_resident(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Restarts the peak of [`Self::peak_resident`] at what is resident now.
    pub fn forget_peak(&self) {
        let file = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(file, "5").expect("it runs");
    }

    fn memory(&self, what: &str) -> u64 {
        let file = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(file).expect("it runs");
        let line = status.lines().find(|line| line.starts_with(what));
        let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
        kibibytes.expect("a line").parse::<u64>().expect("a number") * 1024
    }

    /// Sends it a signal, given by name.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.expect("a shell").success());
    }

    /// Waits until its log has these words after the first `from` bytes; returns where they end.
    #[track_caller]
    pub fn logs(&self, words: &str, from: usize) -> usize {
        let text = self.log.text.lock().expect("the log");
        let found = |text: &String| text.get(from..).and_then(|text| text.find(words));
        let (text, waited) = self
            .log
            .grown
            .wait_timeout_while(text, PATIENCE, |text| found(text).is_none())
            .expect("the log");
        assert!(!waited.timed_out(), "{words:?} is not in {text}");
        from + found(&text).expect("it was found") + words.len()
    }

    /// Kills it without warning.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("its status");
    }

    /// Waits for its end.
    pub fn end(mut self) -> End {
        let status = self.child.wait().expect("its status");
        let log = self.log.to_end();
        End { status, log }
    }
}

/// Waits until the node at a URL is ready or has ended. A node with TLS is not asked.
fn wait_ready(url: &str) {
    let Some(address) = url.strip_prefix("http://") else {
        return;
    };
    let status = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    };
    while status().is_ok_and(|line| line.contains(" 503 ")) {
        std::thread::yield_now();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Log {
    fn read(&self, mut reader: impl BufRead) {
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            self.add(&String::from_utf8_lossy(&line));
            line.clear();
        }
        self.add(END);
    }

    fn add(&self, text: &str) {
        self.text.lock().expect("the log").push_str(text);
        self.grown.notify_all();
    }

    /// Returns the whole log, when the program has closed it.
    fn to_end(&self) -> String {
        let text = self.text.lock().expect("the log");
        let open = |text: &mut String| !text.ends_with(END);
        let (text, _) = self
            .grown
            .wait_timeout_while(text, PATIENCE, open)
            .expect("the log");
        text.trim_end_matches(END).to_owned()
    }
}

/// Marks the end of a log.
const END: &str = "\u{4}";

/// Returns the path of the configuration of a program in `directory`.
pub fn config_path(directory: &Path) -> PathBuf {
    directory.join("peers.toml")
}

/// Writes the configuration of a program in `directory`.
pub fn write_config(directory: &Path, more: &str) {
    let text = super::config_text(directory, more);
    write_private(&config_path(directory), &text);
}

/// Writes a file that only its owner can read, as is right for one with secrets.
pub fn write_private(file: &Path, text: &str) {
    std::fs::write(file, text).expect("a file");
    set_mode(file, 0o600);
}

/// Sets who may read and write a file.
pub fn set_mode(file: &Path, mode: u32) {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(file, permissions).expect("set");
}

/// Returns the content of the pipe of a finished program as text.
pub fn text(mut bytes: &[u8]) -> String {
    let mut text = String::new();
    bytes.read_to_string(&mut text).expect("text");
    text
}
