//! Where settings come from besides their defaults, in which order they count.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::known::FILE_VARIABLE;

/// The file a program looks for when none is named.
const FILE: &str = "tenfold.toml";

/// The layers above the defaults. Files count least, then the environment, then flags;
/// within a layer the later one wins. Nothing is read before [`Known::load`](crate::Known::load).
#[derive(Clone, Default)]
pub struct Layers {
    pub(crate) files: Vec<FileLayer>,
    pub(crate) environment: Environment,
    pub(crate) flags: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct FileLayer {
    pub(crate) path: PathBuf,
    /// Whether it is an error that the file is not there.
    pub(crate) needed: bool,
}

impl Layers {
    /// Defaults only.
    pub fn new() -> Layers {
        Layers::default()
    }

    /// What a service is set by: the file that is named by a flag, else by `TENFOLD_CONFIG`,
    /// else `tenfold.toml` in the working directory if there is one; then the environment,
    /// then `section.key=value` flags.
    pub fn usual(
        file: Option<&Path>,
        environment: &Environment,
        flags: impl IntoIterator<Item = impl Into<String>>,
    ) -> Layers {
        let named = file.map(Path::to_owned).or_else(|| {
            environment.get(FILE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
        });
        let layers = match named {
            Some(path) => Layers::new().file(path),
            None => Layers::new().file_if_present(FILE),
        };
        layers.environment(environment).flags(flags)
    }

    /// A file that must be there.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Layers {
        self.files.push(FileLayer { path: path.into(), needed: true });
        self
    }

    /// A file that counts if it is there.
    #[must_use]
    pub fn file_if_present(mut self, path: impl Into<PathBuf>) -> Layers {
        self.files.push(FileLayer { path: path.into(), needed: false });
        self
    }

    /// Variables: `TENFOLD_SECTION_KEY`, and the few of other names that a key declares.
    #[must_use]
    pub fn environment(mut self, environment: &Environment) -> Layers {
        self.environment = environment.clone();
        self
    }

    /// Flags of the form `section.key=value`, without the `--set` that stood before each.
    #[must_use]
    pub fn flags(mut self, flags: impl IntoIterator<Item = impl Into<String>>) -> Layers {
        self.flags.extend(flags.into_iter().map(Into::into));
        self
    }
}

/// Names only: values may be secret.
impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.flags.iter().map(|flag| flag.split('=').next().unwrap_or_default());
        f.debug_struct("Layers")
            .field("files", &self.files)
            .field("environment", &self.environment)
            .field("flags", &keys.collect::<Vec<_>>())
            .finish()
    }
}
