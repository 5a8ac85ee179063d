"""What every seed shares: the context it is given, deterministic names, and the list of what the lab holds.

The seeds are run one process a project, each by the hop environment of the lab's series (Python 2.7 to 3.13), and fill
the databases through that series' own code. What they create depends on the size alone; identifiers come from uuid5, so
two labs of one size agree in everything but times and what keystone names by itself.
"""

from __future__ import print_function

import argparse
import datetime
import io
import json
import os
import random
import uuid

NAMESPACE = uuid.UUID("7a0c6b8e-4f0d-5d5f-9d0a-6a2f1c3b5e77")

ORDER = (
    "pike queens rocky stein train ussuri victoria wallaby xena yoga zed "
    "2023.1 2023.2 2024.1 2024.2 2025.1 2025.2 2026.1 2026.2"
).split()

PROJECTS = ("demo-web", "demo-data", "demo-batch")
USERS = {"alice": "demo-web", "bob": "demo-data", "carol": "demo-batch"}
SERVICE_USERS = ("nova", "placement", "glance", "neutron", "cinder", "heat")
REGION = "RegionOne"
ZONES = ("az-1", "az-2")

# name: vcpus, MiB, GiB, extra specs
FLAVORS = (
    ("m1.tiny", 1, 512, 1, {}),
    ("m1.small", 1, 2048, 20, {"hw_rng:allowed": "True"}),
    ("c1.pinned", 2, 4096, 20, {"hw:cpu_policy": "dedicated"}),
    ("n1.sriov", 2, 4096, 20, {"hw:mem_page_size": "any"}),
)
IMAGES = ("cirros", "debian", "legacy-appliance", "withdrawn")


class Context(object):
    """The seed's input: a JSON file that only its owner can read, for it holds passwords."""

    def __init__(self, values):
        self.series = values["series"]
        self.size = int(values["size"])
        self.etc = values["etc"]
        self.run = values["run"]
        self.images = values["images"]
        self.keystone_url = values["keystone_url"]
        self.placement_url = values["placement_url"]
        self.passwords = values["passwords"]

    def since(self, series):
        """Whether the lab's series is that one or a later one."""
        return ORDER.index(self.series) >= ORDER.index(series)

    def config(self, *parts):
        return os.path.join(self.etc, *parts)

    @property
    def ids_file(self):
        return os.path.join(self.run, "ids.json")

    def ids(self):
        """Ids that keystone gave to projects and users; its seed runs first."""
        with io.open(self.ids_file, encoding="utf-8") as source:
            return json.load(source)


def context(name):
    """Reads `--context FILE` and makes the process deterministic."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--context", required=True)
    parsed = parser.parse_args()
    with io.open(parsed.context, encoding="utf-8") as source:
        ctx = Context(json.load(source))
    make_deterministic(name)
    return ctx


def make_deterministic(name):
    """Replaces uuid4 by a sequence: object layers name things by it, and a lab must be the same each time."""
    counter = [0]

    def uuid4():
        counter[0] += 1
        return uuid.uuid5(NAMESPACE, "%s/%d" % (name, counter[0]))

    uuid.uuid4 = uuid4
    random.seed(name)


def ident(kind, name):
    """The uuid of a thing that several projects know by it."""
    return str(uuid.uuid5(NAMESPACE, "%s:%s" % (kind, name)))


def now(minutes_ago=0):
    """Naive UTC time as the databases keep it, without microseconds."""
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=_utc_seconds() - 60 * minutes_ago)
    return moment.replace(microsecond=0)


def _utc_seconds():
    import time

    return int(time.time())


class Host(object):
    def __init__(self, number):
        self.number = number
        self.name = "compute-%03d" % number
        self.service_uuid = ident("compute-service", self.name)
        self.node_uuid = ident("compute-node", self.name)
        self.zone = ZONES[(number - 1) % len(ZONES)]
        self.ip = "10.20.%d.%d" % (number // 250, number % 250 + 1)
        self.vcpus = 64
        self.memory_mb = 262144
        self.disk_gb = 4000


def hosts(size):
    """At least two hosts, about twenty instances each."""
    return [Host(number) for number in range(1, max(2, (size + 19) // 20) + 1)]


class Instance(object):
    """One server and everything the projects know of it.

    The roles repeat every twenty instances: 0 has an SR-IOV port (only the first of all), 1 failed to schedule (only the
    first of all) and lives in cell0, 2 and 12 have pinned CPUs, 3, 9 and 16 are deleted, 4 and 14 shut off,
    5 and 15 boot from a volume, 6 has a data volume attached; the others are plain.
    """

    def __init__(self, index, all_hosts):
        role = index % 20
        self.index = index
        self.uuid = ident("instance", index)
        self.name = "server-%05d" % index
        self.project = PROJECTS[index % len(PROJECTS)]
        self.user = [u for u in sorted(USERS) if USERS[u] == self.project][0]
        self.sriov = index == 0
        self.error = index == 1
        self.pinned = role in (2, 12)
        self.deleted = role in (3, 9, 16)
        self.stopped = role in (4, 14)
        self.boot_volume = role in (5, 15)
        self.data_volume = role == 6
        self.host = None if self.error else all_hosts[index % len(all_hosts)]
        self.flavor = "n1.sriov" if self.sriov else "c1.pinned" if self.pinned else FLAVORS[index % 2][0]
        self.image = None if self.boot_volume else IMAGES[index % 2]
        self.port = ident("port", index)
        self.mac = "fa:16:3e:%02x:%02x:%02x" % (index >> 16 & 255, index >> 8 & 255, index & 255)
        self.ip = "10.%d.%d.%d" % (100 + index // 62500, index // 250 % 250, index % 250 + 2)
        self.pci_address = "0000:81:02.%d" % (index % 8)
        self.volume = ident("volume", index)
        self.attachment = ident("attachment", index)

    @property
    def placed(self):
        """Whether it occupies a host, a port and placement."""
        return not (self.error or self.deleted)

    @property
    def resources(self):
        vcpus, memory, disk = [f[1:4] for f in FLAVORS if f[0] == self.flavor][0]
        wanted = {"PCPU" if self.pinned else "VCPU": vcpus, "MEMORY_MB": memory}
        if not self.boot_volume:
            wanted["DISK_GB"] = disk
        return wanted

    def pinned_cpus(self, all_hosts):
        """The host CPUs of a pinned instance: its place among the pinned ones of its host decides."""
        before = len([i for i in instances_of(self.index, all_hosts) if i.pinned and i.host is self.host])
        return [2 + 2 * before, 3 + 2 * before]


def instances_of(count, all_hosts):
    return [Instance(index, all_hosts) for index in range(count)]


def instances(size):
    """The lab's instances with their hosts."""
    every = hosts(size)
    return instances_of(size, every)


def report(name, counts):
    """The last line of a seed's output."""
    print("seeded %s: %s" % (name, json.dumps(counts, sort_keys=True)))
