//! Real reports are what the schema says they are, no more and no less.

use serde_json::Value;

use super::service::Service;
use super::{load, scenario};

const SCHEMA: &str = include_str!("../../../../../docs/guides/load-report.schema.json");

/// Says what of a value is not as the schema has it. Of JSON Schema it knows what ours uses, and
/// it is stricter in one thing: a field that the schema does not name is wrong.
struct Check {
    root: Value,
    wrong: Vec<String>,
}

/// Words that tell a reader something, and ask for nothing.
const SPOKEN: [&str; 7] =
    ["$schema", "$defs", "title", "description", "format", "contentEncoding", "pattern"];

impl Check {
    fn value(&mut self, path: &str, value: &Value, schema: &Value) {
        let keywords = schema.as_object().unwrap_or_else(|| panic!("{path}: {schema}"));
        for (keyword, wanted) in keywords {
            let is_right = match keyword.as_str() {
                "$ref" => {
                    let name = wanted.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                    let schema = self.root["$defs"][name].clone();
                    self.value(path, value, &schema);
                    true
                }
                "type" => match wanted {
                    Value::Array(several) => several.iter().any(|one| is_of(value, one)),
                    one => is_of(value, one),
                },
                "const" => value == wanted,
                "enum" => wanted.as_array().unwrap().contains(value),
                "minimum" => value.as_f64().is_none_or(|it| it >= wanted.as_f64().unwrap()),
                "minItems" => {
                    value.as_array().is_none_or(|it| it.len() as u64 >= wanted.as_u64().unwrap())
                }
                "anyOf" => self.any_of(path, value, wanted.as_array().unwrap()),
                "required" => {
                    let mut names = wanted.as_array().unwrap().iter();
                    names.all(|name| value.get(name.as_str().unwrap()).is_some())
                }
                "properties" => {
                    for (name, value) in value.as_object().into_iter().flatten() {
                        match wanted.get(name) {
                            Some(schema) => self.value(&format!("{path}.{name}"), value, schema),
                            None => self.wrong.push(format!("{path}.{name} is not described")),
                        }
                    }
                    true
                }
                "prefixItems" => {
                    let (items, wanted) = (value.as_array().unwrap(), wanted.as_array().unwrap());
                    for (index, (item, schema)) in items.iter().zip(wanted).enumerate() {
                        self.value(&format!("{path}[{index}]"), item, schema);
                    }
                    items.len() == wanted.len()
                }
                // Beside the pairs above, where no more may come.
                "items" if wanted == &Value::Bool(false) => true,
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.value(&format!("{path}[{index}]"), item, wanted);
                    }
                    true
                }
                spoken if SPOKEN.contains(&spoken) => true,
                unknown => panic!("{path}: the schema says {unknown:?}, which is not known here"),
            };
            if !is_right {
                self.wrong.push(format!("{path}: {keyword} is to be {wanted}, found {value}"));
            }
        }
    }

    fn any_of(&mut self, path: &str, value: &Value, schemas: &[Value]) -> bool {
        let before = self.wrong.len();
        let mut first = None;
        for schema in schemas {
            self.value(path, value, schema);
            let wrong = self.wrong.split_off(before);
            if wrong.is_empty() {
                return true;
            }
            first.get_or_insert(wrong);
        }
        // The other is to be nothing at all, which is not what was meant.
        self.wrong.extend(first.unwrap_or_default());
        false
    }
}

fn is_of(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("{other:?} is no type"),
    }
}

fn wrong(report: &Value) -> Vec<String> {
    let root: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut check = Check { root: root.clone(), wrong: Vec::new() };
    check.value("report", report, &root);
    check.wrong
}

/// What the command prints for machines.
async fn report(arguments: &str) -> Value {
    let output = load(&format!("{arguments} --json")).await;
    assert!(matches!(output.status.code(), Some(0 | 99)), "{}", output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_run_is_as_the_schema_says() {
    let address = Service::of_capacity(30.0).await.address;
    let more = "[thresholds]\ngood_share_min = 1.0\n[client]\nretries = 1\n\
                [[request]]\nclass = \"other\"\npath = \"/other\"";
    let (_folder, file) = scenario(address, more);
    let mut report = report(&format!("run --scenario {file} --steps 20,60 --duration 1s")).await;
    assert_eq!(wrong(&report), [""; 0]);
    assert!(report["run"].is_object() && report["crossed"][0].is_string(), "{report}");

    // And what is not so is seen.
    report["run"]["mood"] = Value::from("good");
    report["run"]["course"]["slices"][0]["intended"] = Value::from(-1);
    report["run"].as_object_mut().unwrap().remove("valid");
    let wrong = wrong(&report);
    for part in ["report.run.mood is not described", "minimum", "required"] {
        assert!(wrong.iter().any(|one| one.contains(part)), "{part}: {wrong:?}");
    }
}

#[tokio::test]
async fn a_limit_is_as_the_schema_says() {
    let service = Service::of_capacity(100.0).await;
    let flags = "--rate-first 50 --rate-max 400 --probe 600ms --probes 8";
    let report = report(&format!("limit {0} --metrics {0}metrics {flags}", service.url())).await;
    assert_eq!(wrong(&report), [""; 0]);
    let limit = &report["limit"];
    assert!(limit["found"]["how"] == "limit" || limit["found"]["how"] == "unfinished", "{limit}");
    assert!(limit["bottleneck"]["ranked"][0]["evidence"].is_string(), "{limit}");
}

#[tokio::test]
async fn an_overload_is_as_the_schema_says() {
    let service = Service::of_capacity(100.0).await;
    let flags = "--limit 60 --times 1,3 --hold 1s --rest 1s --retries 1 --flood";
    let report = report(&format!("overload {} {flags} --goodput-min 1", service.url())).await;
    assert_eq!(wrong(&report), [""; 0]);
    assert!(report["overload"]["phases"][1]["refused"]["p50_ms"].is_number(), "{report}");
    assert_eq!(report["overload"]["course"]["classes"][1], "all (flood)");
}
