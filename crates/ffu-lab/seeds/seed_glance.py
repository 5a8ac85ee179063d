"""Images in every state that matters, through glance's own database API, with their bytes in the file store."""

import hashlib
import io
import os

from oslo_config import cfg
from oslo_log import log

import ffu_seed


def main():
    ctx = ffu_seed.context("glance")
    ids = ctx.ids()
    from glance.common import config  # noqa: F401 registers glance's options
    from glance import context as glance_context
    from glance.db.sqlalchemy import api

    log.register_options(cfg.CONF)
    cfg.CONF([], project="glance", default_config_files=[ctx.config("glance", "glance-api.conf")])
    if not os.path.isdir(ctx.images):
        os.makedirs(ctx.images)
    admin = glance_context.RequestContext(is_admin=True)
    states = {"legacy-appliance": "deactivated"}
    for number, name in enumerate(ffu_seed.IMAGES):
        image = ffu_seed.ident("image", name)
        content = (u"%s of the lab\n" % name).encode("ascii") * 64
        path = os.path.join(ctx.images, image)
        with io.open(path, "wb") as target:
            target.write(content)
        values = {
            "id": image,
            "name": name,
            "status": "queued",
            "disk_format": "qcow2",
            "container_format": "bare",
            "size": len(content),
            "min_disk": number,
            "min_ram": 64 * number,
            "checksum": hashlib.md5(content).hexdigest(),
            "owner": ids["projects"]["admin" if number == 0 else ffu_seed.PROJECTS[0]],
            "protected": False,
            "visibility": "public" if number == 0 else "shared",
            "properties": {"os_distro": name, "hw_disk_bus": "virtio", "hw_rng_model": "virtio"},
        }
        if ctx.since("rocky"):
            values["os_hash_algo"] = "sha512"
            values["os_hash_value"] = hashlib.sha512(content).hexdigest()
            values["os_hidden"] = False
        api.image_create(admin, values)
        # meta_data must be a JSON object: the multi-store migrations and glance-status read it.
        location = {"url": "file://" + path, "metadata": {}, "status": "active"}
        api.image_update(admin, image, {"status": states.get(name, "active"), "locations": [location]})
        api.image_tag_set_all(admin, image, ["lab", name])
    api.image_member_create(
        admin,
        {
            "image_id": ffu_seed.ident("image", "debian"),
            "member": ids["projects"]["demo-data"],
            "can_share": False,
            "status": "accepted",
        },
    )
    withdrawn = ffu_seed.ident("image", "withdrawn")
    api.image_destroy(admin, withdrawn)
    os.remove(os.path.join(ctx.images, withdrawn))
    ffu_seed.report("glance", {"images": len(ffu_seed.IMAGES) - 1, "deleted": 1})


if __name__ == "__main__":
    main()
