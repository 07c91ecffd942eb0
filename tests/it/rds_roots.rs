//! Amazon RDS's roots: the script that gets them, at an HTTPS server with made bundles, good and bad;
//! and those that are built in.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::program::binary;

const PAGE: &str = "# Regions\n<!-- Regions: written by scripts/update-rds-roots. -->\n\
                    <!-- End of the Regions. -->\nend\n";
/// Names that no Region of AWS's has.
const NORTH: &str = "Amazon RDS xx-north-8 Root CA ECC384 G1";
const SOUTH: &str = "Amazon RDS xx-south-9 Root CA ECC384 G1";

fn script() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/update-rds-roots"))
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// A checkout to write to, and beside it a server whose files are whole answers.
struct Place {
    folder: TempDir,
    server: Child,
    port: u16,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["checkout/framework/rds-ca", "checkout/docs", "served"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("checkout/docs/regions.md"), PAGE).unwrap();
        openssl(
            folder.path(),
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
             -addext subjectAltName=DNS:localhost -keyout server.key -out server.pem",
        );
        let mut server = Command::new("openssl")
            .args(
                "s_server -accept localhost:0 -cert ../server.pem -key ../server.key -HTTP"
                    .split(' '),
            )
            .current_dir(folder.path().join("served"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // "ACCEPT 127.0.0.1:PORT"
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            line.unwrap().strip_prefix("ACCEPT ")?.rsplit(':').next()?.parse().ok()
        });
        // Its output is read on: a full pipe would stop it.
        std::thread::spawn(move || lines.count());
        Self { folder, server, port: port.unwrap() }
    }

    fn serve(&self, answer: &str) {
        self.serve_as("bundle.pem", answer);
    }

    fn serve_as(&self, name: &str, answer: &str) {
        fs::write(self.folder.path().join("served").join(name), answer).unwrap();
    }

    /// Runs the script for one partition at this server; its exit status and what it said.
    fn update(&self, bundle: &str, more: &[&str]) -> (i32, String) {
        self.serve(&format!("HTTP/1.0 200 OK\r\n\r\n{bundle}"));
        self.run("https", more)
    }

    fn run(&self, scheme: &str, more: &[&str]) -> (i32, String) {
        let url = format!("aws={scheme}://localhost:{}/bundle.pem", self.port);
        self.call(&[&["aws", "--url", &url], more].concat())
    }

    fn call(&self, arguments: &[&str]) -> (i32, String) {
        let output = script()
            .arg("--root")
            .arg(self.folder.path().join("checkout"))
            .args(arguments)
            .env("SSL_CERT_FILE", self.folder.path().join("server.pem"))
            .output()
            .unwrap();
        (output.status.code().unwrap(), said(&output))
    }

    fn written(&self) -> Option<String> {
        self.written_of("aws")
    }

    fn written_of(&self, partition: &str) -> Option<String> {
        let file = format!("checkout/framework/rds-ca/{partition}.pem");
        fs::read_to_string(self.folder.path().join(file)).ok()
    }

    fn page(&self) -> String {
        fs::read_to_string(self.folder.path().join("checkout/docs/regions.md")).unwrap()
    }

    /// A certificate of this common name, made by `openssl req -x509` with more arguments.
    fn certificate(&self, name: &str, more: &str) -> String {
        let subject = format!("/C=US/O=Amazon Web Services, Inc./OU=Amazon RDS/CN={name}");
        let file = self.folder.path().join("made.pem");
        let output = Command::new("openssl")
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(' '))
            .args(["-subj", &subject, "-keyout", "made.key", "-out", "made.pem"])
            .args(more.split_whitespace())
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::read_to_string(file).unwrap()
    }

    /// One that ended yesterday.
    fn ended(&self, name: &str) -> String {
        self.root(name);
        openssl(self.folder.path(), "x509 -in made.pem -signkey made.key -days -1 -out ended.pem");
        fs::read_to_string(self.folder.path().join("ended.pem")).unwrap()
    }

    fn root(&self, name: &str) -> String {
        self.certificate(name, "-days 3650")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let output =
        Command::new("openssl").args(arguments.split_whitespace()).current_dir(folder).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{arguments}: {output:?}");
}

