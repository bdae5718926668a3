//! Starts a private Postgres, says where it is, and stops it when its input ends: try
//! `cargo run -p tenfold-local --example postgres`, then Ctrl-D. A folder as argument keeps
//! the data; the lines `pause`, `resume`, `kill` and `start` do what they say.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use tenfold_local::{Postgres, PostgresOptions};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = PostgresOptions {
        data: std::env::args_os().nth(1).map(Into::into),
        database: "example".into(),
        ..PostgresOptions::default()
    };
    let mut postgres = Postgres::start(&options, &|line| eprintln!("{line}"))?;
    say(&postgres.url())?;
    say(&format!("process {}", postgres.process_id()))?;
    for line in io::stdin().lines() {
        match line?.as_str() {
            "pause" => postgres.pause()?,
            "resume" => postgres.resume(),
            "kill" => postgres.kill()?,
            "start" => postgres.start_again()?,
            other => eprintln!("pause, resume, kill or start, not {other:?}"),
        }
        say("done")?;
    }
    say(&format!("stopped: {:?}", postgres.stop()?))?;
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    println!("{line}");
    io::stdout().flush()
}
