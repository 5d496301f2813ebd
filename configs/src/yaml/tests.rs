//! Good documents with their values, bad ones with everything that is said of them.

use crate::monitor::{Absent, Monitor};
use crate::mql::tests::{summary, tree};
use crate::{Document, Loaded, load_path, load_str, parse_mql};
use proptest::prelude::*;
use std::path::Path;

#[track_caller]
fn monitor(text: &str) -> Monitor {
    match load_str("x.yaml", text).as_deref() {
        Ok([Document::Monitor(monitor)]) => monitor.clone(),
        Ok(other) => panic!("{other:?}"),
        Err(diagnostics) => panic!("{diagnostics:?}"),
    }
}

/// All mistakes as `line:column: offending text: message (hint)`.
fn mistakes(text: &str) -> Vec<String> {
    let diagnostics = load_str("x.yaml", text).err().unwrap_or_default();
    let brief = |diagnostic: &crate::Diagnostic| {
        let hint = diagnostic
            .hint
            .as_ref()
            .map_or(String::new(), |hint| format!(" ({hint})"));
        let crate::Diagnostic {
            line,
            column,
            text,
            message,
            ..
        } = diagnostic;
        format!("{line}:{column}: {text}: {message}{hint}")
    };
    diagnostics.iter().map(brief).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(mistakes(text), expected, "{text}");
}

/// A mistake in one line of a monitor that is else good; it begins in line 4.
#[track_caller]
fn check_line(line: &str, expected: &[&str]) {
    check(
        &format!("kind: monitor\nname: m\nselect: {{ n: count() }}\n{line}\n"),
        expected,
    );
}

fn examples() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn example(path: &str) -> Monitor {
    monitor(&std::fs::read_to_string(examples().join(path)).expect(path))
}

#[test]
fn the_examples_load_without_a_warning() {
    let Loaded { documents, warnings } = load_path(&examples()).expect("the examples are good");
    let names: Vec<&str> = documents.iter().map(Document::name).collect();
    let single = [
        "h1",
        "trade-center",
        "web",
        "access",
        "pay",
        "shop",
        "shop_access",
        "brain-1",
        "console-1",
        "brain-a",
        "brain-b",
        "console-a",
        "vault-01",
        "map-tls",
    ];
    assert!(single.iter().all(|name| names.contains(name)), "{names:?}");
    let of_role = |role: &str| documents.iter().filter(|document| document.kind() == role).count();
    let roles = ["agent", "map", "reduce", "brain", "console"].map(of_role);
    assert_eq!(
        roles,
        [13, 4, 3, 4, 3],
        "one agent alone, a whole cluster, what is other with etcd, and a small cluster with certificates"
    );
    assert_eq!(warnings, []);
}

#[test]
fn yaml_and_mql_say_the_same() {
    let pay = parse_mql(
        "select count() as total, sum(amount) as amount, p99(cost) as cost_p99,
                100 * count(result = 'success') / count() as success_rate
         from log '/home/admin/logs/pay.log' parse kv('|', '=')
         where op in ('pay', 'refund') group by op, zone
         every 5s lateness 10s limit 1000 app trade-center",
    );
    let mut yaml = example("monitors/pay.yaml");
    assert_eq!((yaml.name.as_str(), yaml.tenant.as_deref()), ("pay", Some("trade")));
    assert_eq!(
        yaml.limits.cpu_us_per_s.take(),
        Some(50_000),
        "MQL has no clause for it"
    );
    assert_eq!(summary(&yaml), summary(&pay.expect("a good query")));
    let access = parse_mql(
        "select count() as requests, sum(body_bytes_sent) as bytes_sent, max(body_bytes_sent) as largest,
                100 * count(status >= 500) / count() as error_percent
         from log '/var/log/nginx/access.log' parse nginx group by status every 1m app web",
    );
    assert_eq!(
        summary(&example("monitors/access.yaml")),
        summary(&access.expect("a good query"))
    );
}

