//! Findings as SARIF 2.1.0, for CI systems that show them beside the lines (OASIS sarif-v2.1.0, sections 3.13 to 3.30).

use ffu_config::finding::{Finding, Severity};
use serde_json::{Value, json};

/// The log of one call.
pub fn log(findings: &[Finding]) -> Value {
    let mut rules: Vec<&str> = findings.iter().map(|finding| finding.id.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    let results: Vec<Value> = findings.iter().map(|finding| result(finding, &rules)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "ffu",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|id| json!({"id": id})).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(finding: &Finding, rules: &[&str]) -> Value {
    let level = match finding.severity {
        Severity::LostUnlessYouAct => "error",
        Severity::Decide | Severity::ChangedDefault => "warning",
        Severity::Moved | Severity::RemovedWithoutEffect | Severity::Info => "note",
    };
    let mut text = format!("{}: {}", finding.subject, finding.message);
    if !finding.remedy.is_empty() {
        text.push_str("; next: ");
        text.push_str(&finding.remedy);
    }
    let mut result = json!({
        "ruleId": finding.id,
        "ruleIndex": rules.binary_search(&finding.id.as_str()).ok(),
        "level": level,
        "message": {"text": text},
    });
    if let Some(file) = &finding.file {
        let mut place = json!({"artifactLocation": {"uri": uri(file)}});
        if let Some(line) = finding.line.filter(|line| *line > 0) {
            let mut region = json!({"startLine": line});
            if let Some(column) = finding.column.filter(|column| *column > 0) {
                region["startColumn"] = json!(column);
            }
            place["region"] = region;
        }
        result["locations"] = json!([{"physicalLocation": place}]);
    }
    result
}

/// A path as a URI reference (RFC 3986): relative paths stay relative.
fn uri(path: &str) -> String {
    const KEPT: percent_encoding::AsciiSet = percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    let encoded = percent_encoding::utf8_percent_encode(path, &KEPT).to_string();
    if path.starts_with('/') {
        format!("file://{encoded}")
    } else {
        encoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_have_rule_level_and_place() {
        let findings = [
            Finding::new("option-removed", Severity::LostUnlessYouAct, "DEFAULT.x", "it is gone")
                .at(Some("/etc/nova/my nova.conf"), 3, 1)
                .remedy("decide"),
            Finding::new("default-changed", Severity::ChangedDefault, "DEFAULT.y", "1 became 2"),
        ];
        let log = log(&findings);
        let results = &log["runs"][0]["results"];
        assert_eq!(results[0]["ruleIndex"], 1);
        assert_eq!(results[0]["level"], "error");
        let place = &results[0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "file:///etc/nova/my%20nova.conf");
        assert_eq!(place["region"]["startLine"], 3);
        assert_eq!(results[1]["level"], "warning");
        assert!(results[1].get("locations").is_none());
    }
}
