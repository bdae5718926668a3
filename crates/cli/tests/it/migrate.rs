//! `tenfold migrate` on a real Postgres, beside diesel's own program on the same database.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use tenfold_local::{Postgres, PostgresOptions};
use tenfold_testkit::{Output, tool};

use crate::support::{psql, run, tenfold};

/// An empty database and a folder for migrations.
struct Bench {
    postgres: Postgres,
    folder: TempDir,
}

impl Bench {
    fn new() -> Bench {
        let options = PostgresOptions { database: "shop".into(), ..PostgresOptions::default() };
        let postgres = Postgres::start(&options, &|_| ()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("migrations")).unwrap();
        Bench { postgres, folder }
    }

    fn write(&self, name: &str, up: &str, down: &str) {
        let one = self.folder.path().join("migrations").join(name);
        fs::create_dir_all(&one).unwrap();
        fs::write(one.join("up.sql"), up).unwrap();
        fs::write(one.join("down.sql"), down).unwrap();
    }

    /// `tenfold migrate`, as somebody calls it in the folder above that of the migrations.
    async fn tenfold(&self, arguments: &[&str]) -> Output {
        let mut command = tenfold(["migrate"].into_iter().chain(arguments.iter().copied()));
        command.current_dir(self.folder.path()).env("DATABASE_URL", self.postgres.url());
        run(command).await
    }

    async fn diesel(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(tool("diesel"));
        command.arg("migration").args(arguments);
        command.current_dir(self.folder.path()).env("DATABASE_URL", self.postgres.url());
        let output = run(command).await;
        assert!(output.status.success(), "diesel {arguments:?}: {}", output.stderr);
        output.stdout
    }

    /// What ours says when all is well.
    async fn says(&self, arguments: &[&str], expected: &str) {
        let output = self.tenfold(arguments).await;
        assert_eq!((output.stderr.as_str(), output.status.code()), ("", Some(0)));
        assert_eq!(output.stdout, expected);
    }

    async fn fails(&self, arguments: &[&str], expected: &str) {
        let output = self.tenfold(arguments).await;
        assert_eq!((output.stdout.as_str(), output.status.code()), ("", Some(1)));
        assert_eq!(output.stderr, format!("error: {expected}\n"));
    }

    fn tables(&self) -> String {
        let sql = "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables \
            WHERE schemaname = 'public'";
        psql(&self.postgres.url(), sql)
    }
}

const SHELVES: &str = "2026-01-15-090000_shelves";
const LAMPS: &str = "2026-01-16-090000_lamps";

fn bench_with_two() -> Bench {
    let bench = Bench::new();
    bench.write(SHELVES, "CREATE TABLE shelves (id int);", "DROP TABLE shelves;");
    bench.write(LAMPS, "CREATE TABLE lamps (id int);", "DROP TABLE lamps;");
    bench
}

#[tokio::test]
async fn from_pending_to_applied_and_back() {
    let bench = bench_with_two();
    let pending = format!("pending  {SHELVES}\npending  {LAMPS}\n");
    bench.says(&["status"], &pending).await;
    bench.says(&["run"], &format!("ran {SHELVES}\nran {LAMPS}\n")).await;
    assert_eq!(bench.tables(), "__diesel_schema_migrations lamps shelves");
    bench.says(&["run"], "nothing is pending\n").await;
    bench.says(&["status"], &format!("applied  {SHELVES}\napplied  {LAMPS}\n")).await;
    bench.says(&["revert"], &format!("reverted {LAMPS}\n")).await;
    bench.says(&["status"], &format!("applied  {SHELVES}\npending  {LAMPS}\n")).await;
    bench.says(&["revert"], &format!("reverted {SHELVES}\n")).await;
    bench.fails(&["revert"], "no migration has been applied yet").await;
    assert_eq!(bench.tables(), "__diesel_schema_migrations");
}