#[test]
fn every_parse_form_says_the_same_in_both() {
    let rule = |monitor: &Monitor| monitor.parse.as_ref().map(logline::fields::Rule::name);
    for (yaml, mql) in [
        ("auto", "auto"),
        ("json", "json"),
        ("logfmt", "logfmt"),
        ("{ kv: { pair: '|', assign: '=' } }", "kv('|', '=')"),
        (
            "{ kv: { pair: '|', assign: '=', after: ' - ' } }",
            "kv('|', '=', ' - ')",
        ),
        ("{ split: { by: '|' } }", "split('|')"),
        ("{ split: { by: '\\t', fields: [op, cost] } }", "split('\\t', op, cost)"),
        ("{ split: { by: whitespace } }", "split(whitespace)"),
        (
            "{ between: { cost: ['cost=', 'ms'], op: ['[', ']'] } }",
            "between(cost: 'cost=','ms', op: '[',']')",
        ),
        (
            "{ regex: '(?<op>\\w+) (?<cost>\\d+)' }",
            "regex('(?<op>\\w+) (?<cost>\\d+)')",
        ),
        ("clf", "clf"),
        ("nginx", "nginx"),
        ("{ nginx: '$remote_addr $status' }", "nginx('$remote_addr $status')"),
    ] {
        let yaml_rule = rule(&monitor(&format!(
            "kind: monitor\nname: m\nselect: {{ n: count() }}\nparse: {yaml}\n"
        )));
        let mql_rule = rule(&parse_mql(&format!("select count() parse {mql}")).expect(mql));
        assert_eq!(yaml_rule, mql_rule, "{yaml}");
        assert_eq!(yaml_rule.is_none(), yaml == "auto", "{yaml}");
    }
}

#[test]
fn where_records_begin_says_the_same_in_both() {
    for (yaml, mql) in [
        ("{ start: '^MainThread::' }", "start '^MainThread::'"),
        ("{ continue: '^\\s|it''s' }", "continue '^\\s|it''s'"),
    ] {
        let of_yaml = monitor(&format!(
            "kind: monitor\nname: m\nselect: {{ n: count() }}\nrecords: {yaml}\n"
        ));
        let of_mql = parse_mql(&format!("select count() as n every 1m records {mql}")).expect(mql);
        assert_eq!(summary(&of_yaml), summary(&of_mql));
        assert_eq!(
            of_yaml.records.map(|records| records.to_string()).as_deref(),
            Some(mql),
            "as it was written"
        );
    }
    check_line(
        "records: { begin: a }",
        &["4:12: begin: unknown value `begin` (one of: start, continue)"],
    );
    check_line(
        "records: { start: '(' }",
        &[
            "4:19: '(': the regular expression can't be used: unclosed group (a regular expression of linear time, \
           without look-around and back references, as in '^MainThread::')",
        ],
    );
    check_line(
        "records: { continue: '' }",
        &["4:22: '': the pattern of `records` is empty (say what a line begins with, as in '^MainThread::')"],
    );
    check_line("records: { start: [a] }", &["4:19: [: expected a text, found a list"]);
    check_line("records: start", &["4:10: start: expected a text, found nothing"]);
    check_line(
        "records: { start: a, continue: b }",
        &["4:10: {: expected one of start, continue, found keys with values"],
    );
}

#[test]
fn defaults_are_those_of_the_design() {
    let found = monitor("kind: monitor\nname: m\nselect: { n: count() }\n");
    let expected = parse_mql("select count() as n").expect("a good query");
    assert_eq!(summary(&found), summary(&expected));
    assert_eq!(
        (found.window_ms, found.grace_ms, found.limits.groups),
        (60_000, 1_000, 100_000)
    );
}

