//! Measures `rotate-postgres` beside the bare runtime and, where one has it, AWS's Python template.
//! `scripts/bench` starts it, with everything that it needs.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use fourstep_bench::figures::{Bare, Demands, Figures, Rotations, Template};
use fourstep_bench::host::Program;
use fourstep_bench::rotations::{Rotation, Scene};
use fourstep_bench::server_log::ServerLog;
use fourstep_bench::{picture, report};
use serde_json::Value;

/// How long the local Secrets Manager keeps each answer back while calls in sequence are counted.
const COUNTING_LATENCY: Duration = Duration::from_millis(50);

/// Measures a rotation function for PostgreSQL.
#[derive(Debug, Parser)]
struct Arguments {
    /// The function binary.
    #[arg(long)]
    function: PathBuf,
    /// Its zip.
    #[arg(long)]
    zip: PathBuf,
    /// A function binary that does nothing.
    #[arg(long)]
    bare: PathBuf,
    /// Its zip.
    #[arg(long)]
    bare_zip: PathBuf,
    /// The secret: a file with the JSON document of a user that may be changed.
    #[arg(long)]
    secret: PathBuf,
    /// The CA that signed the server's certificate.
    #[arg(long)]
    ca: PathBuf,
    /// The server's log.
    #[arg(long)]
    server_log: PathBuf,
    /// The folder with AWS's template, lambda_function.py.
    #[arg(long, requires = "python")]
    template: Option<PathBuf>,
    /// A Python with what the template and its host need: awslambdaric, boto3, PyGreSQL.
    #[arg(long)]
    python: Option<PathBuf>,
    /// How many rotations of each kind, and pairs. Starts are measured five times as often.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// What it is measured with, for people: the server's version.
    #[arg(long)]
    conditions: String,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// A JSON file to print with it: what fourstep-count counted.
    #[arg(long)]
    instructions: Option<PathBuf>,
    /// Also rewrite the table in README.md and the picture docs/bench.svg of this folder.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("a figure is over its budget");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: &Arguments) -> io::Result<bool> {
    let figures = Bench::new(arguments).await?.measure().await?;
    let machine = report::machine(&arguments.conditions);
    if arguments.json {
        let mut all = report::as_json(&figures, &machine);
        if let (Some(all), Some(file)) = (all.as_object_mut(), &arguments.instructions) {
            let counted = serde_json::from_str(&std::fs::read_to_string(file)?)?;
            all.insert("instructions".to_owned(), counted);
        }
        println!("{all:#}");
    } else {
        print!("{}", report::text(&figures, &machine));
    }
    if let Some(folder) = &arguments.write {
        let file = folder.join("README.md");
        report::write_into(&file, report::TIMES, &report::markdown(&figures, &machine))?;
        std::fs::write(folder.join("docs/bench.svg"), picture::draw(&figures, &machine))?;
    }
    Ok(figures.within_budget())
}

struct Bench<'a> {
    arguments: &'a Arguments,
    scene: Scene,
    log: ServerLog,
    function: Program,
    bare: Program,
    template: Option<Program>,
}

impl<'a> Bench<'a> {
    async fn new(arguments: &'a Arguments) -> io::Result<Self> {
        let document: Value = serde_json::from_str(&std::fs::read_to_string(&arguments.secret)?)
            // The parser's own words may quote the document.
            .map_err(|_| io::Error::other("the secret is not JSON"))?;
        let user = document.get("username").and_then(Value::as_str).unwrap_or_default().to_owned();
        let ca = ("TLS_CA_BUNDLE".to_owned(), arguments.ca.display().to_string());
        let template = arguments.template.as_ref().zip(arguments.python.as_ref());
        Ok(Self {
            arguments,
            scene: Scene::new(&document).await?,
            log: ServerLog { path: arguments.server_log.clone(), user },
            function: Program { environment: vec![ca], ..Program::of(&arguments.function) },
            bare: Program::of(&arguments.bare),
            template: template.map(|(folder, python)| Program {
                command: python.clone(),
                arguments: ["-m", "awslambdaric", "lambda_function.lambda_handler"]
                    .map(str::to_owned)
                    .to_vec(),
                folder: folder.clone(),
                environment: Vec::new(),
            }),
        })
    }

    async fn measure(&self) -> io::Result<Figures> {
        let (start_ups, bare) = self.starts().await?;
        let tls = self.rotations(true, None).await?.0;
        let (plaintext, theirs) = self.rotations(false, self.template.as_ref()).await?;
        let demands = self.demands(&self.function).await?;
        let template = match &self.template {
            None => None,
            Some(template) => {
                Some(Template { rotations: theirs, demands: self.demands(template).await? })
            }
        };
        let sizes = [size(&self.arguments.function)?, size(&self.arguments.zip)?];
        Ok(Figures { start_ups, tls, plaintext, demands, sizes, bare, template })
    }

    /// Starts of the function and of the bare runtime, in turn.
    async fn starts(&self) -> io::Result<(Vec<Duration>, Bare)> {
        let sizes = [size(&self.arguments.bare)?, size(&self.arguments.bare_zip)?];
        let mut ours = Vec::new();
        let mut bare = Bare { start_ups: Vec::new(), peak_memory: 0, sizes };
        // The first of each fills the system's caches.
        for round in 0..=self.arguments.rounds * 5 {
            for (program, is_bare) in [(&self.function, false), (&self.bare, true)] {
                let mut running = program.start(&self.scene.manager.url()).await?;
                let time = running.ready().await?;
                let usage = running.end().await?;
                match (round, is_bare) {
                    (0, _) => {}
                    (_, true) => {
                        bare.start_ups.push(time);
                        bare.peak_memory = bare.peak_memory.max(usage.peak_memory);
                    }
                    (_, false) => ours.push(time),
                }
            }
        }
        Ok((ours, bare))
    }

    /// Rotations of the function, and of the other in turn: A, B, A, B.
    async fn rotations(
        &self,
        tls: bool,
        other: Option<&Program>,
    ) -> io::Result<(Rotations, Rotations)> {
        self.scene.set_tls(tls)?;
        let (mut ours, mut theirs) = (Rotations::default(), Rotations::default());
        // The first of each fills caches, those of Python's compiled files among them.
        for round in 0..=self.arguments.rounds {
            let rotation = self.scene.cold(&self.function).await?;
            let other = match other {
                Some(other) => Some(self.scene.cold(other).await?),
                None => None,
            };
            if round > 0 {
                ours.cold.push(rotation);
                theirs.cold.extend(other);
            }
        }
        ours.warm = self.warm(&self.function).await?;
        if let Some(other) = other {
            theirs.warm = self.warm(other).await?;
        }
        Ok((ours, theirs))
    }

    async fn warm(&self, program: &Program) -> io::Result<Vec<Duration>> {
        let mut running = program.start(&self.scene.manager.url()).await?;
        let mut times = Vec::new();
        for round in 0..=self.arguments.rounds {
            let time = self.scene.warm(&mut running).await?;
            if round > 0 {
                times.push(time);
            }
        }
        running.end().await?;
        Ok(times)
    }

    /// One more rotation, of which not the time counts but what it asked for.
    async fn demands(&self, program: &Program) -> io::Result<Demands> {
        self.scene.manager.set_latency(COUNTING_LATENCY);
        let before = self.log.end()?;
        let rotation: Rotation = self.scene.cold(program).await?;
        self.scene.manager.set_latency(Duration::ZERO);
        Ok(Demands::of(&rotation, self.log.logins_since(before)?))
    }
}

fn size(file: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(file)?.len())
}
