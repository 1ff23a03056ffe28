//! nginx: configuration files out of templates, with the variables of the container in them, as the official image has
//! it. Where there are no templates, nothing is written at all.
//!
//! | variable | meaning |
//! |---|---|
//! | `NGINX_ENVSUBST_TEMPLATE_DIR` | Where the templates are; `/etc/nginx/templates`. |
//! | `NGINX_ENVSUBST_TEMPLATE_SUFFIX` | By which they are known, and which is cut off; `.template`. |
//! | `NGINX_ENVSUBST_OUTPUT_DIR` | Where what comes of them is written; `/etc/nginx/conf.d`. |

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::environment::Environment;
use crate::failure::{Failure, Result};
use crate::files;
use crate::software::{self, Asked, asked};

/// Options that the server answers without its configuration.
const QUESTIONS: [&str; 4] = ["-?", "-h", "-v", "-V"];

/// The largest template that is read.
const TEMPLATE_LIMIT: u64 = 16 << 20;

/// How deep directories of templates can lie in each other.
const DEPTH: u32 = 16;

/// Becomes the server; returns only why not.
pub fn start(environment: &Environment, arguments: Vec<OsString>) -> Failure {
    let arguments = match asked("nginx", &QUESTIONS, arguments) {
        Asked::Command(words) => return software::become_other(&words),
        Asked::Server(arguments) => arguments,
    };
    if let Err(failure) = fill_templates(environment) {
        return failure;
    }
    // Without `-e`, nginx first tries a log file that its user cannot write.
    command::become_command(Command::new("nginx").args(["-e", "stderr"]).args(arguments))
}

fn fill_templates(environment: &Environment) -> Result<()> {
    let setting = |name: &str, default: &str| environment.get(name).unwrap_or(default).to_owned();
    let from = PathBuf::from(setting("NGINX_ENVSUBST_TEMPLATE_DIR", "/etc/nginx/templates"));
    let suffix = setting("NGINX_ENVSUBST_TEMPLATE_SUFFIX", ".template");
    let to = PathBuf::from(setting("NGINX_ENVSUBST_OUTPUT_DIR", "/etc/nginx/conf.d"));
    if !from.is_dir() {
        return Ok(());
    }
    for template in templates(&from, &suffix, DEPTH)? {
        let name = template.strip_prefix(&from).unwrap_or(&template).to_string_lossy().into_owned();
        let target = to.join(name.strip_suffix(&suffix).unwrap_or(&name));
        let text = filled(&files::read_text(&template, TEMPLATE_LIMIT)?, environment);
        files::make_directory(target.parent().unwrap_or(&to))?;
        files::write(&target, &text, 0o644).map_err(|failure| {
            Failure {
                message: format!("{}, which comes of {}", failure.message, template.display()),
                ..failure
            }
            .hint(format!(
                "mount a volume at {} that this container's user can write (podman: with the option `U`), or leave the \
                 templates out",
                to.display()
            ))
        })?;
        eprintln!("entrypoint: {} comes of {}", target.display(), template.display());
    }
    Ok(())
}

/// The templates in a directory and those in it.
fn templates(directory: &Path, suffix: &str, depth: u32) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in files::entries(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // `..data` and the like: what Kubernetes keeps beside the links to it.
        if path.is_dir() && !name.starts_with('.') && depth > 0 {
            found.extend(templates(&path, suffix, depth - 1)?);
        } else if path.is_file() && name.ends_with(suffix) {
            found.push(path);
        }
    }
    Ok(found)
}

/// A text with `${NAME}` and `$NAME` replaced, where the container has such a variable. All else is nginx's own.
fn filled(text: &str, environment: &Environment) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        let braced = after.strip_prefix('{');
        let start = braced.unwrap_or(after);
        let length = start.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let (name, behind) = start.split_at(length);
        let behind = if braced.is_some() { behind.strip_prefix('}') } else { Some(behind) };
        match (environment.given(name), behind) {
            (Some(value), Some(behind)) => {
                filled.push_str(value);
                rest = behind;
            }
            _ => {
                filled.push('$');
                rest = after;
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_is_replaced() {
        let environment = Environment::of(&[("PORT", "8080"), ("EMPTY", ""), ("HOST_1", "a$PORT")]);
        for (text, expected) in [
            ("listen ${PORT};", "listen 8080;"),
            ("listen $PORT;", "listen 8080;"),
            ("[$EMPTY${EMPTY}]", "[]"),
            ("$host ${uri} $PORTS ${PORT $ $$PORT ${PORT}}", "$host ${uri} $PORTS ${PORT $ $8080 8080}"),
            ("${HOST_1}", "a$PORT"),
            ("grüße $", "grüße $"),
        ] {
            assert_eq!(filled(text, &environment), expected, "{text}");
        }
    }

    #[test]
    fn templates_are_written_without_their_suffix() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir_all(path("in/sub")).unwrap();
        std::fs::create_dir_all(path("in/..data")).unwrap();
        for name in ["in/a.conf.template", "in/sub/b.conf.template", "in/c.conf", "in/..data/d.template"] {
            std::fs::write(path(name), "$X").unwrap();
        }
        let (from, to) = (path("in"), path("out"));
        let pairs = [
            ("NGINX_ENVSUBST_TEMPLATE_DIR", from.as_str()),
            ("NGINX_ENVSUBST_OUTPUT_DIR", to.as_str()),
            ("X", "y"),
        ];
        fill_templates(&Environment::of(&pairs)).unwrap();
        assert_eq!(std::fs::read_to_string(path("out/a.conf")).unwrap(), "y");
        assert_eq!(std::fs::read_to_string(path("out/sub/b.conf")).unwrap(), "y");
        assert_eq!(files::entries(Path::new(&to)).unwrap().len(), 2);
        let pairs = [
            ("NGINX_ENVSUBST_TEMPLATE_DIR", from.as_str()),
            ("NGINX_ENVSUBST_OUTPUT_DIR", "/proc/x"),
            ("X", "y"),
        ];
        assert!(fill_templates(&Environment::of(&pairs)).is_err());
    }
}
