"""Projects, users, roles, assignments, services and endpoints, through the running keystone's own HTTP API.

Writes the ids that keystone gave to `ids.json`, for the other seeds.
"""

import io
import json

import requests

import ffu_seed


class Keystone(object):
    def __init__(self, ctx):
        self.url = ctx.keystone_url + "/v3"
        self.known = {}
        self.session = requests.Session()
        # A proxy of the environment is no business of 127.0.0.1.
        self.session.trust_env = False
        self.session.headers["X-Auth-Token"] = self.token(ctx.passwords["admin"])

    def token(self, password):
        user = {"name": "admin", "domain": {"id": "default"}, "password": password}
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
            }
        }
        answer = self.session.post(self.url + "/auth/tokens", json=body, timeout=120)
        self.check(answer)
        return answer.headers["X-Subject-Token"]

    @staticmethod
    def check(answer):
        if answer.status_code >= 400:
            raise SystemExit("keystone: %s %s: %s" % (answer.request.method, answer.url, answer.text))

    def list(self, collection, **query):
        answer = self.session.get("%s/%s" % (self.url, collection), params=query, timeout=120)
        self.check(answer)
        return answer.json()[collection]

    def create(self, collection, kind, **body):
        answer = self.session.post("%s/%s" % (self.url, collection), json={kind: body}, timeout=120)
        self.check(answer)
        return answer.json()[kind]

    def ensure(self, collection, kind, name, **body):
        """What bootstrap made, which differs by series, or a new one."""
        if collection not in self.known:
            self.known[collection] = {one["name"]: one for one in self.list(collection)}
        there = self.known[collection]
        if name not in there:
            there[name] = self.create(collection, kind, name=name, **body)
        return there[name]

    def grant(self, project, user, role):
        path = "/projects/%s/users/%s/roles/%s" % (project, user, role)
        self.check(self.session.put(self.url + path, timeout=120))


def main():
    ctx = ffu_seed.context("keystone")
    keystone = Keystone(ctx)
    roles = {name: keystone.ensure("roles", "role", name)["id"] for name in ("admin", "member", "reader", "service")}
    projects, users = {}, {}
    for name in ("admin",):
        projects[name] = keystone.ensure("projects", "project", name)["id"]
        users[name] = keystone.ensure("users", "user", name)["id"]
    projects["service"] = keystone.ensure("projects", "project", "service", domain_id="default")["id"]
    for name in ffu_seed.PROJECTS:
        description = "throwaway lab of %s" % ctx.series
        made = keystone.ensure("projects", "project", name, domain_id="default", description=description)
        projects[name] = made["id"]
    for name, project in sorted(ffu_seed.USERS.items()):
        made = keystone.ensure(
            "users",
            "user",
            name,
            domain_id="default",
            password=ctx.passwords[name],
            email="%s@example.org" % name,
            default_project_id=projects[project],
        )
        users[name] = made["id"]
        keystone.grant(projects[project], made["id"], roles["member"])
    keystone.grant(projects["demo-web"], users["carol"], roles["reader"])
    for name in ffu_seed.SERVICE_USERS:
        made = keystone.ensure("users", "user", name, domain_id="default", password=ctx.passwords[name])
        users[name] = made["id"]
        keystone.grant(projects["service"], made["id"], roles["service"])
        if name != "cinder":
            # Most deployments give their service users admin as well; one does not.
            keystone.grant(projects["service"], made["id"], roles["admin"])
    group = keystone.ensure("groups", "group", "operators", domain_id="default")
    keystone.check(
        keystone.session.put("%s/groups/%s/users/%s" % (keystone.url, group["id"], users["alice"]), timeout=120)
    )
    endpoints(ctx, keystone)
    with io.open(ctx.ids_file, "w", encoding="utf-8") as target:
        target.write(u"%s\n" % json.dumps({"projects": projects, "users": users}, indent=1, sort_keys=True))
    ffu_seed.report("keystone", {"projects": len(projects), "users": len(users), "roles": len(roles)})


def endpoints(ctx, keystone):
    """nova-status finds placement in the catalog; keystone's own endpoints come from bootstrap."""
    service = keystone.ensure("services", "service", "placement", type="placement")
    there = [e["interface"] for e in keystone.list("endpoints", service_id=service["id"])]
    for interface in ("public", "internal", "admin"):
        if interface not in there:
            keystone.create(
                "endpoints",
                "endpoint",
                service_id=service["id"],
                interface=interface,
                region_id=ffu_seed.REGION,
                url=ctx.placement_url,
            )


if __name__ == "__main__":
    main()
