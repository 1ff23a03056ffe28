//! Users and groups: `/etc/passwd`, `/etc/group`, and where passwords can be set, `/etc/shadow` and `/etc/gshadow`.
//!
//! The accounts are those of base-passwd or of Fedora's setup where one is in the image (root and nobody elsewhere),
//! what sysusers.d files, packages and their scripts declare and create, whoever owns a file that another finisher
//! makes, and the image's own user. Every id comes from the universe's accounts.yaml or the definition: an id that is
//! handed out at build time would change with the set of packages, and files on volumes would change hands.

mod accounts;
mod database;
mod wanted;

pub(super) use self::accounts::Accounts;
use self::database::Database;
use self::wanted::Wanted;
use super::FinishError;
use super::site::{Access, Site};
use crate::context::FinishContext;
use crate::tree::FileTree;

/// What the finisher is called.
pub const NAME: &str = "users";

const PASSWD_MASTER: &str = "usr/share/base-passwd/passwd.master";
const GROUP_MASTER: &str = "usr/share/base-passwd/group.master";
const PASSWD: &str = "etc/passwd";
const GROUP: &str = "etc/group";
const SHADOW: &str = "etc/shadow";
const GSHADOW: &str = "etc/gshadow";
/// The tools of the package that turns shadow passwords on; without them nobody can set one.
const SHADOW_TOOL: &str = "usr/bin/passwd";
/// Root and the owner of what nobody owns: in every image, for programs that look the two up.
const EVERYWHERE: [&str; 2] = ["root", "nobody"];

/// Writes the account files, and the home directory of the image's user.
///
/// # Errors
/// When an account has no fixed id, or two sources disagree about one.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let accounts = Accounts::new(&context.rules.accounts, &context.definition.user);
    let (packages, epoch) = (context.packages, context.epoch);
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    let mut database = start(&site)?;
    let wanted = Wanted::collect(&site, packages, &context.rules.effects)?;
    database.check(&accounts, &wanted)?;
    database.add(&accounts, &wanted)?;
    database.add_image_user(&accounts)?;
    write(&mut site, &database, epoch.0)?;
    make_home(&mut site, &accounts)
}

/// What is there before anything is added: the files themselves, or base-passwd's masters.
fn start(site: &Site<'_>) -> Result<Database, FinishError> {
    let mut database = Database::default();
    for (file, master) in [(PASSWD, PASSWD_MASTER), (GROUP, GROUP_MASTER)] {
        let mut path = site.path(file)?;
        if site.tree.file(&path).is_none() {
            path = site.path(master)?;
        }
        let text = site.read_text(&path)?.unwrap_or_default();
        let source = path.to_string();
        let read = match file {
            PASSWD => database.read_users(source, &text),
            _ => database.read_groups(source, &text),
        };
        read.map_err(|error| FinishError::BadFile { path, problem: error.to_string() })?;
    }
    Ok(database)
}

fn write(site: &mut Site<'_>, database: &Database, epoch: i64) -> Result<(), FinishError> {
    let kept = shadow_access(site)?;
    let shadow = kept.is_some() || site.leads_somewhere(&site.path(SHADOW_TOOL)?)?;
    let mut files = vec![
        (PASSWD, database.passwd(shadow), Access::root(0o644)),
        (GROUP, database.group(shadow), Access::root(0o644)),
    ];
    if shadow {
        let debian = Access { gid: database.gid("shadow").unwrap_or(0), ..Access::root(0o640) };
        let access = kept.unwrap_or(debian);
        files.push((SHADOW, database.shadow(epoch), access));
        files.push((GSHADOW, database.gshadow(), access));
    }
    for (file, text, access) in files {
        let path = site.path(file)?;
        let text =
            text.map_err(|error| FinishError::BadFile { path: path.clone(), problem: error.to_string() })?;
        site.write(&path, text.into_bytes(), access)?;
    }
    if site.leads_somewhere(&site.path(PASSWD_MASTER)?)? {
        for file in ["etc/subuid", "etc/subgid"] {
            let path = site.path(file)?;
            if !site.exists(&path)? {
                site.write(&path, Vec::new(), Access::root(0o644))?;
            }
        }
    }
    Ok(())
}

/// Who may read the shadow file that a package brings: Fedora's setup brings one, which nobody but root's capabilities
/// can read.
fn shadow_access(site: &Site<'_>) -> Result<Option<Access>, FinishError> {
    let node = site.node(&site.path(SHADOW)?)?;
    Ok(node.map(|node| Access { mode: node.mode, uid: node.uid, gid: node.gid }))
}

/// The home directory of the image's user, his alone, where there is nothing yet.
fn make_home(site: &mut Site<'_>, accounts: &Accounts<'_>) -> Result<(), FinishError> {
    let user = accounts.image;
    if user.home.is_root() || user.home.as_str() == "nonexistent" || site.leads_somewhere(&user.home)? {
        return Ok(());
    }
    site.directory(&user.home, Access { mode: 0o700, uid: user.uid, gid: user.gid })
}

#[cfg(test)]
mod tests;
