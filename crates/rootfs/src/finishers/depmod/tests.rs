use super::*;

fn module(path: &str, exported: &[&str], needed: &[&str]) -> Module {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let facts = ModuleFacts { info: Vec::new(), exported: owned(exported), needed: owned(needed) };
    Module { path: path.to_owned(), name: module_name(path.rsplit('/').next().unwrap()), facts }
}

#[test]
fn a_module_comes_before_what_it_needs() {
    let modules = vec![
        module("kernel/a.ko", &["a"], &["printk"]),
        module("kernel/b-x.ko", &["b"], &["a"]),
        module("kernel/c.ko", &[], &["a", "b", "c_own"]),
        module("kernel/d.ko", &[], &[]),
    ];
    let graph = Graph::new(modules).unwrap();
    assert_eq!(graph.line(2), "kernel/c.ko: kernel/b-x.ko kernel/a.ko");
    assert_eq!(graph.line(3), "kernel/d.ko:");
    assert_eq!(graph.module(1).name, "b_x");
}

#[test]
fn a_circle_is_told() {
    let modules =
        vec![module("a.ko", &["a"], &["b"]), module("b.ko", &["b"], &["a"]), module("c.ko", &[], &["a"])];
    assert_eq!(Graph::new(modules).unwrap_err(), "its modules need each other in a circle: a, b");
}

#[test]
fn the_order_is_that_of_the_build() {
    let modules = vec![module("a.ko", &[], &[]), module("b.ko", &[], &[]), module("updates/c.ko", &[], &[])];
    let names: Vec<String> =
        in_order(modules, "b.ko\na.ko\n").into_iter().map(|module| module.name).collect();
    assert_eq!(names, ["b", "a", "c"]);
}

#[test]
fn a_node_has_a_name_and_numbers() {
    let facts = |aliases: &[&str]| ModuleFacts {
        info: aliases.iter().map(|alias| ("alias".to_owned(), (*alias).to_owned())).collect(),
        ..ModuleFacts::default()
    };
    let node = |aliases: &[&str]| device_node(&facts(aliases));
    assert_eq!(node(&["devname:loop-control", "char-major-10-237"]).as_deref(), Some("loop-control c10:237"));
    assert_eq!(node(&["block-major-7-*", "devname:x"]), None);
    assert_eq!(node(&["char-major-10-237"]), None);
}
