//! What pages have people type at AWS: nobody runs it there, so each command's words are shown to the
//! program that would read them, which then finds no AWS.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

use regex_lite::Regex;
use tokio::process::Command;
use tokio::task::JoinSet;

use super::blocks::{at_aws, every_page};
use super::{code, files, page, root};
use crate::support::program::{binary, shell};
use crate::support::skip;

/// The programs that stand-in.sh takes the place of.
const PROGRAMS: &str = "aws sam fourstep terraform npm npx unzip vi rustup python3 git cargo cp";

/// Files that commands read, in the folder in which they are typed.
const FILES: [(&str, &str); 10] = [
    ("policy.json", "{}"),
    ("network.json", "{}"),
    ("secret.json", "{}"),
    ("admin.json", "{}"),
    ("moves.json", "{}"),
    ("proxy.json", "{}"),
    ("rotate-postgres-0.1.0-arm64.zip", "PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ("fourstep/template.yaml", "Resources: {Topic: {Type: 'AWS::SNS::Topic'}}"),
    ("packaged.yaml", "Resources: {Topic: {Type: 'AWS::SNS::Topic'}}"),
    (
        "config",
        "[profile production]
region = us-east-1
",
    ),
];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in FILES {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    for file in ["template.yaml", "consumers.yaml", "examples"] {
        symlink(root().join(file), folder.path().join(file)).unwrap();
    }
    folder
}

/// The words of each command that a script comes to, its program first.
async fn commands(script: &str) -> Vec<Vec<String>> {
    let folder = folder();
    let stand_in = root().join("tests/functions/stand-in.sh");
    for place in
        ["bin", "target/debug", "scripts", ".sam/bin", "deploy/terraform/examples/rds-postgres"]
    {
        std::fs::create_dir_all(folder.path().join(place)).unwrap();
    }
    let programs: Vec<_> = PROGRAMS.split(' ').map(|program| format!("bin/{program}")).collect();
    let others = ["target/debug/fourstep", "scripts/update-rds-roots", ".sam/bin/pip"];
    for place in programs.iter().map(String::as_str).chain(others) {
        symlink(&stand_in, folder.path().join(place)).unwrap();
    }
    let notes = folder.path().join("notes");
    std::fs::write(&notes, "").unwrap();
    let path = format!("{}/bin:/usr/bin:/bin", folder.path().display());
    let home = folder.path().display().to_string();
    let variables = [
        ("PATH", path.as_str()),
        ("HOME", &home),
        ("STAND_IN_NOTES", notes.to_str().unwrap()),
        // Set by what a page has before, in another block.
        ("account", "111122223333"),
        ("function", "arn:aws:lambda:us-east-1:111122223333:function:fourstep-postgres"),
        ("resource", "RotatePostgres"),
    ];
    shell(script, folder.path(), &variables).await;
    let notes = std::fs::read_to_string(notes).unwrap();
    let commands = notes.split("\0\n\0").filter(|command| !command.is_empty());
    commands.map(|command| command.split('\0').map(str::to_owned).collect()).collect()
}

/// Shows a command's words to its program, where nothing of AWS is in reach.
async fn told(program: &Path, words: &[String]) -> Output {
    let folder = folder();
    // Version 1 of the AWS CLI does not know it, and version 2 needs it.
    let mut words: Vec<_> =
        words.iter().map(|word| word.replace("AKIA...", "AKIA0000000000000000")).collect();
    if let Some(at) = words.iter().position(|word| word == "--cli-binary-format") {
        words.drain(at..at + 2);
    }
    let nowhere = "http://127.0.0.1:1";
    Command::new(program)
        .args(words)
        .current_dir(folder.path())
        .envs([("AWS_ENDPOINT_URL", nowhere), ("AWS_MAX_ATTEMPTS", "1"), ("AWS_PAGER", "")])
        .envs([("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")])
        .envs([("AWS_CONFIG_FILE", "config"), ("AWS_REGION", "us-east-1")])
        .envs([("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_EC2_METADATA_DISABLED", "true")])
        .output()
        .await
        .unwrap()
}

/// What is wrong with the words of a command of the AWS CLI. A page may leave out what an option is, and
/// write `...` for it.
async fn fault_of_aws(aws: &Path, words: &[String], short: bool) -> Option<String> {
    let output = told(aws, words).await;
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    let said = said.concat();
    let packaged = words[0] == "cloudformation" && words[1] == "package" && output.status.success();
    let in_short = short && said.contains("the following arguments are required");
    let understood = said.contains("Could not connect to the endpoint URL") || packaged || in_short;
    (!understood).then(|| format!("aws {}: {}", words.join(" "), said.trim()))
}

/// The names and values after `--parameter-overrides`.
fn overrides(words: &[String]) -> Vec<&str> {
    let after = words.iter().skip_while(|word| *word != "--parameter-overrides").skip(1);
    let values = after.take_while(|word| !word.starts_with("--"));
    values.filter_map(|word| word.split_once('=')).map(|(name, _)| name).collect()
}

/// A template's parameters: all, and those without a default.
fn parameters(template: &str) -> (Vec<String>, Vec<String>) {
    let text = page(template).text;
    let section = text.split("\nParameters:\n").nth(1).unwrap_or_default();
    let name = Regex::new(r"^  (\w+):").unwrap();
    let mut all: Vec<(String, bool)> = Vec::new();
    for line in section.lines().take_while(|line| line.is_empty() || line.starts_with([' ', '#'])) {
        match name.captures(line) {
            Some(found) => all.push((found[1].to_owned(), line.contains("Default:"))),
            None if line.starts_with("    Default:") => all.last_mut().unwrap().1 = true,
            None => {}
        }
    }
    let needed = all.iter().filter(|(_, default)| !default).map(|(name, _)| name.clone());
    (all.iter().map(|(name, _)| name.clone()).collect(), needed.collect())
}

/// What is wrong with the parameters that a deployment of one of our templates names.
fn fault_of_parameters(words: &[String], whole: bool) -> Option<String> {
    let deploys = ["cloudformation", "sam"].contains(&words[0].as_str()) && words[1] == "deploy";
    let file = words.iter().skip_while(|word| *word != "--template-file").nth(1);
    let file = file.map_or("template.yaml", String::as_str);
    // One that a command before made of ours.
    let file = if file == "packaged.yaml" { "template.yaml" } else { file };
    let (all, needed) = if deploys { parameters(file) } else { return None };
    let named = overrides(words);
    assert!(!all.is_empty(), "{file}");
    let strange = named.iter().find(|name| !all.iter().any(|known| known == *name));
    let absent = needed.iter().find(|name| whole && !named.contains(&name.as_str()));
    strange
        .map(|name| format!("{file} has no parameter {name}"))
        .or_else(|| absent.map(|name| format!("{file} wants {name}")))
}

/// Asks about the words of many commands, a few at a time.
async fn faults_of_aws(aws: &Path, commands: BTreeSet<(Vec<String>, bool)>) -> Vec<String> {
    let (mut asked, mut faults) = (JoinSet::new(), Vec::new());
    for (words, short) in commands {
        if asked.len() >= 4 {
            faults.extend(asked.join_next().await.unwrap().unwrap());
        }
        let aws = aws.to_owned();
        asked.spawn(async move { fault_of_aws(&aws, &words, short).await });
    }
    faults.extend(asked.join_all().await.into_iter().flatten());
    faults
}

#[tokio::test]
async fn every_command_that_needs_aws_is_understood() {
    let Ok(aws) = std::env::var("FOURSTEP_TEST_AWS") else { return skip("FOURSTEP_TEST_AWS") };
    let (mut of_aws, mut faults, mut ours) = (BTreeSet::new(), Vec::new(), 0);
    for (path, script) in at_aws() {
        for words in commands(&script).await {
            let (program, words) = words.split_first().unwrap();
            let all = [std::slice::from_ref(program), words].concat();
            match program.as_str() {
                // Version 1 has no such command.
                "aws" if words[..2] == ["sso", "login"] => {}
                "aws" => {
                    of_aws.insert((words.to_vec(), false));
                    faults.extend(
                        fault_of_parameters(words, false).map(|what| format!("{path}: {what}")),
                    );
                }
                "sam" => faults
                    .extend(fault_of_parameters(&all, false).map(|what| format!("{path}: {what}"))),
                "fourstep" => {
                    ours += 1;
                    let of_secret = |word: &String| match word.ends_with(":thing:stand-in") {
                        true => "arn:aws:secretsmanager:us-east-1:111122223333:secret:app-AbCdEf"
                            .to_owned(),
                        false => word.clone(),
                    };
                    let words: Vec<_> = words.iter().map(of_secret).collect();
                    let output = told(&binary("fourstep"), &words).await;
                    // The command's own word for what it does not understand.
                    if String::from_utf8_lossy(&output.stderr).contains("try '--help'") {
                        faults.push(format!("{path}: fourstep {}: {output:?}", words.join(" ")));
                    }
                }
                _ => {}
            }
        }
    }
    assert!(of_aws.len() > 25 && ours > 8, "{} and {ours} commands", of_aws.len());
    faults.extend(faults_of_aws(aws.as_ref(), of_aws).await);
    assert!(faults.is_empty(), "\n{}", faults.join("\n\n"));
}

/// The commands in an example's comment.
fn in_comments(text: &str) -> String {
    let lines = text.lines().filter_map(|line| line.strip_prefix("#     "));
    let (mut script, mut goes_on) = (String::new(), false);
    for line in lines {
        if goes_on || line.starts_with("aws ") {
            script += &format!("{line}\n");
            goes_on = line.ends_with('\\');
        }
    }
    script
}

#[tokio::test]
async fn the_commands_of_every_example_and_those_in_prose_are_understood() {
    let Ok(aws) = std::env::var("FOURSTEP_TEST_AWS") else { return skip("FOURSTEP_TEST_AWS") };
    let (mut of_aws, mut faults, mut examples) = (BTreeSet::new(), Vec::new(), 0);
    for file in files().iter().filter(|file| file.starts_with("examples/")) {
        for words in commands(&in_comments(&page(file).text)).await {
            examples += 1;
            let words = words[1..].to_vec();
            faults.extend(fault_of_parameters(&words, true).map(|what| format!("{file}: {what}")));
            of_aws.insert((words, false));
        }
    }
    assert!(examples > 10, "{examples} commands in examples");
    let mut prose = 0;
    for page in every_page() {
        for command in code(&page.text).iter().filter(|code| code.starts_with("aws ")) {
            // The name of a command, and not one to be typed.
            if command.split(' ').count() < 3 {
                continue;
            }
            prose += 1;
            let short = command.split(" --").count() < 2 || command.ends_with("...");
            let command = command.trim_end_matches(" ...");
            for words in commands(command).await {
                of_aws.insert((words[1..].to_vec(), short));
            }
        }
    }
    assert!(prose > 6, "{prose} commands in prose");
    faults.extend(faults_of_aws(aws.as_ref(), of_aws).await);
    assert!(faults.is_empty(), "\n{}", faults.join("\n\n"));
}

#[tokio::test]
async fn a_command_that_no_aws_would_understand_is_noticed() {
    let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    let deploy = "cloudformation deploy --stack-name x --template-file examples/rds-mysql.yaml";
    let no_such = words(&format!("{deploy} --parameter-overrides Nothing=1"));
    assert_eq!(
        fault_of_parameters(&no_such, false).unwrap(),
        "examples/rds-mysql.yaml has no parameter Nothing"
    );
    let few = words(&format!("{deploy} --parameter-overrides VpcId=1"));
    assert_eq!(fault_of_parameters(&few, false), None);
    assert_eq!(fault_of_parameters(&few, true).unwrap(), "examples/rds-mysql.yaml wants SubnetIds");
    let Ok(aws) = std::env::var("FOURSTEP_TEST_AWS") else { return skip("FOURSTEP_TEST_AWS") };
    for (command, short, right) in [
        ("secretsmanager describe-secret --secret-id app/db", false, true),
        ("secretsmanager describe-secret", true, true),
        ("secretsmanager describe-secret", false, false),
        ("secretsmanager describe-secrets", true, false),
        ("secretsmanager describe-secret --secret app/db --colour red", false, false),
        ("secretsmanager rotate-secret --secret-id a --rotation-rules Days=3", false, false),
    ] {
        let fault = fault_of_aws(aws.as_ref(), &words(command), short).await;
        assert_eq!(fault.is_none(), right, "{command}: {fault:?}");
    }
}
