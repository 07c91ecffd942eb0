"""The statements that the tests' SQL Server knows: those that rotate-sqlserver sends, as whole texts.

Any other is error 102, so that nothing passes unseen. What each answers is by Microsoft's documents of the
view, the function or the statement in it; who sees what in a view too ("Metadata visibility configuration").
"""

import re

import sqlserver_world
from pysqlbridge.tds.result import Column, NVarChar, QueryError, QueryResult

STATEMENTS = []

MARKS = {
    # A text with its quotation marks doubled, a name with its brackets doubled, a number.
    "<text>": r"N'((?:[^']|'')*)'",
    "<name>": r"\[((?:[^\]]|\]\])*)\]",
    "<number>": r"(-?[0-9]+)",
}


def statement(text):
    """What answers a statement of this text, in which MARKS stand for what differs."""
    pattern = re.escape(" ".join(text.split()))
    for mark, expression in MARKS.items():
        pattern = pattern.replace(re.escape(mark), expression)

    def add(function):
        marks = re.findall("<[a-z]+>", text)
        STATEMENTS.append((re.compile(pattern, re.DOTALL), marks, function))
        return function

    return add


def answer(session, query):
    world = session.world
    world.note(query.sql)
    if query.procedure is not None:
        raise QueryError("The tests know no procedure calls.", number=2812)
    for pattern, marks, function in STATEMENTS:
        if found := pattern.fullmatch(query.sql.rstrip("\n")):
            doubled = {"<text>": "'", "<name>": "]", "<number>": ""}
            given = [
                value.replace(doubled[mark] * 2, doubled[mark]) if doubled[mark] else int(value)
                for mark, value in zip(marks, found.groups())
            ]
            try:
                return result(function(session, *given))
            except sqlserver_world.Failed as failed:
                raise QueryError(failed.text, number=failed.number, severity=failed.severity) from None
    raise QueryError("Incorrect syntax: the tests do not know this statement.", number=102, severity=15)


def result(rows):
    """Every column is nvarchar, as the statements convert them."""
    if rows is None:
        return QueryResult(columns=[], rows=[])
    rows = list(rows)
    width = len(rows[0]) if rows else 1
    texts = [[value if value is None else str(value) for value in row] for row in rows]
    return QueryResult([Column("", NVarChar(128)) for _ in range(width)], texts)


def flag(value):
    return "1" if value else "0"


# ---- who and where the session is


@statement("""
SELECT CONVERT(nvarchar(128), s.original_login_name), CONVERT(nvarchar(128), s.login_name),
CONVERT(nvarchar(12), s.authenticating_database_id), CONVERT(nvarchar(12), DB_ID()), CONVERT(nvarchar(128),
USER_NAME()), CONVERT(nvarchar(20), DATABASEPROPERTYEX(DB_NAME(), N'Updateability')), CONVERT(nvarchar(12),
SERVERPROPERTY(N'IsHadrEnabled')) FROM sys.dm_exec_sessions AS s WHERE s.session_id = @@SPID
""")
def identity(session):
    state = session.world.state
    base = session.world.database(session.database)
    number = list(state["databases"]).index(session.database.lower()) + 1
    name = (session.user or session.login)["name"]
    user = session.user or session.user_of(session.login, base) or {"name": "guest"}
    row = [
        name,
        name,
        number if session.user else 0,
        number,
        user["name"],
        "READ_ONLY" if base.get("read only") else "READ_WRITE",
        flag(state.get("hadr")),
    ]
    # As a pooler or EXECUTE AS would have it.
    for place, value in state.get("identity", {}).items():
        row[int(place)] = value
    return [row]


@statement("""
SELECT CONVERT(nvarchar(12), @@SPID), CONVERT(nvarchar(12), s.session_id) FROM sys.dm_exec_sessions AS s
WHERE s.original_login_name = ORIGINAL_LOGIN() AND (HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER STATE') = 1
OR HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER PERFORMANCE STATE') = 1)
""")
def sessions(session):
    if not session.may_at_server("VIEW SERVER STATE"):
        return []
    with session.world.mutex:
        own = [one for one in session.world.sessions if one.login == session.login]
    return [[id(session), id(one)] for one in own]


@statement("SET NOCOUNT ON; SET XACT_ABORT ON; SET IMPLICIT_TRANSACTIONS OFF; SET LOCK_TIMEOUT <number>")
def limits(session, milliseconds):
    session.lock_timeout = milliseconds


# ---- locks

LOCK = "sp_getapplock @Resource = <text>, @LockMode = N'Exclusive', @LockOwner = N'Session', @LockTimeout = <number>"


