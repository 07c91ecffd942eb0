//! What a rotator prints, which a process does not hear of itself: the test harness keeps it.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};

use super::remote::Testbed;
use super::report::{Report, Section, Violation, What};
use super::{Canary, conformance};

/// The variable that tells a process that it is the one to be heard, and in which folder.
const FOLDER: &str = "FOURSTEP_KIT_PRINTED";

/// What the process printed, and what it found.
const SAID: &str = "said";
const FOUND: &str = "found";

/// The tests that were started anew.
static HEARD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

const NAME: &str = "what is printed, in a process of its own";

/// Asks [`conformance`](super::conformance) in a process of its own, and searches what is printed there
/// as well: by `println!`, `eprintln!`, `dbg!`, by a panic, and on standard error by a library in C.
///
/// That process is this test, started anew by its name, and ends here. So call it in a test of its own,
/// in the thread of that test; what stands before it is done twice. It is no part of
/// [`prove`](super::prove) for that reason.
///
/// ```no_run
/// # use fourstep_testing::models::SinglePassword;
/// #[tokio::test]
/// async fn it_prints_no_credential() {
///     fourstep_testing::printed(&SinglePassword).await.assert_safe();
/// }
/// ```
pub async fn printed(testbed: &dyn Testbed) -> Report {
    if let Some(folder) = folder() {
        // Whether it can be told is seen by whoever started this.
        let told = tell(&folder, &conformance(testbed).await);
        std::process::exit(i32::from(told.is_err()));
    }
    let mut report = Report::default();
    report.add(match listen() {
        Ok(section) => section,
        Err(error) => Section::failed(NAME, &error),
    });
    report
}

fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// What this process printed so far, if it is the one to be heard.
pub(super) fn said_here() -> String {
    let Some(folder) = folder() else { return String::new() };
    // A line that was begun waits for its end.
    let _ = io::stdout().flush();
    let said = fs::read(folder.join(SAID)).unwrap_or_default();
    String::from_utf8_lossy(&said).into_owned()
}

fn tell(folder: &Path, report: &Report) -> io::Result<()> {
    let sections = report.sections.iter();
    let (runs, calls) =
        sections.fold((0, 0), |(runs, calls), one| (runs + one.runs, calls + one.calls));
    let gaps: Vec<&str> =
        report.sections.iter().flat_map(|one| one.not_proven.iter().copied()).collect();
    let violations: Vec<Value> = report
        .violations()
        .map(|one| json!({"what": one.what.to_string(), "transcript": one.transcript}))
        .collect();
    let found = json!({"runs": runs, "calls": calls, "violations": violations, "gaps": gaps});
    ours(&folder.join(FOUND))?.write_all(found.to_string().as_bytes())
}

/// Starts this test anew and waits for what it finds.
fn listen() -> io::Result<Section> {
    let thread = thread::current();
    // The harness names the thread of a test after it.
    let Some(test) = thread.name().filter(|name| *name != "main") else {
        return Err(io::Error::other(
            "call `printed` in the thread of a test: it starts the test anew",
        ));
    };
    // The test that is started anew ends at its first call, and knows nothing of a second one.
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    if !heard.insert(test.to_owned()) {
        let what =
            "a test calls `printed` once: the process that is heard ends with the first call";
        return Err(io::Error::other(what));
    }
    drop(heard);
    let folder = Folder::new()?;
    let said = ours(&folder.0.join(SAID))?;
    let status = Command::new(std::env::current_exe()?)
        .args([test, "--exact", "--nocapture", "--include-ignored"])
        .env(FOLDER, &folder.0)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .status()?;
    let found = fs::read(folder.0.join(FOUND)).ok();
    let found: Option<Value> = found.and_then(|found| serde_json::from_slice(&found).ok());
    found.as_ref().and_then(section).ok_or_else(|| {
        io::Error::other(format!(
            "the test {test:?}, started anew, ended before it came to the end of `printed` \
             ({status}): call it first, in a test of its own"
        ))
    })
}

/// What the other process found, as a section of this one's report.
fn section(found: &Value) -> Option<Section> {
    let mut section = Section::new(NAME);
    section.runs = found.get("runs")?.as_u64()?;
    section.calls = found.get("calls")?.as_u64()?;
    for violation in found.get("violations")?.as_array()? {
        let transcript = violation.get("transcript")?.as_array()?.iter();
        let transcript = transcript.filter_map(Value::as_str).map(str::to_owned).collect();
        let what = What::Check(violation.get("what")?.as_str()?.to_owned());
        section.violations.push(Violation { what, transcript });
    }
    let gaps = found.get("gaps")?.as_array()?.iter().filter_map(Value::as_str);
    // Leaked, because a section names what it knows when it is compiled: a few lines in a test.
    section.not_proven.extend(gaps.map(|gap| &*gap.to_owned().leak()));
    Some(section)
}

/// A folder for nobody else, which goes with this: a credential may be printed into it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(Canary::new().value());
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn ours(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}
