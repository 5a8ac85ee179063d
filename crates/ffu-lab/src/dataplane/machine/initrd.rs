//! What the QEMU guest boots into: an archive in memory with busybox, the modules of its network card, and one script as its first
//! program. Pure but for reading the parts.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::super::error::DataPlaneError;

const INIT: &str = include_str!("init.sh");
/// The card, and the bus that it is on.
const WANTED: [&str; 2] = ["virtio_pci", "virtio_net"];
/// A module is far smaller than this.
const LARGEST_MODULE: u64 = 16 << 20;

/// The archive, from a directory with `busybox` and `modules/`.
pub(super) fn build(parts: &Utf8Path) -> Result<Vec<u8>, DataPlaneError> {
    let read = |path: &Utf8Path| std::fs::read(path).map_err(DataPlaneError::io("read", path));
    let directory = parts.join("modules");
    let listed = directory
        .read_dir_utf8()
        .map_err(DataPlaneError::io("read", &directory))?;
    let mut modules = BTreeMap::new();
    for entry in listed.flatten() {
        let small = entry.metadata().is_ok_and(|metadata| metadata.len() <= LARGEST_MODULE);
        if let Some(name) = entry.file_name().strip_suffix(".ko").filter(|_| small) {
            modules.insert(name.replace('-', "_"), read(entry.path())?);
        }
    }
    let mut order = Vec::new();
    for wanted in WANTED {
        // Where it is part of the kernel, there is no module of it.
        if modules.contains_key(wanted) {
            arrange(&modules, wanted, &[], &mut order).map_err(|missing| DataPlaneError::NoGuestParts {
                missing: format!("modules/{missing}.ko, which {wanted} needs"),
                dir: parts.to_owned(),
            })?;
        }
    }
    let mut archive = Archive::default();
    for directory in ["bin", "dev", "modules"] {
        archive.add(directory, 0o040_755, (0, 0), &[]);
    }
    archive.add("dev/console", 0o020_600, (5, 1), &[]);
    archive.add("init", 0o100_755, (0, 0), INIT.as_bytes());
    archive.add("bin/busybox", 0o100_755, (0, 0), &read(&parts.join("busybox"))?);
    let lines: String = order.iter().map(|name| format!("{name}.ko\n")).collect();
    archive.add("modules/order", 0o100_644, (0, 0), lines.as_bytes());
    for name in &order {
        archive.add(&format!("modules/{name}.ko"), 0o100_644, (0, 0), &modules[name]);
    }
    Ok(archive.finish())
}

/// Puts a module behind those that it needs, `above` being those that need it; the error is one that is not there, or needs itself.
fn arrange(
    modules: &BTreeMap<String, Vec<u8>>,
    name: &str,
    above: &[&str],
    order: &mut Vec<String>,
) -> Result<(), String> {
    if order.iter().any(|other| other == name) {
        return Ok(());
    }
    let bytes = modules.get(name).filter(|_| !above.contains(&name));
    let needed = needs(bytes.ok_or_else(|| name.to_owned())?);
    let above = [above, &[name]].concat();
    needed
        .iter()
        .try_for_each(|needed| arrange(modules, needed, &above, order))?;
    order.push(name.to_owned());
    Ok(())
}

/// The modules that a module says it needs: `depends=a,b` in its `.modinfo`.
fn needs(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|bytes| bytes == KEY) else {
        return Vec::new();
    };
    let value: Vec<u8> = module[at + KEY.len()..]
        .iter()
        .copied()
        .take_while(|byte| *byte != 0)
        .collect();
    let names = String::from_utf8_lossy(&value).replace('-', "_");
    names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// An archive as the kernel unpacks it (cpio, `newc`): a head of hexadecimal numbers, the name, the bytes, each filled up to four.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) {
        self.entries += 1;
        // Number, mode, owner, group, links, time, size, device of the archive (two), device (two), length of the name, no checksum.
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let length = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, major, minor, length, 0];
        self.bytes.extend_from_slice(b"070701");
        self.bytes
            .extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.fill_up();
        self.bytes.extend_from_slice(content);
        self.fill_up();
    }

    fn fill_up(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(modules: &[(&str, &str)]) -> tempfile::TempDir {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("modules")).unwrap();
        std::fs::write(scratch.path().join("busybox"), "BUSY").unwrap();
        for (name, depends) in modules {
            let bytes = format!("\0license=GPL\0depends={depends}\0name={name}\0");
            std::fs::write(scratch.path().join(format!("modules/{name}.ko")), bytes).unwrap();
        }
        scratch
    }

    fn built(scratch: &tempfile::TempDir) -> Result<Vec<u8>, DataPlaneError> {
        build(Utf8Path::from_path(scratch.path()).unwrap())
    }

    #[test]
    fn modules_come_after_what_they_need_and_others_are_left_out() {
        let scratch = parts(&[
            ("virtio_net", "virtio,net-failover"),
            ("net_failover", "failover"),
            ("failover", ""),
            ("virtio", ""),
            ("virtio_pci", "virtio"),
            ("virtio_blk", "virtio"),
        ]);
        let bytes = built(&scratch).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let order = "virtio.ko\nvirtio_pci.ko\nfailover.ko\nnet_failover.ko\nvirtio_net.ko\n";
        assert!(text.contains(order) && !text.contains("virtio_blk"), "{text}");
        assert!(text.contains("BUSY") && text.contains("#!/bin/busybox sh"));
        assert!(bytes.starts_with(b"070701") && bytes.len().is_multiple_of(4));
        // A kernel that has them built in needs none.
        assert!(String::from_utf8_lossy(&built(&parts(&[])).unwrap()).contains("modules/order"));
    }

    #[test]
    fn a_module_that_is_not_there_is_named() {
        let error = built(&parts(&[("virtio_net", "dimlib")])).unwrap_err().to_string();
        assert!(error.contains("modules/dimlib.ko, which virtio_net needs"), "{error}");
        assert!(error.contains("\n  next: scripts/setup-guest"), "{error}");
        let ring = parts(&[("virtio_net", "a"), ("a", "b"), ("b", "a")]);
        built(&ring).unwrap_err();
    }

    #[test]
    fn the_archive_is_what_others_read() {
        let mut archive = Archive::default();
        archive.add("dev/console", 0o020_600, (5, 1), &[]);
        archive.add("a", 0o100_644, (0, 0), b"xyz");
        let bytes = archive.finish();
        // 110 bytes of head, 12 of name, 2 to fill up.
        assert_eq!(&bytes[..14], b"07070100000001");
        assert_eq!(&bytes[78..94], b"0000000500000001");
        assert_eq!(&bytes[124..130], b"070701");
        assert_eq!(&bytes[124 + 110..124 + 116], b"a\0xyz\0");
    }
}
