"""Many ports at once, as rows of neutron's own models.

The plugin takes about a fifth of a second a port; a thousand of them would take minutes. So the first ports of a lab are
made by the plugin, and the others are like one of those in everything that is not their own.
"""

from neutron.db import models_v2
from neutron.db.models import securitygroup
from neutron.db.port_security import models as port_security
from neutron.ipam.drivers.neutrondb_ipam import db_models as ipam
from neutron.plugins.ml2 import models as ml2

BATCH = 200


def writer(context):
    try:
        from neutron_lib.db.api import CONTEXT_WRITER

        return CONTEXT_WRITER.using(context)
    except ImportError:
        from neutron.db import api

        return api.context_manager.writer.using(context)


class Template(object):
    """What ports of one network have in common, read from one that the plugin bound."""

    def __init__(self, context, port_id):
        with writer(context):
            binding = context.session.query(ml2.PortBinding).filter_by(port_id=port_id).one()
            level = context.session.query(ml2.PortBindingLevel).filter_by(port_id=port_id, level=0).one()
            self.binding = {
                name: getattr(binding, name) for name in ("vnic_type", "profile", "vif_type", "vif_details", "status")
            }
            port = context.session.query(models_v2.Port).filter_by(id=port_id).one()
            self.port = {"ip_allocation": port.ip_allocation}
            self.level = {"level": 0, "driver": level.driver, "segment_id": level.segment_id}


def create(context, template, wanted):
    """`wanted` are (instance, project id, network, subnet, security group) tuples."""
    with writer(context):
        subnets = {row.neutron_subnet_id: row.id for row in context.session.query(ipam.IpamSubnet).all()}
    for start in range(0, len(wanted), BATCH):
        batch = wanted[start : start + BATCH]
        with writer(context):
            session = context.session
            for one, project, network, _subnet, _group in batch:
                session.add(
                    models_v2.Port(
                        id=one.port,
                        name="",
                        project_id=project,
                        network_id=network["id"],
                        mac_address=one.mac,
                        admin_state_up=True,
                        status="ACTIVE",
                        device_id=one.uuid,
                        device_owner="compute:" + one.host.zone,
                        **template.port
                    )
                )
            session.flush()
            for one, project, network, subnet, group in batch:
                session.add(ml2.PortBinding(port_id=one.port, host=one.host.name, **template.binding))
                session.add(ml2.PortBindingLevel(port_id=one.port, host=one.host.name, **template.level))
                session.add(port_security.PortSecurityBinding(port_id=one.port, port_security_enabled=True))
                session.add(securitygroup.SecurityGroupPortBinding(port_id=one.port, security_group_id=group))
                session.add(
                    models_v2.IPAllocation(
                        port_id=one.port, network_id=network["id"], subnet_id=subnet["id"], ip_address=one.ip
                    )
                )
                session.add(
                    ipam.IpamAllocation(ip_address=one.ip, status="ALLOCATED", ipam_subnet_id=subnets[subnet["id"]])
                )
    return len(wanted)
