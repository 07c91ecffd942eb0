//! Redshift's views, laid over PostgreSQL's catalogues as documented, and its statements in PostgreSQL's words.
//!
//! What PostgreSQL has no place for is kept where the same statement of its own can put it: that a role is a
//! group in its comment, the time-out and the logs' access in settings of the role.

use std::collections::BTreeSet;

/// A role by its id, in a list of rights: its name, and what it is.
const NAME: &str = "COALESCE((SELECT rolname FROM pg_roles WHERE oid = a.grantee), 'public')";
const KIND: &str = "COALESCE((SELECT CASE WHEN rolcanlogin THEN 'user' \
    WHEN oid IN (SELECT objoid FROM pg_shdescription WHERE description = 'group') THEN 'group' ELSE 'role' END \
    FROM pg_roles WHERE oid = a.grantee), 'public')";

/// `dev` is the real server's `postgres`.
const DATABASE: &str = "CASE datname WHEN 'postgres' THEN 'dev' ELSE datname END";

/// What no PostgreSQL has: the view, and what its columns of a name, a user and the user's kind are called.
pub const PLANTED: [[&str; 4]; 7] = [
    ["svv_iam_privileges", "iam_arn", "identity_name", "identity_type"],
    ["svv_datashare_privileges", "datashare_name", "identity_name", "identity_type"],
    ["svv_ml_model_privileges", "model_name", "identity_name", "identity_type"],
    ["svv_rls_attached_policy", "polname", "grantee", "granteekind"],
    ["svv_attached_masking_policy", "policy_name", "grantee", "grantee_type"],
    ["svv_roles", "role_name", "role_owner", "external_id"],
    ["svv_system_privileges", "system_privilege", "identity_name", "identity_type"],
];

/// The view of databases, where one that was planted is shared by another cluster.
pub const DATABASES: &str = "svv_redshift_databases";

