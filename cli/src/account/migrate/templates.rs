//! AWS's rotation templates: which of our functions and strategies takes the place of each, and how a
//! function is known to be made from one. docs/move-from-aws.md has the same table, held to this by a test.

use std::fmt;

use crate::account::aws::Function;

/// A function of this project that rotates users and their passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `rotate-postgres`.
    Postgres,
    /// `rotate-mysql`.
    Mysql,
    /// `rotate-mongodb`.
    Mongodb,
    /// `rotate-sqlserver`.
    Sqlserver,
    /// `rotate-redis`.
    Redis,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Postgres, Self::Mysql, Self::Mongodb, Self::Sqlserver, Self::Redis];

    /// The word for it in `--function postgres=NAME`, and in the names of functions.
    pub fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mongodb => "mongodb",
            Self::Sqlserver => "sqlserver",
            Self::Redis => "redis",
        }
    }

    /// The strategy where `ROTATION_STRATEGY` is not set (docs/settings.md).
    pub fn default_strategy(self) -> &'static str {
        match self {
            Self::Redis => "dual-password",
            Self::Postgres | Self::Mysql | Self::Mongodb | Self::Sqlserver => "single-user",
        }
    }

    /// The parameter of the stack that sets `ROTATION_STRATEGY`.
    pub fn strategy_parameter(self) -> &'static str {
        match self {
            Self::Postgres => "RotationStrategy",
            Self::Mysql => "MysqlRotationStrategy",
            Self::Mongodb => "MongodbRotationStrategy",
            Self::Sqlserver => "SqlserverRotationStrategy",
            Self::Redis => "RedisRotationStrategy",
        }
    }

    /// The program of a function of ours: by its name, or else by its description, which are the
    /// stack's or the user's.
    pub fn of(function: &Function) -> Option<Self> {
        let named = |text: &str| {
            let text = text.to_ascii_lowercase();
            let mut found = Self::ALL.into_iter().filter(|one| text.contains(one.word()));
            // Two words say nothing.
            found.next().filter(|_| found.next().is_none())
        };
        named(&function.name).or_else(|| named(&function.description))
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "rotate-{}", self.word())
    }
}

/// One of AWS's templates.
#[derive(Debug, PartialEq, Eq)]
pub struct Template {
    /// As AWS calls it, and its application in the Serverless Application Repository.
    pub name: &'static str,
    /// What it rotates, as its functions' descriptions have it.
    pub engine: &'static str,
    /// Whether two users take turns.
    pub pair: bool,
    /// What takes its place, if anything does.
    pub program: Option<Program>,
    /// Parameters of the stack that it needs beside the strategy.
    pub parameters: &'static [&'static str],
}

const PAIR: &[&str] = &["AdoptUsers", "AdminSecretArns"];

const fn single(name: &'static str, engine: &'static str, program: Option<Program>) -> Template {
    Template { name, engine, pair: false, program, parameters: &[] }
}

const fn multi(name: &'static str, engine: &'static str, program: Option<Program>) -> Template {
    Template { name, engine, pair: true, program, parameters: PAIR }
}

/// Every template of AWS's whose place could be asked about. Source of the names: AWS Secrets Manager User
/// Guide, "AWS Secrets Manager rotation function templates".
pub const TEMPLATES: [Template; 21] = [
    single("SecretsManagerRDSPostgreSQLRotationSingleUser", "PostgreSQL", Some(Program::Postgres)),
    multi("SecretsManagerRDSPostgreSQLRotationMultiUser", "PostgreSQL", Some(Program::Postgres)),
    single("SecretsManagerRDSMySQLRotationSingleUser", "MySQL", Some(Program::Mysql)),
    // Its function uses a main user and keeps the password before: no strategy of the others is the same.
    single("SecretsManagerRDSMySQLRotationSingleUserRetainPassword", "MySQL", None),
    multi("SecretsManagerRDSMySQLRotationMultiUser", "MySQL", Some(Program::Mysql)),
    single("SecretsManagerRDSMariaDBRotationSingleUser", "MariaDB", Some(Program::Mysql)),
    multi("SecretsManagerRDSMariaDBRotationMultiUser", "MariaDB", Some(Program::Mysql)),
    single("SecretsManagerMongoDBRotationSingleUser", "MongoDB", Some(Program::Mongodb)),
    multi("SecretsManagerMongoDBRotationMultiUser", "MongoDB", Some(Program::Mongodb)),
    single("SecretsManagerRedshiftRotationSingleUser", "Redshift", Some(Program::Postgres)),
    multi("SecretsManagerRedshiftRotationMultiUser", "Redshift", Some(Program::Postgres)),
    Template {
        parameters: &["ManagedUserArns", "ManagedUsers"],
        ..single("SecretsManagerElasticacheUserRotation", "ElastiCache", Some(Program::Redis))
    },
    single("SecretsManagerRDSOracleRotationSingleUser", "Oracle", None),
    multi("SecretsManagerRDSOracleRotationMultiUser", "Oracle", None),
    single("SecretsManagerRDSSQLServerRotationSingleUser", "SQL Server", Some(Program::Sqlserver)),
    multi("SecretsManagerRDSSQLServerRotationMultiUser", "SQL Server", None),
    single("SecretsManagerRDSDb2RotationSingleUser", "Db2", None),
    multi("SecretsManagerRDSDb2RotationMultiUser", "Db2", None),
    single("SecretsManagerActiveDirectoryRotationSingleUser", "Active Directory", None),
    single("SecretsManagerActiveDirectoryAndKeytabRotationSingleUser", "Active Directory", None),
    single("SecretsManagerRotationTemplate", "anything", None),
];

