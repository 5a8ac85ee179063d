"""Networks, subnets, bound ports, a router, a floating IP and security groups, through neutron's own plugins.

The ML2 plugin and the router plugin run in this process as they do in neutron-server, without listening for RPC.
"""

import netaddr

import ffu_seed


# So many instances get their ports from the plugin, the others rows like theirs.
BY_PLUGIN = 10
L3 = {
    "agent_mode": "legacy",
    "handle_internal_only_routers": True,
    "external_network_bridge": "",
    "gateway_external_network_id": "",
    "interface_driver": "openvswitch",
}


def setup(ctx):
    """neutron-server's own start, as far as its plugins."""
    from neutron.common import config
    from oslo_config import cfg

    if hasattr(config, "register_common_config_options"):
        config.register_common_config_options()
    config.init(
        [
            "--config-file",
            ctx.config("neutron", "neutron.conf"),
            "--config-file",
            ctx.config("neutron", "plugins", "ml2", "ml2_conf.ini"),
        ]
    )
    config.set_config_defaults()
    # Nobody listens here: a message an agent for every port would go nowhere, slowly.
    cfg.CONF.set_override("dhcp_agent_notification", False)
    try:
        from neutron import objects

        objects.register_objects()
    except AttributeError:
        pass
    # Loads the plugins, their extensions and their quotas.
    from neutron.pecan_wsgi import startup

    startup.initialize_all()
    # The agents report once, now; a large lab takes longer than the 75 seconds after which they would count as dead.
    cfg.CONF.set_override("agent_down_time", 86400)
    from neutron_lib.plugins import directory

    return directory.get_plugin(), directory.get_plugin("L3_ROUTER_NAT"), helpers()


def resource_attributes():
    """The map that extensions fill: neutron's own until Queens, neutron-lib's since."""
    try:
        from neutron_lib.plugins.utils import create_network  # noqa: F401
    except ImportError:
        from neutron.api.v2 import attributes

        return attributes.RESOURCE_ATTRIBUTE_MAP
    from neutron_lib.api import attributes

    return attributes.RESOURCES


def helpers():
    """Functions that fill in what the API layer would fill in."""
    try:
        from neutron_lib.plugins import utils

        utils.create_network
    except (ImportError, AttributeError):
        from neutron.plugins.common import utils
    return utils


def fill(collection, values):
    from neutron_lib.api import attributes

    info = attributes.AttributeInfo(resource_attributes()[collection])
    values.setdefault("tenant_id", "")
    values.setdefault("project_id", values["tenant_id"])
    info.fill_post_defaults(values, check_allow_post=False)
    info.convert_values(values)
    return values


class Builder(object):
    def __init__(self, ctx):
        self.ctx, self.ids = ctx, ctx.ids()
        self.core, self.l3, self.utils = setup(ctx)
        from neutron_lib import context

        self.admin = context.get_admin_context()
        self.projects = self.ids["projects"]

    def agents(self, every):
        """Agents that reported just now; ports are bound only to hosts that have one."""
        for host in every:
            bridges = {"bridge_mappings": {"physnet1": "br-ex"}, "tunnel_types": ["vxlan"], "tunneling_ip": host.ip}
            self.agent("Open vSwitch agent", "neutron-openvswitch-agent", host.name, "N/A", bridges)
            devices = {"device_mappings": {"physnet1": ["ens1f0"]}}
            self.agent("NIC Switch agent", "neutron-sriov-nic-agent", host.name, "N/A", devices)
        self.agent("DHCP agent", "neutron-dhcp-agent", "network-001", "dhcp_agent", {"dhcp_lease_duration": 86400})
        self.agent("L3 agent", "neutron-l3-agent", "network-001", "l3_agent", L3)

    def agent(self, kind, binary, host, topic, configurations):
        state = {
            "agent_type": kind,
            "binary": binary,
            "host": host,
            "topic": topic,
            "configurations": configurations,
            "start_flag": True,
        }
        # Since Train the caller says when the report was received.
        when = [ffu_seed.now()] if self.ctx.since("train") else []
        self.core.create_or_update_agent(self.admin, state, *when)

    def network(self, name, project, **values):
        body = {
            "id": ffu_seed.ident("network", name),
            "name": name,
            "tenant_id": self.projects[project],
            "project_id": self.projects[project],
            "admin_state_up": True,
        }
        body.update(values)
        return self.utils.create_network(self.core, self.admin, {"network": body}, check_allow_post=False)

    def subnet(self, name, network, cidr, **values):
        body = {
            "id": ffu_seed.ident("subnet", name),
            "name": name,
            "network_id": network["id"],
            "tenant_id": network["tenant_id"],
            "project_id": network["tenant_id"],
            "cidr": cidr,
            "ip_version": 4,
        }
        body.update(values)
        return self.utils.create_subnet(self.core, self.admin, {"subnet": body}, check_allow_post=False)

    def port(self, one, network, subnet, group):
        body = {
            "id": one.port,
            "name": "",
            "network_id": network["id"],
            "tenant_id": self.projects[one.project],
            "project_id": self.projects[one.project],
            "mac_address": one.mac,
            "fixed_ips": [{"subnet_id": subnet["id"], "ip_address": one.ip}],
            "device_id": one.uuid,
            "device_owner": "compute:" + one.host.zone,
            "binding:host_id": one.host.name,
            "admin_state_up": True,
        }
        if one.sriov:
            body["binding:vnic_type"] = "direct"
            body["binding:profile"] = {
                "pci_vendor_info": "15b3:1018",
                "pci_slot": one.pci_address,
                "physical_network": "physnet1",
            }
            body["security_groups"] = []
            body["port_security_enabled"] = False
        else:
            body["security_groups"] = [group]
        return self.utils.create_port(self.core, self.admin, {"port": body}, check_allow_post=False)

    def security_group(self, project):
        name = "web"
        body = {
            "id": ffu_seed.ident("security-group", project),
            "name": name,
            "tenant_id": self.projects[project],
            "project_id": self.projects[project],
            "description": "lab",
        }
        group = self.core.create_security_group(self.admin, {"security_group": fill("security_groups", body)})
        for port in (22, 80):
            rule = {
                "security_group_id": group["id"],
                "tenant_id": self.projects[project],
                "project_id": self.projects[project],
                "direction": "ingress",
                "ethertype": "IPv4",
                "protocol": "tcp",
                "port_range_min": port,
                "port_range_max": port,
                "remote_ip_prefix": "0.0.0.0/0",
            }
            self.core.create_security_group_rule(
                self.admin, {"security_group_rule": fill("security_group_rules", rule)}
            )
        return group["id"]

    def router(self, external, subnets):
        body = {
            "name": "edge",
            "tenant_id": self.projects["demo-web"],
            "project_id": self.projects["demo-web"],
            "admin_state_up": True,
            "external_gateway_info": {"network_id": external["id"]},
        }
        router = self.l3.create_router(self.admin, {"router": fill("routers", body)})
        for subnet in subnets:
            self.l3.add_router_interface(self.admin, router["id"], {"subnet_id": subnet["id"]})
        return router

    def floating_ip(self, external, port):
        body = {
            "floating_network_id": external["id"],
            "port_id": port["id"],
            "tenant_id": self.projects["demo-web"],
            "project_id": self.projects["demo-web"],
        }
        return self.l3.create_floatingip(self.admin, {"floatingip": fill("floatingips", body)})


