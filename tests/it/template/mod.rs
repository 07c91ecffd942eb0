//! template.yaml, transformed: what a deployment makes, for each choice a person has.

mod aws_shape;
mod calls;
mod consumers;
mod partitions;
mod permissions;
mod resolve;
mod rule;
mod security;
mod selection;
mod settings;
mod terraform;

use fourstep::{Environment, PasswordPolicy};
use serde_json::{Map, Value, json};

use resolve::template;

const EVERY: (&str, &str) = ("Rotators", "postgres,mysql,mongodb,sqlserver,redis,iam,api");

const VPC: [(&str, &str); 2] =
    [("SubnetIds", "subnet-1,subnet-2"), ("SecurityGroupIds", "sg-1,sg-2")];

fn of_type<'a>(resources: &'a Map<String, Value>, name: &str) -> Vec<(&'a str, &'a Value)> {
    let all = resources.iter().filter(|(_, resource)| resource["Type"] == name);
    all.map(|(id, resource)| (id.as_str(), &resource["Properties"])).collect()
}

/// The functions: a block of resources each, named alike.
fn functions(resources: &Map<String, Value>) -> Vec<(&str, &Value)> {
    let functions = of_type(resources, "AWS::Lambda::Function");
    assert!(!functions.is_empty());
    functions
}

#[test]
fn every_function_has_its_own_role_log_permission_and_output() {
    let Some(template) = template(&[EVERY]) else { return };
    let resources = template.resources();
    for (id, function) in functions(&resources) {
        assert_eq!(function["Runtime"], "provided.al2023");
        assert_eq!(function["MemorySize"], 128);
        assert_eq!(function["Architectures"], json!(["arm64"]));
        assert_eq!(function["Role"], format!("{id}Role.Arn"));
        assert_eq!(function["Layers"], json!([]));
        assert_eq!(function["VpcConfig"], Value::Null);
        let name = function["FunctionName"].as_str().unwrap();
        let logging = &function["LoggingConfig"];
        assert_eq!(
            (&logging["LogFormat"], &logging["LogGroup"]),
            (&json!("JSON"), &json!(format!("{id}Logs")))
        );
        let log = &resources[&format!("{id}Logs")]["Properties"];
        assert_eq!(log["LogGroupName"], format!("/aws/lambda/{name}"));
        assert_eq!(log["RetentionInDays"], "90");
        let permission = &resources[&format!("{id}Permission")]["Properties"];
        // No SourceArn: AWS would then let one secret only call it.
        assert_eq!(
            permission,
            &json!({
                "FunctionName": id,
                "Action": "lambda:InvokeFunction",
                "Principal": "secretsmanager.amazonaws.com",
                "SourceAccount": "111122223333",
            })
        );
        let role = &resources[&format!("{id}Role")]["Properties"];
        assert_eq!(role["ManagedPolicyArns"], json!([]));
        assert_eq!(role.get("PermissionsBoundary"), None);
        assert_eq!(template.outputs()[&format!("{id}Arn")]["Value"], format!("{id}.Arn"));
    }
    assert_eq!(of_type(&resources, "AWS::EC2::VPCEndpoint"), []);
    assert_eq!(of_type(&resources, "AWS::IAM::ManagedPolicy"), []);
}

#[test]
fn the_processor_can_be_chosen() {
    let Some(template) = template(&[("Architecture", "x86_64")]) else { return };
    let resources = template.resources();
    let all = functions(&resources);
    assert!(all.iter().all(|(_, function)| function["Architectures"] == json!(["x86_64"])));
}

/// The variables are for those who set them; nobody else's function may change because of them.
#[test]
fn the_parameters_defaults_are_the_functions_own() {
    let Some(template) = template(&[EVERY]) else { return };
    let resources = template.resources();
    for (id, function) in functions(&resources) {
        let variables = function["Environment"]["Variables"].as_object().unwrap();
        let environment: Environment = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        assert_eq!(settings(id, &environment), settings(id, &Environment::default()));
        assert_eq!(environment.text("SECRETS_MANAGER_ENDPOINT").unwrap(), None);
    }
}

