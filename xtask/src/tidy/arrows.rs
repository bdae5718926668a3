//! Dependencies between our packages point down, so that any part can be read, built and tested
//! without what stands above it.

use super::Complaint;
use crate::repository::Repository;

/// Every package's level. The same picture is in ARCHITECTURE.md.
const LEVELS: &[(&str, u8)] = &[
    ("xtask", 5),
    ("floor", 5),
    ("hello", 5),
    ("topology", 5),
    ("store", 5),
    ("tenfold-cli", 5),
    ("tenfold", 4),
    ("tenfold-service", 3),
    ("tenfold-loadgen", 3),
    ("tenfold-server", 2),
    ("tenfold-overload", 1),
    ("tenfold-db", 1),
    ("tenfold-runtime", 1),
    ("tenfold-chart", 1),
    ("tenfold-context", 0),
    ("tenfold-telemetry", 0),
    ("tenfold-config", 0),
    ("tenfold-local", 0),
    ("tenfold-testkit", 0),
];

/// Arrows within a level, each with its reason.
const SIDEWAYS: &[(&str, &str, &str)] = &[
    ("tenfold-telemetry", "tenfold-config", "its settings are declared like everybody's"),
    ("tenfold-telemetry", "tenfold-context", "a log line names its request"),
    ("tenfold-local", "tenfold-config", "only config reads the environment"),
    ("tenfold-local", "tenfold-context", "it waits for servers by the one clock"),
    ("tenfold-testkit", "tenfold-local", "tests use the servers that the demo uses"),
    ("tenfold-db", "tenfold-overload", "the pool's gate"),
    ("tenfold-runtime", "tenfold-overload", "the gate in front of offloaded work"),
    ("tenfold-cli", "store", "the demo serves it"),
    ("topology", "store", "its works are what is compared"),
];

/// What tests of every level may use: it knows no capability.
const FOR_TESTS: [&str; 2] = ["tenfold-local", "tenfold-testkit"];

pub(super) fn check(repository: &Repository) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for package in &repository.packages {
        let Some(level) = level(&package.name) else {
            complaints.push(Complaint::new(
                &package.name,
                "has no level: give it one in xtask/src/tidy/arrows.rs and in ARCHITECTURE.md, \
                 because nobody can tell yet what it may depend on",
            ));
            continue;
        };
        for arrow in &package.arrows {
            let allowed_in_tests = arrow.for_tests_only && FOR_TESTS.contains(&arrow.to.as_str());
            let sideways =
                SIDEWAYS.iter().any(|(from, to, _)| *from == package.name && *to == arrow.to);
            // A package without a level complains for itself.
            let Some(below) = self::level(&arrow.to) else { continue };
            if below < level || allowed_in_tests || sideways {
                continue;
            }
            let direction = if below == level { "sideways" } else { "up" };
            complaints.push(Complaint::new(
                &package.name,
                format!(
                    "an arrow that points {direction}, to {} (level {below}; ours is {level}), is \
                     banned: move what is shared below both, or hand it in from above, because \
                     a part must be readable without what stands over it",
                    arrow.to
                ),
            ));
        }
    }
    complaints
}

fn level(name: &str) -> Option<u8> {
    LEVELS.iter().find(|(other, _)| *other == name).map(|(_, level)| *level)
}

#[cfg(test)]
mod tests {
    use super::super::assert_says;
    use super::*;
    use crate::repository::made_up;

    #[test]
    fn down_and_the_listed_sideways_are_fine() {
        let repository = made_up::packages(&[
            ("tenfold-server", "crates/server", &["tenfold-db", "tenfold-context"]),
            ("tenfold-db", "crates/db", &["tenfold-overload", "?tenfold-local"]),
            ("tenfold-context", "crates/context", &["?tenfold-testkit"]),
        ]);
        assert_says(check, &repository, &[]);
    }

    #[test]
    fn up_and_sideways_are_not() {
        let repository = made_up::packages(&[
            ("tenfold-overload", "crates/overload", &["tenfold-db"]),
            ("tenfold-config", "crates/config", &["?tenfold-server", "tenfold-testkit"]),
        ]);
        assert_says(
            check,
            &repository,
            &[
                "tenfold-overload: an arrow that points sideways, to tenfold-db (level 1; ours is 1), \
                 is banned: move what is shared below both, or hand it in from above, because a part \
                 must be readable without what stands over it",
                "tenfold-config: an arrow that points up, to tenfold-server (level 2; ours is 0), is \
                 banned: move what is shared below both, or hand it in from above, because a part \
                 must be readable without what stands over it",
                "tenfold-config: an arrow that points sideways, to tenfold-testkit (level 0; ours is \
                 0), is banned: move what is shared below both, or hand it in from above, because a \
                 part must be readable without what stands over it",
            ],
        );
    }

    #[test]
    fn a_new_package_needs_a_level() {
        let repository = made_up::packages(&[("tenfold-magic", "crates/magic", &[])]);
        assert_says(
            check,
            &repository,
            &["tenfold-magic: has no level: give it one in xtask/src/tidy/arrows.rs and in \
               ARCHITECTURE.md, because nobody can tell yet what it may depend on"],
        );
    }
}