def main():
    ctx = ffu_seed.context("neutron")
    builder = Builder(ctx)
    every = ffu_seed.hosts(ctx.size)
    builder.agents(every)
    external = builder.network(
        "external",
        "admin",
        shared=False,
        **{
            "router:external": True,
            "provider:network_type": "flat",
            "provider:physical_network": "external",
        }
    )
    builder.subnet("external", external, "203.0.113.0/24", enable_dhcp=False)
    tenant = builder.network("tenant-net", "demo-web", shared=True, **{"provider:network_type": "vxlan"})
    sriov = builder.network(
        "sriov-net",
        "admin",
        shared=True,
        **{
            "provider:network_type": "vlan",
            "provider:physical_network": "physnet1",
            "provider:segmentation_id": 100,
        }
    )
    instances = ffu_seed.instances(ctx.size)
    subnets = {}
    for second in sorted({int(one.ip.split(".")[1]) for one in instances} | {100}):
        cidr = "10.%d.0.0/16" % second
        # The gateway is out of the way of the instances' addresses, which are counted from .2 in every /24.
        subnets[second] = builder.subnet("tenant-%d" % second, tenant, cidr, gateway_ip="10.%d.255.254" % second)
    sriov_subnet = builder.subnet("sriov", sriov, "10.99.0.0/16", enable_dhcp=False)
    builder.network("stack-net", "demo-web")
    groups = {project: builder.security_group(project) for project in ffu_seed.PROJECTS}
    router = builder.router(external, [subnets[100]])
    first, template, later = None, None, []
    bound = 0
    for one in instances:
        if not one.placed:
            continue
        if one.sriov:
            # The address of the instance, in the network of virtual functions.
            one.ip = str(netaddr.IPNetwork(sriov_subnet["cidr"])[1000 + one.index])
        network, subnet = (sriov, sriov_subnet) if one.sriov else (tenant, subnets[int(one.ip.split(".")[1])])
        if one.index >= BY_PLUGIN and template:
            later.append((one, builder.projects[one.project], network, subnet, groups[one.project]))
            continue
        port = builder.port(one, network, subnet, groups[one.project])
        if port["binding:vif_type"] not in ("ovs", "hw_veb"):
            raise SystemExit("port %s was not bound: %s" % (port["id"], port["binding:vif_type"]))
        bound += 1
        if not one.sriov:
            builder.core.update_port_status(builder.admin, port["id"], "ACTIVE")
            template = port
            if one.project == "demo-web":
                first = first or port
    if later:
        import ffu_neutron_bulk

        like = ffu_neutron_bulk.Template(builder.admin, template["id"])
        bound += ffu_neutron_bulk.create(builder.admin, like, later)
    if first:
        builder.floating_ip(external, first)
    ffu_seed.report("neutron", {"networks": 4, "ports": bound, "routers": 1 if router else 0})


if __name__ == "__main__":
    main()
