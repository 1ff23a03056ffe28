//! The common stacks of PAM.

use super::*;
use crate::finishers::tests::Bench;

const UNIX: &str = "\
Name: Unix authentication
Default: yes
Priority: 256
Auth-Type: Primary
Auth:
\t[success=end default=ignore]\tpam_unix.so nullok try_first_pass
Auth-Initial:
\t[success=end default=ignore]\tpam_unix.so nullok
Session-Type: Additional
Session:
\trequired\tpam_unix.so
";
const EXTRA: &str = "\
Name: Extra
Default: yes
Priority: 10
Auth-Type: Primary
Auth:
\t[success=end default=ignore]\tpam_one.so
\t[success=end default=ignore]\tpam_two.so a   b
Session-Interactive-Only: yes
Session-Type: Additional
Session:
\toptional\tpam_extra.so
";

fn template() -> String {
    format!(
        "# head\n{PRIMARY}\n$primary\n{FALLBACK}\nauth requisite pam_deny.so\n{ADDITIONAL}\n$additional\n{END}\n"
    )
}

#[test]
fn jumps_are_counted_over_all_profiles() {
    let mut bench = Bench::new()
        .file("usr/share/pam-configs/unix", UNIX)
        .file("usr/share/pam-configs/extra", EXTRA)
        .file(
            "usr/share/pam-configs/off",
            "Name: off\nDefault: no\nPriority: 300\nAuth-Type: Primary\nAuth:\n\tx y\n",
        )
        .file("usr/share/pam/common-auth", template())
        .file("usr/share/pam/common-session", template())
        .file("usr/share/pam/common-session-noninteractive", template());
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.text("etc/pam.d/common-auth"), @r#"
    # head
    # here are the per-package modules (the "Primary" block)
    auth	[success=3 default=ignore]	pam_unix.so nullok
    auth	[success=2 default=ignore]	pam_one.so 
    auth	[success=1 default=ignore]	pam_two.so a b
    # here's the fallback if no module succeeds
    auth requisite pam_deny.so
    # and here are more per-package modules (the "Additional" block)
    # end of pam-auth-update config
    "#);
    insta::assert_snapshot!(bench.text("etc/pam.d/common-session"), @r#"
    # head
    # here are the per-package modules (the "Primary" block)
    session	[default=1]			pam_permit.so
    # here's the fallback if no module succeeds
    auth requisite pam_deny.so
    # and here are more per-package modules (the "Additional" block)
    session	required	pam_unix.so 
    session	optional	pam_extra.so 
    # end of pam-auth-update config
    "#);
    assert!(!bench.text("etc/pam.d/common-session-noninteractive").contains("pam_extra"));
    assert_eq!(bench.text("var/lib/pam/seen"), "off\nunix\nextra\n");
    insta::assert_snapshot!(bench.text("var/lib/pam/auth"), @r"
    Module: unix
    [success=end default=ignore]	pam_unix.so nullok
    Module: extra
    [success=end default=ignore]	pam_one.so
    [success=end default=ignore]	pam_two.so a   b
    ");
}

#[test]
fn profiles_alone_make_nothing() {
    let mut bench = Bench::new().file("usr/share/pam-configs/unix", UNIX);
    bench.run(apply).unwrap();
    assert_eq!(bench.made(), "");
}