#[test]
fn new_roots_are_written_and_told_by_region_and_none_is_lost_unless_told() {
    let place = Place::new();
    let (north, south) = (place.root(NORTH), place.root(SOUTH));

    let (status, said) = place.update(&north, &[]);
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("+ xx-north-8") && said.contains(NORTH), "{said}");
    assert!(place.page().contains("| `aws` | 1 | xx-north-8 |"), "{}", place.page());
    assert!(place.page().ends_with("\nend\n"), "{}", place.page());
    let first = place.written().unwrap();
    assert!(first.contains(north.trim()), "{first}");

    // The same roots in another order are no change.
    let both = format!("{south}{north}");
    let (status, said) = place.update(&both, &[]);
    assert!(status == 3 && said.contains("+ xx-south-9") && !said.contains("xx-north-8"), "{said}");
    let written = place.written();
    let (status, said) = place.update(&format!("{north}\n{south}"), &[]);
    assert!(status == 0 && said.contains("no change"), "{status}: {said}");
    assert_eq!(place.written(), written);

    let (status, said) = place.update(&north, &[]);
    assert!(status == 1 && said.contains("- xx-south-9"), "{status}: {said}");
    assert!(said.contains("--accept-loss"), "{said}");
    assert_eq!(place.written(), written);
    let (status, said) = place.update(&north, &["--accept-loss"]);
    assert!(status == 3 && said.contains("- xx-south-9"), "{status}: {said}");
    assert_eq!(place.written().unwrap(), first);
}