/// What a function makes of its variables.
fn settings(function: &str, environment: &Environment) -> (PasswordPolicy, [String; 2]) {
    if function == "RotateApi" {
        // Without a specification there is nothing to rotate, and that is what it says.
        let refused = rotate_api::rotator(environment).err().unwrap().to_string();
        assert_eq!(refused, "the environment variable ROTATION_SPEC is not set");
        let policy = PasswordPolicy::read(environment, "").unwrap();
        return (policy, [refused, String::new()]);
    }
    if function == "RotateIam" {
        assert!(rotate_iam::rotator(environment).is_ok());
        let dedicated = environment.flag("DEDICATED_USERS").unwrap().to_string();
        return (PasswordPolicy::read(environment, "").unwrap(), [dedicated, String::new()]);
    }
    let (characters, strategies, database) = match function {
        "RotatePostgres" => (
            rotate_postgres::EXCLUDED_CHARACTERS,
            rotate_postgres::strategies(environment),
            format!("{:?}", rotate_postgres::Postgres::read(environment).unwrap()),
        ),
        "RotateMysql" => (
            rotate_mysql::EXCLUDED_CHARACTERS,
            rotate_mysql::strategies(environment),
            format!("{:?}", rotate_mysql::Mysql::read(environment).unwrap()),
        ),
        "RotateMongodb" => (
            rotate_mongodb::EXCLUDED_CHARACTERS,
            rotate_mongodb::strategies(environment),
            format!("{:?}", rotate_mongodb::Mongodb::read(environment).unwrap()),
        ),
        "RotateSqlserver" => (
            rotate_sqlserver::EXCLUDED_CHARACTERS,
            rotate_sqlserver::strategies(environment),
            format!("{:?}", rotate_sqlserver::Sqlserver::read(environment).unwrap()),
        ),
        "RotateRedis" => (
            rotate_redis::EXCLUDED_CHARACTERS,
            rotate_redis::strategies(environment),
            format!("{:?}", rotate_redis::Redis::read(environment).unwrap()),
        ),
        other => panic!("which settings has {other}?"),
    };
    let policy = PasswordPolicy::read(environment, characters).unwrap();
    (policy, [format!("{:?}", strategies.unwrap()), database])
}

#[test]
fn a_vpc_brings_its_permissions_and_only_if_asked_an_endpoint() {
    let Some(plain) = template(&VPC) else { return };
    let resources = plain.resources();
    for (id, function) in functions(&resources) {
        assert_eq!(
            function["VpcConfig"],
            json!({"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1", "sg-2"]})
        );
        let role = &resources[&format!("{id}Role")]["Properties"];
        assert_eq!(role["ManagedPolicyArns"], json!(["VpcPolicy"]));
    }
    assert_eq!(of_type(&resources, "AWS::EC2::VPCEndpoint"), []);
    let endpoint = [("VpcId", "vpc-1"), ("CreateSecretsManagerEndpoint", "true")];
    let asked = template(&[VPC, endpoint].concat()).unwrap().resources();
    let endpoints = of_type(&asked, "AWS::EC2::VPCEndpoint");
    let [(_, endpoint)] = endpoints[..] else { panic!("{endpoints:?}") };
    assert_eq!(endpoint["ServiceName"], "com.amazonaws.us-east-1.secretsmanager");
    // Without it the function would look for the service on the Internet all the same.
    assert_eq!(endpoint["PrivateDnsEnabled"], true);
}

/// Its private DNS covers the names of one kind of endpoint; the functions must look for that kind.
#[test]
fn the_endpoint_is_of_the_kind_at_which_the_functions_look() {
    let endpoint = [("VpcId", "vpc-1"), ("CreateSecretsManagerEndpoint", "true")];
    let asked = [VPC, endpoint].concat();
    for (fips, service) in [("false", "secretsmanager"), ("true", "secretsmanager-fips")] {
        let changed = [&asked[..], &[("UseFipsEndpoints", fips)]].concat();
        let Some(template) = template(&changed) else { return };
        assert!(template.broken_rules().is_empty());
        let resources = template.resources();
        for (_, function) in functions(&resources) {
            assert_eq!(function["Environment"]["Variables"]["AWS_USE_FIPS_ENDPOINT"], fips);
        }
        let made = &resources["SecretsManagerVpcEndpoint"]["Properties"]["ServiceName"];
        assert_eq!(made, &json!(format!("com.amazonaws.us-east-1.{service}")));
    }
}

