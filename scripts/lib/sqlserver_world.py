"""What the tests' SQL Server knows: logins, databases with their users, locks, and what it was told.

Error numbers, their severity and their words are Microsoft's (SQL Server, "Database engine events and
errors"). Names are compared without regard to case, as by the default collation; passwords exactly.
"""

import re
import threading
import time

import sqlserver_statements
from pysqlbridge.tds.result import QueryError


class Refused(Exception):
    """A login that is refused: (number, severity, text) of each error, in the order in which they come."""

    def __init__(self, *errors):
        super().__init__(errors)
        self.errors = errors


class Failed(Exception):
    """A statement that fails."""

    def __init__(self, number, text, severity=16):
        super().__init__(text)
        self.number, self.text, self.severity = number, text, severity


# What of a password the policy of Windows checks: length, and three of four kinds of characters.
KINDS = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^a-zA-Z0-9]")


def check_policy(world, account, password):
    """Fails with the number of the rule that a new password breaks."""
    rules = world.state["policy"]
    words = "Password validation failed. The password "
    if not account.get("policy", False):
        return
    if rules["too recent"]:
        raise Failed(15114, f"{words}for the user is too recent to change.")
    if password in rules["used"]:
        raise Failed(15115, f"{words}cannot be used at this time.")
    if len(password) < rules["shortest"]:
        raise Failed(15116, f"{words}does not meet Windows policy requirements because it is too short.")
    if len(password) > rules["longest"]:
        raise Failed(15117, f"{words}does not meet Windows policy requirements because it is too long.")
    if sum(bool(re.search(kind, password)) for kind in KINDS) < 3:
        raise Failed(
            15118, f"{words}does not meet Windows policy requirements because it is not complex enough."
        )


# The same rules where the password is changed while logging in.
AT_LOGIN = {15114: 18462, 15115: 18463, 15116: 18464, 15117: 18465, 15118: 18466}


class World:
    def __init__(self):
        self.mutex = threading.RLock()
        self.changed = threading.Condition(self.mutex)
        self.log, self.traps = [], []
        # By the database and the name of each: its owner, a session or nobody (None).
        self.locks = {}
        self.sessions = set()
        self.state = {
            # What the server says of TLS: required, off (for the login at most, and here not even that) or
            # not supported.
            "encrypt": "required",
            "tls": "1.2",
            "policy": {"shortest": 8, "longest": 128, "used": [], "too recent": False},
            # Each by its name in lower case. Of a login: name, password, and, if they are so, disabled,
            # locked, expired, must change, policy, lockout (failed logins until it is locked); roles,
            # grants (permissions at the server). Of a database: name, containment, read only, users, by
            # name: name, and either login, or password of a contained one; roles, grants.
            "logins": {},
            "databases": {
                name: {"name": name, "containment": 0, "users": {}} for name in ("master", "tempdb")
            },
        }

    def set(self, at, to):
        place = self.state
        for key in at[:-1]:
            place = place.setdefault(key, {})
        if to is None:
            place.pop(at[-1], None)
        else:
            place[at[-1]] = to

    def note(self, text):
        with self.mutex:
            self.log.append(text)

    def trap(self, command):
        """What happens to the next statements that hold this text: {"act": "cut before"} ends the
        connection before the statement is run, "cut after" behind it; "wait" waits for so many
        "seconds" first; "fail" answers with this "number" and runs nothing. "once" is for one only."""
        if "text" not in command:
            self.traps.clear()
        else:
            self.traps.append(command)

    def trapped(self, sql):
        """The act that is set for this statement; it has waited if it was to wait."""
        with self.mutex:
            found = next((trap for trap in self.traps if trap["text"] in sql), None)
            if found and found.get("once"):
                self.traps.remove(found)
        if not found:
            return None
        time.sleep(found.get("seconds", 0))
        if found["act"] == "fail":
            raise QueryError("As the test wants it.", number=found["number"])
        return found["act"]

    def hold(self, database, name, release):
        self.locks.pop((database, name), None) if release else self.locks.update({(database, name): None})
        self.changed.notify_all()

    def login(self, name):
        return self.state["logins"].get(name.lower())

    def database(self, name):
        return self.state["databases"].get(name.lower())


