//! What is small enough for memory: blobs, and the list of what refers to a manifest (distribution specification 1.1,
//! "Listing referrers").

use calypte_base::Digest;
use ureq::http::header::{ACCEPT, LINK};

use super::connection::Trouble;
use super::{ACCEPTED, MANIFEST_LIMIT, Registry, RegistryError, Version};
use crate::fetch::Failure;

/// Most pages of a list that are read.
const REFERRER_PAGES: usize = 64;

impl Registry {
    /// A blob of this size, in memory and checked.
    ///
    /// # Errors
    /// When the registry does not give it, or gives other bytes.
    pub fn small_blob(&self, digest: &Digest, size: u64) -> Result<Vec<u8>, RegistryError> {
        let what = format!("blob {digest}");
        let read = || {
            let mut answer = self.connection.ask(&format!("blobs/{digest}"), &what, &[])?;
            if answer.status != 200 {
                return Err(Trouble::Registry(Failure::Status(answer.status)));
            }
            let bytes = self.connection.read_small(&mut answer, size)?;
            if (bytes.len() as u64) < size {
                let message = format!("the connection ended after {} of {size} bytes", bytes.len());
                return Err(Trouble::Registry(Failure::Connection(message)));
            }
            let found = Digest::of(&bytes);
            if found != *digest {
                return Err(Trouble::Registry(Failure::WrongDigest { expected: *digest, found }));
            }
            Ok(bytes)
        };
        self.connection.with_attempts(&what, || read().map_err(|trouble| (trouble, false)))
    }

    /// The indexes of what refers to a manifest, page by page: from the registry's own list, or where it has none, from the
    /// tag that clients keep in its place. Nothing when neither is there. Nothing vouches for what they list.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Vec<u8>>>, RegistryError> {
        let mut pages = Vec::new();
        let mut query = String::new();
        while let Some((page, next)) = self.referrers_page(subject, &query)? {
            pages.push(page);
            match next.filter(|next| pages.len() < REFERRER_PAGES && *next != query) {
                Some(next) => query = next,
                None => break,
            }
        }
        if !pages.is_empty() {
            return Ok(Some(pages));
        }
        match self.manifest(&Version::Tag(format!("sha256-{}", subject.hex()))) {
            Ok(document) => Ok(Some(vec![document.bytes])),
            Err(RegistryError::Failed { failure: Failure::Status(404), .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One page of the registry's own list, and what is asked for the next one.
    fn referrers_page(&self, subject: &Digest, query: &str) -> Result<Option<Page>, RegistryError> {
        let what = format!("the referrers of {subject}");
        let read = || {
            let accept = (ACCEPT, ACCEPTED.to_owned());
            let path = format!("referrers/{subject}{query}");
            let mut answer = self.connection.ask(&path, &what, &[accept])?;
            match answer.status {
                200 => {
                    let next = answer.header(&LINK).and_then(next_query);
                    Ok(Some((self.connection.read_small(&mut answer, MANIFEST_LIMIT)?, next)))
                }
                // What those say that do not know the question.
                400 | 404 | 405 | 501 => Ok(None),
                status => Err(Trouble::Registry(Failure::Status(status))),
            }
        };
        self.connection.with_attempts(&what, || read().map_err(|trouble| (trouble, false)))
    }
}

/// An index of referrers, and the query of the next one.
type Page = (Vec<u8>, Option<String>);

/// The query of the next page (RFC 5988, `rel="next"`). The rest of the address is not followed: the list is where it was.
fn next_query(link: &str) -> Option<String> {
    let (address, relation) = link.split_once('>')?;
    let is_next = relation.contains("rel=\"next\"") || relation.contains("rel=next");
    let query = address.strip_prefix('<')?.split_once('?')?.1;
    (is_next && !query.contains(char::is_whitespace)).then(|| format!("?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_query_of_the_next_page_is_taken() {
        let next = |link: &str| next_query(link);
        assert_eq!(
            next("</v2/a/referrers/sha256:0?n=2&last=x>; rel=\"next\"").as_deref(),
            Some("?n=2&last=x")
        );
        assert_eq!(next("<http://other.invalid/v2/a?p=2>; rel=next").as_deref(), Some("?p=2"));
        for none in ["</v2/a?p=2>; rel=\"prev\"", "</v2/a>; rel=\"next\"", "?p=2", "<?a b>; rel=next"] {
            assert_eq!(next(none), None, "{none}");
        }
    }
}