#[test]
fn all_keys_are_read() {
    let found = monitor(
        "kind: monitor\nname: m\ntenant: t\napp: a\nlog: /l\nparse: json\nwhere: >-\n  a = 1\n  and b = 2\n\
         group_by: [op, { field('host'): h }, $1]\nselect:\n  b: sum(x)\n  a: count()\nwindow: 1d\nlateness: 2m\n\
         delay: 3m\ngrace: 4s\ntimezone: Europe/Berlin\ntimestamp: '%d'\nabsent: zero\n\
         limits: { groups: 5, cpu: 1ms/s, bytes: 1KiB/s }\n",
    );
    assert_eq!(
        found.filter.as_ref().map(tree).as_deref(),
        Some("(and (= a 1) (= b 2))")
    );
    let names: Vec<&str> = found.group_by.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["op", "h", "$1"]);
    let outputs: Vec<&str> = found.select.iter().map(|output| output.name.as_str()).collect();
    let app = |condition: &str| {
        monitor(&format!(
            "kind: monitor\nname: m\nselect: {{ n: count() }}\nwhere: {condition}\n"
        ))
        .app
    };
    assert_eq!(app("a = 1 and app = 'x'").as_deref(), Some("x"), "as in MQL");
    assert_eq!(outputs, ["b", "a"], "in the order of the file");
    assert_eq!(
        (found.window_ms, found.lateness_ms, found.delay_ms),
        (86_400_000, Some(120_000), Some(180_000))
    );
    assert_eq!(
        (found.grace_ms, found.timezone.as_deref(), found.timestamp.as_deref()),
        (4_000, Some("Europe/Berlin"), Some("%d"))
    );
    assert_eq!(found.absent, Absent::Zero);
    assert_eq!(
        (found.limits.groups, found.limits.cpu_us_per_s, found.limits.bytes_per_s),
        (5, Some(1_000), Some(1_024))
    );
}

#[test]
fn apps_are_read() {
    let text = "kind: app\nname: a\ntenant: t\nhosts:\n\
                - { host: h1, address: '127.0.0.1:7801', labels: { zone: 1a } }\n\
                - { host: h2, address: 'x.example:1' }\nfile_sd: [a.json]\nhttp_sd: https://x/\n";
    let documents = load_str("x.yaml", text).expect("a good app");
    let [Document::App(app)] = documents.as_slice() else {
        panic!("{documents:?}")
    };
    assert_eq!(
        (app.hosts[0].host.as_str(), app.hosts[0].address.as_str()),
        ("h1", "127.0.0.1:7801")
    );
    assert_eq!(app.hosts[0].labels.get("zone").map(String::as_str), Some("1a"));
    assert_eq!(
        (app.file_sd.len(), app.http_sd.as_deref(), app.hosts.len()),
        (1, Some("https://x/"), 2)
    );
}

#[test]
fn of_many_mistakes_the_first_are_told_and_the_number_of_the_rest() {
    let text = "kind: monitr\n---\n".repeat(250);
    let diagnostics = load_str("x.yaml", &text).expect_err("they are wrong");
    let lines: Vec<u32> = diagnostics.iter().map(|one| one.line).collect();
    assert_eq!(lines, (0..101).map(|at| 2 * at + 1).collect::<Vec<u32>>());
    assert_eq!(diagnostics.iter().map(|one| one.count).sum::<u32>(), 250);
    assert_eq!(
        mistakes(&text)[100],
        "201:7: monitr: and 150 more mistakes from here on (mend those above first: many are often one)"
    );
    let exactly = "kind: monitr\n---\n".repeat(100);
    assert_eq!(mistakes(&exactly).len(), 100);
}

