// SPDX-License-Identifier: GPL-2.0

//! The program as a whole, with directories that look like debugfs.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn lazyirqstat(debugfs: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lazyirqstat"));
    command.arg("--debugfs").arg(debugfs);
    command
}

fn run(debugfs: &Path, arguments: &str) -> Output {
    let mut command = lazyirqstat(debugfs);
    command.args(arguments.split_whitespace());
    command.stdin(Stdio::null()).output().unwrap()
}

/// What it prints, if all is well.
fn printed(debugfs: &str, arguments: &str) -> String {
    let output = run(&fixture(debugfs), arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it says, if it ends with `code`.
fn said(debugfs: &Path, arguments: &str, code: i32) -> String {
    let output = run(debugfs, arguments);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A directory for this test alone.
fn scratch(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A run of reports that can be changed in between.
struct Running {
    debugfs: PathBuf,
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    /// Starts, and reads the first `lines` lines. The second report is a second later.
    fn start(test: &str, arguments: &str, lines: usize) -> (Self, Vec<String>) {
        let debugfs = scratch(test);
        let mut running = Self::put(&debugfs, "running", arguments);
        let lines = (0..lines).map(|_| running.line()).collect();
        (running, lines)
    }

    fn put(debugfs: &Path, name: &str, arguments: &str) -> Self {
        replace(debugfs, name);
        let mut child = lazyirqstat(debugfs)
            .args(arguments.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self {
            debugfs: debugfs.into(),
            child,
            out,
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// The rest of the output, the errors, and the exit code.
    fn finish(mut self) -> (String, String, Option<i32>) {
        let (mut out, mut errors) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut errors).unwrap();
        (out, errors, self.child.wait().unwrap().code())
    }
}

/// Puts the files of a fixture into `debugfs`, each in one step, so that none is ever read in part.
fn replace(debugfs: &Path, name: &str) {
    let to = debugfs.join("lazyirq");
    fs::create_dir_all(&to).unwrap();
    for entry in fs::read_dir(fixture(name).join("lazyirq")).unwrap() {
        let entry = entry.unwrap();
        let partial = debugfs.join("partial");
        fs::copy(entry.path(), &partial).unwrap();
        fs::rename(partial, to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn totals_of_interrupts() {
    assert_eq!(
        printed("running", ""),
        "\
IRQ NAME      MECH  IPL CPU   INTR  LAZY% BLOCKED  DEFER   HELD RESUMED RELEASER SWITCHES  P50us  P99us  MAXus
 31 eth0-rx-0 lazy    8   1 120000   99.5     500      0    100     600      450      300    1.3    9.1   84.2
 30 edu       lazy    5   0     30   33.3      10     10      0      20       10       20      -      -      -
 32 edu       stock   5   0     30    0.0       0      0      0      30        0       60      -      -      -
"
    );
}

#[test]
fn totals_of_locks_and_threads() {
    assert_eq!(
        printed("running", "--by lock"),
        "\
LOCK     TAKES BY-THREAD BY-IRQ HANDED   LENT WAITING LONGESTus
eth0-rx 240000        80    500    580      4       1      80.1
fifo      1000         3     20     23      1       0      54.0
"
    );
    assert_eq!(
        printed("running", "-b thread"),
        "\
CPU IPL PID RESUMED PREEMPTED  MOSTQ
  1   8 124     150         0      3
  0   5 123      20         2      1
"
    );
}

#[test]
fn sorted_as_asked_for() {
    let first = |arguments| {
        let text = printed("running", arguments);
        text.lines().nth(1).unwrap().to_string()
    };
    assert!(first("--sort switches").contains("eth0"));
    assert!(first("--sort DEFER").starts_with(" 30 "));
    assert!(first("--sort irq").starts_with(" 30 "));
    assert!(first("--by lock --sort LOCK").starts_with("eth0"));
    assert!(first("--by=lock --sort=WAITING").starts_with("eth0"));
    assert!(first("--by thread --sort preempted").starts_with("  0 "));
}

#[test]
fn no_rows_are_said_to_be_none() {
    let none = "no interrupt is registered with lazyirq\n";
    assert_eq!(printed("no-rows", ""), none);
    assert_eq!(
        printed("no-rows", "-b lock"),
        "nobody has had to wait for a lock of lazyirq\n"
    );
    assert_eq!(
        printed("no-rows", "-b thread"),
        "lazyirq has no interrupt thread\n"
    );
    assert_eq!(printed("no-rows", "0.01 2"), format!("{none}\n{none}"));
    assert_eq!(printed("no-rows", "--json"), "");
}

#[test]
fn json_has_all_fields_of_all_rows() {
    let text = printed("running", "--json");
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let file = fs::read_to_string(fixture("running").join("lazyirq/interrupts.json")).unwrap();
    let mut expected: Value = serde_json::from_str(file.lines().nth(1).unwrap()).unwrap();
    expected["time"] = rows[0]["time"].clone();
    expected["interval"] = Value::Null;
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0], expected);
    assert!(rows[0]["time"].is_number());
}

#[test]
fn intervals_show_differences_and_rows_that_come_and_go() {
    let (running, _) = Running::start("differences", "1 2", 4);
    replace(&running.debugfs, "running-later");
    let (out, errors, code) = running.finish();
    assert_eq!((errors.as_str(), code), ("", Some(0)));
    // The rate depends on exactly when it was read.
    let lines: Vec<Vec<&str>> = out
        .lines()
        .map(|line| {
            let mut words: Vec<_> = line.split_whitespace().collect();
            if words.len() > 6 {
                words.remove(6);
            }
            words
        })
        .collect();
    assert!(out.contains(" INTR/s "), "{out}");
    assert!(lines[0].is_empty(), "{out}");
    // New: from zero.
    let new = "33 nvme0q1 lazy 7 0 1000 100.0 0 0 0 0 0 0 - - -";
    // Reset: what it counted since.
    let reset = "31 eth0-rx-0 lazy 8 1 40 95.0 2 0 0 2 2 0 1.3 9.1 84.2";
    let further = "30 edu lazy 5 0 20 50.0 8 2 0 10 5 6 - - -";
    for (line, expected) in lines[2..].iter().zip([new, reset, further]) {
        assert_eq!(line.join(" "), expected, "{out}");
    }
    assert_eq!(lines.len(), 5, "{out}");
}

#[test]
fn json_shows_differences_too() {
    let (running, first) = Running::start("json", "--json --by lock --sort lock 1 2", 2);
    replace(&running.debugfs, "running-later");
    let (out, errors, code) = running.finish();
    assert_eq!((errors.as_str(), code), ("", Some(0)));
    assert!(first[0].starts_with(r#"{"time":0.0,"interval":null,"name":"eth0-rx","takes":240000,"#));
    let rows: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["name"], "fifo");
    assert_eq!(rows[1]["takes"], 100);
    assert_eq!(rows[1]["contended_irq"], 8);
    // Not a counter: left as it is.
    assert_eq!(rows[1]["longest_ns"], 54000);
    let interval = rows[1]["interval"].as_f64().unwrap();
    assert!((0.9..100.0).contains(&interval), "{interval}");
}

#[test]
fn count_is_the_number_of_reports() {
    let text = printed("running", "0.01 3");
    assert_eq!(text.matches("IRQ NAME").count(), 3);
    assert_eq!(text.matches("INTR/s").count(), 2);
}

#[test]
fn unloading_ends_it_with_the_reason() {
    let (running, _) = Running::start("unloading", "1", 4);
    fs::write(running.debugfs.join("suspend_stats"), "").unwrap();
    fs::remove_dir_all(running.debugfs.join("lazyirq")).unwrap();
    let (out, errors, code) = running.finish();
    assert_eq!(out, "");
    assert_eq!(
        errors,
        "lazyirqstat: lazyirq is not loaded: insmod lazyirq.ko (or modprobe lazyirq)\n"
    );
    assert_eq!(code, Some(1));
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let debugfs = scratch("pipe");
    let mut running = Running::put(&debugfs, "running", "0.01");
    running.line();
    let Running { mut child, out, .. } = running;
    drop(out);
    let mut errors = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn not_loaded() {
    assert_eq!(
        said(&fixture("not-loaded"), "", 1),
        "lazyirqstat: lazyirq is not loaded: insmod lazyirq.ko (or modprobe lazyirq)\n"
    );
}

#[test]
fn not_mounted() {
    let empty = scratch("not-mounted");
    for debugfs in [&empty, &empty.join("missing")] {
        assert_eq!(
            said(debugfs, "", 1),
            format!(
                "lazyirqstat: debugfs is not mounted: mount -t debugfs none {}\n",
                debugfs.display()
            )
        );
    }
}

#[test]
fn a_file_is_missing() {
    let debugfs = fixture("older");
    let path = debugfs.join("lazyirq/locks.json");
    let text = said(&debugfs, "--by lock", 1);
    let expected = format!(
        "lazyirqstat: lazyirq is loaded, but {} is not there: lazyirq is older",
        path.display()
    );
    assert!(text.starts_with(&expected), "{text}");
}

#[test]
fn a_line_is_not_understood() {
    let debugfs = fixture("older");
    let path = debugfs.join("lazyirq/interrupts.json");
    let text = said(&debugfs, "", 1);
    let expected = format!(
        "lazyirqstat: {}, line 2 is not understood: missing field `cpu`: lazyirq is older or newer",
        path.display()
    );
    assert!(text.starts_with(&expected), "{text}");
    assert!(
        text.contains("\n    {\"irq\":30,\"name\":\"edu\","),
        "{text}"
    );
}

#[test]
fn bad_arguments() {
    let debugfs = fixture("running");
    for (arguments, why) in [
        ("--fast", "invalid option '--fast'"),
        ("--by cpu", "by interrupt, lock or thread"),
        ("--sort WAITING", "it has to be one of IRQ, NAME, MECH, IPL"),
        ("0", "has to be a number of seconds"),
        ("1 0", "has to be a number of reports"),
        ("1 2 3", "unexpected argument"),
        ("--top --json", "do not go together"),
    ] {
        let text = said(&debugfs, arguments, 2);
        assert!(text.starts_with("lazyirqstat: "), "{text}");
        assert!(text.contains(why), "{text}");
        assert!(text.ends_with("Try 'lazyirqstat --help'.\n"), "{text}");
    }
}

#[test]
fn the_full_screen_needs_a_terminal() {
    assert_eq!(
        said(&fixture("running"), "--top", 1),
        "lazyirqstat: --top needs a terminal: leave it out in a pipe\n"
    );
}

#[test]
fn help_and_version() {
    assert!(
        printed("running", "--help").contains("Usage: lazyirqstat [options] [interval [count]]")
    );
    let version = concat!("lazyirqstat ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(printed("running", "-V"), version);
}
