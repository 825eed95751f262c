// SPDX-License-Identifier: GPL-2.0

//! Reading debugfs, and saying what to do if that fails.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::rows::Row;

/// Error numbers that `std` has no stable names for: the same on all architectures.
const EPERM: i32 = 1;
const EIO: i32 = 5;
const ENODEV: i32 = 19;

/// Where the files are.
pub struct Source {
    debugfs: PathBuf,
}

impl Source {
    pub fn new(debugfs: PathBuf) -> Self {
        Self { debugfs }
    }

    /// All rows of one of the files.
    pub fn read<R: Row>(&self) -> Result<Vec<R>, Error> {
        let path = self.debugfs.join("lazyirq").join(R::FILE);
        let bytes = fs::read(&path).map_err(|error| self.explain(path.clone(), error))?;
        parse(&path, &String::from_utf8_lossy(&bytes))
    }

    /// Why a file could not be read.
    fn explain(&self, path: PathBuf, error: io::Error) -> Error {
        match (error.kind(), error.raw_os_error()) {
            (_, Some(EPERM)) => Error::LockedDown(path),
            (io::ErrorKind::PermissionDenied, _) => Error::NotRoot(path),
            // What debugfs says if the file was removed after it was opened.
            (_, Some(EIO | ENODEV)) => Error::NotLoaded,
            (io::ErrorKind::NotFound, _) if is_empty(&self.debugfs) => {
                Error::NotMounted(self.debugfs.clone())
            }
            (io::ErrorKind::NotFound, _) if !self.debugfs.join("lazyirq").exists() => {
                Error::NotLoaded
            }
            (io::ErrorKind::NotFound, _) => Error::NoFile(path),
            _ => Error::Other(path, error),
        }
    }
}

/// The place to mount debugfs on is an empty directory. debugfs itself is never empty.
fn is_empty(directory: &Path) -> bool {
    match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn parse<R: Row>(path: &Path, text: &str) -> Result<Vec<R>, Error> {
    let parse_line = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| Error::NotUnderstood {
            path: path.into(),
            line: index + 1,
            text: line.into(),
            error,
        })
    };
    text.lines().enumerate().map(parse_line).collect()
}

/// Why there is nothing to show.
#[derive(Debug)]
pub enum Error {
    NotRoot(PathBuf),
    LockedDown(PathBuf),
    NotMounted(PathBuf),
    NotLoaded,
    NoFile(PathBuf),
    NotUnderstood {
        path: PathBuf,
        line: usize,
        text: String,
        error: serde_json::Error,
    },
    Other(PathBuf, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRoot(path) => {
                write!(f, "reading {} needs root: run it with sudo", path.display())
            }
            Self::LockedDown(path) => write!(
                f,
                "the kernel does not allow reading {}: it is locked down, as with Secure Boot \
                 (see /sys/kernel/security/lockdown)",
                path.display()
            ),
            Self::NotMounted(path) => write!(
                f,
                "debugfs is not mounted: mount -t debugfs none {}",
                path.display()
            ),
            Self::NotLoaded => write!(
                f,
                "lazyirq is not loaded: insmod lazyirq.ko (or modprobe lazyirq)"
            ),
            Self::NoFile(path) => write!(
                f,
                "lazyirq is loaded, but {} is not there: lazyirq is older than this lazyirqstat, \
                 or is being unloaded",
                path.display()
            ),
            Self::NotUnderstood {
                path,
                line,
                text,
                error,
            } => {
                // The error's own "at line 1" would be taken for the file's.
                let error = error.to_string();
                let what = error.split(" at line 1 ").next().unwrap_or(&error);
                write!(
                    f,
                    "{}, line {line} is not understood: {what}: lazyirq is older or newer than this \
                     lazyirqstat, use those of one version\n    {}",
                    path.display(),
                    text.escape_debug().to_string().replace("\\\"", "\"")
                )
            }
            Self::Other(path, error) => write!(f, "reading {} failed: {error}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Lock, Thread};

    const LOADED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/running");

    fn explained(errno: i32) -> String {
        let source = Source::new(LOADED.into());
        let path = "/sys/kernel/debug/lazyirq/locks.json".into();
        let error = io::Error::from_raw_os_error(errno);
        source.explain(path, error).to_string()
    }

    #[test]
    fn permission_denied_asks_for_root() {
        assert_eq!(
            explained(13),
            "reading /sys/kernel/debug/lazyirq/locks.json needs root: run it with sudo"
        );
    }

    #[test]
    fn root_may_be_refused_by_a_lockdown() {
        assert!(explained(EPERM).contains("locked down"));
    }

    #[test]
    fn a_file_that_goes_while_it_is_read_means_unloaded() {
        assert_eq!(
            explained(EIO),
            "lazyirq is not loaded: insmod lazyirq.ko (or modprobe lazyirq)"
        );
        assert_eq!(explained(ENODEV), explained(EIO));
    }

    #[test]
    fn other_errors_are_passed_on() {
        assert!(explained(12).starts_with("reading /sys/kernel/debug/lazyirq/locks.json failed: "));
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let line =
            r#"{"cpu":1,"ipl":5,"pid":9,"mood":"good","resumed":1,"preempted":0,"most_queued":2}"#;
        let threads: Vec<Thread> = parse(Path::new("x"), line).unwrap();
        assert_eq!((threads[0].cpu, threads[0].most_queued), (1, 2));
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        let path = Path::new("/sys/kernel/debug/lazyirq/locks.json");
        let good = r#"{"name":"a","takes":0,"contended_thread":0,"contended_irq":0,"handed_over":0,"lent":0,"waiting":0,"longest_ns":0}"#;
        let text = format!("{good}\n{{\"name\":\"b\"}}\n");
        let error = parse::<Lock>(path, &text).unwrap_err().to_string();
        assert_eq!(
            error,
            "/sys/kernel/debug/lazyirq/locks.json, line 2 is not understood: missing field `takes`: \
             lazyirq is older or newer than this lazyirqstat, use those of one version\n    \
             {\"name\":\"b\"}"
        );
    }
}