#[test]
fn tenants_are_read() {
    let limits = |text: &str| match load_str("x.yaml", text).as_deref() {
        Ok([Document::Tenant(tenant)]) => (tenant.limits.cpu_us_per_s, tenant.limits.bytes_per_s),
        other => panic!("{other:?}"),
    };
    let text = "kind: tenant\nname: trade\nlimits: { cpu: 500ms/s, bytes: 1GiB/s }\n";
    assert_eq!(limits(text), (Some(500_000), Some(1 << 30)));
    assert_eq!(limits("kind: tenant\nname: trade\n"), (None, None));
    assert_eq!(
        limits("kind: tenant\nname: trade\nlimits: { cpu: 2s/s }\n"),
        (Some(2_000_000), None)
    );
    check(
        "kind: tenant\n",
        &["1:1: kind: the tenant has no `name` (add a line `name: …`)"],
    );
    check(
        "kind: tenant\nname: a/b\nlimits: { cpu: 500ms, bytes: 0B/s, groups: 5 }\nhosts: []\n",
        &[
            "2:7: a/b: `a/b` can't be a name (use letters, digits, `_`, `.` and `-`, beginning with a letter, a digit \
             or `_`)",
            "3:16: 500ms: `500ms` is not a share of CPU time (write a whole number and a unit: 500ms/s)",
            "3:30: 0B/s: `0B/s` is not bytes per second (write a whole number and a unit: 1GiB/s)",
            "3:36: groups: unknown key `groups` (known keys: cpu, bytes)",
            "4:1: hosts: unknown key `hosts` (known keys: kind, name, limits)",
        ],
    );
    check(
        "kind: tenant\nname: t\n---\nkind: tenant\nname: t\n",
        &["5:7: t: two tenants are named `t` (the first is at x.yaml:2:7; rename one of them)"],
    );
    check(
        "kind: tennant\nname: t\n",
        &["1:7: tennant: unknown kind `tennant` (did you mean `tenant`?)"],
    );
}

#[test]
fn keys_and_kinds_get_the_nearest_name() {
    check(
        "kind: monitr\nname: m\n",
        &["1:7: monitr: unknown kind `monitr` (did you mean `monitor`?)"],
    );
    check(
        "kind: dashboard\n",
        &["1:7: dashboard: unknown kind `dashboard` (kinds: monitor, app, tenant, drain)"],
    );
    check("knid: app\n", &["1:1: knid: unknown key `knid` (did you mean `kind`?)"]);
    let hint = "add a line `kind: monitor` or `kind: app`";
    check(
        "name: m\n",
        &[&format!("1:1: name: the document has no `kind` ({hint})")],
    );
    check_line(
        "gruop_by: [a]",
        &["4:1: gruop_by: unknown key `gruop_by` (did you mean `group_by`?)"],
    );
    check_line(
        "limits: { group: 5 }",
        &["4:11: group: unknown key `group` (did you mean `groups`?)"],
    );
    check_line(
        "parse: { kv: { pair: a, asign: b } }",
        &[
            "4:8: {: `kv` has no `assign` (add `assign: …`)",
            "4:25: asign: unknown key `asign` (did you mean `assign`?)",
        ],
    );
    check_line(
        "parse: jsno",
        &["4:8: jsno: unknown value `jsno` (did you mean `json`?)"],
    );
    check_line(
        "absent: zeor",
        &["4:9: zeor: unknown value `zeor` (did you mean `zero`?)"],
    );
    check_line(
        "name: n",
        &["4:1: name: the key `name` is given twice (keep one of them)"],
    );
}