/// What was planted in one of these views, by a user's name.
pub type Planted = BTreeSet<(&'static str, String, String)>;

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn rights(columns: &str, from: &str, acl: &str, owner: &str) -> String {
    format!(
        "(SELECT {columns}, a.privilege_type::text, {NAME} AS identity_name, {KIND} AS identity_type, \
         a.is_grantable AS admin_option FROM {from}, aclexplode({acl}) AS a \
         WHERE a.grantee <> {owner} AND a.privilege_type <> 'CONNECT') AS rights"
    )
}

/// The views of rights.
fn lists() -> [(&'static str, String); 6] {
    let of_class = "pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace";
    let databases = format!("{DATABASE} AS database_name, 'DATABASE'::text AS privilege_scope");
    [
        (
            "svv_schema_privileges",
            rights(
                "nspname AS namespace_name, 'SCHEMA'::text AS privilege_scope",
                "pg_namespace",
                "nspacl",
                "nspowner",
            ),
        ),
        (
            "svv_relation_privileges",
            rights(
                "nspname AS namespace_name, relname AS relation_name",
                of_class,
                "relacl",
                "relowner",
            ),
        ),
        (
            "svv_column_privileges",
            rights(
                "nspname AS namespace_name, relname AS relation_name, attname AS column_name",
                &format!("{of_class} JOIN pg_attribute ON attrelid = c.oid"),
                "attacl",
                "relowner",
            ),
        ),
        (
            "svv_function_privileges",
            rights(
                "nspname AS namespace_name, proname AS function_name, \
                 oidvectortypes(proargtypes) AS argument_types",
                "pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace",
                "proacl",
                "proowner",
            ),
        ),
        (
            "svv_language_privileges",
            rights("lanname AS language_name", "pg_language", "lanacl", "lanowner"),
        ),
        ("svv_database_privileges", rights(&databases, "pg_database", "datacl", "datdba")),
    ]
}

/// What each user is set to.
fn users() -> (&'static str, String) {
    let setting = |name: &str, otherwise: &str| {
        format!(
            "COALESCE((SELECT split_part(one, '=', 2) FROM unnest(rolconfig) AS one \
             WHERE one LIKE 'redshift.{name}=%'), '{otherwise}')"
        )
    };
    (
        "svv_user_info",
        format!(
            "(SELECT rolname AS user_name, upper({}) AS syslog_access, {} AS session_timeout, \
                 CASE rolconnlimit WHEN -1 THEN 'UNLIMITED' ELSE rolconnlimit::text END \
                 AS connection_limit, CASE WHEN rolname LIKE 'external%' THEN 'x' ELSE '' END \
                 AS external_user_id FROM pg_roles) AS users",
            setting("syslog", "RESTRICTED"),
            setting("timeout", "0")
        ),
    )
}

fn defaults() -> (&'static str, String) {
    (
        "svv_default_privileges",
        format!(
            "(SELECT nspname AS schema_name, CASE defaclobjtype WHEN 'r' THEN 'RELATION' \
                 WHEN 'f' THEN 'FUNCTION' ELSE 'OTHER' END AS object_type, \
                 pg_get_userbyid(defaclrole) AS owner_name, a.privilege_type, \
                 {NAME} AS grantee_name, {KIND} AS grantee_type, a.is_grantable AS admin_option \
                 FROM pg_default_acl AS d LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace, \
                 aclexplode(defaclacl) AS a) AS defaults"
        ),
    )
}

fn views(databases: &BTreeSet<String>, planted: &Planted) -> Vec<(&'static str, String)> {
    let is_group = "r.oid IN (SELECT objoid FROM pg_shdescription WHERE description = 'group')";
    let grants = |names: &str, login: &str| {
        format!(
            "(SELECT {names}, m.admin_option FROM pg_auth_members AS m JOIN pg_roles AS u \
             ON u.oid = m.member JOIN pg_roles AS r ON r.oid = m.roleid \
             WHERE {login} u.rolcanlogin AND NOT {is_group}) AS grants"
        )
    };
    let databases: Vec<_> = databases.iter().map(|name| quoted(name)).collect();
    let shared = planted.iter().filter(|(view, ..)| *view == DATABASES);
    let shared: String = shared.map(|(.., name)| format!(", {}", quoted(name))).collect();
    let mut all = vec![
        ("svv_user_grants", grants("u.rolname AS user_name, r.rolname AS role_name", "")),
        (
            "svv_role_grants",
            grants("u.rolname AS role_name, r.rolname AS granted_role_name", "NOT"),
        ),
        (
            "pg_group",
            format!(
                "(SELECT rolname AS groname, oid AS grosysid, ARRAY(SELECT member FROM pg_auth_members \
                 WHERE roleid = r.oid) AS grolist FROM pg_roles AS r WHERE {is_group})"
            ),
        ),
        users(),
        defaults(),
        (
            DATABASES,
            format!(
                "(SELECT {DATABASE} AS database_name, CASE WHEN datname IN (''{shared}) THEN 'shared' \
                 ELSE 'local' END AS database_type FROM pg_database \
                 WHERE {DATABASE} IN ('dev', {})) AS databases",
                if databases.is_empty() { "NULL".to_owned() } else { databases.join(", ") }
            ),
        ),
        (
            "svv_datashares",
            "(SELECT ''::text AS share_name, 0::oid AS share_owner WHERE false) AS shares"
                .to_owned(),
        ),
        ("pg_proc_info", "pg_proc".to_owned()),
        (
            "stv_sessions",
            "(SELECT pid AS process, CAST(usename AS char(50)) AS user_name FROM pg_stat_activity \
             WHERE session_user IN (usename, (SELECT usename FROM pg_user WHERE usesuper \
             AND usename = session_user))) AS sessions"
                .to_owned(),
        ),
    ];
    all.extend(lists());
    for [view, name, user, kind] in PLANTED {
        let rows = planted.iter().filter(|(one, ..)| *one == view);
        let rows = rows.map(|(_, user, name)| format!(", ({}, {})", quoted(name), quoted(user)));
        let rows: String = rows.collect();
        all.push((
            view,
            format!(
                "(SELECT name AS {name}, who AS {user}, 'user' AS {kind} \
                 FROM (VALUES ('', ''){rows}) AS v (name, who)) AS planted"
            ),
        ));
    }
    all
}

/// What the real server runs for this statement.
pub fn real(text: &str, databases: &BTreeSet<String>, planted: &Planted) -> String {
    let mut real = text.to_owned();
    if text.starts_with("SELECT") {
        let here = format!(
            "(SELECT {DATABASE} FROM pg_database WHERE datname = pg_catalog.current_database())"
        );
        real = real.replace(" current_database()", &format!(" {here}"));
        let settings =
            "(SELECT array_agg(one) FROM unnest(useconfig) AS one WHERE one NOT LIKE 'redshift.%')";
        real = real.replace("array_to_string(useconfig,", &format!("array_to_string({settings},"));
        for (view, query) in views(databases, planted) {
            // One name is not the beginning of another.
            real = real.replace(&format!("pg_catalog.{view} "), &format!("{query} "));
            if let Some(front) = real.strip_suffix(&format!("pg_catalog.{view}")) {
                real = format!("{front}{query}");
            }
        }
        return real;
    }
    for (theirs, ours) in [
        (" PASSWORD DISABLE ", " PASSWORD NULL "),
        ("GRANT ROLE ", "GRANT "),
        ("REVOKE ROLE ", "REVOKE "),
        ("OPTION FOR ROLE ", "OPTION FOR "),
        (" TO ROLE ", " TO "),
        (" FROM ROLE ", " FROM "),
        (" ON DATABASE \"dev\"", " ON DATABASE \"postgres\""),
        (" CONNECTION LIMIT UNLIMITED", " CONNECTION LIMIT -1"),
        (" RESET SESSION TIMEOUT", " RESET \"redshift.timeout\""),
        (" SESSION TIMEOUT ", " SET \"redshift.timeout\" TO "),
        (" SYSLOG ACCESS ", " SET \"redshift.syslog\" TO "),
    ] {
        real = real.replace(theirs, ours);
    }
    match real.strip_prefix("CREATE GROUP ") {
        Some(group) => format!("{real}; COMMENT ON ROLE {group} IS 'group'"),
        None => real,
    }
}
