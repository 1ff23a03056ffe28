//! Extended attributes with a format of their own: file capabilities as text come in, the bytes that the kernel reads go
//! out.
//!
//! The text is that of `setcap(8)` and `cap_from_text(3)`, the bytes `struct vfs_cap_data` of revision 2 in
//! `linux/capability.h`.

/// The attribute that holds a file's capabilities.
pub const CAPABILITY: &str = "security.capability";

/// `VFS_CAP_REVISION_2`; the later revision 3 is for other user namespaces only.
const REVISION: u32 = 0x0200_0000;
/// `VFS_CAP_FLAGS_EFFECTIVE`: one bit for all capabilities of the file.
const EFFECTIVE: u32 = 1;

/// The capabilities by number (`linux/capability.h`).
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// Why a text names no set of file capabilities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// A capability that the kernel does not have.
    #[error("`{0}` is not a capability")]
    Unknown(String),
    /// The text does not follow `cap_from_text(3)`.
    #[error("`{0}` is not of the form `cap_a,cap_b=flags` with flags of `e`, `i` and `p`")]
    Syntax(String),
    /// Some but not all capabilities are effective; a file has one bit for all of them.
    #[error("`{0}` makes some capabilities effective and others not, which a file cannot hold")]
    PartlyEffective(String),
    /// The text gives no capability at all.
    #[error("`{0}` gives no capability")]
    Empty(String),
}

impl CapabilityError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown(name) => {
                let near = |known: &&&str| name.to_ascii_lowercase().ends_with(**known);
                NAMES.iter().find(near).map(|known| format!("did you mean `cap_{known}`?"))
            }
            Self::Syntax(_) | Self::Empty(_) => {
                Some("write for example `cap_net_bind_service=ep`".to_owned())
            }
            Self::PartlyEffective(_) => Some("give `e` to all of them or to none".to_owned()),
        }
    }
}

/// The three sets, one bit for each capability.
#[derive(Default)]
struct Sets {
    effective: u64,
    inheritable: u64,
    permitted: u64,
}

/// The value of [`CAPABILITY`] for a text such as `cap_net_bind_service=ep`.
///
/// # Errors
/// When the text is malformed or says what a file cannot hold.
pub fn capability(text: &str) -> Result<Vec<u8>, CapabilityError> {
    let mut sets = Sets::default();
    for clause in text.split_ascii_whitespace() {
        apply_clause(&mut sets, clause)?;
    }
    let any = sets.permitted | sets.inheritable;
    if any == 0 {
        return Err(CapabilityError::Empty(text.to_owned()));
    }
    if sets.effective != 0 && sets.effective != any {
        return Err(CapabilityError::PartlyEffective(text.to_owned()));
    }
    let magic = REVISION | if sets.effective == 0 { 0 } else { EFFECTIVE };
    let halves = [sets.permitted, sets.inheritable, sets.permitted >> 32, sets.inheritable >> 32];
    let words = std::iter::once(magic).chain(halves.map(|half| half as u32));
    Ok(words.flat_map(u32::to_le_bytes).collect())
}

/// One clause: names, then one or more operators with their flags.
fn apply_clause(sets: &mut Sets, clause: &str) -> Result<(), CapabilityError> {
    let syntax = || CapabilityError::Syntax(clause.to_owned());
    let is_operator = |character: char| matches!(character, '=' | '+' | '-');
    let (names, mut actions) = clause.split_at(clause.find(is_operator).ok_or_else(syntax)?);
    // Without names, `=` is about all capabilities; the others would be a slip.
    let capabilities = if names.is_empty() && actions.starts_with('=') { all() } else { parse_names(names)? };
    while let Some(operator) = actions.chars().next() {
        let rest = &actions[1..];
        let end = rest.find(is_operator).unwrap_or(rest.len());
        let (flags, following) = rest.split_at(end);
        if operator != '=' && flags.is_empty()
            || !flags.bytes().all(|flag| matches!(flag, b'e' | b'i' | b'p'))
        {
            return Err(syntax());
        }
        for (flag, set) in
            [('e', &mut sets.effective), ('i', &mut sets.inheritable), ('p', &mut sets.permitted)]
        {
            match (operator, flags.contains(flag)) {
                ('=' | '+', true) => *set |= capabilities,
                ('=', false) | ('-', true) => *set &= !capabilities,
                _ => {}
            }
        }
        actions = following;
    }
    Ok(())
}

fn parse_names(names: &str) -> Result<u64, CapabilityError> {
    names.split(',').try_fold(0, |set, name| {
        let lower = name.to_ascii_lowercase();
        if lower == "all" {
            return Ok(set | all());
        }
        let number =
            lower.strip_prefix("cap_").and_then(|name| NAMES.iter().position(|known| *known == name));
        number.map(|number| set | 1 << number).ok_or_else(|| CapabilityError::Unknown(name.to_owned()))
    })
}

const fn all() -> u64 {
    (1 << NAMES.len()) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        capability(text).unwrap().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn texts_give_the_bytes_of_setcap() {
        assert_eq!(hex("cap_net_bind_service=ep"), "0100000200040000000000000000000000000000");
        assert_eq!(hex("cap_net_raw+ep"), "0100000200200000000000000000000000000000");
        assert_eq!(hex("CAP_SETUID,cap_setgid=p"), "00000002c0000000000000000000000000000000");
        assert_eq!(hex("cap_bpf=eip"), "0100000200000000000000008000000080000000");
        assert_eq!(hex("all=ep cap_sys_admin-ep"), hex("=ep cap_sys_admin="));
        assert_eq!(hex("cap_kill=eip-i"), hex("cap_kill=ep"));
    }

    #[test]
    fn texts_that_a_file_cannot_hold_are_refused() {
        let text = |text: &str| capability(text).unwrap_err().to_string();
        assert_eq!(text("net_raw=ep"), "`net_raw` is not a capability");
        assert_eq!(
            capability("net_raw=ep").unwrap_err().hint().as_deref(),
            Some("did you mean `cap_net_raw`?")
        );
        for malformed in ["cap_net_raw", "cap_net_raw=x", "cap_net_raw+", "cap_net_raw==é"] {
            assert!(matches!(capability(malformed), Err(CapabilityError::Syntax(_))), "{malformed}");
        }
        for unknown in ["+ep", "cap_net_raw,=ep", "cap_=p", "cap_é=p"] {
            assert!(matches!(capability(unknown), Err(CapabilityError::Unknown(_))), "{unknown}");
        }
        for empty in ["", "  ", "cap_net_raw=", "=", "cap_kill=e"] {
            assert!(matches!(capability(empty), Err(CapabilityError::Empty(_))), "{empty}");
        }
        assert!(matches!(capability("cap_kill=ep cap_chown=p"), Err(CapabilityError::PartlyEffective(_))));
    }
}