#[test]
fn wrong_shapes_are_told() {
    check_line("where: [a]", &["4:8: [: expected a text, found a list"]);
    check_line("tenant:", &["4:7: : expected a text, found nothing"]);
    check_line("group_by: op", &["4:11: op: expected a list, found a text"]);
    check_line(
        "group_by: [[op]]",
        &["4:12: [: expected a column, or { column: name }, found a list"],
    );
    check_line(
        "group_by: [{ a: b, c: d }]",
        &["4:12: {: expected one column with its name in { column: name }"],
    );
    check_line(
        "limits: { groups: many }",
        &["4:19: many: expected a whole number, found a text"],
    );
    check_line("limits: { groups: 0 }", &["4:19: 0: at least 1 group is kept"]);
    check_line(
        "limits: 5",
        &["4:9: 5: expected the keys groups, cpu, bytes, found a text"],
    );
    check_line("parse: { json: 5 }", &["4:16: 5: `json` takes nothing"]);
    check_line("parse: kv", &["4:8: kv: `kv` needs the keys pair, assign, after"]);
    check_line("parse: regex", &["4:8: regex: expected a text, found nothing"]);
    check_line(
        "parse: { between: { cost: [a] } }",
        &["4:27: [: expected 2 texts in a list, found 1"],
    );
    check_line(
        "parse: { grok: '%{NUMBR:x}' }",
        &["4:16: '%{NUMBR:x}': there is no grok pattern `NUMBR`; did you mean `NUMBER`?"],
    );
    let hint = "a document begins with `kind: monitor` or `kind: app`";
    check(
        "- a\n",
        &[&format!("1:1: : expected keys with values, found a list ({hint})")],
    );
}

#[test]
fn values_are_checked() {
    let hint = "write a whole number and a unit: 500ms, 5s, 1m, 1h, 1d";
    check_line("window: 5", &[&format!("4:9: 5: `5` is not a duration ({hint})")]);
    check_line(
        "window: 7s",
        &["4:9: 7s: a window must divide a day evenly, or be whole days (the nearest usual window is 5s)"],
    );
    check_line(
        "lateness: soon",
        &[&format!("4:11: soon: `soon` is not a duration ({hint})")],
    );
    check_line(
        "log: x.log",
        &["4:6: x.log: a log's path is absolute (begin it with /, as it is on the hosts)"],
    );
    check_line(
        "timezone: Asia/Shangai",
        &["4:11: Asia/Shangai: unknown time zone `Asia/Shangai` (did you mean `Asia/Shanghai`?)"],
    );
    check_line(
        "encoding: gbbk",
        &[
            "4:11: gbbk: unknown encoding `gbbk`: write a name of the WHATWG's list, such as gbk, gb18030, latin1 or \
           utf-16le",
        ],
    );
    check_line(
        "limits: { cpu: 50ms, bytes: 5 }",
        &[
            "4:16: 50ms: `50ms` is not a share of CPU time (write a whole number and a unit: 50ms/s)",
            "4:29: 5: `5` is not bytes per second (write a whole number and a unit: 100MiB/s)",
        ],
    );
    let hint = "use letters, digits, `_`, `.` and `-`, beginning with a letter, a digit or `_`";
    check_line("app: a b", &[&format!("4:6: a b: `a b` can't be a name ({hint})")]);
    check_line(
        "timestamp: ''",
        &["4:12: '': `timestamp` is empty (leave the key out, or give it a value)"],
    );
    check_line(
        "parse: { regex: '(?<a' }",
        &["4:17: '(?<a': the regular expression can't be used: unclosed capture group name"],
    );
}

