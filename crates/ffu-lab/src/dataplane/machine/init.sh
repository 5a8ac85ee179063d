#!/bin/busybox sh
# The first and only program of the lab's QEMU guest. What it shall be comes on the kernel's command line, which the kernel hands on as
# its environment: FFU_NAME, FFU_ADDRESS (with length), FFU_GATEWAY, FFU_NEIGHBOURS (address@mac, with commas in between).
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /www/cgi-bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

while read -r module; do
    insmod "/modules/$module" || echo "ffu guest: $module cannot be loaded"
done </modules/order

ip link set lo up
ip addr add "$FFU_ADDRESS" dev eth0
ip link set eth0 up
ip route add default via "$FFU_GATEWAY"
IFS=,
for neighbour in $FFU_NEIGHBOURS; do
    arp -s "${neighbour%@*}" "${neighbour#*@}"
done
unset IFS
# Until the kernel has seen the link, what is sent is dropped.
until [ "$(cat /sys/class/net/eth0/operstate)" = up ]; do
    usleep 5000
done

read -r boot_id </proc/sys/kernel/random/boot_id
printf '{"name":"%s","boot_id":"%s"}\n' "$FFU_NAME" "$boot_id" >/www/identity
echo ok >/www/index.html
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\ncat /proc/uptime\n' >/www/cgi-bin/uptime
chmod +x /www/cgi-bin/uptime

# It listens when it returns.
httpd -p 80 -h /www
while :; do
    nc -ll -p 7 -e /bin/cat
    usleep 10000
done &
until grep -q ':0007 0*:0000 0A' /proc/net/tcp; do
    usleep 5000
done
echo "ffu guest: serves, boot_id=$boot_id"
while :; do
    sleep 3600
done
