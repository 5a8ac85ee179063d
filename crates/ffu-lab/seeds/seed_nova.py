"""Services, compute nodes, flavors, aggregates, quotas, keys and the rest of nova that is no instance.

Through nova's own object layer; `ffu_nova_instances` has the instances.
"""

import sys

import ffu_seed

KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDlab lab@example.org"


def keep(kind, **values):
    """The values for which an object of this series has a field."""
    return {name: value for name, value in values.items() if name in kind.fields}


def main():
    ctx = ffu_seed.context("nova")
    ids = ctx.ids()
    from nova import config

    if not hasattr(config.CONF, "database"):
        # From Wallaby to Yoga it is the module of nova-manage that brings oslo.db's options along.
        from oslo_db import options

        options.set_defaults(config.CONF)
    sys.argv = ["nova-manage"]
    config.parse_args(sys.argv, default_config_files=[ctx.config("nova", "nova.conf")])
    from nova import context, objects

    objects.register_all()
    admin = context.get_admin_context()
    cells = {cell.name: cell for cell in objects.CellMappingList.get_all(admin)}
    for cell in cells.values():
        if cell.is_cell0():
            cell0 = cell
    cell1 = cells["cell1"]
    every = ffu_seed.hosts(ctx.size)
    instances = ffu_seed.instances(ctx.size)
    services(admin, objects, every)
    nodes = compute_nodes(ctx, admin, objects, every, instances)
    for host in every:
        objects.HostMapping(context=admin, host=host.name, cell_mapping=cell1).create()
    flavors = create_flavors(ids, admin, objects)
    aggregates(admin, objects, every)
    quotas_and_keys(ids, context, objects)
    from ffu_nova_instances import Builder

    builder = Builder(ctx, ids, cell0, cell1, nodes, flavors, every)
    for one in instances:
        builder.create(one)
    server_group(ids, context, objects, instances)
    builder.pci_devices(admin)
    ffu_seed.report(
        "nova",
        {
            "hosts": len(every),
            "instances": len([i for i in instances if not i.deleted]),
            "deleted": len([i for i in instances if i.deleted]),
            "pinned": len([i for i in instances if i.pinned and i.placed]),
        },
    )


def services(admin, objects, every):
    controllers = [("controller-001", binary) for binary in ("nova-conductor", "nova-scheduler")]
    for host, binary in controllers + [(host.name, "nova-compute") for host in every]:
        values = {
            "host": host,
            "binary": binary,
            "topic": "compute" if binary == "nova-compute" else binary.replace("nova-", ""),
            "report_count": 0,
            "disabled": False,
            # NULL would make nova's check of the computes' age vacuous.
            "forced_down": False,
        }
        if binary == "nova-compute":
            values["uuid"] = ffu_seed.ident("compute-service", host)
        service = objects.Service(context=admin, **values)
        service.create()
        # The heartbeat: a changed report_count sets last_seen_up, as a living service does every ten seconds.
        service.report_count = 1
        service.save()