#[test]
fn mistakes_in_expressions_are_shown_within_them() {
    check_line(
        "where: op = 'a' and cost >",
        &["4:27: : expected a value or a column, but the text ends"],
    );
    check_line(
        "where: \"a = 'x' amd b = 2\"",
        &["4:17: amd: expected the end of the expression, found `amd`"],
    );
    check_line(
        "where: |\n  a = 1\n  and b == 2",
        &["6:9: ==: unknown operator `==` (write `=`)"],
    );
    check_line(
        "where: >-\n  a = 1\n\n    and b == 2",
        &["7:11: ==: unknown operator `==` (write `=`)"],
    );
    check_line(
        "where: 'it = ''x'' or y'",
        &["4:23: y: expected a condition in `or`, found a column (compare it: y = 'true', y > 0, y is not null)"],
    );
    check_line(
        "group_by: [a + b, count()]",
        &[
            "4:14: +: expected the end of the expression, found `+`",
            "4:19: count(): expected a column",
        ],
    );
    check_line(
        "group_by: [a, { b: a }]",
        &["4:17: b: two group columns are named `a` (drop one, or give it another name with { column: name })"],
    );
    check(
        "kind: monitor\nname: m\nparse: nginx\nwhere: statsu = 200\ngroup_by: [methd]\n\
         select:\n  n: sum(body_byte_sent)\n",
        &[
            "4:8: statsu: the rule nginx gives no column `statsu` (did you mean `status`?)",
            "5:12: methd: the rule nginx gives no column `methd` (did you mean `method`?)",
            "7:10: body_byte_sent: the rule nginx gives no column `body_byte_sent` (did you mean `body_bytes_sent`?)",
        ],
    );
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let text = "kind: monitor\nnmae: m\nselect:\n  a: cuont()\n  b: p99(cost\nwindow: 7s\n\
                ---\nkind: monitor\nname: [\n---\n\
                kind: app\nname: a\nhosts:\n\
                - { host: h, address: x }\n- { host: h, address: 'x:1', labels: { app: q } }\n";
    check(
        text,
        &[
            "1:1: kind: the monitor has no `name` (add a line `name: …`)",
            "2:1: nmae: unknown key `nmae` (did you mean `name`?)",
            "4:6: cuont: unknown function `cuont` (did you mean `count`?)",
            "5:14: : expected `)` at the end of `p99(`, but the text ends",
            "6:9: 7s: a window must divide a day evenly, or be whole days (the nearest usual window is 5s)",
            "9:7: [: not YAML: unclosed bracket '['",
            "14:23: x: `x` is not an address (write host and port of its agent: 10.0.0.1:7801)",
            "15:11: h: the host `h` is listed twice (a host answers once for an app: keep one of them)",
            "15:40: app: the label `app` is Sunfire's own (give yours another name)",
        ],
    );
}

#[test]
fn what_is_missing_is_told() {
    check(
        "kind: monitor\n",
        &[
            "1:1: kind: the monitor has no `name` (add a line `name: …`)",
            "1:1: kind: the monitor has no `select` (say what to compute: `select: { total: count() }`)",
        ],
    );
    check(
        "kind: app\nname: a\n",
        &["1:1: kind: the app names no hosts (add `hosts`, `file_sd` or `http_sd`)"],
    );
    check(
        "kind: app\nname: a\nhosts: [{ host: h }]\n",
        &["3:9: {: `the host` has no `address` (add `address: …`)"],
    );
}

#[test]
fn line_ends_marks_and_directives_do_not_matter() {
    let text = "kind: monitor\nname: m\nselect: { n: count() }\nwhere: a == 1\n";
    let hint = "(write `=`)";
    check(text, &[&format!("4:10: ==: unknown operator `==` {hint}")]);
    check(
        &text.replace('\n', "\r\n"),
        &[&format!("4:10: ==: unknown operator `==` {hint}")],
    );
    check(
        &format!("\u{feff}{text}"),
        &[&format!("4:10: ==: unknown operator `==` {hint}")],
    );
    check(
        &format!("%YAML 1.2\n---\n{text}...\n# end\n"),
        &[&format!("6:10: ==: unknown operator `==` {hint}")],
    );
    check(
        &format!("# a\n---\n---\n{text}...\n{text}"),
        &[
            &format!("7:10: ==: unknown operator `==` {hint}"),
            &format!("12:10: ==: unknown operator `==` {hint}"),
        ],
    );
    let folded = "kind: monitor\r\nname: m\r\nselect: { n: count() }\r\nwhere: |\r\n  a = 1\r\n  and b == 1\r\n";
    check(folded, &[&format!("6:9: ==: unknown operator `==` {hint}")]);
}

#[test]
fn two_documents_of_one_name_clash() {
    let monitor = "kind: monitor\nname: m\nselect: { n: count() }\n";
    check(
        &format!("{monitor}---\n{monitor}"),
        &["6:7: m: two monitors are named `m` (the first is at x.yaml:2:7; rename one of them)"],
    );
    check(&format!("{monitor}---\nkind: app\nname: m\nhosts: []\n"), &[]);
}

