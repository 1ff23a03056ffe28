//! The image's fields in os-release.

use super::*;
use crate::finishers::tests::Bench;

const DEBIAN: &str = "PRETTY_NAME=\"Debian GNU/Linux forky/sid\"\nID=debian\nVARIANT_ID=theirs\n";

#[test]
fn the_distribution_stays_and_the_image_is_added() {
    let mut bench =
        Bench::new().file("usr/lib/os-release", DEBIAN).link("etc/os-release", "../usr/lib/os-release");
    bench.definition.id.stream = Some("3.14".into());
    bench.definition.id.variant = "builder".into();
    bench.definition.title = "We\"b $x".into();
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.text("etc/os-release"), @r#"
    PRETTY_NAME="Debian GNU/Linux forky/sid"
    ID=debian
    VARIANT="We\"b \$x (builder)"
    VARIANT_ID=builder
    IMAGE_ID=web
    IMAGE_VERSION=3.14
    "#);
    insta::assert_snapshot!(bench.made(), @"0644 0:0 /usr/lib/os-release");
}

#[test]
fn no_file_is_made_up() {
    let mut bench = Bench::new();
    bench.run(apply).unwrap();
    assert!(bench.tree.is_empty());
}
