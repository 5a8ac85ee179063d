"""Resource providers, inventories, traits, aggregates and allocations, through the running placement's own HTTP API."""

import threading

import requests

import ffu_seed


class Placement(object):
    def __init__(self, ctx, token):
        self.url = ctx.placement_url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["X-Auth-Token"] = token
        self.newest = self.version()

    def version(self):
        versions = self.session.get(self.url + "/", timeout=120).json()["versions"]
        return tuple(int(part) for part in versions[0]["max_version"].split("."))

    def call(self, method, path, body=None, version="1.10", accept=(200, 201, 204)):
        headers = {"OpenStack-API-Version": "placement " + version}
        answer = self.session.request(method, self.url + path, json=body, headers=headers, timeout=120)
        if answer.status_code not in accept:
            raise SystemExit("placement: %s %s: %d %s" % (method, path, answer.status_code, answer.text))
        return answer


def token(ctx):
    """As nova itself: the service user."""
    user = {"name": "placement", "domain": {"id": "default"}, "password": ctx.passwords["placement"]}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "service", "domain": {"id": "default"}}},
        }
    }
    session = requests.Session()
    session.trust_env = False
    answer = session.post(ctx.keystone_url + "/v3/auth/tokens", json=body, timeout=120)
    if answer.status_code != 201:
        raise SystemExit("keystone: no token for placement: %d %s" % (answer.status_code, answer.text))
    return answer.headers["X-Subject-Token"]


def inventory(total, ratio=1.0, reserved=0, max_unit=None):
    return {
        "total": total,
        "allocation_ratio": ratio,
        "reserved": reserved,
        "min_unit": 1,
        "max_unit": max_unit or total,
        "step_size": 1,
    }


def provider(placement, ctx, host):
    path = "/resource_providers/" + host.node_uuid
    if placement.call("GET", path, accept=(200, 404)).status_code == 404:
        placement.call("POST", "/resource_providers", {"name": host.name, "uuid": host.node_uuid})
    generation = placement.call("GET", path).json()["generation"]
    wanted = {
        "VCPU": inventory(host.vcpus, 16.0),
        "MEMORY_MB": inventory(host.memory_mb, 1.5, 512),
        "DISK_GB": inventory(host.disk_gb),
    }
    if pcpu(ctx):
        wanted["PCPU"] = inventory(host.vcpus)
    body = {"resource_provider_generation": generation, "inventories": wanted}
    generation = placement.call("PUT", path + "/inventories", body).json()["resource_provider_generation"]
    traits = ["HW_CPU_X86_AVX2", "CUSTOM_LAB"]
    body = {"resource_provider_generation": generation, "traits": traits}
    placement.call("PUT", path + "/traits", body)
    placement.call("PUT", path + "/aggregates", [ffu_seed.ident("aggregate", host.zone)])


def pcpu(ctx):
    """PCPU came with Train; before, pinned CPUs were counted as VCPU, and nova-compute reshapes them."""
    return ctx.since("train")


def allocate(placement, ctx, ids, some, failures):
    try:
        for one in some:
            resources = dict(one.resources)
            if "PCPU" in resources and not pcpu(ctx):
                resources["VCPU"] = resources.pop("PCPU")
            owner = {"project_id": ids["projects"][one.project], "user_id": ids["users"][one.user]}
            path = "/allocations/" + one.uuid
            if placement.newest >= (1, 28):
                # With consumer generations, as nova does since Rocky: null claims it for a new consumer.
                body = {"allocations": {one.host.node_uuid: {"resources": resources}}, "consumer_generation": None}
                version = "1.28"
            else:
                provider_of = {"uuid": one.host.node_uuid}
                body = {"allocations": [{"resource_provider": provider_of, "resources": resources}]}
                version = "1.8"
            body.update(owner)
            for attempt in range(20):
                answer = placement.call("PUT", path, body, version, (204, 409))
                if answer.status_code == 204:
                    break
                if version == "1.28":
                    there = placement.call("GET", path, version="1.28").json()
                    if there["allocations"]:
                        break
                    # otherwise another lane changed the provider at the same time: ask again
            else:
                raise SystemExit("placement: %s stays in conflict: %s" % (path, answer.text))
    except (Exception, SystemExit) as error:
        failures.append(error)


def main():
    ctx = ffu_seed.context("placement")
    ids = ctx.ids()
    credential = token(ctx)
    placement = Placement(ctx, credential)
    every = ffu_seed.hosts(ctx.size)
    placement.call("PUT", "/traits/CUSTOM_LAB")
    for host in every:
        provider(placement, ctx, host)
    placed = [one for one in ffu_seed.instances(ctx.size) if one.placed]
    failures = []
    # A lane owns whole hosts, so that lanes do not fight over a provider's generation.
    lanes = [[one for one in placed if one.host.number % 2 == lane] for lane in (0, 1)]
    threads = [
        threading.Thread(target=allocate, args=(Placement(ctx, credential), ctx, ids, lane, failures)) for lane in lanes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    ffu_seed.report("placement", {"providers": len(every), "consumers": len(placed)})


if __name__ == "__main__":
    main()