#[test]
fn a_diagnostic_names_its_file() {
    let diagnostics = load_str("conf/x.yaml", "kind: monitr\n").expect_err("an unknown kind");
    let expected =
        "conf/x.yaml:1:7: unknown kind `monitr`\n  |\n1 | kind: monitr\n  |       ^^^^^^\n  = did you mean `monitor`?";
    assert_eq!(diagnostics[0].to_string(), expected);
}

#[test]
fn the_schema_knows_what_the_model_knows() {
    let schema = crate::schema();
    let properties = |name: &str| -> Vec<String> {
        let object = schema["$defs"][name]["properties"].as_object().expect(name);
        object.keys().cloned().collect()
    };
    // Of every key that the schema names, the model must not say that it is unknown.
    for (kind, name) in [("monitor", "RawMonitor"), ("app", "RawApp")] {
        for key in properties(name) {
            let found = mistakes(&format!("kind: {kind}\n{key}: x\n"));
            assert!(
                !found.iter().any(|mistake| mistake.contains("unknown key")),
                "{kind} {key}: {found:?}"
            );
        }
    }
    assert_eq!(
        schema["$defs"]["RawMonitor"]["required"],
        serde_json::json!(["kind", "name", "select"])
    );
    assert_eq!(schema["$defs"]["RawMonitor"]["additionalProperties"], false);
}

/// Lines of good and bad documents in no order.
fn soup() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "kind: monitor",
        "kind: app",
        "name: m",
        "name: [",
        "---",
        "select: { n: count() }",
        "select:",
        "  a: sum(x)",
        "  é: 'p99(x'",
        "where: |",
        "  a = 1 and",
        "where: \"a = \\u0041\"",
        "group_by: [a, { b: c }, 5]",
        "group_by: *x",
        "x: &x [a]",
        "parse: nginx",
        "parse: { kv: { pair: 5 } }",
        "limits: { groups: -1 }",
        "hosts:",
        "- { host: h, address: 'x:1' }",
        "<<: *x",
        "window: 5s",
        "? [a]",
        ": b",
        "\t",
        "# é",
        "...",
        "!!map {}",
        "'",
        "log: /l",
    ]);
    prop::collection::vec(line, 0..20).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_text_panics_and_mistakes_lie_within_it(text in prop_oneof![soup(), any::<String>(), "[ -~é\n]{0,80}"]) {
        for diagnostic in load_str("x", &text).err().unwrap_or_default() {
            let (row, column) = (diagnostic.line as usize, diagnostic.column as usize);
            let length = diagnostic.length as usize;
            let lines: Vec<&str> = text.split('\n').collect();
            prop_assert!(row >= 1 && row <= lines.len(), "{:?}", diagnostic);
            let line = lines[row - 1];
            let shown: String = line.chars().skip(column - 1).take(length).collect();
            prop_assert_eq!(&shown, &diagnostic.text, "{:?}", diagnostic);
        }
    }
}

/// What cannot be right whatever the log brings is refused where it stands; what a log may be too much for is not.
#[test]
fn a_limit_that_leaves_next_to_nothing_is_a_mistake() {
    let of = |limit: &str, log: &str| {
        let monitor = "kind: monitor\nname: m\napp: shop\nselect: { n: sum(x) }\nparse: json\n";
        mistakes(&format!("{monitor}{log}limits: {{ cpu: {limit} }}\n"))
    };
    let refused = of("2us/s", "log: /x.log\n");
    assert!(
        refused.len() == 1 && refused[0].starts_with("7:16: 2us/s: with `2us/s` only about "),
        "{refused:?}"
    );
    assert!(
        refused[0].contains("bytes of log a second could be counted (it is estimated to take "),
        "{refused:?}"
    );
    assert_eq!(of("1ms/s", "log: /x.log\n"), [""; 0]);
    assert_eq!(of("2us/s", ""), [""; 0], "it reads no log");
}
