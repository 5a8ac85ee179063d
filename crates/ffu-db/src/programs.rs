//! Where the client and server programs are.

use camino::Utf8PathBuf;

use crate::error::DbError;

/// Directories of system programs that an ordinary user's PATH leaves out.
const BESIDE_PATH: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The first of some programs that is installed.
///
/// # Errors
/// [`DbError::ProgramMissing`] with the package to install.
pub(crate) fn find(names: &[&str], package: &'static str) -> Result<Utf8PathBuf, DbError> {
    find_in(&std::env::var("PATH").unwrap_or_default(), &BESIDE_PATH, names, package)
}

fn find_in(path: &str, beside: &[&str], names: &[&str], package: &'static str) -> Result<Utf8PathBuf, DbError> {
    let directories = path
        .split(':')
        .filter(|d| d.starts_with('/'))
        .chain(beside.iter().copied());
    for name in names {
        for directory in directories.clone() {
            let program = Utf8PathBuf::from(directory).join(name);
            if program.is_file() {
                return Ok(program);
            }
        }
    }
    Err(DbError::ProgramMissing {
        programs: names.join(", "),
        package,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let error = find_in(
            "/nowhere:relative",
            &[],
            &["mariadb-dump", "mysqldump"],
            "mariadb-client",
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "none of mariadb-dump, mysqldump is installed; type `apt install mariadb-client`"
        );
    }
}
