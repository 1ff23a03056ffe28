//! `catalog/lifecycle.yaml`: until when releases are supported. Out of it and an image's definition comes the support state
//! of an image and of the packages in it.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result};
use calypte_base::Epoch;
use calypte_definition::image::EndOfLife;
use calypte_definition::{ImageDefinition, ImageId, yaml};
use serde::{Deserialize, Serialize};

use crate::catalog::{CatalogDirectory, Mistakes};
use crate::factory::Factory;

/// The catalog's file.
const FILE: &str = "lifecycle.yaml";

/// Whether something is still supported by its makers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "until", rename_all = "kebab-case")]
pub enum Support {
    /// While it is in its rolling universe.
    Rolling,
    /// Until this day.
    Until(Epoch),
    /// No more, since this day.
    Ended(Epoch),
    /// Nobody said until when.
    Unknown,
}

impl Support {
    fn until(day: Option<Epoch>, now: Epoch) -> Self {
        match day {
            None => Self::Unknown,
            Some(day) if day <= now => Self::Ended(day),
            Some(day) => Self::Until(day),
        }
    }

    /// Whether it is past its end.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

impl fmt::Display for Support {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rolling => formatter.write_str("rolling"),
            Self::Until(day) => write!(formatter, "supported until {}", Day(*day)),
            Self::Ended(day) => write!(formatter, "END OF LIFE since {}", Day(*day)),
            Self::Unknown => formatter.write_str("unknown"),
        }
    }
}

/// A time as its day: `2030-10-31`.
#[derive(Debug, Clone, Copy)]
pub struct Day(pub Epoch);

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        formatter.write_str(text.split('T').next().unwrap_or_default())
    }
}

/// The support state of an image: of its own software, and of the universe that its packages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lifecycle {
    /// Of what the image is for; none where the definition names no product.
    pub stream: Option<Support>,
    /// Of the packages.
    pub packages: Support,
}

impl Lifecycle {
    /// Whether anything of it is past its end.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.packages.has_ended() || self.stream.is_some_and(Support::has_ended)
    }
}

/// The days, as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    products: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    universes: BTreeMap<String, String>,
}

/// The days.
#[derive(Debug, Default)]
struct Days {
    products: BTreeMap<String, BTreeMap<String, Epoch>>,
    universes: BTreeMap<String, Epoch>,
}

fn day(text: &str) -> Result<Epoch> {
    format!("{text}T00:00:00Z").parse().with_context(|| format!("`{text}` is no day: write \"2027-10-31\""))
}

impl Days {
    fn read(catalog: &CatalogDirectory) -> Result<Self> {
        let file = catalog.shown(FILE);
        // A catalog without it knows no days.
        if !std::path::Path::new(&file).exists() {
            return Ok(Self::default());
        }
        Self::parse(&file, &catalog.text(FILE)?)
    }

    fn parse(file: &str, text: &str) -> Result<Self> {
        let written: Written = yaml::from_str(file, text).map_err(|mistake| Mistakes(vec![mistake]))?;
        let days = |days: BTreeMap<String, String>| {
            let one = |(name, text): (String, String)| Ok((name, day(&text).context(file.to_owned())?));
            days.into_iter().map(one).collect::<Result<BTreeMap<_, _>>>()
        };
        let products = written.products.into_iter();
        let products = products.map(|(name, cycles)| Ok((name, days(cycles)?))).collect::<Result<_>>()?;
        Ok(Self { products, universes: days(written.universes)? })
    }
}

impl Factory<'_> {
    /// The support state of an image in a universe, now.
    ///
    /// # Errors
    /// When the catalog's file has a mistake, or there is no such image or universe.
    pub fn lifecycle_of(&self, image: &ImageId, universe: &str) -> Result<Lifecycle> {
        self.lifecycle(self.images.image(image)?, universe)
    }

    pub(crate) fn lifecycle(&self, image: &ImageDefinition, universe: &str) -> Result<Lifecycle> {
        let stream = match (&image.end_of_life, self.end_of_life(image)?) {
            (None, _) => None,
            (Some(_), day) => Some(Support::until(day, self.settings.now)),
        };
        let packages = match self.universe(universe)?.0.rolling {
            true => Support::Rolling,
            false => {
                let days = Days::read(&self.settings.catalog)?;
                Support::until(days.universes.get(universe).copied(), self.settings.now)
            }
        };
        Ok(Lifecycle { stream, packages })
    }

    /// Whether the catalog knows days of this product.
    ///
    /// # Errors
    /// When the catalog's file has a mistake.
    pub(crate) fn has_days(&self, product: &str) -> Result<bool> {
        Ok(Days::read(&self.settings.catalog)?.products.contains_key(product))
    }

    /// The day on which the makers' support for an image's own software ends, whatever day it is now; none where nobody
    /// said.
    ///
    /// # Errors
    /// When the catalog's file has a mistake.
    pub(crate) fn end_of_life(&self, image: &ImageDefinition) -> Result<Option<Epoch>> {
        Ok(match &image.end_of_life {
            None => None,
            Some(EndOfLife::Date(text)) => Some(day(text)?),
            Some(EndOfLife::Product(product)) => {
                let days = Days::read(&self.settings.catalog)?;
                let cycles = days.products.get(product);
                image.id.stream.as_ref().and_then(|stream| cycles?.get(stream.as_str())).copied()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_s_own_days_are_days() {
        let days = Days::parse("lifecycle.yaml", include_str!("../../../catalog/lifecycle.yaml")).unwrap();
        let until = days.products["python"]["3.14"];
        assert_eq!(Day(until).to_string(), "2030-10-31");
        assert_eq!(Support::until(Some(until), Epoch(0)).to_string(), "supported until 2030-10-31");
        let ended = Support::until(Some(until), until);
        assert!(ended.has_ended() && ended.to_string().contains("since 2030-10-31"));
        assert!(!Support::until(None, until).has_ended());
    }

    #[test]
    fn what_is_no_day_is_named() {
        let error = Days::parse("l.yaml", "universes:\n  a: \"2027-13-01\"\n").unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "l.yaml: `2027-13-01` is no day: write \"2027-10-31\": `2027-13-01T00:00:00Z` is not a number of seconds since 1970 or an RFC 3339 time"
        );
    }
}