/// As the workflow runs it, without a partition's name.
#[test]
fn all_three_partitions_are_written_or_none_is() {
    let place = Place::new();
    let bundles =
        [("aws", "xx-north-8"), ("aws-us-gov", "us-gov-north-8"), ("aws-cn", "cn-north-8")];
    let bundles = bundles.map(|(partition, region)| {
        let root = place.root(&format!("Amazon RDS {region} Root CA ECC384 G1"));
        (partition, region, format!("HTTP/1.0 200 OK\r\n\r\n{root}"))
    });
    let mut arguments = Vec::new();
    for (partition, _, answer) in &bundles {
        place.serve_as(&format!("{partition}.pem"), answer);
        let url = format!("{partition}=https://localhost:{}/{partition}.pem", place.port);
        arguments.extend(["--url".to_owned(), url]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (_, _, last) = &bundles[2];
    place.serve_as("aws-cn.pem", &last[..last.len() - 40]);
    let (status, said) = place.call(&arguments);
    assert!(status == 1 && said.contains("it is cut short"), "{status}: {said}");
    for (partition, region, _) in &bundles {
        assert_eq!(place.written_of(partition), None, "{partition}");
        // The first two were sound.
        assert_eq!(said.contains(&format!("+ {region}")), *partition != "aws-cn", "{said}");
    }
    assert_eq!(place.page(), PAGE);

    place.serve_as("aws-cn.pem", last);
    let (status, said) = place.call(&arguments);
    assert_eq!(status, 3, "{said}");
    for (partition, region, answer) in &bundles {
        let root = answer.split_once("\r\n\r\n").unwrap().1.trim();
        assert!(place.written_of(partition).unwrap().contains(root), "{partition}");
        let row = format!("| `{partition}` | 1 | {region} |");
        assert!(place.page().contains(&row), "{}", place.page());
    }
}

/// GovCloud's bundle has four intermediates beside six roots.
#[test]
fn what_is_no_root_and_what_is_not_valid_is_left_out_and_named() {
    let place = Place::new();
    let root = place.root(NORTH);
    fs::write(place.folder.path().join("root.pem"), &root).unwrap();
    fs::rename(place.folder.path().join("made.key"), place.folder.path().join("root.key")).unwrap();
    let name = "Amazon RDS xx-north-8 ECC384 G1";
    place.certificate(name, "-days 30");
    openssl(place.folder.path(), "x509 -x509toreq -in made.pem -signkey made.key -out made.csr");
    openssl(
        place.folder.path(),
        "x509 -req -in made.csr -CA root.pem -CAkey root.key -CAcreateserial -out between.pem",
    );
    let between = fs::read_to_string(place.folder.path().join("between.pem")).unwrap();
    let ended = place.ended(SOUTH);
    let (status, said) = place.update(&format!("{between}{root}{ended}"), &[]);
    assert_eq!(status, 3, "{said}");
    assert!(said.contains(&format!("left out, no root: {name}")), "{said}");
    assert!(said.contains(&format!("left out, not valid today: {SOUTH}")), "{said}");
    assert!(place.page().contains("| `aws` | 1 | xx-north-8 |"), "{}", place.page());
    // Without the root that signed it nobody knows whose it is.
    let (status, said) = place.update(&format!("{between}{}", place.root(SOUTH)), &[]);
    assert!(status == 1 && said.contains("that is not in the bundle"), "{status}: {said}");
}

#[test]
fn a_bundle_that_is_not_sound_is_refused_and_nothing_is_written() {
    let place = Place::new();
    let root = place.root(NORTH);
    let key = fs::read_to_string(place.folder.path().join("made.key")).unwrap();
    // The last characters are the end of the signature.
    let (body, _) = root.split_once("\n-----END").unwrap();
    let mut broken = body.to_owned();
    let at = broken.trim_end_matches('=').len() - 6;
    let other = if broken.as_bytes()[at] == b'A' { "B" } else { "A" };
    broken.replace_range(at..=at, other);
    let broken = format!("{broken}\n-----END CERTIFICATE-----\n");
    let stranger = root_of_another(&place);
    let web = place.root("Some other CA");
    let weak = place.certificate(SOUTH, "-days 9 -addext basicConstraints=critical,CA:FALSE");
    let china = place.root("Amazon RDS cn-north-1 Root CA RSA2048 G1");
    for (bundle, why) in [
        (String::new(), "it is cut short"),
        ("hello".to_owned(), "it is cut short"),
        (root[..root.len() - 40].to_owned(), "it is cut short"),
        (format!("{root}{key}"), "something else than certificates"),
        (root.replace(&root[28..60], &"A".repeat(32)), "is no certificate"),
        (format!("{root}{broken}"), "is not signed by itself"),
        (format!("{root}{stranger}"), "is not Amazon RDS's"),
        (format!("{root}{web}"), "is not Amazon RDS's"),
        (format!("{root}{china}"), "is not of the partition aws"),
        (weak, "is no authority"),
        (place.ended(NORTH), "no root that is valid today"),
    ] {
        let (status, said) = place.update(&bundle, &[]);
        assert!(status == 1 && said.contains(why), "{why}: {status}: {said}");
        assert_eq!(place.written(), None, "{why}");
        assert_eq!(place.page(), PAGE, "{why}");
    }
}

/// A root whose common name is right, of an organisation that is not AWS.
fn root_of_another(place: &Place) -> String {
    let subject = format!("/O=Somebody/CN={NORTH}");
    let output = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k".split(' '))
        .args(["-subj", &subject])
        .current_dir(place.folder.path())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_bundle_s_server_must_be_verified_and_is_followed_nowhere() {
    let place = Place::new();
    let root = place.root(NORTH);
    place.serve("HTTP/1.0 302 Found\r\nLocation: https://localhost/elsewhere\r\n\r\n");
    let (status, said) = place.run("https", &[]);
    assert!(status == 1 && said.contains("302"), "{status}: {said}");
    let (status, said) = place.run("http", &[]);
    assert!(status == 1 && said.contains("does not begin with https://"), "{status}: {said}");
    place.serve(&format!("HTTP/1.0 200 OK\r\n\r\n{root}"));
    // Trusted is somebody else.
    fs::write(place.folder.path().join("server.pem"), &root).unwrap();
    let (status, said) = place.run("https", &[]);
    assert!(status == 1 && said.contains("CERTIFICATE_VERIFY_FAILED"), "{status}: {said}");
    assert_eq!(place.written(), None);
}

#[test]
fn a_root_that_ends_within_a_year_is_told() {
    let place = Place::new();
    let (status, said) = place.update(&place.certificate(NORTH, "-days 300"), &[]);
    assert_eq!(status, 3, "{said}");
    let (status, said) = place.run("https", &["--check"]);
    assert!(status == 1 && said.contains("ends within a year"), "{status}: {said}");
    place.update(&place.root(SOUTH), &["--accept-loss"]);
    let (status, said) = place.run("https", &["--check"]);
    assert_eq!(status, 0, "{said}");
    fs::write(place.folder.path().join("checkout/docs/regions.md"), PAGE).unwrap();
    let (status, said) = place.run("https", &["--check"]);
    assert!(status == 1 && said.contains("docs/regions.md is not"), "{status}: {said}");
}

/// It fails a year before somebody's rotation would.
#[test]
fn the_roots_that_are_built_in_are_sound_and_last_a_year() {
    let output = script().arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn the_command_tells_the_regions_that_the_page_lists() {
    let output = Command::new(binary("fourstep")).arg("--version").output().unwrap();
    let (version, built) = (said(&output), fourstep::net::rds_regions());
    assert!(version.contains(&built.join(", ")), "{version}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/regions.md");
    let page = fs::read_to_string(path).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `aws"));
    let mut listed: Vec<_> = rows
        .filter_map(|row| row.split(" | ").nth(2))
        .flat_map(|regions| regions.trim_end_matches(" |").split(", "))
        .filter(|region| !region.starts_with("none"))
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, built);
    let short = Command::new(binary("fourstep")).arg("-V").output().unwrap();
    assert_eq!(said(&short).lines().count(), 1, "{}", said(&short));
}
