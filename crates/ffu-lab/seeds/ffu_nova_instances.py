"""Instances as nova keeps them: the record in its cell, and what the API database knows of it."""

import json

from nova import context, objects
from nova.network import model

import ffu_seed

ACTIVE, RUNNING, SHUTDOWN = "active", 1, 4


def keep(kind, **values):
    return {name: value for name, value in values.items() if name in kind.fields}


class Builder(object):
    def __init__(self, ctx, ids, cell0, cell1, nodes, flavors, every):
        self.ctx, self.ids, self.cell0, self.cell1 = ctx, ids, cell0, cell1
        self.nodes, self.flavors, self.every = nodes, flavors, every

    def create(self, one):
        owner = context.RequestContext(self.ids["users"][one.user], self.ids["projects"][one.project], is_admin=True)
        self.request_spec(owner, one)
        cell = self.cell0 if one.error else self.cell1
        with context.target_cell(owner, cell) as target:
            instance = self.instance(target, one)
            if one.error:
                self.fault(target, one)
            else:
                self.block_devices(target, one)
                self.interface(target, one)
            action = objects.InstanceAction.action_start(target, one.uuid, "create", want_result=True)
            action.finish()
            if one.deleted:
                instance.destroy()
        mapping = objects.InstanceMapping(
            context=owner,
            **keep(
                objects.InstanceMapping,
                instance_uuid=one.uuid,
                cell_mapping=cell,
                project_id=self.ids["projects"][one.project],
                user_id=self.ids["users"][one.user],
                queued_for_delete=one.deleted,
            )
        )
        mapping.create()

    def instance(self, target, one):
        flavor = self.flavors[one.flavor]
        image = ffu_seed.ident("image", one.image) if one.image else ""
        values = keep(
            objects.Instance,
            uuid=one.uuid,
            user_id=self.ids["users"][one.user],
            project_id=self.ids["projects"][one.project],
            display_name=one.name,
            display_description=one.name,
            hostname=one.name,
            reservation_id="r-%08d" % one.index,
            launch_index=0,
            image_ref=image,
            kernel_id="",
            ramdisk_id="",
            key_name=one.user + "-key",
            key_data="ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDlab",
            instance_type_id=flavor.id,
            memory_mb=flavor.memory_mb,
            vcpus=flavor.vcpus,
            root_gb=0 if one.boot_volume else flavor.root_gb,
            ephemeral_gb=0,
            root_device_name="/dev/vda",
            vm_state="error" if one.error else "stopped" if one.stopped else ACTIVE,
            power_state=0 if one.error else SHUTDOWN if one.stopped else RUNNING,
            task_state=None,
            progress=0,
            config_drive="",
            locked=False,
            locked_by=None,
            shutdown_terminate=False,
            disable_terminate=False,
            auto_disk_config=False,
            metadata={"lab": "yes"},
            system_metadata=self.system_metadata(one, image),
            info_cache=objects.InstanceInfoCache(
                context=target, instance_uuid=one.uuid, network_info=self.network_info(one)
            ),
            security_groups=objects.SecurityGroupList(objects=[]),
            flavor=flavor,
            old_flavor=None,
            new_flavor=None,
        )
        if not one.error:
            values.update(
                host=one.host.name,
                node=one.host.name,
                launched_on=one.host.name,
                launched_at=ffu_seed.now(60),
            )
            # Until Rocky an instance whose user asked for no zone had none; a later online migration fills it in.
            if self.ctx.since("rocky") or one.index % 4 == 0:
                values["availability_zone"] = one.host.zone
            if "compute_id" in objects.Instance.fields:
                values["compute_id"] = self.nodes[one.host.name].id
        if one.pinned:
            values["numa_topology"] = self.numa_topology(one)
        values["pci_requests"] = self.pci_requests(one)
        instance = objects.Instance(context=target, **values)
        instance.create()
        return instance

    @staticmethod
    def system_metadata(one, image):
        return {
            "boot_roles": "member,reader",
            "image_base_image_ref": image,
            "image_container_format": "bare",
            "image_disk_format": "qcow2",
            "image_min_disk": "1",
            "image_min_ram": "0",
            "image_hw_disk_bus": "virtio",
        }

    def network_info(self, one):
        if one.error:
            return model.NetworkInfo([])
        ip = model.FixedIP(address=one.ip, version=4)
        subnet = model.Subnet(cidr="10.%s.0.0/16" % one.ip.split(".")[1], ips=[ip], version=4, dns=[], routes=[])
        name = "sriov-net" if one.sriov else "tenant-net"
        network = model.Network(
            id=ffu_seed.ident("network", name), bridge="br-int", label=name, subnets=[subnet], mtu=1450
        )
        vif = model.VIF(
            id=one.port,
            address=one.mac,
            network=network,
            type="hw_veb" if one.sriov else "ovs",
            devname="tap" + one.port[:11],
            ovs_interfaceid=one.port,
            active=True,
            vnic_type="direct" if one.sriov else "normal",
        )
        return model.NetworkInfo([vif])

    def numa_topology(self, one):
        kind = objects.InstanceNUMACell
        cpus = set(range(self.flavors[one.flavor].vcpus))
        # Since Victoria pinned guest CPUs are told apart in a field of their own.
        dedicated = {"cpuset": set(), "pcpuset": cpus} if "pcpuset" in kind.fields else {"cpuset": cpus}
        cell = kind(
            **keep(
                kind,
                id=0,
                memory=self.flavors[one.flavor].memory_mb,
                pagesize=None,
                cpu_policy="dedicated",
                cpu_thread_policy=None,
                cpuset_reserved=None,
                **dedicated
            )
        )
        for guest, host in zip(sorted(cpus), one.pinned_cpus(self.every)):
            cell.pin(guest, host)
        return objects.InstanceNUMATopology(
            **keep(
                objects.InstanceNUMATopology, instance_uuid=one.uuid, cells=[cell], emulator_threads_policy=None
            )
        )

    @staticmethod
    def pci_requests(one):
        requests = []
        if one.sriov:
            requests.append(
                objects.InstancePCIRequest(
                    count=1,
                    spec=[{"physical_network": "physnet1"}],
                    request_id=ffu_seed.ident("pci-request", one.index),
                )
            )
        return objects.InstancePCIRequests(instance_uuid=one.uuid, requests=requests)

    def interface(self, target, one):
        objects.VirtualInterface(
            context=target,
            instance_uuid=one.uuid,
            uuid=one.port,
            # as nova's neutron code writes it since Ocata
            address="%s/%s" % (one.mac, one.port),
        ).create()

    def block_devices(self, target, one):
        wanted = [
            {
                "source_type": "volume" if one.boot_volume else "image",
                "destination_type": "volume" if one.boot_volume else "local",
                "device_name": "/dev/vda",
                "boot_index": 0,
                "delete_on_termination": not one.boot_volume,
                "image_id": ffu_seed.ident("image", one.image) if one.image else None,
                "volume": one.boot_volume,
            }
        ]
        if one.data_volume:
            wanted.append(
                {
                    "source_type": "volume",
                    "destination_type": "volume",
                    "device_name": "/dev/vdb",
                    "boot_index": None,
                    "delete_on_termination": False,
                    "image_id": None,
                    "volume": True,
                }
            )
        for values in wanted:
            if values.pop("volume"):
                values["volume_id"] = one.volume
                values["volume_size"] = 20
                values["attachment_id"] = one.attachment
                values["connection_info"] = json.dumps(
                    {"driver_volume_type": "iscsi", "serial": one.volume, "data": {"target_lun": 0}}, sort_keys=True
                )
            objects.BlockDeviceMapping(
                context=target, instance_uuid=one.uuid, device_type="disk", disk_bus="virtio", no_device=False, **values
            ).create()

    @staticmethod
    def fault(target, one):
        objects.InstanceFault(
            context=target,
            instance_uuid=one.uuid,
            code=500,
            message="No valid host was found.",
            details="",
            host="controller-001",
        ).create()

    def request_spec(self, owner, one):
        image = {"properties": {"hw_disk_bus": "virtio"}, "min_disk": 1, "min_ram": 0}
        if one.image:
            image["id"] = ffu_seed.ident("image", one.image)
            image["name"] = one.image
        spec = objects.RequestSpec(
            context=owner,
            **keep(
                objects.RequestSpec,
                instance_uuid=one.uuid,
                project_id=self.ids["projects"][one.project],
                user_id=self.ids["users"][one.user],
                availability_zone=None,
                num_instances=1,
                flavor=self.flavors[one.flavor],
                image=objects.ImageMeta.from_dict(image),
                numa_topology=self.numa_topology(one) if one.pinned else None,
                pci_requests=self.pci_requests(one),
                ignore_hosts=None,
                force_hosts=None,
                force_nodes=None,
                requested_destination=None,
                retry=None,
                limits=objects.SchedulerLimits(),
                instance_group=None,
                scheduler_hints={},
                security_groups=objects.SecurityGroupList(objects=[]),
                is_bfv=one.boot_volume,
            )
        )
        spec.create()

    def pci_devices(self, admin):
        """Eight virtual functions on the first host; one of them is given to the instance with the SR-IOV port."""
        node = self.nodes[self.every[0].name]
        taken = [one for one in ffu_seed.instances(self.ctx.size) if one.sriov and one.placed]
        for number in range(8):
            address = "0000:81:02.%d" % number
            device = objects.PciDevice.create(
                admin,
                {
                    "compute_node_id": node.id,
                    "address": address,
                    "vendor_id": "15b3",
                    "product_id": "1018",
                    "dev_type": "type-VF",
                    "dev_id": "pci_0000_81_02_%d" % number,
                    "label": "label_15b3_1018",
                    "numa_node": 0,
                    "parent_addr": "0000:81:00.0",
                    "physical_network": "physnet1",
                    "capabilities": {},
                },
            )
            device.status = "available"
            owners = [one for one in taken if one.pci_address == address]
            if owners:
                device.status = "allocated"
                device.instance_uuid = owners[0].uuid
                device.request_id = ffu_seed.ident("pci-request", owners[0].index)
            device.save()