class Session:
    """One connection: who it is, in which database, and which locks it has."""

    def __init__(self, world, gone):
        self.world, self.gone = world, gone
        self.login = self.user = None
        self.database, self.number = "master", 0
        # SET LOCK_TIMEOUT, in milliseconds; -1 waits for ever.
        self.lock_timeout = -1

    # ---- logins

    def log_in(self, name, password, database, new_password):
        world = self.world
        with world.mutex:
            world.note(f"LOGIN {name} database={database or 'master'} changes={bool(new_password)}")
            failed = (18456, 14, f"Login failed for user '{name}'.")
            # What a server says of itself, before it looks at anybody.
            if said := world.state.get("says"):
                raise Refused(*[(number, 14, "As the test wants it.") for number in said])
            base = world.database(database or "master")
            contained = base and base["containment"] and base["users"].get(name.lower())
            if contained and "password" in contained:
                if contained["password"] != password:
                    world.note(f"REFUSED {name}")
                    raise Refused(failed)
                self.user, self.database = contained, base["name"]
                return
            login = world.login(name)
            self._check(login, name, password, new_password, failed)
            if base is None or not self._enters(login, base):
                # The words of 4060 name the database.
                words = f'Cannot open database "{database}" requested by the login. The login failed.'
                raise Refused((4060, 11, words), failed)
            self.login, self.database = login, base["name"]

    def _check(self, login, name, password, new_password, failed):
        """The order in which a server looks: a locked account before the password, the rest after it."""

        def refused(number, words):
            return Refused((number, 14, f"Login failed for user '{name}'{words}"))

        if login is None:
            raise Refused(failed)
        if login.get("locked"):
            raise refused(
                18486,
                " because the account is currently locked out. The system administrator can unlock it.",
            )
        if login["password"] != password:
            self.world.note(f"REFUSED {name}")
            login["failed"] = login.get("failed", 0) + 1
            if login.get("policy") and login["failed"] >= login.get("lockout", 1 << 30):
                login["locked"] = True
            raise Refused(failed)
        login["failed"] = 0
        if login.get("disabled"):
            raise refused(18470, ". Reason: The account is disabled.")
        if new_password:
            try:
                check_policy(self.world, login, new_password)
            except Failed as policy:
                words = f". Reason: Password change failed. {policy.text}"
                raise refused(AT_LOGIN[policy.number], words) from None
            login.update(password=new_password, expired=False, **{"must change": False})
        if login.get("must change"):
            raise refused(18488, ". Reason: The password of the account must be changed.")
        if login.get("expired"):
            raise refused(18487, ". Reason: The password of the account has expired.")

    def _enters(self, login, base):
        """Whoever has no user in a database does not enter it; master and tempdb have a guest."""
        if base["name"] in ("master", "tempdb") or "sysadmin" in login.get("roles", []):
            return True
        return self.user_of(login, base) is not None

    @staticmethod
    def user_of(login, base):
        users = base["users"].values()
        return next((user for user in users if user.get("login") == login["name"].lower()), None)

    # ---- rights

    def may_at_server(self, permission):
        login = self.login or {}
        roles, grants = login.get("roles", []), login.get("grants", [])
        return (
            "sysadmin" in roles
            or "CONTROL SERVER" in grants
            or permission in grants
            or (permission == "ALTER ANY LOGIN" and not {"securityadmin", "##MS_LoginManager##"}.isdisjoint(roles))
        )

    def may_in_database(self, permission):
        base = self.world.database(self.database)
        user = self.user or (self.login and self.user_of(self.login, base)) or {}
        roles, grants = user.get("roles", []), user.get("grants", [])
        return (
            bool(self.login and "sysadmin" in self.login.get("roles", []))
            or "db_owner" in roles
            or "CONTROL" in grants
            or permission in grants
            or (permission == "ALTER ANY USER" and "db_accessadmin" in roles)
            or (permission == "VIEW DEFINITION" and "db_securityadmin" in roles)
            or (permission == "VIEW DEFINITION" and self.may_at_server("VIEW ANY DEFINITION"))
        )

    # ---- locks: sp_getapplock with the owner Session, in one database

    def lock(self, database, name, timeout):
        """0: at once; 1: after waiting; -1: not within `timeout` milliseconds, of which -1 is for ever."""
        world, key = self.world, (database, name)
        until = None if timeout < 0 else time.monotonic() + timeout / 1000
        waited = 0
        with world.mutex:
            while world.locks.get(key, self) is not self:
                left = 1 if until is None else until - time.monotonic()
                if left <= 0:
                    return -1
                if self.gone():
                    return -2
                waited = 1
                world.changed.wait(min(left, 0.05))
            world.locks[key] = self
            return waited

    def end(self):
        with self.world.mutex:
            self.world.sessions.discard(self)
            for key in [key for key, owner in self.world.locks.items() if owner is self]:
                del self.world.locks[key]
            self.world.changed.notify_all()

    def answer(self, query):
        return sqlserver_statements.answer(self, query)