#[tokio::test]
async fn diesels_own_program_sees_what_ours_did_and_ours_what_it_did() {
    let bench = bench_with_two();
    let both =
        |first, second| format!("Migrations:\n  [{first}] {SHELVES}\n  [{second}] {LAMPS}\n");
    assert_eq!(bench.diesel(&["list"]).await, both(' ', ' '));

    bench.says(&["run"], &format!("ran {SHELVES}\nran {LAMPS}\n")).await;
    assert_eq!(bench.diesel(&["list"]).await, both('X', 'X'));
    assert_eq!(bench.diesel(&["pending"]).await.trim(), "false");

    bench.diesel(&["revert"]).await;
    bench.says(&["status"], &format!("applied  {SHELVES}\npending  {LAMPS}\n")).await;
    bench.says(&["revert"], &format!("reverted {SHELVES}\n")).await;
    assert_eq!(bench.diesel(&["list"]).await, both(' ', ' '));

    bench.diesel(&["run"]).await;
    bench.says(&["status"], &format!("applied  {SHELVES}\napplied  {LAMPS}\n")).await;
    bench.says(&["run"], "nothing is pending\n").await;
    bench.says(&["revert"], &format!("reverted {LAMPS}\n")).await;
    assert_eq!(bench.diesel(&["list"]).await, both('X', ' '));
    assert_eq!(bench.tables(), "__diesel_schema_migrations shelves");
}

#[tokio::test]
async fn a_new_one_is_understood_by_both() {
    let bench = Bench::new();
    let output = bench.tenfold(&["new", "add-lamps"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", output.stderr);
    let files: Vec<_> = output.stdout.lines().collect();
    let name = Path::new(files[0]).parent().unwrap().file_name().unwrap().to_str().unwrap();
    assert_eq!(files, [format!("migrations/{name}/up.sql"), format!("migrations/{name}/down.sql")]);
    let (version, title) = name.split_once('_').unwrap();
    assert_eq!((version.len(), title), ("2026-01-15-090000".len(), "add-lamps"));
    bench.says(&["status"], &format!("pending  {name}\n")).await;
    assert_eq!(bench.diesel(&["list"]).await, format!("Migrations:\n  [ ] {name}\n"));
}

#[tokio::test]
async fn a_name_that_is_none_makes_nothing() {
    let bench = Bench::new();
    for name in ["", "two words", "../up", "a/b", "über"] {
        let expected = format!("{name:?} is no name for a migration: use letters, digits, - and _");
        bench.fails(&["new", name], &expected).await;
    }
    assert_eq!(fs::read_dir(bench.folder.path().join("migrations")).unwrap().count(), 0);
}

#[tokio::test]
async fn one_that_fails_changes_nothing_and_those_before_it_stay() {
    let bench = bench_with_two();
    bench.write(LAMPS, "CREATE TABLE lamps (id int); SELECT 1 / 0;", "DROP TABLE lamps;");
    bench
        .fails(
            &["run"],
            &format!("migration {LAMPS} failed: Postgres says: division by zero (SQLSTATE 22012)"),
        )
        .await;
    bench.says(&["status"], &format!("applied  {SHELVES}\npending  {LAMPS}\n")).await;
    assert_eq!(bench.tables(), "__diesel_schema_migrations shelves");
}

#[tokio::test]
async fn one_whose_files_are_gone_is_unknown_and_cannot_be_undone() {
    let bench = bench_with_two();
    bench.says(&["run"], &format!("ran {SHELVES}\nran {LAMPS}\n")).await;
    fs::remove_dir_all(bench.folder.path().join("migrations").join(LAMPS)).unwrap();
    let status = bench.tenfold(&["status"]).await.stdout;
    assert!(status.contains("unknown  20260116090000"), "{status}");
    let revert = bench.tenfold(&["revert"]).await;
    assert_eq!(revert.status.code(), Some(1), "{}", revert.stdout);
    assert!(revert.stderr.contains("20260116090000"), "{}", revert.stderr);
    assert_eq!(bench.tables(), "__diesel_schema_migrations lamps shelves");
}

#[tokio::test]
async fn without_a_database_or_a_folder_a_sentence_says_what_is_missing() {
    let none = run(tenfold(["migrate", "run"])).await;
    assert_eq!(
        (none.status.code(), none.stderr.as_str()),
        (
            Some(1),
            "error: no database is named: set DATABASE_URL, or give \
             --set database.url=postgres://…\n"
        )
    );
    let mut dead = tenfold(["migrate", "status", "--folder", "../../store/migrations"]);
    dead.env("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x");
    let dead = run(dead).await;
    assert_eq!(dead.status.code(), Some(1));
    assert!(
        dead.stderr.starts_with("error: cannot use the database postgres://u:***@127.0.0.1:1/x: "),
        "{}",
        dead.stderr
    );
    let bench = Bench::new();
    bench
        .fails(
            &["run", "--folder", "/nowhere"],
            "cannot read the folder of migrations, /nowhere: No such file or directory (os error \
             2); name another one with --folder",
        )
        .await;
}
