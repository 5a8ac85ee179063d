"""A stack with resources, events and a raw template, and one that was deleted, through heat's own objects."""

from oslo_config import cfg
from oslo_log import log

import ffu_seed

TEMPLATE = {
    "heat_template_version": "2016-10-14",
    "description": "a server of the lab",
    "parameters": {"flavor": {"type": "string", "default": "m1.small"}},
    "resources": {
        "network": {"type": "OS::Neutron::Net", "properties": {"name": "stack-net"}},
        "wait": {"type": "OS::Heat::RandomString", "properties": {"length": 16}},
    },
    "outputs": {"text": {"value": {"get_attr": ["wait", "value"]}}},
}


def main():
    ctx = ffu_seed.context("heat")
    ids = ctx.ids()
    from heat.common import config  # noqa: F401 registers heat's options

    log.register_options(cfg.CONF)
    cfg.CONF([], project="heat", default_config_files=[ctx.config("heat", "heat.conf")])
    from heat.common import context
    from heat.objects import event, raw_template, resource, resource_properties_data, stack, user_creds

    user = context.RequestContext(
        username="alice",
        user_id=ids["users"]["alice"],
        project_name="demo-web",
        project_id=ids["projects"]["demo-web"],
        is_admin=False,
        auth_url=ctx.keystone_url + "/v3",
        password="not-a-password",
        region_name=ffu_seed.REGION,
        roles=["member"],
    )
    credentials = user_creds.UserCreds.create(user)
    for name, action, gone in (("web", "CREATE", False), ("old", "DELETE", True)):
        identity = ffu_seed.ident("stack", name)
        template = raw_template.RawTemplate.create(
            user, {"template": TEMPLATE, "environment": {"parameters": {"flavor": "m1.small"}}}
        )
        made = stack.Stack.create(
            user,
            {
                "id": identity,
                "name": name,
                "raw_template_id": template.id,
                "tenant": ids["projects"]["demo-web"],
                "username": "alice",
                "user_creds_id": credentials.id,
                "timeout": 60,
                "disable_rollback": True,
                "nested_depth": 0,
                "action": action,
                "status": "COMPLETE",
                "status_reason": "Stack %s completed successfully" % action,
                "convergence": True,
                "current_traversal": ffu_seed.ident("traversal", name),
                "current_deps": {"edges": []},
                "backup": False,
            },
        )
        for part in sorted(TEMPLATE["resources"]):
            data = resource_properties_data.ResourcePropertiesData.create(
                user, TEMPLATE["resources"][part]["properties"]
            )
            physical = ffu_seed.ident("network", "stack-net") if part == "network" else "web-wait-abcdef"
            if not gone:
                # Deleting a stack has deleted its resources; its events stay.
                resource.Resource.create(
                    user,
                    {
                        "name": part,
                        "stack_id": made.id,
                        "root_stack_id": made.id,
                        "uuid": ffu_seed.ident("resource", name + part),
                        "action": action,
                        "status": "COMPLETE",
                        "status_reason": "state changed",
                        "physical_resource_id": physical,
                        "current_template_id": template.id,
                        "rsrc_prop_data_id": data.id,
                        "rsrc_metadata": {},
                        "atomic_key": 1,
                    },
                )
            event.Event.create(
                user,
                {
                    "stack_id": made.id,
                    "uuid": ffu_seed.ident("event", name + part),
                    "resource_action": action,
                    "resource_status": "COMPLETE",
                    "resource_name": part,
                    "physical_resource_id": physical,
                    "resource_status_reason": "state changed",
                    "resource_type": TEMPLATE["resources"][part]["type"],
                    "rsrc_prop_data_id": data.id,
                },
            )
        if gone:
            stack.Stack.delete(user, made.id)
    ffu_seed.report("heat", {"stacks": 1, "deleted": 1})


if __name__ == "__main__":
    main()
