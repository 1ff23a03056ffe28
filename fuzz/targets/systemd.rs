//! `sysusers.d` and `tmpfiles.d`, and what of them reaches the account files; units and presets.
#![no_main]

use calypte_formats::accounts::{self, PasswdLine};
use calypte_formats::systemd_service::Service;
use calypte_formats::systemd_unit::{self, Install};
use calypte_formats::{sysusers, tmpfiles};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    Install::default().read(text);
    let service = Service::read("fuzz.service", text);
    assert!(service.unset.iter().all(|name| name.starts_with('$')));
    assert!(systemd_unit::presets(text).iter().all(|rule| !rule.pattern.contains('\n')));
    if let Ok(lines) = tmpfiles::parse("fuzz.conf", text) {
        assert!(lines.iter().all(|line| line.path.starts_with('/')));
    }
    let Ok(lines) = sysusers::parse("fuzz.conf", text) else { return };
    for line in lines {
        let sysusers::Line::User(user) = line else { continue };
        let line = PasswdLine {
            name: user.name,
            password: "x".to_owned(),
            uid: 1,
            gid: 1,
            gecos: user.gecos.unwrap_or_default(),
            home: user.home.unwrap_or_default(),
            shell: user.shell.unwrap_or_default(),
        };
        let text = accounts::render(std::slice::from_ref(&line)).expect("a declared user can be written");
        assert_eq!(accounts::parse::<PasswdLine>(&text).expect("and read"), [line]);
    }
});
