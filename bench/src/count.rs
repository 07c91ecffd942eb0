//! Counts the instructions of rotation functions, and says which are over their budgets.
//! `scripts/bench` starts it with everything that it needs, `scripts/test-sam` with less.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use fourstep_bench::host::Program;
use fourstep_bench::instructions::{Counted, Valgrind, as_json, markdown, over};
use fourstep_bench::report;
use fourstep_bench::rotations::Scene;
use fourstep_bench::vendor::Vendor;
use serde_json::{Value, json};

/// Counts the instructions of rotation functions.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program valgrind.
    #[arg(long, default_value = "valgrind")]
    valgrind: PathBuf,
    /// The binary rotate-postgres.
    #[arg(long)]
    postgres: PathBuf,
    /// A file with the JSON document of a PostgreSQL user that may be changed.
    #[arg(long)]
    postgres_secret: PathBuf,
    /// The CA that signed that server's certificate.
    #[arg(long)]
    postgres_ca: PathBuf,
    /// The binary rotate-mysql.
    #[arg(long)]
    mysql: PathBuf,
    /// The same for a MySQL or MariaDB; without it only the start is counted.
    #[arg(long, requires = "mysql_ca")]
    mysql_secret: Option<PathBuf>,
    /// The CA that signed that server's certificate.
    #[arg(long)]
    mysql_ca: Option<PathBuf>,
    /// The binary rotate-mongodb, of which only the start is counted.
    #[arg(long)]
    mongodb: PathBuf,
    /// The binary rotate-sqlserver, the same.
    #[arg(long)]
    sqlserver: PathBuf,
    /// The binary rotate-redis, the same.
    #[arg(long)]
    redis: PathBuf,
    /// The binary rotate-iam, the same.
    #[arg(long)]
    iam: PathBuf,
    /// The binary rotate-api.
    #[arg(long)]
    api: PathBuf,
    /// A function binary that does nothing.
    #[arg(long)]
    bare: Option<PathBuf>,
    /// So many percent over a budget are allowed: binaries that are built without link-time
    /// optimisation, which the budgets are not about, take a little more.
    #[arg(long, default_value_t = 0)]
    allow: u8,
    /// Also write JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Also rewrite the table in README.md of this folder.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(over) if over.is_empty() => ExitCode::SUCCESS,
        Ok(over) => {
            for figure in over {
                eprintln!("over its budget: {figure}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: &Arguments) -> io::Result<Vec<String>> {
    let counted = count(arguments).await?;
    let table = markdown(&counted);
    print!("{table}");
    if let Some(file) = &arguments.json {
        std::fs::write(file, as_json(&counted).to_string())?;
    }
    if let Some(folder) = &arguments.write {
        report::write_into(&folder.join("README.md"), report::INSTRUCTIONS, &table)?;
    }
    Ok(over(&counted, arguments.allow))
}

async fn count(arguments: &Arguments) -> io::Result<Vec<Counted>> {
    let folder = tempfile::tempdir()?;
    let valgrind =
        Valgrind { program: arguments.valgrind.clone(), folder: folder.path().to_owned() };
    let mut counted = Vec::new();

    let scene = tls_scene(&arguments.postgres_secret).await?;
    let program = program(&arguments.postgres, "TLS_CA_BUNDLE", &arguments.postgres_ca);
    counted.push(valgrind.rotation("rotate-postgres", &program, &scene).await?);

    counted.push(match (&arguments.mysql_secret, &arguments.mysql_ca) {
        (Some(secret), Some(ca)) => {
            let scene = tls_scene(secret).await?;
            let program = self::program(&arguments.mysql, "TLS_CA_BUNDLE", ca);
            valgrind.rotation("rotate-mysql", &program, &scene).await?
        }
        _ => valgrind.start("rotate-mysql", &Program::of(&arguments.mysql), &scene).await?,
    });

    for (name, binary) in [
        ("rotate-mongodb", &arguments.mongodb),
        ("rotate-sqlserver", &arguments.sqlserver),
        ("rotate-redis", &arguments.redis),
        ("rotate-iam", &arguments.iam),
    ] {
        counted.push(valgrind.start(name, &Program::of(binary), &scene).await?);
    }

    let vendor = Vendor::start().await?;
    let specification = folder.path().join("vendor.toml");
    std::fs::write(&specification, vendor.specification())?;
    let program = self::program(&arguments.api, "ROTATION_SPEC", &specification);
    let at_vendor = Scene::new(&vendor.document()).await?;
    counted.push(valgrind.rotation("rotate-api", &program, &at_vendor).await?);

    if let Some(bare) = &arguments.bare {
        counted.push(valgrind.start("bare runtime", &Program::of(bare), &scene).await?);
    }
    Ok(counted)
}

/// A secret whose connections are inside verified TLS.
async fn tls_scene(secret: &Path) -> io::Result<Scene> {
    let mut document: Value = serde_json::from_str(&std::fs::read_to_string(secret)?)
        // The parser's own words may quote the document.
        .map_err(|_| io::Error::other("the secret is not JSON"))?;
    if let Some(fields) = document.as_object_mut() {
        fields.insert("ssl".to_owned(), json!(true));
    }
    Scene::new(&document).await
}

fn program(binary: &Path, variable: &str, value: &Path) -> Program {
    let environment = vec![(variable.to_owned(), value.display().to_string())];
    Program { environment, ..Program::of(binary) }
}
