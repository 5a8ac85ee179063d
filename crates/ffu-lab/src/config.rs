//! The configuration files of a lab: small, real, and good for every series from the lab's own up.
//!
//! What each project needs at least was tried on real packages, see the module's tests for what must not be missing.

use std::fmt::Write as _;

use camino::Utf8Path;

use crate::error::LabError;
use crate::layout::{Lab, write_file};
use crate::secrets::Secrets;

/// What decides what the files say.
pub(crate) struct Facts<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) secrets: &'a Secrets,
    /// Placement has its own database; else its tables are in nova's API database.
    pub(crate) placement_apart: bool,
    /// nova still ships placement, so that nova.conf may have to tell it of a database of its own.
    pub(crate) nova_has_placement: bool,
    /// Keystone needs a file with its WSGI pipeline.
    pub(crate) keystone_paste: Option<String>,
}

/// One file: path below `etc` and content.
pub(crate) type File = (&'static str, String);

impl Facts<'_> {
    fn connection(&self, project: &str, schema: &str) -> String {
        let password = self.secrets.database(project).map(|s| s.expose()).unwrap_or_default();
        let port = self.lab.file().ports.database;
        format!("connection = mysql+pymysql://{project}:{password}@127.0.0.1:{port}/{schema}?charset=utf8\n")
    }

    fn database(&self, project: &str) -> String {
        format!("[database]\n{}\n", self.connection(project, project))
    }

    fn account(&self, section: &str, user: &str) -> String {
        let password = self.secrets.user(user).map(|s| s.expose()).unwrap_or_default();
        let url = self.lab.keystone_url();
        format!(
            "[{section}]\nauth_type = password\nauth_url = {url}/v3\nusername = {user}\npassword = {password}\n\
             project_name = service\nuser_domain_name = Default\nproject_domain_name = Default\nregion_name = RegionOne\n"
        )
    }

    fn authtoken(&self, user: &str) -> String {
        let mut text = self.account("keystone_authtoken", user);
        let _ = writeln!(text, "www_authenticate_uri = {}/v3", self.lab.keystone_url());
        text.push_str("service_token_roles = service\nservice_token_roles_required = true\n\n");
        text
    }

    /// Messages go nowhere: there is no broker, and nobody who would listen.
    fn start(&self, project: &str) -> String {
        let run = self.lab.dir().join("run").join(project);
        format!("[DEFAULT]\ntransport_url = fake:/\nstate_path = {run}\n")
    }

    fn locks(&self, project: &str) -> String {
        let run = self.lab.dir().join("run").join(project);
        format!("[oslo_concurrency]\nlock_path = {run}\n\n")
    }

    /// Every file.
    pub(crate) fn files(&self) -> Vec<File> {
        let mut files = vec![
            ("keystone/keystone.conf", self.keystone()),
            ("glance/glance-api.conf", self.glance()),
            ("nova/nova.conf", self.nova()),
            ("neutron/neutron.conf", self.neutron()),
            ("neutron/plugins/ml2/ml2_conf.ini", ML2.to_owned()),
            ("cinder/cinder.conf", self.cinder()),
            ("heat/heat.conf", self.heat()),
        ];
        if self.placement_apart {
            files.push(("placement/placement.conf", self.placement()));
        }
        if let Some(paste) = &self.keystone_paste {
            files.push(("keystone/keystone-paste.ini", paste.clone()));
        }
        files
    }

    fn keystone(&self) -> String {
        let etc = self.lab.etc().join("keystone");
        let mut text = self.database("keystone");
        let _ = write!(
            text,
            "[token]\nprovider = fernet\n\n[fernet_tokens]\nkey_repository = {etc}/fernet-keys\n\n\
             [credential]\nkey_repository = {etc}/credential-keys\n"
        );
        if self.keystone_paste.is_some() {
            let _ = write!(text, "\n[paste_deploy]\nconfig_file = {etc}/keystone-paste.ini\n");
        }
        text
    }

    /// `enabled_backends` is not needed by the database, but glance-status of Ussuri crashes without.
    fn glance(&self) -> String {
        format!(
            "[DEFAULT]\nenabled_backends = file:file\n\n{}[glance_store]\ndefault_backend = file\n\n\
             [file]\nfilesystem_store_datadir = {}\n\n{}[paste_deploy]\nflavor = keystone\n",
            self.database("glance"),
            self.lab.dir().join("images"),
            self.authtoken("glance"),
        )
    }

    /// `[service_user]` because nova-status wants it from 2023.1 on.
    fn nova(&self) -> String {
        let mut text = self.start("nova");
        let _ = write!(
            text,
            "\n[api_database]\n{}\n{}{}{}{}\n{}send_service_user_token = true\n",
            self.connection("nova", "nova_api"),
            self.database("nova"),
            self.locks("nova"),
            self.authtoken("nova"),
            self.account("placement", "placement"),
            self.account("service_user", "nova"),
        );
        if self.placement_apart && self.nova_has_placement {
            let _ = write!(
                text,
                "\n[placement_database]\n{}",
                self.connection("placement", "placement")
            );
        }
        text
    }

    fn placement(&self) -> String {
        format!(
            "[placement_database]\n{}\n[api]\nauth_strategy = keystone\n\n{}",
            self.connection("placement", "placement"),
            self.authtoken("placement"),
        )
    }

    /// Nova's API does not run here, so it cannot be told of ports.
    fn neutron(&self) -> String {
        format!(
            "{}core_plugin = ml2\nservice_plugins = router\nnotify_nova_on_port_status_changes = false\n\
             notify_nova_on_port_data_changes = false\n\n{}{}{}",
            self.start("neutron"),
            self.database("neutron"),
            self.locks("neutron"),
            self.authtoken("neutron"),
        )
    }

    fn cinder(&self) -> String {
        format!(
            "{}enabled_backends = lvm\n\n{}{}{}[lvm]\nvolume_driver = cinder.volume.drivers.lvm.LVMVolumeDriver\n\
             volume_backend_name = lvm\n",
            self.start("cinder"),
            self.database("cinder"),
            self.locks("cinder"),
            self.authtoken("cinder"),
        )
    }

    fn heat(&self) -> String {
        format!(
            "[DEFAULT]\ntransport_url = fake:/\nauth_encryption_key = {}\n\n{}{}",
            self.secrets.heat_key().expose(),
            self.database("heat"),
            self.authtoken("heat"),
        )
    }

    /// Writes them: readable by the owner and the group, as distributions do, for they hold passwords.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn write(&self) -> Result<(), LabError> {
        let etc = self.lab.etc();
        for (path, text) in self.files() {
            write_file(&etc.join(path), text.as_bytes(), 0o640)?;
        }
        for project in ["nova", "neutron", "cinder"] {
            let run = self.lab.dir().join("run").join(project);
            std::fs::create_dir_all(&run).map_err(LabError::io("create", run))?;
        }
        Ok(())
    }
}