def compute_nodes(ctx, admin, objects, every, instances):
    import json

    from nova.objects.numa import NUMACell, NUMATopology

    nodes = {}
    for host in every:
        here = [one for one in instances if one.placed and one.host.number == host.number]
        pinned = [cpu for one in here if one.pinned for cpu in one.pinned_cpus(every)]
        cpus = set(range(host.vcpus))
        cell = NUMACell(
            **keep(
                NUMACell,
                id=0,
                socket=0,
                cpuset=cpus,
                pcpuset=cpus if ctx.since("train") else None,
                memory=host.memory_mb,
                cpu_usage=len(pinned),
                memory_usage=0,
                pinned_cpus=set(pinned),
                siblings=[],
                mempages=[],
            )
        )
        # Before Stein the resource tracker wrote 0.0 for "not configured"; online migrations of later series fill it in.
        ratios = (16.0, 1.5, 1.0) if ctx.since("stein") else (0.0, 0.0, 0.0)
        memory = sum(one.resources["MEMORY_MB"] for one in here)
        disk = sum(one.resources.get("DISK_GB", 0) for one in here)
        node = objects.ComputeNode(
            context=admin,
            uuid=host.node_uuid,
            host=host.name,
            hypervisor_hostname=host.name,
            hypervisor_type="QEMU",
            hypervisor_version=6002000,
            vcpus=host.vcpus,
            memory_mb=host.memory_mb,
            local_gb=host.disk_gb,
            vcpus_used=sum(one.resources.get("VCPU", 0) + one.resources.get("PCPU", 0) for one in here),
            memory_mb_used=512 + memory,
            local_gb_used=disk,
            free_ram_mb=host.memory_mb - 512 - memory,
            free_disk_gb=host.disk_gb - disk,
            current_workload=0,
            running_vms=len(here),
            cpu_info=json.dumps({"arch": "x86_64", "model": "Haswell", "vendor": "Intel", "features": []}),
            disk_available_least=host.disk_gb - disk,
            metrics="[]",
            stats={"failed_builds": "0"},
            host_ip=host.ip,
            numa_topology=numa_json(NUMATopology, cell),
            supported_hv_specs=[objects.HVSpec(arch="x86_64", hv_type="kvm", vm_mode="hvm")],
            cpu_allocation_ratio=ratios[0],
            ram_allocation_ratio=ratios[1],
            disk_allocation_ratio=ratios[2],
            mapped=1,
        )
        node.create()
        nodes[host.name] = node
    return nodes


def numa_json(kind, cell):
    topology = kind(cells=[cell])
    return topology._to_json() if hasattr(topology, "_to_json") else topology.obj_to_primitive()


def create_flavors(ids, admin, objects):
    made = {}
    for number, (name, vcpus, memory, disk, specs) in enumerate(ffu_seed.FLAVORS):
        private = name == "n1.sriov"
        flavor = objects.Flavor(
            context=admin,
            flavorid=ffu_seed.ident("flavor", name) if number > 1 else str(number + 1),
            name=name,
            vcpus=vcpus,
            memory_mb=memory,
            root_gb=disk,
            ephemeral_gb=0,
            swap=0,
            rxtx_factor=1.0,
            vcpu_weight=0,
            disabled=False,
            is_public=not private,
            extra_specs=dict(specs),
            projects=[ids["projects"]["demo-web"]] if private else [],
        )
        flavor.create()
        made[name] = flavor
    return made


def aggregates(admin, objects, every):
    for zone in ffu_seed.ZONES:
        aggregate = objects.Aggregate(
            context=admin,
            uuid=ffu_seed.ident("aggregate", zone),
            name="zone-" + zone,
            metadata={"availability_zone": zone, "lab": "yes"},
        )
        aggregate.create()
        for host in every:
            if host.zone == zone:
                aggregate.add_host(host.name)


def quotas_and_keys(ids, context, objects):
    for project in ffu_seed.PROJECTS:
        admin = context.get_admin_context()
        for resource, limit in (("instances", 5000), ("cores", 20000), ("ram", 51200000)):
            objects.Quotas.create_limit(admin, ids["projects"][project], resource, limit)
    for user, project in sorted(ffu_seed.USERS.items()):
        owner = context.RequestContext(ids["users"][user], ids["projects"][project], is_admin=True)
        objects.KeyPair(
            context=owner,
            user_id=ids["users"][user],
            name=user + "-key",
            type="ssh",
            fingerprint="aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99",
            public_key=KEY,
        ).create()


def server_group(ids, context, objects, instances):
    """An anti-affinity group of two servers on different hosts."""
    project, user = "demo-web", "alice"
    owner = context.RequestContext(ids["users"][user], ids["projects"][project], is_admin=True)
    members = [one.uuid for one in instances if one.placed and one.project == project][:2]
    values = {"project_id": ids["projects"][project], "user_id": ids["users"][user], "name": "apart", "members": members}
    if "policy" in objects.InstanceGroup.fields:
        values["policy"] = "anti-affinity"
    else:
        values["policies"] = ["anti-affinity"]
    group = objects.InstanceGroup(context=owner, uuid=ffu_seed.ident("server-group", "apart"), **values)
    group.create()


if __name__ == "__main__":
    main()