@statement(f"DECLARE @taken int; EXEC @taken = master..{LOCK}; SELECT CONVERT(nvarchar(12), @taken)")
def lock_in_master(session, resource, timeout):
    return [[session.lock("master", resource, timeout)]]


@statement(f"DECLARE @taken int; EXEC @taken = {LOCK}; SELECT CONVERT(nvarchar(12), @taken)")
def lock_here(session, resource, timeout):
    return [[session.lock(session.database, resource, timeout)]]


# ---- passwords


def cannot(what, name):
    text = f"Cannot alter the {what} '{name}', because it does not exist or you do not have permission."
    return sqlserver_world.Failed(15151, text)


def change(session, account, password):
    sqlserver_world.check_policy(session.world, account, password)
    account.update(password=password, failed=0, expired=False, **{"must change": False})


@statement("ALTER LOGIN <name> WITH PASSWORD = <text> OLD_PASSWORD = <text>")
def alter_own_login(session, name, new, old):
    with session.world.mutex:
        login = session.world.login(name)
        may = session.may_at_server("ALTER ANY LOGIN") or login is session.login
        if login is None or not may or login["password"] != old:
            raise cannot("login", name)
        change(session, login, new)


@statement("ALTER LOGIN <name> WITH PASSWORD = <text>")
def alter_login(session, name, new):
    with session.world.mutex:
        login = session.world.login(name)
        powerful = login and ("sysadmin" in login.get("roles", []) or "CONTROL SERVER" in login.get("grants", []))
        needed = "CONTROL SERVER" if powerful else "ALTER ANY LOGIN"
        if login is None or not session.may_at_server(needed):
            raise cannot("login", name)
        change(session, login, new)


def contained(session, name):
    """A user with a password of the session's database, which must be writable."""
    base = session.world.database(session.database)
    user = base["users"].get(name.lower())
    if base.get("read only"):
        words = f'Failed to update database "{base["name"]}" because the database is read-only.'
        raise sqlserver_world.Failed(3906, words)
    if user is None or "password" not in user:
        raise cannot("user", name)
    return user


@statement("ALTER USER <name> WITH PASSWORD = <text> OLD_PASSWORD = <text>")
def alter_own_user(session, name, new, old):
    with session.world.mutex:
        user = contained(session, name)
        may = session.may_in_database("ALTER ANY USER") or user is session.user
        if not may or user["password"] != old:
            raise cannot("user", name)
        change(session, user, new)


@statement("ALTER USER <name> WITH PASSWORD = <text>")
def alter_user(session, name, new):
    with session.world.mutex:
        user = contained(session, name)
        if not session.may_in_database("ALTER ANY USER"):
            raise cannot("user", name)
        change(session, user, new)


# ---- what preflight asks


@statement("""
SELECT CONVERT(nvarchar(12), l.is_expiration_checked), CONVERT(nvarchar(12), LOGINPROPERTY(l.name,
N'DaysUntilExpiration')), CONVERT(nvarchar(12), DATEDIFF(day, CONVERT(datetime, LOGINPROPERTY(l.name,
N'PasswordLastSetTime')), GETDATE())) FROM sys.sql_logins AS l WHERE l.name = ORIGINAL_LOGIN()
""")
def policy(session):
    login = session.login
    if login is None:
        return []
    return [
        [
            flag(login.get("expires")),
            # -1 where the policy of Windows lets no password expire.
            login.get("days left", -1) if login.get("expires") else None,
            login.get("days old", 0),
        ]
    ]


# ---- what an admin asks


@statement("""
SELECT CONVERT(nvarchar(12), HAS_PERMS_BY_NAME(NULL, NULL, N'ALTER ANY LOGIN')), CONVERT(nvarchar(12),
HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'ALTER ANY USER')), CONVERT(nvarchar(12), d.containment),
CONVERT(nvarchar(12), HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'VIEW DEFINITION')),
CONVERT(nvarchar(12), HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW ANY DEFINITION'))
FROM sys.databases AS d WHERE d.database_id = DB_ID()
""")
def rights(session):
    base = session.world.database(session.database)
    may = (session.may_at_server("ALTER ANY LOGIN"), session.may_in_database("ALTER ANY USER"))
    sees = (session.may_in_database("VIEW DEFINITION"), session.may_at_server("VIEW ANY DEFINITION"))
    return [[*map(flag, may), base["containment"], *map(flag, sees)]]