const ML2: &str = "[ml2]
type_drivers = flat,vlan,vxlan
tenant_network_types = vxlan
mechanism_drivers = openvswitch,sriovnicswitch
extension_drivers = port_security

[ml2_type_flat]
flat_networks = external

[ml2_type_vlan]
network_vlan_ranges = physnet1:100:199

[ml2_type_vxlan]
vni_ranges = 1000:1999
";

/// The pipeline file of keystone up to Rocky: the one in the venv, or ours for Pike, whose package forgot it.
pub(crate) fn keystone_paste(environment: &Utf8Path, needed: bool) -> Option<String> {
    let own = environment.join("etc/keystone/keystone-paste.ini");
    let ours = || include_str!("../seeds/keystone-paste.ini").to_owned();
    needed.then(|| std::fs::read_to_string(own).unwrap_or_else(|_| ours()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{LabFile, LabState, Ports};
    use std::os::unix::fs::PermissionsExt as _;

    fn with_facts(placement_apart: bool, nova_has_placement: bool, check: impl FnOnce(&Facts<'_>)) {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(scratch.path()).unwrap().join("lab");
        let file = LabFile {
            format: crate::FORMAT,
            state: LabState::Building,
            series: "stein".parse().unwrap(),
            size: 1,
            created: jiff::Timestamp::UNIX_EPOCH,
            ports: Ports {
                keystone: 5001,
                placement: 5002,
                database: 5003,
            },
        };
        let lab = Lab::found(&dir, file).unwrap();
        let secrets = Secrets::generate().unwrap();
        check(&Facts {
            lab: &lab,
            secrets: &secrets,
            placement_apart,
            nova_has_placement,
            keystone_paste: nova_has_placement.then(|| "[composite:main]\n".to_owned()),
        });
    }

    fn file<'a>(files: &'a [File], name: &str) -> &'a str {
        let found = files.iter().find(|(path, _)| *path == name);
        found.map(|(_, text)| text.as_str()).unwrap_or_default()
    }

    #[test]
    fn every_project_reaches_its_own_database_with_its_own_password() {
        with_facts(true, false, |facts| {
            let files = facts.files();
            for (name, project, schemas) in [
                ("keystone/keystone.conf", "keystone", &["keystone"][..]),
                ("glance/glance-api.conf", "glance", &["glance"]),
                ("nova/nova.conf", "nova", &["nova_api", "nova"]),
                ("placement/placement.conf", "placement", &["placement"]),
                ("neutron/neutron.conf", "neutron", &["neutron"]),
                ("cinder/cinder.conf", "cinder", &["cinder"]),
                ("heat/heat.conf", "heat", &["heat"]),
            ] {
                let password = facts.secrets.database(project).unwrap().expose();
                for schema in schemas {
                    let url = format!("mysql+pymysql://{project}:{password}@127.0.0.1:5003/{schema}?charset=utf8");
                    assert!(file(&files, name).contains(&url), "{name} lacks {schema}");
                }
            }
            assert!(!file(&files, "nova/nova.conf").contains("[placement_database]"));
        });
    }

    #[test]
    fn before_the_extraction_there_is_no_placement_file_and_in_stein_nova_is_told() {
        with_facts(false, true, |facts| {
            let files = facts.files();
            assert_eq!(file(&files, "placement/placement.conf"), "");
            assert!(!file(&files, "nova/nova.conf").contains("[placement_database]"));
            assert!(file(&files, "keystone/keystone.conf").contains("keystone-paste.ini"));
        });
        with_facts(true, true, |facts| {
            assert!(file(&facts.files(), "nova/nova.conf").contains("[placement_database]"));
        });
    }

    #[test]
    fn files_with_passwords_are_not_for_everybody() {
        with_facts(true, false, |facts| {
            facts.write().unwrap();
            let path = facts.lab.etc().join("nova/nova.conf");
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o640);
        });
    }

    #[test]
    fn what_upgrade_checks_and_migrations_of_later_series_ask_for_is_there() {
        with_facts(true, false, |facts| {
            let files = facts.files();
            assert!(file(&files, "nova/nova.conf").contains("[service_user]\nauth_type = password"));
            assert!(file(&files, "nova/nova.conf").contains("send_service_user_token = true"));
            assert!(file(&files, "glance/glance-api.conf").contains("enabled_backends = file:file"));
            for name in [
                "nova/nova.conf",
                "neutron/neutron.conf",
                "cinder/cinder.conf",
                "heat/heat.conf",
            ] {
                assert!(file(&files, name).contains("transport_url = fake:/"), "{name}");
            }
        });
    }
}