/// How a function is known to be of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Its tag names the application that it was made from.
    Tag,
    /// Its name has the template's.
    Name,
    /// It has the description of the template's functions.
    Description,
    /// The person who typed the command said so.
    Person,
}

impl Told {
    /// For people: `PostgreSQL, by its name`.
    pub fn text(self) -> &'static str {
        match self {
            Self::Tag => "by its tag",
            Self::Name => "by its name",
            Self::Description => "by its description",
            Self::Person => "as you said",
        }
    }
}

/// What a function is, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Made from this template.
    Of(&'static Template, Told),
    /// It has runtime, handler and variables of AWS's templates, and nothing says which one.
    Unclear,
    /// Something else.
    Another,
}

impl Template {
    /// The template of this name.
    pub fn called(name: &str) -> Option<&'static Self> {
        TEMPLATES.iter().find(|one| one.name.eq_ignore_ascii_case(name.trim()))
    }

    /// The template whose name stands in this text, as a word of its own: a longer one is another template.
    pub fn within(text: &str) -> Option<&'static Self> {
        text.split(|c: char| !c.is_ascii_alphanumeric()).find_map(Self::called)
    }

    /// The template whose functions are described so: `Rotates a Secrets Manager secret for Amazon RDS
    /// MySQL credentials using the alternating users rotation strategy.`, as the functions have it that
    /// AWS's console, its applications and HostedRotationLambda make.
    pub fn described(text: &str) -> Option<&'static Self> {
        let text = text.to_ascii_lowercase();
        let rest = text.strip_prefix("rotates a secrets manager secret for ")?;
        let (engine, strategy) = rest.split_once(" credentials using the ")?;
        let engine = engine.replace("documentdb", "mongodb");
        let pair = match strategy.split(" rotation strategy").next()? {
            "single user" => false,
            "alternating users" | "multi user" => true,
            _ => return None,
        };
        let is = |one: &&Self| {
            one.pair == pair && engine.split_once(&one.engine.to_ascii_lowercase()).is_some()
        };
        TEMPLATES.iter().filter(|one| one.engine != "anything").find(is)
    }

    /// The strategy that takes its place.
    pub fn strategy(&self) -> Option<&'static str> {
        match self.program? {
            _ if self.pair => Some("alternating-users"),
            program => Some(program.default_strategy()),
        }
    }

    /// Whether a secret of it may be rotated by this strategy. Another strategy for one user changes the
    /// password of the same user; a pair has no other.
    pub fn may_have(&self, strategy: &str) -> bool {
        match (self.pair, self.program) {
            (true, _) => strategy == "alternating-users",
            (false, Some(Program::Mysql)) => {
                ["single-user", "single-user-by-admin", "dual-password"].contains(&strategy)
            }
            (false, Some(Program::Redis)) => strategy == "dual-password",
            (false, _) => ["single-user", "single-user-by-admin"].contains(&strategy),
        }
    }

    /// What only a look at the server and its clients can tell, and `preflight` or the test says where
    /// it can be asked.
    pub fn versions(&self) -> &'static str {
        match self.program {
            None => "",
            Some(Program::Postgres) if self.engine == "Redshift" => "never run on the service",
            Some(Program::Postgres) => {
                "PostgreSQL 10; clients and poolers that know SCRAM-SHA-256; TLS where the secret has no ssl"
            }
            Some(Program::Mysql) if self.engine == "MariaDB" => {
                "MariaDB 10.11; TLS where the secret has no ssl"
            }
            Some(Program::Mysql) if self.pair => {
                "MySQL 8.0.21 or MariaDB 10.11; TLS where the secret has no ssl"
            }
            Some(Program::Mysql) => {
                "MySQL 8.0.14 or MariaDB 10.11; TLS where the secret has no ssl"
            }
            Some(Program::Mongodb) => "TLS where the secret has no ssl",
            Some(Program::Sqlserver) => {
                "never run at a real server; TLS where the secret has no ssl"
            }
            Some(Program::Redis) => "a host in the secret; TLS where it has no ssl",
        }
    }
}

impl Origin {
    /// By what Lambda says of the function; `application` is that of its tag.
    pub fn of(function: &Function, application: Option<&str>) -> Self {
        if !function.templated {
            return Self::Another;
        }
        let tag = application.and_then(|one| Template::called(one.rsplit('/').next()?));
        let name = Template::within(&function.name);
        let description = Template::described(&function.description);
        match (tag, name, description) {
            (Some(template), ..) => return Self::Of(template, Told::Tag),
            // One that somebody named after another template is taken for neither.
            (None, Some(name), Some(said)) if name != said => return Self::Unclear,
            (None, Some(template), _) => return Self::Of(template, Told::Name),
            (None, None, Some(template)) => return Self::Of(template, Told::Description),
            (None, None, None) => {}
        }
        // Every template of AWS's demands this variable.
        let endpoint = function.variables.contains_key("SECRETS_MANAGER_ENDPOINT");
        if endpoint { Self::Unclear } else { Self::Another }
    }
}
