//! The program: hands its arguments to the library and exits with what it says.

fn main() -> std::process::ExitCode {
    nameplate::cli::run(std::env::args_os())
}
