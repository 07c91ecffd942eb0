//! docs/replay.md's commands that kill the function, or break its calls, as a reader types them.

use super::blocks::typed;
use super::commands::reading_folder;
use crate::support::postgres::server;
use crate::support::program::shell;

#[tokio::test]
async fn every_point_of_the_page_is_played_and_every_fault_it_names() {
    let Some(server) = server() else { return };
    let [crash, faults] = &typed(file!(), "docs/replay.md")[..] else { panic!("other blocks") };
    let (folder, _) = reading_folder();
    let user = server.user("points").await;
    let secret = folder.path().join("secret.json");
    std::fs::write(&secret, server.document(&user).to_string()).unwrap();
    let said = shell(crash, folder.path(), &[]).await;
    assert!(said.contains("62 points played, 0 violations."), "{said}");
    let said = shell(faults, folder.path(), &[]).await;
    let ends: Vec<&str> = said.lines().filter(|line| line.contains("0 violations.")).collect();
    let [_, at] = ends[..] else { panic!("{said}") };
    assert!(at.starts_with("4 points played") || at.starts_with("3 points played"), "{at}");
    assert!(!std::fs::read_to_string(secret).unwrap().contains(&user.password));
}
