use expect_test::expect;

use super::*;

const GOOD: &str = r#"name = "Plain keys"
documents = ["https://plain.example/docs"]
read_on = "2026-11-22"
base_url = "https://plain.example/v1"

[credential]
bearer = "{secret.key}"

[verify]
method = "GET"
path = "/me"

[issue]
method = "POST"
path = "/keys"
json = { name = "{label}", scopes = ["a", { of = "{secret.scope}" }] }

[issue.answer]
key = "/key"
id = "/id"

[list]
method = "GET"
path = "/keys"
items = "/keys"
id = "/id"
label = "/name"

[[revoke]]
method = "DELETE"
path = "/keys/{id}"
"#;

const UPDATER: &str = r#"name = "A password"
documents = []
read_on = "2026-11-22"
base_url = "https://plain.example"

[secret]
plain_text = true

[credential]
header = { name = "x-key", value = "{secret}" }

[verify]
method = "GET"
path = "/me"

[update]
method = "PUT"
path = "/me/password"
json = { password = "{new}" }
"#;

fn complaints(text: &str) -> String {
    match Specification::read(text) {
        Ok(_) => "none\n".to_owned(),
        Err(all) => all.iter().map(|one| format!("{one}\n")).collect(),
    }
}

/// What is said of the good one when something in it is replaced.
fn with((old, new): &(&str, &str)) -> String {
    let text = if GOOD.contains(old) { GOOD } else { UPDATER };
    assert!(text.contains(old), "{old}");
    complaints(&text.replacen(old, new, 1))
}

#[test]
fn both_shapes_are_read() {
    let issuer = Specification::read(GOOD).unwrap();
    assert_eq!((issuer.name(), issuer.issues(), issuer.needs_admin()), ("Plain keys", true, false));
    let updater = Specification::read(UPDATER).unwrap();
    assert!(!updater.issues());
}

/// Whether an update compares whose lines these are changed to.
fn compared(edits: &[(&str, &str)]) -> bool {
    let mut text = UPDATER.to_owned();
    for (old, new) in edits {
        assert!(text.contains(old), "{old}");
        text = text.replacen(old, new, 1);
    }
    let document = Specification::read(&text).unwrap().document;
    compares(&document, document.update.as_ref().unwrap())
}

#[test]
fn an_update_compares_only_if_the_old_value_alone_lets_it_in() {
    let nobody = ("[update]", "[update]\nby = \"nobody\"");
    let admin = ("[verify]", "[admin]\nbearer = \"{admin.token}\"\n\n[verify]");
    let old = ("\"{new}\"", "\"{new}\", old = \"{secret}\"");
    let placed = ("\"{new}\"", "\"{new}\", old = \"{secret}\", as = \"{admin.token}\"");
    // It is shown with the request, so a late one changes nothing; it need not stand in it.
    assert!(compared(&[]));
    assert!(compared(&[nobody, old]) && !compared(&[nobody]));
    // An admin may be let in whatever the old value is, however its power is shown.
    assert!(!compared(&[admin, ("[update]", "[update]\nby = \"admin\""), old]));
    assert!(!compared(&[admin, nobody, placed]));
    assert!(!compared(&[admin, placed]));
    // Only the token endpoint sees the value, and the update a token.
    let token = "client_credentials = { path = \"/token\", client_id = \"me\", client_secret = \"{secret}\" }";
    let token = ("header = { name = \"x-key\", value = \"{secret}\" }", token);
    assert!(!compared(&[token]) && compared(&[token, old]));
}

