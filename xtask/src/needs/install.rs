//! Gets what is missing: packages through apt, what belongs to the tests alone into a folder of
//! the workspace.

use std::path::Path;
use std::process::Command;

use super::{Need, Way, stamp};
use crate::Error;
use crate::shell::{self, command};

/// Keeps Debian's `postgresql` from making a cluster that would run from then on, and from each
/// start of the machine: the tests start servers of their own. The file that says so is taken
/// away again. Nor does PgBouncer's package start it, now or later: `policy-rc.d` is what Debian
/// asks before it starts a service.
const INSTALL: &str = r#"
set -eu
made=
trap 'rm -f $made' EXIT
case " $* " in *" postgresql "*)
    folder=/etc/postgresql-common/createcluster.d
    mkdir -p "$folder"
    made="$made $folder/tenfold-tests.conf"
    echo 'create_main_cluster = false' > "$folder/tenfold-tests.conf"
esac
case " $* " in *" pgbouncer "*)
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        made="$made /usr/sbin/policy-rc.d"
        printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
    fi
esac
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends "$@"
case " $* " in *" pgbouncer "*)
    if command -v systemctl > /dev/null; then
        systemctl disable pgbouncer > /dev/null 2>&1 || true
    fi
esac
"#;

/// Gets these needs, packages first.
pub(super) fn get(needs: &[&Need], tools: &Path) -> Result<(), Error> {
    let packages = packages(needs);
    if !packages.is_empty() {
        shell::run(as_root(INSTALL, &packages)?)?;
    }
    for need in needs {
        match need.way {
            Way::Packages(_) => {}
            Way::OutOfPackage { package, file } => out_of_package(package, file, tools)?,
            Way::Npm { package, version } => {
                let folder = tools.join("node").display().to_string();
                let package = format!("{package}@{version}");
                shell::run(command(
                    "npm",
                    &["install", "--no-fund", "--no-audit", "--prefix", &folder, &package],
                ))?;
                std::fs::write(stamp(tools, need.name), version)?;
            }
            Way::Cargo { package, version, features } => {
                let folder = tools.display().to_string();
                shell::run(command(
                    "cargo",
                    &[
                        "install",
                        package,
                        "--version",
                        version,
                        "--locked",
                        "--no-default-features",
                        "--features",
                        features,
                        "--root",
                        &folder,
                    ],
                ))?;
                std::fs::write(stamp(tools, need.name), version)?;
            }
        }
    }
    Ok(())
}

fn packages(needs: &[&Need]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = Vec::new();
    for need in needs {
        if let Way::Packages(more) = need.way {
            packages.extend(more);
        }
    }
    packages.dedup();
    packages
}

/// A shell script that runs as root, through sudo where we are not; without ever asking for a
/// password, which nobody may be there to type.
fn as_root(script: &str, arguments: &[&str]) -> Result<Command, Error> {
    let is_root = shell::read(command("id", &["-u"]))? == "0";
    let mut line = if is_root { vec![] } else { vec!["sudo", "-n"] };
    line.extend(["sh", "-c", script, "apt"]);
    line.extend(arguments);
    Ok(command(line[0], &line[1..]))
}

/// Fetches a package and takes one program out of it. Needs no root, and nothing is installed.
fn out_of_package(package: &str, file: &str, tools: &Path) -> Result<(), Error> {
    let folder = tools.join("packages").join(package);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let download = || {
        let mut download = command("apt-get", &["download", package]);
        download.current_dir(&folder);
        shell::run(download)
    };
    // The lists of packages may never have been fetched on this machine; that takes root.
    if download().is_err() {
        shell::run(as_root("apt-get update", &[])?)?;
        download()?;
    }
    let fetched = std::fs::read_dir(&folder)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| format!("apt-get download {package} left no package behind"))?;
    let (fetched, unpacked) = (fetched.display().to_string(), folder.display().to_string());
    shell::run(command("dpkg-deb", &["--extract", &fetched, &unpacked]))?;
    let program = folder.join(file);
    let name = program.file_name().ok_or("a file in a package has a name")?;
    std::fs::create_dir_all(tools.join("bin"))?;
    std::fs::copy(&program, tools.join("bin").join(name))
        .map_err(|error| format!("{package} holds no {file}: {error}"))?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::NEEDS;
    use super::*;

    #[test]
    fn packages_are_asked_for_together() {
        let some: Vec<&Need> =
            NEEDS.iter().filter(|need| ["python3", "wrk", "diesel"].contains(&need.name)).collect();
        assert_eq!(packages(&some), ["wrk", "python3", "python3-pip", "python3-venv"]);
    }

    #[test]
    fn a_package_that_would_start_a_service_is_never_installed() {
        let all: Vec<&Need> = NEEDS.iter().collect();
        assert!(!packages(&all).contains(&"prometheus"));
        assert!(INSTALL.contains("create_main_cluster = false"));
        assert!(INSTALL.contains("policy-rc.d") && INSTALL.contains("disable pgbouncer"));
    }
}
