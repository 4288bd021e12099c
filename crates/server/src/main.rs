//! `campanile`: the real-time half of a learning platform in one binary.

use std::process::ExitCode;

// Lowest memory for many small idle objects, and it gives pages back; see docs/acceptance.md for what a million connects leave behind.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    campanile::cli::run(campanile::cli::read())
}