#[test]
fn what_is_no_specification_is_refused_with_its_line() {
    let edits = [
        ("name = \"Plain keys\"", "name = "),
        ("path = \"/me\"", "path = \"/me"),
        ("method = \"GET\"", "method = \"GET\"\nmethod = \"GET\""),
        ("path = \"/me\"", "pth = \"/me\""),
        ("base_url = \"https://plain.example/v1\"\n", ""),
        ("bearer = \"{secret.key}\"", "bearer = 7"),
        ("bearer = \"{secret.key}\"", "digest = \"x\""),
        ("[list]", "[describe]\ntrusted_fields = [\"a\"]\n\n[list]"),
        ("bearer = \"{secret.key}\"", "bearer = \"a\"\nquery = { name = \"a\", value = \"b\" }"),
        ("[list]", "[list]\nok = [\"200\"]"),
        ("[list]", "[list]\nok = [70000]"),
        ("[list]", "[list]\nby = \"root\""),
        ("key = \"/key\"", ""),
    ];
    let said: String = edits.iter().map(with).collect();
    expect![[r#"
        line 1: string values must be quoted, expected literal string
        line 11: invalid basic string, expected `"`
        line 11: duplicate key
        line 11: unknown field `pth`, expected one of `method`, `base_url`, `path`, `by`, `query`, `headers`, `json`, `content_type`, `form`, `ok`, `expect`, `absent`, `rejected`, `rejected_when`, `accepted_when`, `id`
        line 1: base_url is missing
        line 7: invalid type: integer `7`, expected a string
        line 7: unknown variant `digest`, expected one of `bearer`, `basic`, `header`, `query`, `client_credentials`. If the key only signs requests (SigV4, HMAC: DigitalOcean Spaces, R2, IAM and the like), no specification can rotate it; and none logs an admin in by JSON or by a JWT that is signed here: that needs an Issuer in Rust
        line 23: unknown field `trusted_fields`, expected one of `method`, `base_url`, `path`, `by`, `query`, `headers`, `json`, `content_type`, `form`, `ok`, `expect`, `absent`, `key`. trusted_fields stands in [issue], [update] or [roll], for all requests
        line 6: one key stands here, and no more: in [credential] and [admin] bearer, basic, header, query or client_credentials; in pages link, cursor, number or offset
        line 23: invalid type: string "200", expected u16
        line 23: invalid value: integer `70000`, expected u16
        line 23: unknown variant `root`, expected one of `credential`, `admin`, `nobody`
        line 18: missing field `key`
    "#]].assert_eq(&said);
}

#[test]
fn what_cannot_be_right_is_refused_with_its_line() {
    let edits = [
        ("https://plain.example/v1", "http://plain.example/v1"),
        ("https://plain.example/v1", "https://{secret.host}/v1"),
        ("https://plain.example/v1", "https://me:word@plain.example/v1"),
        ("\"{secret.key}\"", "\"{secret.kee}\""),
        ("\"{secret.key}\"", "\"{secret.key\""),
        ("\"{secret.key}\"", "\"{admin.key}\""),
        ("\"{secret.key}\"", "\"{secret}\""),
        ("path = \"/me\"", "path = \"/me\"\nby = \"admin\""),
        ("path = \"/me\"", "path = \"/me\"\nby = \"nobody\""),
        ("path = \"/me\"", "path = \"/me?a=b\""),
        ("path = \"/me\"", "path = \"/me\"\nrejected = [200]"),
        ("path = \"/me\"", "path = \"/me\"\nok = [302]"),
        ("path = \"/me\"", "path = \"/me\"\nheaders = { Host = \"elsewhere\" }"),
        ("path = \"/me\"", "path = \"/me\"\nheaders = { \"x y\" = \"a\" }"),
        ("method = \"GET\"", "method = \"TRACE\""),
        ("method = \"GET\"", "method = \"GET\"\njson = {}"),
        ("\"{label}\"", "\"{id}\""),
        ("\"{label}\"", "\"a key\""),
        ("label = \"/name\"", ""),
        ("label = \"/name\"", "label = \"name\""),
        ("/keys/{id}", "/keys"),
        ("[[revoke]]\nmethod = \"DELETE\"\npath = \"/keys/{id}\"\n", ""),
        ("[list]", "[terms]\nownership = \"stored\"\nkeys = 2\n\n[list]"),
        ("[list]", "[terms]\nkeys = 1\nrequests_per_second = 0\n\n[list]"),
        ("path = \"/keys\"", "path = \"/keys\"\nfull = [403]"),
        ("path = \"/keys\"", "path = \"/keys\"\nby = \"admin\""),
        ("path = \"/me\"", "path = \"/me\"\nrejected_when = { \"/of\" = \"{secret.of}\" }"),
        ("path = \"/me\"", "path = \"/me\"\nexpect = { \"/of\" = \"{label}\" }"),
        (
            "id = \"/id\"\nlabel",
            "id = \"/{secret.id}\"\nonly = { \"/of\" = \"{secret.of}\" }\nlabel",
        ),
        ("{ name = \"{label}\"", "{ \"{secret.of}\" = 1, name = \"{label}\""),
        ("\"{label}\"", "\"{label}\", of = \"{described./of}\""),
        ("[list]", "[describe]\nmethod = \"GET\"\npath = \"/keys/\"\n\n[list]"),
        ("[list]", "[secret]\nkey_begins = \"SG.\"\n\n[list]"),
        ("[update]", "[terms]\nattempts = 9\n\n[update]\nby = \"admin\"\nstale = [401]"),
        ("[list]", "[secret]\nplain_text = true\n\n[list]"),
        ("\"{new}\"", "\"{secret}\""),
        ("\"{new}\"", "\"{new.password}\""),
        ("[list]", "[secret]\nid = \"key\"\n\n[list]"),
        ("id = \"/id\"\n", "id = \"/key\"\n"),
        ("id = \"/id\"\n", "id = \"/id\"\nfields = { key_id = \"/key\" }\n"),
    ];
    let said: String = edits.iter().map(with).collect();
    expect![[r#"
        line 4: the URL "http://plain.example/v1" must be https; http is for 127.0.0.1 and [::1] in tests
        line 4: hosts must list those that a secret may name: hosts = ["api.example.com"]
        line 4: the URL "given" holds a user; credentials stand in [credential]
        line 6: [credential] does not show {secret.key}, so it proves nothing
        line 6: [credential] does not show {secret.key}, so it proves nothing
        line 7: {secret.key is not closed; {{ is a brace
        line 6: [credential] does not show {secret.key}, so it proves nothing
        line 7: {admin.key} cannot stand here: there is no [admin]
        line 6: [credential] does not show {secret.key}, so it proves nothing
        line 7: {secret} cannot stand here: the secret is a JSON object: name a field of it
        line 12: an admin that is let in says nothing about the key: [verify] shows the key itself, as [credential] says. If no plain request shows it, since it only signs requests (DigitalOcean Spaces, R2, IAM and the like), no specification can rotate it
        line 12: by = "admin" needs [admin], which says how it is shown
        line 12: [verify] is made by nobody and does not place {secret.key}, so it proves nothing
        line 11: the path "/me?a=b" begins with a slash and holds no query: see query
        line 9: a status cannot say both, that a key works and that it does not
        line 12: rejected lists statuses between 400 and 499, without 429
        line 12: ok lists statuses between 200 and 299; in [verify] also 400, 403, 404, 405, 422
        line 12: "Host" is no header that can be set here
        line 12: "x y" is no header that can be set here
        line 10: the method is GET, POST, PUT, PATCH, DELETE, or the vendor's own, as LIST
        line 10: GET has no body
        line 13: [issue] does not place {label}; place it in the key's name, or set ownership in [terms] to "stored" or "account"
        line 16: {id} cannot stand here: only [describe], [[revoke]], [roll] and [[pair.alike]] have an id
        line 13: [issue] does not place {label}; place it in the key's name, or set ownership in [terms] to "stored" or "account"
        line 22: [list] does not say where the label is: label = "/name"
        line 27: "name" is no JSON Pointer: these begin with a slash
        line 31: [[revoke]] does not place {id}: which key?
        keys that the vendor makes need [issue], [list] and [[revoke]]
        line 23: without labels a key is revoked only if the vendor says that it is the one stored beside its id, and nothing says so: no key would ever be revoked. Prove whose id it is (id in [verify], key in [describe], key_begins or key_ends in [secret]), or set ownership to "labels" or, if the account is for this secret only, "account"
        line 24: without labels a key whose answer was lost is never revoked, and fills a limit below 4; if the account is for this secret only, set ownership to "account"
        line 26: without labels [list] must say when a key was made (created = "/created_at"), or older keys cannot be told from newer ones
        line 23: a vendor that allows one key has no room for a new one beside it
        line 24: no request at all is allowed by that
        line 16: 403 may mean other things than that there is no room, and a key is revoked then; set keys in [terms], or say by full_when what stands in that answer
        line 16: by = "admin" needs [admin], which says how it is shown
        line 17: {secret.scope} lets whoever may write the secret decide what the admin makes; copy it from the current key ({described./POINTER}), take it from the admin's secret ({admin.scope}), or else list the field in trusted_fields of [issue]
        line 12: "{secret.of}" is read as it stands: placeholders are filled in where a request places a value, and in expect
        line 12: {label} cannot stand here: only [issue] has a label
        line 26: "/{secret.id}" is read as it stands: placeholders are filled in where a request places a value, and in expect
        line 27: "{secret.of}" is read as it stands: placeholders are filled in where a request places a value, and in expect
        line 16: "{secret.of}" is read as it stands: placeholders are filled in where a request places a value, and in expect
        line 16: {described./of} needs [describe]
        line 22: [describe] does not place {id}: which key?
        line 23: key_begins does not place {id}, so it proves nothing
        line 17: attempts is between 2, for the old value and the new, and 6
        line 20: by = "admin" needs [admin], which says how it is shown
        line 21: 401 and 403 to the admin are about the admin, not about the old value
        line 6: [credential] does not show {secret}, so it proves nothing
        line 7: {secret.key} cannot stand here: the secret is a plain text and has no fields
        line 16: {secret.scope} cannot stand here: the secret is a plain text and has no fields
        line 23: a plain text has no place for a key's id, and what is not known by its id cannot be revoked; use a JSON object
        line 16: [update] does not place {new}, so it sets nothing
        line 16: [update] does not place {new}, so it sets nothing
        line 19: {new.password} cannot stand here: the secret is a plain text and has no fields
        line 22: key and id are one field, and ids stand in logs: give the id one of its own
        line 20: key and id are one place in the answer, and ids stand in logs: where is the id?
        line 21: fields sets "key_id", which key and id in [issue.answer] set
    "#]].assert_eq(&said);
}

#[test]
fn what_a_good_one_leaves_open_is_noted() {
    let notes = |text: &str| Specification::read(text).unwrap().notes().join("; ");
    let first = "the first key, which has no label, is never revoked";
    assert!(notes(GOOD).contains(first), "{}", notes(GOOD));
    // Every key of the account goes, the first among them.
    let listed = ("label = \"/name\"", "label = \"/name\"\ncreated = \"/made\"");
    let account = GOOD.replacen(listed.0, listed.1, 1);
    let account = account.replacen("[list]", "[terms]\nownership = \"account\"\n\n[list]", 1);
    assert_eq!(notes(&account), "");
    // Without labels and without proof nothing ever goes.
    let stored = account.replacen("\"account\"", "\"stored\"", 1);
    let said = complaints(&stored);
    assert!(
        said.starts_with("line 23: ") && said.contains("no key would ever be revoked"),
        "{said}"
    );
    let bound = stored.replacen("path = \"/me\"", "path = \"/me\"\nid = \"/id\"", 1);
    assert_eq!((complaints(&bound).as_str(), notes(&bound).as_str()), ("none\n", ""));
    let bound = GOOD.replacen("path = \"/me\"", "path = \"/me\"\nid = \"/id\"", 1);
    for (host, signed) in [
        ("nyc3.digitaloceanspaces.com", true),
        ("iam.amazonaws.com", true),
        ("iam.amazonaws.com:443", true),
        ("iam.cn-north-1.amazonaws.com.cn", true),
        ("id.execute-api.eu-west-1.amazonaws.com", false),
        ("id.execute-api.cn-north-1.amazonaws.com.cn:443", false),
    ] {
        let said = notes(&bound.replace("plain.example", host));
        assert_eq!(said.contains("only sign requests"), signed, "{host}: {said}");
    }
}

#[test]
fn rule_08_a_host_comes_from_the_secret_only_with_a_list_of_hosts() {
    let base = "base_url = \"https://plain.example/v1\"";
    let with = |base_url: &str, hosts: &str| {
        complaints(&GOOD.replace(base, &format!("base_url = \"{base_url}\"\n{hosts}")))
    };
    let chosen = "https://{secret.host}/v1";
    assert_eq!(with(chosen, "hosts = [\"a.example\", \"b.example:8443\"]"), "none\n");
    for (url, hosts, says) in [
        (chosen, "", "hosts must list those that a secret may name"),
        (chosen, "hosts = [\"*.example\"]", "There are no patterns"),
        (
            "https://plain.example",
            "hosts = [\"a.example\"]",
            "hosts needs a base_url that takes one",
        ),
        ("https://{secret.key}/", "hosts = [\"a.example\"]", "a rotation sets \"key\""),
        ("https://{secret.key_id}/", "hosts = [\"a.example\"]", "a rotation sets \"key_id\""),
        ("https://{secret.host}/{secret.x}", "hosts = [\"a.example\"]", "and nothing else"),
        ("http://{secret.host}/", "hosts = [\"a.example\"]", "must be https"),
        (
            "https://{secret.a}.example",
            "hosts = [\"a.example\"]",
            "a URL takes a host from the secret",
        ),
    ] {
        let said = with(url, hosts);
        assert!(said.starts_with("line 4: ") && said.contains(says), "{url} {hosts}: {said}");
    }
    let other = GOOD.replace(base, &format!("base_url = \"{chosen}\"\nhosts = [\"a.example\"]"));
    let other = other.replacen("[list]", "[list]\nbase_url = \"https://{secret.other}\"", 1);
    assert!(complaints(&other).contains("in one field, which stands in the first base_url"));
}

#[test]
fn a_body_may_be_a_list_or_a_text_and_a_method_the_vendors_own() {
    let body = "json = { name = \"{label}\", scopes = [\"a\", { of = \"{secret.scope}\" }] }";
    for other in ["json = [{ op = \"add\", value = \"{label}\" }]", "json = \"{label}\""] {
        assert_eq!(with(&(body, other)), "none\n", "{other}");
    }
    let said = with(&(body, "json = [{ \"{label}\" = 1, value = \"{label}\" }]"));
    assert!(said.starts_with("line 16: \"{label}\" is read as it stands"), "{said}");
    let list = "[list]\nmethod = \"GET\"";
    assert_eq!(with(&(list, "[list]\nmethod = \"LIST\"")), "none\n");
    for method in ["list", "", "CONNECT", "GET /x"] {
        let said = with(&(list, &format!("[list]\nmethod = \"{method}\"")));
        assert!(said.starts_with("line 23: the method is GET"), "{method}: {said}");
    }
}