@statement("""
SELECT CONVERT(nvarchar(128), p.name), CONVERT(nvarchar(12), CASE WHEN p.name = USER_NAME() THEN 1 ELSE 0 END)
FROM sys.database_principals AS p WHERE p.name = <text> AND p.authentication_type = 2
""")
def target_user(session, name):
    user = session.world.database(session.database)["users"].get(name.lower())
    seen = user and (user is session.user or session.may_in_database("ALTER ANY USER"))
    return [[user["name"], flag(user is session.user)]] if seen and "password" in user else []


@statement("""
SELECT CONVERT(nvarchar(128), l.name), CONVERT(nvarchar(12), CASE WHEN l.name = ORIGINAL_LOGIN() THEN 1 ELSE 0 END),
CONVERT(nvarchar(12), l.is_disabled), CONVERT(nvarchar(12), LOGINPROPERTY(l.name, N'IsLocked'))
FROM sys.sql_logins AS l WHERE l.name = <text>
""")
def target_login(session, name):
    login = session.world.login(name)
    if login is None or not (login is session.login or session.may_at_server("ALTER ANY LOGIN")):
        return []
    own = login is session.login
    return [[login["name"], *map(flag, (own, login.get("disabled"), login.get("locked")))]]


def powers(held, roles, permissions):
    """Which of these an account has."""
    return [[name] for name in sorted({*held["roles"], *held["grants"]} & {*roles, *permissions})]


def held(session, account, hidden):
    """Its roles, also by another role, and what is granted to it or to them: by the state's `roles`. Those
    of which the session must not see that it has them are `hidden`, a function of the role."""
    inside, grants = session.world.state.get("roles", {}), set(account.get("grants", []))
    found, ahead = set(), list(account.get("roles", []))
    while ahead:
        role = ahead.pop()
        if role not in found and not hidden(role):
            found.add(role)
            ahead += inside.get(role, {}).get("roles", [])
            grants |= set(inside.get(role, {}).get("grants", []))
    return {"roles": found, "grants": grants}


@statement("""
WITH held AS (SELECT u.principal_id FROM sys.sql_logins AS u WHERE u.name = <text> UNION ALL SELECT
m.role_principal_id FROM sys.server_role_members AS m JOIN held AS h ON m.member_principal_id = h.principal_id)
SELECT CONVERT(nvarchar(128), r.name) COLLATE Latin1_General_BIN2 FROM held AS h JOIN sys.server_principals AS r ON r.principal_id =
h.principal_id WHERE r.name IN (N'sysadmin', N'securityadmin', N'##MS_LoginManager##') UNION SELECT CONVERT(nvarchar(128),
p.permission_name) COLLATE Latin1_General_BIN2 FROM held AS h JOIN sys.server_permissions AS p ON p.grantee_principal_id = h.principal_id
WHERE p.state IN ('G', 'W') AND p.permission_name IN (N'CONTROL SERVER', N'ALTER ANY LOGIN', N'IMPERSONATE ANY LOGIN')
""")
def powers_at_server(session, name):
    login = session.world.login(name) or {}
    permissions = ("CONTROL SERVER", "ALTER ANY LOGIN", "IMPERSONATE ANY LOGIN")
    made, sees = session.world.state.get("roles", {}), session.may_at_server("VIEW ANY DEFINITION")
    has = held(session, login, lambda role: role in made and not sees)
    return powers(has, ("sysadmin", "securityadmin", "##MS_LoginManager##"), permissions)


@statement("""
WITH held AS (SELECT u.principal_id FROM sys.database_principals AS u WHERE u.name = <text> UNION ALL SELECT
m.role_principal_id FROM sys.database_role_members AS m JOIN held AS h ON m.member_principal_id = h.principal_id)
SELECT CONVERT(nvarchar(128), r.name) COLLATE Latin1_General_BIN2 FROM held AS h JOIN sys.database_principals AS r ON r.principal_id =
h.principal_id WHERE r.name IN (N'db_owner', N'db_securityadmin', N'db_accessadmin') UNION SELECT
CONVERT(nvarchar(128), p.permission_name) COLLATE Latin1_General_BIN2 FROM held AS h JOIN sys.database_permissions AS p ON
p.grantee_principal_id = h.principal_id WHERE p.class = 0 AND p.state IN ('G', 'W') AND p.permission_name IN
(N'CONTROL', N'ALTER ANY USER', N'ALTER ANY ROLE')
""")
def powers_in_database(session, name):
    user = session.world.database(session.database)["users"].get(name.lower(), {})
    roles = ("db_owner", "db_securityadmin", "db_accessadmin")
    sees = session.may_in_database("VIEW DEFINITION")
    has = held(session, user, lambda role: not sees)
    return powers(has, roles, ("CONTROL", "ALTER ANY USER", "ALTER ANY ROLE"))
