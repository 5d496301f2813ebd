//! Good and bad snippets for the checks of syntax; each check is shown to find and to leave alone.

use super::*;

#[track_caller]
fn check_as(role: Role, source: &str, expected: &[(usize, &str)]) {
    let parsed = Parsed::new("a.rs", source).expect("the snippet parses");
    let mut found = findings(&parsed, role);
    found.sort();
    let places: Vec<usize> = found.iter().map(|finding| finding.line).collect();
    assert_eq!(
        places,
        expected.iter().map(|&(line, _)| line).collect::<Vec<_>>(),
        "{source}\n{found:?}"
    );
    for (finding, (_, part)) in found.iter().zip(expected) {
        assert!(finding.message.contains(part), "{finding:?} should say {part:?}");
    }
}

#[track_caller]
fn check(source: &str, expected: &[(usize, &str)]) {
    check_as(Role::Production, source, expected);
}

#[test]
fn function_length() {
    let body = |lines: usize| "\n    f();".repeat(lines - 2);
    check(&format!("fn f() {{{}\n}}", body(70)), &[]);
    check(&format!("fn f() {{{}\n}}", body(71)), &[(1, "`f` has 71 lines")]);
    check(
        &format!("#[inline]\n/// Docs.\npub async fn f() {{{}\n}}", body(71)),
        &[(3, "71")],
    );
    check(&format!("impl A {{\nfn f() {{{}\n}}\n}}", body(71)), &[(2, "71")]);
    check(
        &format!("trait A {{\nfn f() {{{}\n}}\nfn g();\n}}", body(71)),
        &[(2, "71")],
    );
    check(
        &format!("fn g() {{\nfn f() {{{}\n}}\n}}", body(71)),
        &[(1, "`g` has 73"), (2, "`f` has 71")],
    );
    check(
        &format!("#[cfg(test)]\nmod tests {{\nfn f() {{{}\n}}\n}}", body(71)),
        &[(3, "71")],
    );
    check(
        &format!("proptest! {{\nfn f(a in 0..9u8) {{{}\n}}\n}}", body(71)),
        &[(2, "71")],
    );
    check(&format!("proptest! {{\nfn f(a in 0..9u8) {{{}\n}}\n}}", body(70)), &[]);
}

#[test]
fn macros_of_unfinished_work() {
    check("fn f() { todo!() }", &[(1, "todo!")]);
    check("fn f() { core::unimplemented!(\"later\") }", &[(1, "unimplemented!")]);
    check("fn f() {\n    g(\n        dbg!(1),\n    )\n}", &[(3, "dbg!")]);
    check("fn f() { assert!(g(dbg!(1))) }", &[(1, "dbg!")]);
    check_as(Role::Test, "fn f() { todo!() }", &[(1, "todo!")]);
    check("fn todo() -> &'static str { todo(); \"todo!()\" } // todo!()", &[]);
}

#[test]
fn unwraps() {
    check("fn f() { g().unwrap(); }", &[(1, "`.unwrap()` without a reason")]);
    check(
        "fn f() {\n    g()\n        .h()\n        .unwrap_err();\n}",
        &[(4, "unwrap_err")],
    );
    check("fn f() { format!(\"{}\", g().unwrap()); }", &[(1, "unwrap")]);
    check("fn f() { g().unwrap_or_default(); unwrap(1); }", &[]);
    check("fn f() {\n    g().unwrap(); // reason: g is never empty\n}", &[]);
    check(
        "fn f() {\n    // reason: g is never empty,\n    // as its caller sees to.\n    g().unwrap();\n}",
        &[],
    );
    check(
        "fn f() {\n    // reason: another line's\n    h();\n    g().unwrap();\n}",
        &[(4, "unwrap")],
    );
    check(
        "fn f() {\n    let a = \"// reason: a text\"; g().unwrap();\n}",
        &[(2, "unwrap")],
    );
    check(
        "fn f() {\n    // a comment that gives none\n    g().unwrap();\n}",
        &[(3, "unwrap")],
    );
}

#[test]
fn expects() {
    check("fn f() { g().expect(\"checked above\"); }", &[]);
    check("fn f() { g().expect(\"bad\"); }", &[(1, "must say why")]);
    check("fn f() { g().expect(\"          \"); }", &[(1, "must say why")]);
    check("fn f() { vec![g().expect_err(\"\")]; }", &[(1, "must say why")]);
    check("fn f() { g().expect(WHY); self.expect(\"(\"); }", &[]);
}