/// By the endpoint's private DNS nobody in the VPC has another way to Secrets Manager.
#[test]
fn the_endpoint_lets_in_the_functions_and_whoever_is_named_beside_them() {
    let endpoint = [("VpcId", "vpc-1"), ("CreateSecretsManagerEndpoint", "true")];
    let asked = [VPC, endpoint].concat();
    let Some(alone) = template(&asked) else { return };
    let admitted = |template: &resolve::Template| {
        let group = template.resources()["SecretsManagerEndpointGroup"].clone();
        let mut rows = group["Properties"]["SecurityGroupIngress"].as_array().unwrap().clone();
        for row in &mut rows {
            row.as_object_mut().unwrap().remove("Description").unwrap();
        }
        rows
    };
    let https = |who: &str, value: &str| json!({"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, who: value});
    let functions = https("SourceSecurityGroupId", "sg-1");
    assert_eq!(admitted(&alone), std::slice::from_ref(&functions));
    let clients = ("EndpointClientCidr", "10.0.0.0/16");
    let all = template(&[&asked[..], &[clients]].concat()).unwrap();
    assert_eq!(admitted(&all), [functions, https("CidrIp", "10.0.0.0/16")]);
    assert!(all.broken_rules().is_empty());
    // Who is to be let in where there is nothing to be let in by, has misread something.
    assert_eq!(template(&[clients]).unwrap().broken_rules(), ["EndpointHasClients"]);
    assert_eq!(template(&endpoint[1..]).unwrap().broken_rules(), ["EndpointIsComplete"]);
    for kind in ["UseFipsEndpoints", "UseDualstackEndpoints"] {
        let both = [("SecretsManagerEndpoint", "https://sm.example"), (kind, "true")];
        assert_eq!(template(&both).unwrap().broken_rules(), ["EndpointIsMadeOrNamed"]);
        assert!(template(&both[..1]).unwrap().broken_rules().is_empty());
    }
    assert!(template(&[]).unwrap().broken_rules().is_empty());
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_deployed() {
    let Some(template) = template(&[]) else { return };
    for (parameter, right, wrong) in [
        (
            "EndpointClientCidr",
            &["", "10.0.0.0/16", "0.0.0.0/0", "255.249.199.99/32", "192.168.1.128/25"][..],
            &[
                "10.0.0.0",
                "10.0.0/16",
                "10.0.0.0/33",
                "256.0.0.0/8",
                "10.0.0.0/16,10.1.0.0/16",
                "01.0.0.0/8",
                "10.0.0.0.0/16",
                "10x0.0.0/16",
                "fd00::/8",
                "sg-1",
                " 10.0.0.0/16",
            ][..],
        ),
        ("UsernameCharacterLimit", &["", "16", "128"], &["0", "-1", "16.5", "sixteen", "1000"]),
    ] {
        // It must match the whole value. Source: AWS CloudFormation User Guide, "Parameters".
        let pattern = template.definition(parameter)["AllowedPattern"].as_str().unwrap();
        let pattern = regex_lite::Regex::new(&format!("^(?:{pattern})$")).unwrap();
        assert!(right.iter().all(|value| pattern.is_match(value)), "{parameter} refuses too much");
        for value in wrong {
            assert!(!pattern.is_match(value), "{parameter} takes {value:?}");
        }
    }
}

#[test]
fn each_engine_is_asked_a_question_of_its_own() {
    let (mine, yours) = (("ProbeQuery", "SELECT 1"), ("MysqlProbeQuery", "SELECT 2"));
    let limit = ("UsernameCharacterLimit", "16");
    let Some(template) = template(&[EVERY, mine, yours, limit]) else { return };
    let resources = template.resources();
    let variables = |id: &str| &resources[id]["Properties"]["Environment"]["Variables"];
    assert_eq!(variables("RotatePostgres")["PROBE_QUERY"], mine.1);
    assert_eq!(variables("RotateMysql")["PROBE_QUERY"], yours.1);
    assert_eq!(variables("RotateMysql")["USERNAME_CHARACTER_LIMIT"], limit.1);
    // They take none, and say so wherever it is set.
    for without in ["RotateMongodb", "RotateSqlserver", "RotateRedis"] {
        assert_eq!(variables(without)["PROBE_QUERY"], "", "{without}");
    }
}

/// What is listed of a PostgreSQL user would end the rotations of another server's user of that name.
#[test]
fn the_secrets_of_a_proxy_are_told_only_to_functions_that_keep_them() {
    let listed = ("ProxySecrets", "app=app/proxy,app_clone=clone/proxy");
    let Some(template) = template(&[EVERY, listed]) else { return };
    for (id, function) in functions(&template.resources()) {
        let keeps = id == "RotatePostgres" || id == "RotateMysql";
        let told = &function["Environment"]["Variables"]["PROXY_SECRETS"];
        assert_eq!(told, if keeps { listed.1 } else { "" }, "{id}");
    }
}

#[test]
fn every_parameter_is_shown_in_one_group() {
    let Some(template) = template(&[]) else { return };
    let groups = template.groups().iter();
    let mut shown: Vec<&str> = groups
        .flat_map(|group| group["Parameters"].as_array().unwrap())
        .map(|name| name.as_str().unwrap())
        .collect();
    shown.sort_unstable();
    let mut all = template.parameters();
    all.sort_unstable();
    assert_eq!(shown, all);
}

#[test]
fn a_boundary_is_on_every_role() {
    let boundary = "arn:aws:iam::111122223333:policy/boundary";
    let Some(template) = template(&[("PermissionsBoundary", boundary)]) else { return };
    let resources = template.resources();
    let roles = of_type(&resources, "AWS::IAM::Role");
    assert_eq!(roles.len(), functions(&resources).len());
    assert!(roles.iter().all(|(_, role)| role["PermissionsBoundary"] == boundary));
}

#[test]
fn a_ca_bundle_comes_by_a_layer() {
    let layer = "arn:aws:lambda:us-east-1:111122223333:layer:ca:1";
    let changed = [
        ("TlsCaBundle", "/opt/ca.pem"),
        ("TlsCaBundleLayer", layer),
        ("AwsCaBundle", "/opt/proxy.pem"),
    ];
    let Some(template) = template(&changed) else { return };
    for (_, function) in functions(&template.resources()) {
        assert_eq!(function["Layers"], json!([layer]));
        let variables = &function["Environment"]["Variables"];
        assert_eq!(variables["TLS_CA_BUNDLE"], "/opt/ca.pem");
        assert_eq!(variables["AWS_CA_BUNDLE"], "/opt/proxy.pem");
    }
}
