"""Services, volume types, volumes, snapshots, attachments and quotas, through cinder's own objects and database API."""

import json

from oslo_config import cfg
from oslo_log import log

import ffu_seed

HOST = "storage-001@lvm"


def main():
    ctx = ffu_seed.context("cinder")
    ids = ctx.ids()
    from cinder.common import config  # noqa: F401 registers cinder's options

    log.register_options(cfg.CONF)
    cfg.CONF([], project="cinder", default_config_files=[ctx.config("cinder", "cinder.conf")])
    from cinder import context, objects, rpc

    rpc.init(cfg.CONF)
    objects.register_all()
    admin = context.get_admin_context()
    service_uuid = services(ctx, admin)
    types = volume_types(admin)
    volumes = create_volumes(ctx, ids, service_uuid, types)
    quotas(ids, admin)
    ffu_seed.report("cinder", volumes)


def services(ctx, admin):
    """cinder-scheduler and cinder-volume as they report themselves; without a uuid volumes would be of no service."""
    from cinder import objects
    from cinder.db import api as db
    from cinder.scheduler import rpcapi as scheduler_rpc
    from cinder.volume import rpcapi as volume_rpc

    for binary, host, topic, api in (
        ("cinder-scheduler", "controller-001", "cinder-scheduler", scheduler_rpc.SchedulerAPI),
        ("cinder-volume", HOST, "cinder-volume", volume_rpc.VolumeAPI),
    ):
        service = objects.Service(
            context=admin,
            host=host,
            binary=binary,
            topic=topic,
            report_count=1,
            disabled=False,
            availability_zone="nova",
            rpc_current_version=api.RPC_API_VERSION,
            object_current_version=objects.base.OBJ_VERSIONS.get_current(),
            uuid=ffu_seed.ident("volume-service", host),
        )
        service.create()
        # A service that reported just now: `service_update` keeps updated_at.
        db.service_update(admin, service.id, {"report_count": 2})
    return ffu_seed.ident("volume-service", HOST)


def volume_types(admin):
    """The project's own default type where its migrations make one, and two more."""
    from cinder.db import api as db

    made = {}
    for name, specs in (
        ("standard", {"volume_backend_name": "lvm"}),
        ("fast", {"volume_backend_name": "lvm", "tier": "nvme"}),
    ):
        created = db.volume_type_create(
            admin,
            {
                "id": ffu_seed.ident("volume-type", name),
                "name": name,
                "is_public": True,
                "extra_specs": specs,
                "description": "lab",
            },
        )
        made[name] = created["id"]
    try:
        made["__DEFAULT__"] = db.volume_type_get_by_name(admin, "__DEFAULT__")["id"]
    except Exception as error:
        if "could not be found" not in str(error):
            raise
    return made


def create_volumes(ctx, ids, service_uuid, types):
    from cinder.db import api as db

    counts = {"volumes": 0, "in-use": 0, "snapshots": 0, "untyped": 0}

    def volume(project, user, **values):
        from cinder import context

        owner = context.RequestContext(
            ids["users"][user], ids["projects"][project], is_admin=True, read_deleted="no", overwrite=False
        )
        # Until Train a volume may have no type, as most had; then cinder gives them its default type.
        kind = values.pop("kind")
        if kind is None and "__DEFAULT__" in types:
            kind = "__DEFAULT__"
        if kind is not None:
            values["volume_type_id"] = types[kind]
        else:
            counts["untyped"] += 1
        if ctx.since("xena"):
            values["use_quota"] = True
        values.update(
            user_id=ids["users"][user],
            project_id=ids["projects"][project],
            host=HOST + "#lvm",
            service_uuid=service_uuid,
            availability_zone="nova",
            created_at=ffu_seed.now(60),
            scheduled_at=ffu_seed.now(60),
            launched_at=ffu_seed.now(59),
            display_description="lab",
            replication_status="disabled",
            metadata={"lab": "yes"},
        )
        # The database API takes an id, which nova's block device mappings share; the object layer insists on choosing it.
        made = db.volume_create(owner, values)
        counts["volumes"] += 1
        return made, owner

    for number, (project, user) in enumerate((("demo-web", "alice"), ("demo-data", "bob"), ("demo-data", "bob"))):
        made, owner = volume(
            project,
            user,
            id=ffu_seed.ident("volume", "free-%d" % number),
            display_name="free-%d" % number,
            size=10 + number,
            status="available",
            attach_status="detached",
            bootable=False,
            kind=("standard", "fast", None)[number],
        )
        if number < 2:
            snapshot(ctx, owner, made, number)
            counts["snapshots"] += 1
    for one in ffu_seed.instances(ctx.size):
        if not (one.boot_volume or one.data_volume) or not one.placed:
            continue
        made, owner = volume(
            one.project,
            one.user,
            id=one.volume,
            display_name="%s-%s" % (one.name, "root" if one.boot_volume else "data"),
            size=20,
            status="in-use",
            attach_status="attached",
            bootable=one.boot_volume,
            kind=("standard", None)[one.index % 2],
        )
        attach(ctx, owner, made, one)
        counts["in-use"] += 1
    return counts


def snapshot(ctx, owner, volume, number):
    from cinder.db import api as db

    values = {
        "id": ffu_seed.ident("snapshot", number),
        "volume_id": volume["id"],
        "user_id": volume["user_id"],
        "project_id": volume["project_id"],
        "status": "available",
        "progress": "100%",
        "volume_size": volume["size"],
        "volume_type_id": volume["volume_type_id"],
        "display_name": "snapshot-%d" % number,
        "metadata": {"lab": "yes"},
    }
    if ctx.since("xena"):
        values["use_quota"] = True
    db.snapshot_create(owner, values)


def attach(ctx, owner, volume, one):
    from cinder.db import api as db

    values = {
        "id": one.attachment,
        "volume_id": volume["id"],
        "instance_uuid": one.uuid,
        "attached_host": one.host.name,
        "mountpoint": "/dev/vda" if one.boot_volume else "/dev/vdb",
        "attach_status": "attached",
        "attach_mode": "rw",
        "attach_time": ffu_seed.now(58),
        "connection_info": json.dumps(connection_info(one), sort_keys=True),
    }
    if ctx.since("queens"):
        connector = {"host": one.host.name, "ip": one.host.ip, "initiator": "iqn.2010-10.org.openstack:lab"}
        values["connector"] = json.dumps(connector, sort_keys=True)
    db.volume_attach(owner, values)


def connection_info(one):
    return {
        "driver_volume_type": "iscsi",
        "target_lun": 0,
        "target_iqn": "iqn.2010-10.org.openstack:volume-" + one.volume,
        "volume_id": one.volume,
        "attachment_id": one.attachment,
    }


def quotas(ids, admin):
    from cinder.db import api as db

    for project in ffu_seed.PROJECTS:
        for resource, limit in (("volumes", 5000), ("gigabytes", 200000), ("snapshots", 500)):
            db.quota_create(admin, ids["projects"][project], resource, limit)


if __name__ == "__main__":
    main()
