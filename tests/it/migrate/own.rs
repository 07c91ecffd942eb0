//! AWS's own code, run as Lambda runs it, rotates a fleet; the fleet is moved, rotated and put back, and AWS's
//! code rotates it again. By hand, because AWS's code is not part of this repository: scripts/test-aws-templates.

use serde_json::json;

use super::fleet::{FLEET, Fleet, OURS, names};
use super::{about, moved, portrait};
use crate::support::host::{Old, arn};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "by hand, with AWS's templates: scripts/test-aws-templates"]
async fn awss_own_templates_rotate_before_the_move_and_after_the_way_back() {
    let fleet = Fleet::new().await;
    let logs = fleet.logs();
    fleet.rotates_by_aws().await;
    // They try the pending password first: what is refused is seen.
    let said = fleet.refused(&logs);
    let seen = |name: &&str| said.iter().any(|line| line.contains(fleet.first(name)));
    assert!(names("").iter().all(seen), "{said:#?}");

    let (before, logs, rotations) =
        (portrait(&fleet.host, &names("")), fleet.logs(), fleet.host.rotations());
    // Functions that may read every secret are asked wherever their answer is about the strategy.
    fleet.host.reads_everything(true);
    let look = [&OURS[..], &["--json"]].concat();
    let (lines, _) = fleet.fourstep(&look).await;
    for (name, template, ours) in FLEET {
        let seen = about(&lines, name)[0];
        let pair = name.contains("pair");
        assert_eq!((&seen["template"], &seen["told"]), (&json!(template), &json!("by its name")));
        assert_eq!(seen["new_function"], arn(ours));
        assert_eq!(seen["strategy"], if pair { "alternating-users" } else { "single-user" });
        assert_eq!(seen["ready"], !pair, "{seen:#}");
        let parameter =
            if ours.contains("mysql") { "MysqlRotationStrategy" } else { "RotationStrategy" };
        let needs = [
            format!("{parameter}=single-user,alternating-users"),
            "the secret's tag fourstep:strategy=alternating-users".to_owned(),
            "AdoptUsers with the second user of this pair".to_owned(),
        ];
        assert_eq!(seen["needs"], json!(if pair { &needs[..] } else { &[] }), "{name}");
    }
    fleet.prepared();
    let (lines, code) = fleet.fourstep(&look).await;
    assert_eq!(code, Some(0), "{lines:#?}");
    assert!(lines.iter().all(|line| line["asked"] != false), "each was asked: {lines:#?}");
    fleet.host.reads_everything(false);
    assert_eq!(portrait(&fleet.host, &names("")), before, "a look changed something");

    fleet.moved().await;
    let now = portrait(&fleet.host, &names(""));
    for (name, _, ours) in FLEET {
        let mut then = before[name].clone();
        then["function"] = arn(ours).into();
        assert_eq!(now[name], then, "only its function is another");
    }
    assert_eq!(fleet.host.templates(), Vec::<String>::new());
    let file = fleet.file("moves.json");
    let (lines, code) = fleet.fourstep(&["migrate", "--json", "--yes", "--back", &file]).await;
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_eq!(portrait(&fleet.host, &names("")), before);
    let mut tests: Vec<_> = FLEET.iter().map(|row| format!("{} testSecret", row.1)).collect();
    tests.sort();
    assert_eq!(
        fleet.host.templates(),
        tests,
        "Secrets Manager tests each, and AWS's code is content"
    );
    assert_eq!(fleet.host.rotations(), rotations);
    assert_eq!(fleet.refused(&logs), Vec::<String>::new());
    fleet.rotates_by_aws().await;
}

/// In the order of the pages: adopted, rotated thrice, given back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "by hand, with AWS's templates: scripts/test-aws-templates"]
async fn a_fleet_of_awss_own_rotates_by_ours_and_then_by_awss_again() {
    let fleet = Fleet::new().await;
    fleet.rotates_by_aws().await;
    fleet.prepared();
    fleet.moved().await;
    let logs = fleet.logs();
    for _ in 0..3 {
        for (name, ..) in FLEET {
            fleet.rotates(name).await;
        }
    }
    assert_eq!(fleet.refused(&logs), Vec::<String>::new());
    let file = fleet.file("moves.json");
    let back = ["migrate", "--json", "--yes", "--back", &file];
    let (lines, code) = fleet.fourstep(&back).await;
    assert_eq!(code, Some(1), "{lines:#?}");
    let mut ended = FLEET.map(|row| (row.0, "back"));
    ended[3].1 = "left";
    let seen = FLEET.map(|row| (row.0, moved(&lines, row.0)));
    assert_eq!(seen, ended.map(|(name, how)| (name, how.to_owned())), "{lines:#?}");
    // docs/move-from-aws.md, "The way back": the secret names the first user.
    let (name, Old::Mysql(server)) = &fleet.servers[3] else { panic!("{:?}", fleet.servers[3].0) };
    let first = fleet.first(name);
    assert_eq!(fleet.current(name)[0], first);
    server.arrange(&format!("REVOKE '{first}'@'%' FROM '{first}_clone'@'%'")).await;
    let (lines, code) = fleet.fourstep(&[&back[..], &[*name]].concat()).await;
    assert_eq!(code, Some(0), "{lines:#?}");
    fleet.rotates_by_aws().await;
    fleet.rotates_by_aws().await;
}
