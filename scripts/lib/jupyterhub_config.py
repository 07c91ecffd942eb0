"""What jupyterhub.sh starts: a hub that says all that it does, and whose users start nothing."""

import logging
import os

from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    """The hub is asked at its own port."""

    should_start = False
    routes = {}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return self.routes


folder = os.environ["HUB_DIR"]
c = get_config()  # noqa: F821
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = int(os.environ["HUB_PORT"])
c.JupyterHub.db_url = f"sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{folder}/cookie_secret"
c.JupyterHub.authenticator_class = "null"
c.JupyterHub.log_level = logging.DEBUG
c.JupyterHub.services = [{"name": "arranger", "api_token": os.environ.pop("HUB_TOKEN")}]
c.JupyterHub.load_roles = [
    {"name": "arranger", "services": ["arranger"], "scopes": ["admin:users", "tokens"]},
]
