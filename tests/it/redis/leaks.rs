//! What a server shows of a rotation: to MONITOR, in its slow log, in its log at the level debug.

use fourstep::Step;
use fourstep::store::AWSCURRENT;

use super::{BY_ADMIN, DUAL, one};
use crate::leaks::Planted;
use crate::support::redis::flavours;

#[tokio::test]
async fn beyond_04_no_server_shows_or_logs_a_password() {
    for flavour in flavours() {
        let mut planted = Planted::default();
        let (server, _) = one(&flavour).await;
        let user = server.user_with("logged", &planted.new_one("the first password")).await;
        planted.add("the admin's password", &server.admin.password);
        let monitor = server.monitor().await;
        let mut document = server.document(&user);
        for strategy in [DUAL, BY_ADMIN] {
            let stage = server.stage(&document, &strategy);
            for _ in 0..2 {
                stage.play(&Step::ALL).await;
                planted.add("a password", &stage.password(AWSCURRENT));
            }
            document = stage.document(AWSCURRENT);
        }
        // What is shown is shown: a value that anybody writes.
        server.arrange(&["SET", "app:shown", "this is shown"]).await;
        let shown = monitor.end().await;
        let slow = server.arrange(&["SLOWLOG", "GET", "-1"]).await;
        for text in [&shown, &slow] {
            assert!(
                text.contains("this is shown") && text.to_lowercase().contains("info"),
                "{text}"
            );
            planted.assert_absent("MONITOR and SLOWLOG", text);
        }
        let log = server.log();
        assert!(log.contains("DB saved") || log.contains("Accepted"), "{log}");
        planted.assert_absent("the log", &log);
    }
}