#[test]
fn tests_may_unwrap() {
    let bad = "g().unwrap(); g().expect(\"\");";
    check_as(Role::Test, &format!("fn f() {{ {bad} }}"), &[]);
    check(&format!("#[cfg(test)]\nmod tests {{ fn f() {{ {bad} }} }}"), &[]);
    check(&format!("#[cfg(any(test, feature = \"x\"))]\nfn f() {{ {bad} }}"), &[]);
    check(&format!("#[tokio::test]\nasync fn f() {{ {bad} }}"), &[]);
    check(&format!("#[cfg(test)]\nimpl A {{ fn f() {{ {bad} }} }}"), &[]);
    check(
        &format!("#[cfg(not(test))]\nfn f() {{ {bad} }}"),
        &[(2, "unwrap"), (2, "must say")],
    );
    check(
        &format!("#[cfg(test)]\nmod tests {{}}\nfn f() {{ {bad} }}"),
        &[(3, "unwrap"), (3, "must say")],
    );
}

#[test]
fn sleeps_in_tests() {
    let test = |call: &str| format!("#[test]\nfn f() {{\n    {call};\n}}");
    check(&test("std::thread::sleep(a)"), &[(3, "sleep")]);
    check(&test("thread::sleep(a)"), &[(3, "sleep")]);
    check(&test("tokio::time::sleep(a).await"), &[(3, "sleep")]);
    check(&test("sleep(a)"), &[(3, "sleep")]);
    check(&test("select!(a = tokio::time::sleep(b) => c)"), &[(3, "sleep")]);
    check(&test("clock::sleep(a); clock.sleep(b); sleepy(c)"), &[]);
    check("async fn f() { tokio::time::sleep(a).await; }", &[]);
}

#[test]
fn ignored_tests() {
    check("#[test]\n#[ignore]\nfn f() {}", &[(2, "#[ignore]")]);
    check("#[test]\n#[ignore = \"slow\"]\nfn f() {}", &[(2, "#[ignore]")]);
    check(
        "#[test]\n#[cfg_attr(not(feature = \"a\"), ignore)]\nfn f() {}",
        &[(2, "#[ignore]")],
    );
    check("proptest! {\n#[test]\n#[ignore]\nfn f() {}\n}", &[(3, "#[ignore]")]);
    check("#[serde(ignore)]\nstruct A;\n// #[ignore]\nfn ignore() {}", &[]);
}

#[test]
fn literals_are_masked_and_comments_stay() {
    let masked = |source| Parsed::new("a.rs", source).expect("the snippet parses").masked_lines;
    let calls = "fn f() { g(\"é//\", 'x', b\"y\"); } // z";
    let blanks = |count| " ".repeat(count);
    assert_eq!(
        masked(calls),
        [format!(
            "fn f() {{ g({}, {}, {}); }} // z",
            blanks(6),
            blanks(3),
            blanks(4)
        )]
    );
    assert_eq!(masked("/// a \"b\"\nfn f() {}"), ["/// a \"b\"", "fn f() {}"]);
    assert_eq!(masked("const A: &str = r#\"a\nb\"#;"), ["const A: &str =     ", "   ;"]);
}

#[test]
fn paths_of_test_modules() {
    #[track_caller]
    fn check_paths(path: &str, source: &str, expected: &[&str]) {
        assert_eq!(
            Parsed::new(path, source)
                .expect("the snippet parses")
                .test_module_paths(),
            expected
        );
    }
    let declaration = "#[cfg(test)]\nmod tests;\nmod other;\n#[cfg(test)]\nmod inline {}";
    check_paths("a/src/lib.rs", declaration, &["a/src/tests.rs", "a/src/tests/"]);
    check_paths("a/src/b/mod.rs", declaration, &["a/src/b/tests.rs", "a/src/b/tests/"]);
    check_paths("a/src/b.rs", declaration, &["a/src/b/tests.rs", "a/src/b/tests/"]);
    check_paths(
        "a/src/b.rs",
        "#[cfg(test)]\n#[path = \"b_tests.rs\"]\nmod tests;",
        &["a/src/b_tests.rs"],
    );
}
