//! Rows by the gigabyte, as an old cloud has them: instances that were deleted long ago, with everything nova keeps of them.
//!
//! They are copies of the lab's own deleted instances, which nova's code has written, made inside the server: every round
//! takes all deleted instances and what belongs to them once more, under uuids derived from the old ones, so that rows of
//! one instance stay together over tables and databases. Big JSON columns get values of their own, so that they compress
//! as those of a real cloud do, and not to nothing.

use std::time::Duration;

use ffu_db::Server;

use crate::error::LabError;
use crate::layout::Lab;

const LIMIT: Duration = Duration::from_secs(120);
/// Rounds that double: more than any size needs.
const ROUNDS: u32 = 40;

/// A table, and the column that says which instance a row belongs to. Instances come last: the others look at them.
const TABLES: &[(&str, &str, &str)] = &[
    ("nova_api", "request_specs", "instance_uuid"),
    ("nova_api", "instance_mappings", "instance_uuid"),
    ("nova", "instance_extra", "instance_uuid"),
    ("nova", "instance_info_caches", "instance_uuid"),
    ("nova", "instance_system_metadata", "instance_uuid"),
    ("nova", "instance_actions", "instance_uuid"),
    ("nova", "block_device_mapping", "instance_uuid"),
    ("nova", "instances", "uuid"),
];

/// Where a value of its own is put into a JSON text, which stays valid.
const OPENINGS: [&str; 3] = ["\"extra_specs\": {", "\"nova_object.data\": {", "\"meta\": {"];

impl Lab {
    /// Adds deleted instances until nova's databases have about so many bytes of rows and indexes.
    ///
    /// Returns the bytes that there are then, as the server estimates them.
    ///
    /// # Errors
    /// [`LabError::NothingToMultiply`] if the lab has no deleted instance; those of the server.
    pub fn fill(&self, bytes: u64) -> Result<u64, LabError> {
        let server = self.server()?.admin()?;
        let deleted = "SELECT COUNT(*) FROM instances WHERE deleted <> 0";
        if server.query_count("nova", deleted, LIMIT)? == 0 {
            return Err(LabError::NothingToMultiply {
                dir: self.dir().to_owned(),
            });
        }
        let begun = jiff::Timestamp::now().as_millisecond();
        for round in 0..ROUNDS {
            let there = measure(&server)?;
            if there >= bytes {
                return Ok(there);
            }
            // Per mille of the instances that the last round takes.
            let missing = bytes - there;
            let share = if missing >= there {
                1_000
            } else {
                (missing.saturating_mul(1_000) / there).max(1)
            };
            for (schema, table, owner) in TABLES {
                multiply(&server, schema, table, owner, &format!("{begun}.{round}"), share)?;
            }
        }
        measure(&server)
    }
}

/// Bytes of nova's tables and indexes.
fn measure(server: &Server) -> Result<u64, LabError> {
    let mut bytes = 0;
    for (schema, table, _) in TABLES {
        server.execute(Some(schema), &format!("ANALYZE TABLE `{table}`"))?;
    }
    for schema in ["nova", "nova_api"] {
        bytes += server.schema_facts(schema)?.map_or(0, |facts| facts.bytes);
    }
    Ok(bytes)
}

/// A uuid that follows from another one.
fn derived(column: &str, round: &str) -> String {
    let digest = format!("MD5(CONCAT({column}, '{round}'))");
    format!(
        "CONCAT_WS('-', LEFT({digest}, 8), SUBSTR({digest}, 9, 4), SUBSTR({digest}, 13, 4), SUBSTR({digest}, 17, 4), RIGHT({digest}, 12))"
    )
}

/// What a column of a copied row holds.
fn value(column: &str, kind: &str, owner: &str, round: &str) -> String {
    let quoted = format!("t.`{column}`");
    match column {
        _ if column == owner => derived(&quoted, round),
        "uuid" => format!("IF({quoted} IS NULL, NULL, {})", derived(&quoted, round)),
        "deleted" => format!("IF({quoted} = 0, 1, {quoted})"),
        "deleted_at" => format!("COALESCE({quoted}, UTC_TIMESTAMP())"),
        "queued_for_delete" => "1".to_owned(),
        "flavor" | "spec" | "network_info" | "numa_topology" | "keypairs" if kind.ends_with("text") => {
            let own = |n: usize| format!("MD5(CONCAT(t.`{owner}`, '{round}.{n}'))");
            let mut text = quoted.clone();
            for (n, opening) in OPENINGS.iter().enumerate() {
                let more = format!(
                    "CONCAT('{opening}\"ffu:{n}\": \"', {}, {}, '\", ')",
                    own(n * 2),
                    own(n * 2 + 1)
                );
                // Only while it is short: every round adds some, and real ones do not grow for ever.
                text = format!("IF(LENGTH({quoted}) > 6000, {text}, REPLACE({text}, '{opening}', {more}))");
            }
            text
        }
        _ => quoted,
    }
}

fn multiply(server: &Server, schema: &str, table: &str, owner: &str, round: &str, share: u64) -> Result<(), LabError> {
    let columns = server.query_rows(
        "information_schema",
        &format!(
            "SELECT COLUMN_NAME, DATA_TYPE FROM COLUMNS WHERE TABLE_SCHEMA = '{schema}' AND TABLE_NAME = '{table}' \
             AND EXTRA NOT LIKE '%auto_increment%' AND EXTRA NOT LIKE '%GENERATED%' ORDER BY ORDINAL_POSITION"
        ),
        LIMIT,
    )?;
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for row in columns {
        let mut texts = row.into_iter().flatten();
        if let (Some(column), Some(kind)) = (texts.next(), texts.next()) {
            values.push(value(&column, &kind.to_ascii_lowercase(), owner, round));
            names.push(format!("`{column}`"));
        }
    }
    let of_instances = if table == "instances" {
        String::new()
    } else {
        format!(" JOIN nova.instances AS i ON i.uuid = t.`{owner}`")
    };
    let alias = if table == "instances" { "t" } else { "i" };
    // The instances that these rows belong to come after them.
    let sql = format!(
        "SET STATEMENT foreign_key_checks = 0 FOR INSERT INTO `{table}` ({}) SELECT {} FROM `{table}` AS t{of_instances} WHERE {alias}.deleted <> 0 AND CRC32({alias}.uuid) % 1000 < {share}",
        names.join(", "),
        values.join(", ")
    );
    server.execute(Some(schema), &sql)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_instance_stay_together() {
        let owner = value("uuid", "varchar", "uuid", "1.0");
        let child = value("instance_uuid", "varchar", "instance_uuid", "1.0");
        assert_eq!(owner.replace("`uuid`", "`instance_uuid`"), child);
        assert_ne!(child, value("instance_uuid", "varchar", "instance_uuid", "1.1"));
    }

    #[test]
    fn instances_come_last() {
        assert_eq!(TABLES.last().map(|(_, table, _)| *table), Some("instances"));
    }
}
