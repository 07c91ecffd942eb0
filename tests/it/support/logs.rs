//! What servers log from a moment on. Their logs have some hundred megabytes by the end of all tests.

use std::path::PathBuf;

/// Files of logs, and how long they were.
pub struct Logs(Vec<(PathBuf, usize)>);

impl Logs {
    pub fn from_now<P: Into<PathBuf>>(files: impl IntoIterator<Item = P>) -> Self {
        let files = files.into_iter().map(Into::into).map(|file: PathBuf| {
            let length = std::fs::metadata(&file).map_or(0, |file| file.len());
            (file, usize::try_from(length).unwrap())
        });
        Self(files.collect())
    }

    /// Everything that was logged since.
    pub fn read(&self) -> String {
        let since = |(file, length): &(PathBuf, usize)| {
            let mut log = std::fs::read(file).unwrap_or_default();
            log.split_off((*length).min(log.len()))
        };
        let bytes: Vec<_> = self.0.iter().map(since).collect();
        String::from_utf8_lossy(&bytes.concat()).into_owned()
    }
}
