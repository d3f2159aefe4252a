//! The `altofed` command.

fn main() -> std::process::ExitCode {
    altofed::cli::run()
}
