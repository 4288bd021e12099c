//! `cargo xtask tidy`: the house keeps its own rules, or this says file, line, what is wrong and what to do.

mod house;
mod rust;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments != ["tidy"] {
        anyhow::bail!("usage: cargo xtask tidy");
    }
    // The workspace's root is the folder above this crate's, wherever the command was started.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let house = house::House::read(root)?;
    let report = tidy::run(&house);
    print!("{report}");
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
